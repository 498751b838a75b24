"""What the operator and anybody may do outside of orders: deposits, limits, terms, closing, income.

Each figure that the contract computes is computed again here. Whether the caller had the role is
the contract's own rule, held by its pinned code; who called is in the report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from indexer.auditor.context import REPLAY, Context, shown
from indexer.auditor.ledger import (
    ACTIVE,
    BPS,
    CLOSED,
    LEAVING,
    NOTICE_S,
    Closing,
    Merchant,
    Terms,
)
from indexer.auditor.rules import (
    LAW_8,
    LAW_16,
    Args,
    flow_of,
    merchant_of,
)

LAW_3: Final = "law 3: money and credit cover what is owed"


def _arrived(ctx: Context, sender: bytes, amount: int, what: str) -> None:
    """What arrived of the settlement asset in this transaction, and is explained by the event."""
    if (sender, amount) not in ctx.asset_in:
        ctx.fail(LAW_3, f"{what} without the asset that arrived for it", amount, "nothing")
    ctx.asset_in.remove((sender, amount))


def deposited(ctx: Context, args: Args) -> None:
    """What arrived is added to the position."""
    number, sender, amount = args
    _arrived(ctx, sender, amount, "a deposit")
    merchant_of(ctx, number).position += amount
    flow_of(ctx, number).deposited += amount


def guarantee_deposited(ctx: Context, args: Args) -> None:
    """By the operator or anybody."""
    sender, amount = args
    _arrived(ctx, sender, amount, "a guarantee")
    ctx.ledger.guarantee += amount


def guarantee_withdrawn(ctx: Context, args: Args) -> None:
    """Never under the sum of the limits that it stands for."""
    to, amount = args
    ledger = ctx.ledger
    ledger.guarantee -= amount
    if ledger.guarantee < ledger.limits:
        ctx.fail(LAW_3, "the guarantee fell under the limits", ledger.limits, ledger.guarantee)
    ctx.pays.append((to, amount))


def merchant_registered(ctx: Context, args: Args) -> None:
    """An id once."""
    number, owner, profile = args
    if number in ctx.ledger.merchants or number == 0:
        ctx.fail(REPLAY, f"merchant {number} was registered twice")
    ctx.ledger.merchants[number] = Merchant(owner, profile)
    ctx.registered = number


def merchant_status_set(ctx: Context, args: Args) -> None:
    """Closed is for ever, and only after a merchant has left for six epochs."""
    number, status = args
    merchant = merchant_of(ctx, number)
    if merchant.status == CLOSED or not ACTIVE <= status <= CLOSED:
        ctx.fail(REPLAY, f"merchant {number} went from {merchant.status} to {status}")
    if status == CLOSED and merchant.status != LEAVING:
        ctx.fail(REPLAY, f"merchant {number} was closed before it left")
    if status == LEAVING and merchant.status != LEAVING:
        merchant.leaving_since = ctx.epoch
    if status == CLOSED and ctx.epoch < merchant.leaving_since + ctx.figures.schedule.validity:
        ctx.fail(REPLAY, f"merchant {number} was closed before its refunds had ended")
    merchant.status = status


def credit_limit_set(ctx: Context, args: Args) -> None:
    """Never under what is drawn; the sum never above the guarantee."""
    number, limit = args
    merchant = merchant_of(ctx, number)
    merchant.limit = limit
    if merchant.position < -limit:
        ctx.fail(LAW_3, "a limit was set under what is drawn", -merchant.position, limit)
    limits = ctx.ledger.limits
    if limits > ctx.ledger.guarantee:
        ctx.fail(LAW_3, "the limits exceed the guarantee", ctx.ledger.guarantee, limits)


def terms_set(ctx: Context, args: Args) -> None:
    """Append-only, 30 days ahead. A successor tells its predecessor's terms again, unchanged."""
    terms = Terms(*args)
    ledger = ctx.ledger
    if not ledger.terms:
        ctx.equal(LAW_16, "the first terms are not those of epoch 1", 1, terms.from_epoch)
        ledger.terms.append(terms)
        return
    if ctx.is_succession:
        if terms not in ledger.terms:
            ctx.fail(LAW_16, "a successor changed terms that were fixed", "", terms)
        return
    schedule = ctx.figures.schedule
    if terms.from_epoch <= ledger.terms[-1].from_epoch or (
        schedule.start(terms.from_epoch) < ctx.header.timestamp + NOTICE_S
    ):
        ctx.fail(LAW_16, "terms were set late, or over terms that were fixed", "", terms.from_epoch)
    ledger.terms.append(terms)


