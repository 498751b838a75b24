"""What tills and owners sign: issuing, refunding, returning, cancelling, keys, withdrawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from indexer.auditor import accounts as acc
from indexer.auditor import orders as o
from indexer.auditor.context import REPLAY, SIGNATURES, Context, shown
from indexer.auditor.decode import Value
from indexer.auditor.ledger import ACTIVE, BPS, CLOSED, Merchant
from indexer.auditor.rules import (
    LAW_6,
    LAW_7,
    LAW_16,
    Args,
    debit,
    fields_equal,
    flow_of,
    merchant_of,
    redeem_value,
    take,
    use_member_nonce,
    use_merchant_nonce,
)


def issued(ctx: Context, args: Args) -> None:
    """The entries that were signed, the price of the epoch, the limit, the nonce."""
    digest, number, nonce, epoch, points, charged, root = args
    order = ctx.order(digest, o.ISSUE_BATCH)
    fields_equal(ctx, order, merchant=number, nonce=nonce, referencesRoot=root)
    mints = ctx.mints
    if order is not None:
        ctx.signed_by_till(order, number)
        entries = order.fields["entries"]
        got = b"".join([to + points.to_bytes(5, "big") for _, to, points, _ in mints])
        if got != entries:
            ctx.fail(REPLAY, "a batch issued other entries than were signed")
    total = sum([mint[2] for mint in mints])
    ctx.equal(REPLAY, "a batch says another sum than it issued", total, points)
    mints.clear()
    ctx.equal(REPLAY, "a batch was issued in another epoch", ctx.epoch, epoch)
    merchant = merchant_of(ctx, number)
    if merchant.status != ACTIVE or ctx.ledger.paused:
        ctx.fail(REPLAY, f"merchant {number} issued while it may not")
    use_merchant_nonce(ctx, merchant, nonce)
    price = ctx.figures.face_value + ctx.ledger.terms_in(epoch).issue_fee
    ctx.equal(LAW_16, "an issue was charged other than its terms", points * price, charged)
    debit(ctx, merchant, charged, merchant.limit)
    ctx.ledger.supply_of(epoch).issued += points
    ctx.ledger.issues_of(epoch, number).issued += points
    flow = flow_of(ctx, number)
    flow.issued += points
    flow.charged += charged


def refunded(ctx: Context, args: Args) -> None:
    """Out of a proven redemption, longest-lived first, at those epochs' prices."""
    digest, member, number, leaf, points, charged, buckets = args
    ledger = ctx.ledger
    order = ctx.order(digest, o.REFUND)
    fields_equal(ctx, order, merchant=number, points=points, member=member, leaf=leaf)
    merchant = merchant_of(ctx, number)
    lanes = take(ctx, ctx.mints, "a refund gave back other points", (bytes(20), member, points))
    said = acc.aged(buckets, ctx.epoch) & acc.LANES_MASK
    ctx.equal(LAW_6, "a refund gave back other buckets than it says", lanes, said)
    given = ledger.refunded.get(leaf, 0)
    if order is not None:
        ctx.signed_by_till(order, number)
        use_merchant_nonce(ctx, merchant, order.fields["nonce"])
        if order.fields["root"] not in ledger.roots:
            ctx.fail(LAW_6, "a refund of a redemption that is under no root", "", shown(leaf))
        limit = order.fields["redeemedPoints"]
        if given + points > limit:
            ctx.fail(LAW_6, "a redemption was refunded beyond its points", limit, given + points)
        due = longest_lived(order.fields["buckets"], given, points)
        ctx.equal(LAW_6, "a refund went into other epochs than it came from", due, buckets)
    ledger.refunded[leaf] = given + points
    ctx.equal(
        LAW_16, "a refund was charged other than its terms", redeem_value(ctx, buckets), charged
    )
    if merchant.status == CLOSED:
        ctx.fail(REPLAY, f"merchant {number} refunded after it was closed")
    debit(ctx, merchant, charged, merchant.limit)
    for epoch, part in acc.lanes_of(buckets):
        ledger.supply_of(epoch).refunded += part
    flow = flow_of(ctx, number)
    flow.refunded += points
    flow.taken_back += charged


def longest_lived(taken: int, skipped: int, points: int) -> int:
    """Of the buckets a redemption took, the `points` after the first `skipped`, newest first."""
    newest, lanes = taken >> acc.EPOCH_SHIFT, 0
    for lane in range(acc.LANES):
        available = (taken >> (acc.LANE_BITS * lane)) & acc.LANE_MASK
        skip = min(skipped, available)
        skipped -= skip
        give = min(points, available - skip)
        lanes |= give << (acc.LANE_BITS * lane)
        points -= give
    return (newest << acc.EPOCH_SHIFT) | lanes


