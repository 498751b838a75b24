"""Accepts or refuses a refund, a return or a withdrawal: the same places in the book as any order,
decided by `reversals`.
"""

from typing import TYPE_CHECKING

from gateway import ids
from gateway.codes import KIND_CODES, State
from gateway.errors import (
    Conflict,
    InvalidRequest,
    MerchantNotActive,
    MerchantUnknown,
    PositionTooLow,
    ReferenceUsed,
)
from gateway.model import Accepted, MerchantState, NewOrder, NewReversal, NewWithdrawal, OrderKind
from gateway.orders.checks import check_points, check_reference
from gateway.orders.known import Known, KnownMerchant, Request
from gateway.orders.reversals import Decided

if TYPE_CHECKING:
    from gateway.orders.decide import Rows

MONEY_MAX = 2**62
"""A withdrawal's amount in a row of 63 bits; more is a slip."""


def accept_line(
    request: Request, line: NewOrder, raw_id: bytes, known: Known, now: int, rows: "Rows"
) -> Accepted:
    """Raises the GatewayError that says why not."""
    check_reference(line.reference)
    merchant = known.merchants.get(line.merchant) if line.merchant else None
    if merchant is None:
        raise MerchantUnknown(f"there is no merchant {line.merchant!r:.60}")
    holder = known.references.get((merchant.id, line.reference))
    if holder is not None:
        raise ReferenceUsed(
            f"the order {holder} holds the reference {line.reference!r}", order=holder
        )
    member = known.members.get(line.member)
    try:
        _check_state(line.kind, merchant.state)
        decided = _decided(line, merchant, known)
    except Conflict as refusal:
        rows.refusals.append(
            {
                "merchant_id": merchant.id,
                "member_id": member.id if member else 0,
                "kind": KIND_CODES[line.kind].value,
                "points": line.points,
                "reference": line.reference,
                "code": refusal.code,
                "at": now,
            }
        )
        raise
    order_id = ids.encode(ids.ORDER, raw_id)
    known.references[merchant.id, line.reference] = order_id
    assert known.reversals is not None
    # Stored at once, so that the next one of this group is decided over it.
    known.reversals.store(
        {
            "public_id": raw_id,
            "kind": KIND_CODES[line.kind].value,
            "state": State.ACCEPTED.value,
            "merchant_id": merchant.id,
            "member_id": decided.member_id,
            "points": decided.points,
            "hold": decided.hold,
            "reference": line.reference,
            "of_id": None,
            "epoch": None,
            "shortfall": None,
            "accepted_at": now,
            "changed_at": now,
            **decided.columns,
        }
    )
    if known.hears(merchant.id):
        known.reversals.tell(raw_id, merchant.id)
    return Accepted(id=order_id, reference=line.reference, points=decided.points, accepted_at=now)


def _decided(line: NewOrder, merchant: KnownMerchant, known: Known) -> Decided:
    position = merchant.position
    own = 0 if position is None else position.position
    limit = 0 if position is None else position.credit_limit
    held = merchant.held + known.held_money[merchant.id]
    if isinstance(line, NewWithdrawal):
        decided = _withdrawal(line, own, held)
        known.held_money[merchant.id] += decided.hold
        return decided
    assert isinstance(line, NewReversal)
    check_points(line.points)
    reversals = known.reversals
    assert reversals is not None
    if line.kind is OrderKind.REFUND:
        decided = reversals.refund(line, merchant.id, held, own + limit)
        known.held_money[merchant.id] += decided.hold
        return decided
    # Its member was named from the very order that is returned, so it is known and locked.
    member = known.members[line.member]
    held_points = member.held + known.held_points[member.id]
    decided = reversals.return_(line, merchant.id, member.address, held_points)
    known.held_points[member.id] += decided.hold
    known.balances[member.id] = known.balances.get(member.id, 0) - decided.hold
    return decided


def _withdrawal(line: NewWithdrawal, position: int, held: int) -> Decided:
    """A withdrawal's place in the book. Raises InvalidRequest, PositionTooLow."""
    if type(line.amount) is not int or not 1 <= line.amount <= MONEY_MAX:
        raise InvalidRequest(f"an amount is 1 to {MONEY_MAX} units")
    available = max(position - held, 0)
    if line.amount > available:
        raise PositionTooLow(
            f"{line.amount} asked, {available} are the merchant's own",
            available=available,
            needed=line.amount,
        )
    return Decided(0, line.amount, 0, {})


def _check_state(kind: OrderKind, state: MerchantState) -> None:
    """Refunds and returns go on until the merchant is closed, withdrawals for ever.

    Raises MerchantNotActive.
    """
    closed = state is MerchantState.CLOSED and kind is not OrderKind.WITHDRAW
    if closed or state is MerchantState.ONBOARDING:
        raise MerchantNotActive(f"the merchant is {state.value}", merchant_state=state.value)