def issuing_paused(ctx: Context, args: Args) -> None:
    """Stops issues, and nothing else."""
    ctx.ledger.paused = bool(args[0])


def epoch_closed(ctx: Context, args: Args) -> None:
    """Law 8: only an expired epoch, once, and each part of the money computed again."""
    epoch, unspent, pool, rest = args
    ledger, figures = ctx.ledger, ctx.figures
    if epoch in ledger.closings:
        ctx.fail(LAW_8, f"epoch {epoch} was closed twice")
    if not figures.schedule.is_expired(epoch, ctx.header.timestamp):
        ctx.fail(LAW_8, f"epoch {epoch} was closed while its points are live")
    supply, terms = ledger.supply_of(epoch), ledger.terms_in(epoch)
    net, live = supply.issued_net, supply.live
    ctx.equal(LAW_8, "the breakage is not what expired", live * figures.face_value, unspent)
    cap = (terms.issue_fee + terms.redeem_fee) * net
    due = min(unspent * terms.share_bps // BPS, cap)
    ctx.equal(LAW_8, "the issuers' pool is not their share", due, pool)
    ctx.equal(LAW_8, "the operator's part is not the rest", unspent - pool, rest)
    ledger.closings[epoch] = Closing(pool)
    ledger.earned_closed += net * terms.issue_fee + (net - live) * terms.redeem_fee + rest
    ledger.breakage_unclaimed += pool


def breakage_claimed(ctx: Context, args: Args) -> None:
    """Law 8: the running floor, once for each issuer."""
    epoch, number, amount = args
    ledger = ctx.ledger
    closing = ledger.closings.get(epoch)
    if closing is None:
        ctx.fail(LAW_8, f"breakage of epoch {epoch} was claimed before it was closed")
    issues = ledger.issues_of(epoch, number)
    if issues.claimed:
        ctx.fail(LAW_8, f"merchant {number} claimed the breakage of epoch {epoch} twice")
    issues.claimed = True
    closing.claimed_points += issues.issued - issues.returned
    net = ledger.supply_of(epoch).issued_net
    due = closing.pool * closing.claimed_points // net if net else 0
    ctx.equal(LAW_8, "a claim paid another share", due - closing.paid, amount)
    closing.paid = due
    ledger.breakage_unclaimed -= amount
    merchant_of(ctx, number).position += amount
    flow_of(ctx, number).breakage += amount


def income_withdrawn(ctx: Context, args: Args) -> None:
    """Never more than is the operator's for good."""
    to, amount = args
    ledger = ctx.ledger
    _, withdrawable = ledger.income(ctx.epoch)
    if amount > withdrawable:
        ctx.fail(LAW_3, "the operator took income that was not its own yet", withdrawable, amount)
    ledger.income_withdrawn += amount
    ctx.pays.append((to, amount))


def handed_over(ctx: Context, args: Args) -> None:
    """The old Coalition pays all it holds to the one that Points obeys now."""
    successor, _ = args
    if successor != ctx.ledger.coalition:
        ctx.fail(LAW_3, "the money was handed to another than the successor", "", shown(successor))


def rejected(ctx: Context, args: Args) -> None:
    """News, never proof: counted, and it changes nothing."""
    ctx.ledger.counts.rejections += 1
    digest = args[0]
    if ctx.by_digest and not ctx.tx.hidden and digest not in ctx.by_digest:
        ctx.fail(REPLAY, "a rejection of an order that was not relayed", "", shown(digest))


CLEARING_EVENTS: Final[dict[str, Callable[[Context, Args], None]]] = {
    "Deposited": deposited,
    "GuaranteeDeposited": guarantee_deposited,
    "GuaranteeWithdrawn": guarantee_withdrawn,
    "MerchantRegistered": merchant_registered,
    "MerchantStatusSet": merchant_status_set,
    "CreditLimitSet": credit_limit_set,
    "TermsSet": terms_set,
    "IssuingPaused": issuing_paused,
    "EpochClosed": epoch_closed,
    "BreakageClaimed": breakage_claimed,
    "IncomeWithdrawn": income_withdrawn,
    "HandedOver": handed_over,
    "Rejected": rejected,
}