def returned(ctx: Context, args: Args) -> None:
    """Two signatures, the window, the cap, the price of the epoch."""
    digest, member, number, epoch, points, credited, ref = args
    ledger = ctx.ledger
    order = ctx.order(digest, o.RETURN)
    fields_equal(ctx, order, member=member, merchant=number, points=points, epoch=epoch, ref=ref)
    merchant = merchant_of(ctx, number)
    if order is not None:
        ctx.signed_by(order, member, second=True)
        ctx.signed_by_till(order, number)
        use_merchant_nonce(ctx, merchant, order.fields["nonce"])
    lanes = take(ctx, ctx.burns, "a return burnt other points", (member, bytes(20), points))
    in_epoch = [(epoch, points)]
    said = acc.lanes_of((ctx.epoch << acc.EPOCH_SHIFT) | lanes)
    ctx.equal(LAW_7, "a return burnt another epoch's points", in_epoch, said)
    if epoch not in (ctx.epoch, ctx.epoch - 1):
        ctx.fail(LAW_7, "a return after its window", f"{ctx.epoch - 1} or {ctx.epoch}", epoch)
    issues = ledger.issues_of(epoch, number)
    issues.returned += points
    cap = issues.issued * ctx.figures.return_caps_bps[ctx.ledger.coalition] // BPS
    if issues.returned > cap:
        ctx.fail(LAW_7, "returns beyond the cap of what was issued", cap, issues.returned)
    price = ctx.figures.face_value + ledger.terms_in(epoch).issue_fee
    ctx.equal(LAW_16, "a return was credited other than its terms", points * price, credited)
    if merchant.status == CLOSED:
        ctx.fail(REPLAY, f"merchant {number} took a return after it was closed")
    merchant.position += credited
    ledger.supply_of(epoch).returned += points
    flow = flow_of(ctx, number)
    flow.returned += points
    flow.credited += credited


def cancelled(ctx: Context, args: Args) -> None:
    """Uses a nonce up: merchant 0 means the signer's own."""
    digest, signer, number, nonce = args
    order = ctx.order(digest, o.CANCEL)
    fields_equal(ctx, order, signer=signer, merchant=number, nonce=nonce)
    if order is not None:
        ctx.signed_by(order, signer)
    if number == 0:
        use_member_nonce(ctx, signer, order)
        return
    merchant = merchant_of(ctx, number)
    if ctx.ledger.tills.get(signer) != (number, True) and merchant.owner != signer:
        ctx.fail(
            SIGNATURES,
            f"cancelled by neither till nor owner of merchant {number}",
            "",
            shown(signer),
        )
    use_merchant_nonce(ctx, merchant, nonce)


def withdrawn(ctx: Context, args: Args) -> None:
    """Never on credit, and the asset leaves for the address that the owner signed."""
    digest, number, to, amount = args
    merchant = _by_owner(ctx, digest, o.WITHDRAW, number, to=to, amount=amount)
    debit(ctx, merchant, amount, 0)
    ctx.pays.append((to, amount))
    flow_of(ctx, number).withdrawn += amount


def till_key_set(ctx: Context, args: Args) -> None:
    """By the owner's order; with the zero digest, by the operator at registration."""
    digest, number, key, active = args
    if digest == bytes(32):
        if ctx.registered != number:
            ctx.fail(SIGNATURES, f"a till key of merchant {number} was set by no owner")
    else:
        _by_owner(ctx, digest, o.SET_TILL_KEY, number, key=key, active=active)
    holder = ctx.ledger.tills.get(key)
    if holder is not None and holder[1] and holder[0] != number:
        ctx.fail(REPLAY, f"a till key of merchant {holder[0]} was given to merchant {number}")
    ctx.ledger.tills[key] = (number, bool(active))


def owner_set(ctx: Context, args: Args) -> None:
    """By the owner before."""
    digest, number, owner = args
    _by_owner(ctx, digest, o.SET_OWNER, number, owner=owner).owner = owner


def profile_set(ctx: Context, args: Args) -> None:
    """By the owner."""
    digest, number, profile = args
    _by_owner(ctx, digest, o.SET_PROFILE, number, profileHash=profile).profile = profile


def _by_owner(ctx: Context, digest: bytes, kind: int, number: int, **said: Value) -> Merchant:
    merchant = merchant_of(ctx, number)
    order = ctx.order(digest, kind)
    fields_equal(ctx, order, merchant=number, **said)
    if order is not None:
        ctx.signed_by(order, merchant.owner)
        use_merchant_nonce(ctx, merchant, order.fields["nonce"])
    return merchant


MERCHANT_EFFECTS: Final[dict[str, Callable[[Context, Args], None]]] = {
    "Issued": issued,
    "Refunded": refunded,
    "Returned": returned,
    "Cancelled": cancelled,
    "Withdrawn": withdrawn,
    "TillKeySet": till_key_set,
    "OwnerSet": owner_set,
    "ProfileSet": profile_set,
}
