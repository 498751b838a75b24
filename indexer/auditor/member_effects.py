"""What members sign: joining, leaving, redeeming, transferring, recovering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from indexer.auditor import accounts as acc
from indexer.auditor import orders as o
from indexer.auditor.context import REPLAY, SIGNATURES, Context, shown
from indexer.auditor.ledger import ACTIVE, SUSPENDED
from indexer.auditor.orders import redemption_leaf, redemptions_root
from indexer.auditor.rules import (
    LAW_16,
    Args,
    fields_equal,
    flow_of,
    merchant_of,
    redeem_value,
    take,
    use_member_nonce,
)

RECOVERY_DELAY_S: Final = 7 * 86_400
"""`RECOVERY_DELAY` of the Coalition, a constant of its bytecode."""


def joined(ctx: Context, args: Args) -> None:
    """The nonce, the member bit, and who signed."""
    digest, member = args
    order = ctx.order(digest, o.JOIN)
    fields_equal(ctx, order, member=member)
    if order is not None:
        ctx.signed_by(order, member)
    use_member_nonce(ctx, member, order)
    if not ctx.ledger.accounts[member] & acc.MEMBER_BIT:
        ctx.fail(REPLAY, "a member joined whose member bit is not set", "", shown(member))


def left(ctx: Context, args: Args) -> None:
    """The same, with the member bit cleared; points stay."""
    digest, member = args
    order = ctx.order(digest, o.LEAVE)
    fields_equal(ctx, order, member=member)
    if order is not None:
        ctx.signed_by(order, member)
    use_member_nonce(ctx, member, order)
    if ctx.ledger.accounts[member] & acc.MEMBER_BIT:
        ctx.fail(REPLAY, "a member left whose member bit is still set", "", shown(member))


def redeemed(ctx: Context, args: Args) -> None:
    """Soonest to expire first, paid by the terms of each bucket."""
    digest, member, number, points, paid, buckets, ref = args
    order = ctx.order(digest, o.REDEEM)
    fields_equal(ctx, order, member=member, merchant=number, points=points, ref=ref)
    if order is not None:
        ctx.signed_by(order, member)
    lanes = take(ctx, ctx.burns, "a redemption burnt other points", (member, bytes(20), points))
    use_member_nonce(ctx, member, order)
    said = (ctx.epoch << acc.EPOCH_SHIFT) | lanes
    ctx.equal(REPLAY, "a redemption took other buckets than the soonest to expire", said, buckets)
    ctx.equal(LAW_16, "a redemption was paid other than its terms", redeem_value(ctx, said), paid)
    merchant = merchant_of(ctx, number)
    if merchant.status not in (ACTIVE, SUSPENDED):
        ctx.fail(REPLAY, f"merchant {number} redeemed in status {merchant.status}")
    merchant.position += paid
    for epoch, part in acc.lanes_of(said):
        ctx.ledger.supply_of(epoch).redeemed += part
    ctx.leaves.append(redemption_leaf(digest, buckets))
    flow = flow_of(ctx, number)
    flow.redeemed += points
    flow.paid += paid


def redemptions_rooted(ctx: Context, args: Args) -> None:
    """The root over the redemptions of this relay, built again."""
    root, count = args
    ctx.equal(REPLAY, "a root over another number of redemptions", len(ctx.leaves), count)
    ctx.equal(REPLAY, "another root of redemptions", redemptions_root(ctx.leaves), root)
    ctx.leaves.clear()
    ctx.ledger.roots.add(root)


def transferred(ctx: Context, args: Args) -> None:
    """Member to member."""
    digest, sender, to, points = args
    order = ctx.order(digest, o.TRANSFER)
    fields_equal(ctx, order, points=points, to=to, **{"from": sender})
    if order is not None:
        ctx.signed_by(order, sender)
    take(ctx, ctx.moves, "a transfer moved other points", (sender, to, points))
    use_member_nonce(ctx, sender, order)


def recovery_named(ctx: Context, args: Args) -> None:
    """Also ends a recovery that is running."""
    digest, member, recovery = args
    order = ctx.order(digest, o.NAME_RECOVERY)
    fields_equal(ctx, order, member=member, recovery=recovery)
    if order is not None:
        ctx.signed_by(order, member)
    use_member_nonce(ctx, member, order)
    ctx.ledger.recoveries[member] = (recovery, 0)


def recovery_started(ctx: Context, args: Args) -> None:
    """Only to the address that the member named; the delay begins."""
    digest, member, recovery, due_at = args
    order = ctx.order(digest, o.RECOVER)
    fields_equal(ctx, order, member=member, recovery=recovery)
    if order is not None:
        ctx.signed_by(order, recovery)
    use_member_nonce(ctx, recovery, order)
    named = ctx.ledger.recoveries.get(member)
    if named is None or named[0] != recovery:
        ctx.fail(SIGNATURES, "a recovery to an address that the member never named")
    due = ctx.header.timestamp + RECOVERY_DELAY_S
    ctx.equal(REPLAY, "a recovery with another delay", due, due_at)
    ctx.ledger.recoveries[member] = (recovery, due_at)


def recovered(ctx: Context, args: Args) -> None:
    """After the delay: pass and points go over."""
    member, recovery = args
    named = ctx.ledger.recoveries.get(member)
    if named is None or named[0] != recovery or not 0 < named[1] <= ctx.header.timestamp:
        ctx.fail(SIGNATURES, "a recovery finished that was not named, or not due")
    ctx.ledger.recoveries[member] = (bytes(20), 0)
    if member != recovery:
        if not ctx.moves or ctx.moves[-1][:2] != (member, recovery):
            ctx.fail(REPLAY, "a recovery without its movement of points")
        ctx.moves.pop()


MEMBER_EFFECTS: Final[dict[str, Callable[[Context, Args], None]]] = {
    "Joined": joined,
    "Left": left,
    "Redeemed": redeemed,
    "RedemptionsRooted": redemptions_rooted,
    "Transferred": transferred,
    "RecoveryNamed": recovery_named,
    "RecoveryStarted": recovery_started,
    "Recovered": recovered,
}
