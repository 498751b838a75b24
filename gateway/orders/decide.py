"""Accepts or refuses one wish after the other, in plain Python over what was read beforehand."""

from dataclasses import dataclass, field
from typing import Any

from gateway import ids
from gateway.clock import DAY_S
from gateway.codes import KIND_CODES, State
from gateway.errors import (
    BalanceTooLow,
    CreditLimitExceeded,
    DailyCapExceeded,
    GatewayError,
    MemberUnknown,
    MerchantNotActive,
    MerchantUnknown,
    ReferenceUsed,
)
from gateway.model import (
    REFERENCE_LENGTH_MAX,
    Accepted,
    MerchantState,
    NewOrder,
    OrderKind,
    Refused,
)
from gateway.orders import answers as answer_codec
from gateway.orders import seldom
from gateway.orders.answers import Answer
from gateway.orders.checks import check_line
from gateway.orders.known import (
    DEBITS,
    SELDOM,
    Known,
    KnownMember,
    KnownMerchant,
    Request,
    owner_of,
)

# A hold is kept in 63 bits; more money than this is not a position but a mistake.
MONEY_MAX = 2**62

# Plain numbers: asking an enumeration for its value is a tenth of what a line costs.
_KINDS = {kind: code.value for kind, code in KIND_CODES.items()}
_ACCEPTED = State.ACCEPTED.value


@dataclass(slots=True)
class Rows:
    """What the group will insert."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)


def decide(request: Request, known: Known, now: int, rows: Rows) -> list[Answer]:
    """The answers to the request's lines, in order; what is to be stored goes into `rows`."""
    given: list[Answer] = []
    for line, raw_id in zip(request.lines, ids.new_ids(len(request.lines), now), strict=True):
        try:
            given.append(_accept_line(request, line, raw_id, known, now, rows))
        except GatewayError as refusal:
            given.append(
                Refused(
                    reference=line.reference[:REFERENCE_LENGTH_MAX],
                    code=refusal.code,
                    detail=refusal.message,
                    order=refusal.values.pop("order", None),
                    values=refusal.values,
                )
            )
    accepted = sum([isinstance(answer, Accepted) for answer in given])
    rows.keys.append(
        {
            "tenant": request.tenant,
            "key": request.key,
            "body_hash": request.body_hash,
            "answer": answer_codec.encode(given),
            "answered_at": now,
        }
    )
    rows.audit.append(
        {
            "at": now,
            "actor": request.actor,
            "action": "accept",
            "subject": request.key,
            "detail": f"{accepted} accepted, {len(given) - accepted} refused",
        }
    )
    return given


def _accept_line(
    request: Request, line: NewOrder, raw_id: bytes, known: Known, now: int, rows: Rows
) -> Accepted:
    """Raises the GatewayError that says why not."""
    if line.kind in SELDOM:
        return seldom.accept_line(request, line, raw_id, known, now, rows)
    check_line(line)
    member = known.members.get(line.member)
    if member is None:
        raise MemberUnknown(f"there is no member {line.member!r:.60}", member=line.member[:60])
    receiver = known.members.get(line.to_member) if line.to_member else None
    if line.kind is OrderKind.TRANSFER and receiver is None:
        raise MemberUnknown(f"there is no member {line.to_member!r:.60}")
    owner = owner_of(request, line, known)
    if owner is None or (line.merchant is None and line.kind is not OrderKind.TRANSFER):
        raise MerchantUnknown(f"there is no merchant {line.merchant!r:.60}")
    holder = known.references.get((owner, line.reference))
    if holder is not None:
        raise ReferenceUsed(
            f"the order {holder} holds the reference {line.reference!r}", order=holder
        )
    hold = _hold(line, member, known, now, rows, owner)
    order_id = ids.encode(ids.ORDER, raw_id)
    known.references[owner, line.reference] = order_id
    rows.orders.append(
        {
            "public_id": raw_id,
            "kind": _KINDS[line.kind],
            "state": _ACCEPTED,
            "merchant_id": owner,
            "member_id": member.id,
            "to_member_id": receiver.id if receiver else None,
            "points": line.points,
            "hold": hold,
            "reference": line.reference,
            "accepted_at": now,
            "changed_at": now,
        }
    )
    return Accepted(id=order_id, reference=line.reference, points=line.points, accepted_at=now)


def _hold(
    line: NewOrder, member: KnownMember, known: Known, now: int, rows: Rows, owner: int
) -> int:
    """What the order holds until its end; raises where it does not reach, and notes that."""
    merchant = known.merchants.get(line.merchant) if line.merchant else None
    try:
        if merchant is not None:
            _check_active(line, merchant)
        if line.kind in DEBITS:
            return _hold_points(line, member, known)
        assert merchant is not None
        return _hold_money(line, merchant, known, now)
    except (
        BalanceTooLow,
        CreditLimitExceeded,
        DailyCapExceeded,
        MerchantNotActive,
    ) as refusal:
        rows.refusals.append(
            {
                "merchant_id": owner,
                "member_id": member.id,
                "kind": KIND_CODES[line.kind].value,
                "points": line.points,
                "reference": line.reference,
                "code": refusal.code,
                "at": now,
            }
        )
        raise


def _check_active(line: NewOrder, merchant: KnownMerchant) -> None:
    # A suspended merchant does not issue, but honours points on; the rest is the contract's too.
    state = merchant.state
    allowed = (
        (MerchantState.ACTIVE,)
        if line.kind is OrderKind.ISSUE
        else (MerchantState.ACTIVE, MerchantState.SUSPENDED)
    )
    if state not in allowed or merchant.position is None:
        raise MerchantNotActive(
            f"the merchant {line.merchant} is {state.value}", merchant_state=state.value
        )


def _hold_points(line: NewOrder, member: KnownMember, known: Known) -> int:
    available = known.balances.get(member.id, 0)
    if line.points > available:
        raise BalanceTooLow(
            f"{line.points} points asked, {max(available, 0)} available",
            available=max(available, 0),
            needed=line.points,
        )
    known.balances[member.id] = available - line.points
    known.held_points[member.id] += line.points
    return line.points


def _hold_money(line: NewOrder, merchant: KnownMerchant, known: Known, now: int) -> int:
    if known.daily_cap is not None:
        issued_today = merchant.issued_today + known.issued.get(merchant.id, 0)
        _check_cap(line, issued_today, known.daily_cap, now)
    charge = line.points * known.issue_price
    available = room_of(merchant) - merchant.held - known.held_money[merchant.id]
    if charge > available:
        raise CreditLimitExceeded(
            f"the issue costs {charge}, {max(available, 0)} are available",
            available=max(available, 0),
            needed=charge,
        )
    known.held_money[merchant.id] += charge
    if known.daily_cap is not None:
        known.issued[merchant.id] += line.points
    return charge


def room_of(merchant: KnownMerchant) -> int:
    """Most that may be held of it: position and credit, as the mirror said."""
    assert merchant.position is not None
    return min(merchant.position.position + merchant.position.credit_limit, MONEY_MAX)


def _check_cap(line: NewOrder, issued_today: int, cap: int, now: int) -> None:
    """What the till's key could not sign today is not promised. Raises DailyCapExceeded."""
    available = max(cap - issued_today, 0)
    if line.points > available:
        next_day_at = (now // DAY_S + 1) * DAY_S
        raise DailyCapExceeded(
            f"{line.points} points asked, {available} of {cap} may be issued today"
            + ("" if line.points <= cap else "; more than a day's worth is never issued at once"),
            cap=cap,
            available=available,
            needed=line.points,
            next_day_at=next_day_at,
        )
