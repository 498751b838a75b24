"""The gateway's API as values: which request, and how its answer is read. No line is opened
here.
"""

# Long because every request of the API stands here.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Generic, TypeVar

import orjson

from wallet_sdk.client.models import (
    ApiKey,
    Balance,
    EarnRule,
    HistoryLine,
    IssueLine,
    Json,
    KeyLine,
    Member,
    Merchant,
    Order,
    OrderState,
    Page,
    Position,
    Purchase,
    Refusal,
    RefusedLine,
    ReturnQuote,
    Settlement,
)
from wallet_sdk.client.outbox import PendingRequest, check_key, new_key
from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import Money, Points

T = TypeVar("T")

LINES_MAX: Final = 10_000
"""Lines of one bulk request: what the gateway takes in one commit."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One request to the gateway. `pending` holds the POST's key and bytes; None for a read.

    `verb` and `body` are for PATCH and DELETE: they need no key, since repeating them changes
    nothing.
    """

    path: str
    read: Callable[[Any], T]
    query: Mapping[str, str] = field(default_factory=dict)
    pending: PendingRequest | None = None
    verb: str | None = None
    body: bytes | None = None

    @property
    def method(self) -> str:
        """GET, POST, PATCH or DELETE."""
        return self.verb or ("GET" if self.pending is None else "POST")

    @property
    def key(self) -> str | None:
        """The idempotency key of a POST."""
        return None if self.pending is None else self.pending.key


def post(
    path: str, body: Mapping[str, Any], read: Callable[[Any], T], key: str | None
) -> Operation[T]:
    """A POST under `key`, or a fresh one."""
    pending = PendingRequest(check_key(key or new_key()), path, orjson.dumps(body))
    return Operation(path, read, pending=pending)


def segment(public_id: str) -> str:
    """A public id as a part of a path. Raises InputInvalid."""
    # An id comes back from the gateway, but also out of other people's files: it must not leave its
    # place in a path.
    if not public_id.isascii() or not public_id.replace("_", "").isalnum():
        raise InputInvalid(f"not an id of the gateway: {public_id!r:.80}")
    return public_id


def page_query(cursor: str | None, limit: int | None) -> dict[str, str]:
    """The query of a page."""
    wanted = {"cursor": cursor, "limit": None if limit is None else str(limit)}
    return {name: value for name, value in wanted.items() if value is not None}


# ---- members


def create_member(external_id: str, key: str | None = None) -> Operation[Member]:
    """POST /v1/members: the member of this external id, made where there was none."""
    return post("/v1/members", {"external_id": external_id}, Member.parse, key)


def member(member_id: str) -> Operation[Member]:
    """GET /v1/members/{id}"""
    return Operation(f"/v1/members/{segment(member_id)}", Member.parse)


def members(
    external_id: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Operation[Page[Member]]:
    """GET /v1/members (operator), newest first."""
    query = page_query(cursor, limit)
    if external_id is not None:
        query["external_id"] = external_id
    return Operation("/v1/members", Page.parser("members", Member.parse), query)


def balance(member_id: str) -> Operation[Balance]:
    """GET /v1/members/{id}/balance"""
    return Operation(f"/v1/members/{segment(member_id)}/balance", Balance.parse)


def history(
    member_id: str, cursor: str | None = None, limit: int | None = None
) -> Operation[Page[HistoryLine]]:
    """GET /v1/members/{id}/history, newest first."""
    path = f"/v1/members/{segment(member_id)}/history"
    return Operation(path, Page.parser("lines", HistoryLine.parse), page_query(cursor, limit))


# ---- orders


def issue(
    member_id: str,
    reference: str,
    points: Points | None = None,
    purchase: Purchase | None = None,
    key: str | None = None,
) -> Operation[Order]:
    """POST /v1/issuances: points, or a purchase under the merchant's earn rule."""
    line = IssueLine(member_id, reference, points, purchase)
    return post("/v1/issuances", line.body(), Order.parse, key)


def issue_many(
    lines: Sequence[IssueLine], key: str | None = None
) -> Operation[list[Order | RefusedLine]]:
    """POST /v1/issuances/bulk: each line is accepted or refused by itself; answers in the lines'
    order.
    """
    if not 1 <= len(lines) <= LINES_MAX:
        raise InputInvalid(f"1 to {LINES_MAX} lines in one request, got {len(lines)}")
    body = {"lines": [line.body() for line in lines]}
    return post("/v1/issuances/bulk", body, answered_lines, key)


def answered_lines(body: Json) -> list[Order | RefusedLine]:
    """The answer to a bulk request."""
    return [
        RefusedLine.parse(line) if "refused" in line else Order.parse(line)
        for line in body["lines"]
    ]


def redeem(
    member_id: str, reference: str, points: Points, key: str | None = None
) -> Operation[Order]:
    """POST /v1/redemptions"""
    body = {"member": member_id, "reference": reference, "points": points}
    return post("/v1/redemptions", body, Order.parse, key)


def transfer(
    from_member: str, to_member: str, points: Points, reference: str, key: str | None = None
) -> Operation[Order]:
    """POST /v1/transfers"""
    body = {"from": from_member, "to": to_member, "points": points, "reference": reference}
    return post("/v1/transfers", body, Order.parse, key)


def refund(
    redemption: str, points: Points, reference: str, key: str | None = None
) -> Operation[Order]:
    """POST /v1/refunds"""
    body = {"redemption": redemption, "points": points, "reference": reference}
    return post("/v1/refunds", body, Order.parse, key)


def quote_return(issue_order: str, points: Points) -> Operation[ReturnQuote]:
    """GET /v1/orders/{id}/return-quote: what is missing, before cash is paid."""
    path = f"/v1/orders/{segment(issue_order)}/return-quote"
    return Operation(path, ReturnQuote.parse, {"points": str(points)})


def return_goods(
    issue_order: str,
    points: Points,
    reference: str,
    shortfall: Points = 0,
    key: str | None = None,
) -> Operation[Order]:
    """POST /v1/returns; `shortfall` as quoted, refused when more is missing by now."""
    body = {
        "issue": issue_order,
        "points": points,
        "reference": reference,
        "shortfall": shortfall,
    }
    return post("/v1/returns", body, Order.parse, key)


def cancel(order_id: str, key: str | None = None) -> Operation[Order]:
    """POST /v1/orders/{id}/cancel"""
    return post(f"/v1/orders/{segment(order_id)}/cancel", {}, Order.parse, key)


def withdraw(amount: Money, reference: str, key: str | None = None) -> Operation[Order]:
    """POST /v1/merchants/me/withdrawals"""
    body = {"amount": amount, "reference": reference}
    return post("/v1/merchants/me/withdrawals", body, Order.parse, key)


def order(order_id: str) -> Operation[Order]:
    """GET /v1/orders/{id}"""
    return Operation(f"/v1/orders/{segment(order_id)}", Order.parse)


def orders(
    state: OrderState | None = None,
    reference: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Operation[Page[Order]]:
    """GET /v1/orders, newest first."""
    query = page_query(cursor, limit)
    if state is not None:
        query["state"] = state.value
    if reference is not None:
        query["reference"] = reference
    return Operation("/v1/orders", Page.parser("orders", Order.parse), query)


def refusals(cursor: str | None = None, limit: int | None = None) -> Operation[Page[Refusal]]:
    """GET /v1/refusals, newest first."""
    read = Page.parser("refusals", Refusal.parse)
    return Operation("/v1/refusals", read, page_query(cursor, limit))


# ---- merchants


def me() -> Operation[Merchant]:
    """GET /v1/merchants/me"""
    return Operation("/v1/merchants/me", Merchant.parse)


def position() -> Operation[Position]:
    """GET /v1/merchants/me/position"""
    return Operation("/v1/merchants/me/position", Position.parse)


def settlement(from_month: int | None = None, to_month: int | None = None) -> Operation[Settlement]:
    """GET /v1/merchants/me/settlement; months as yyyymm, both included."""
    months = {"from_month": from_month, "to_month": to_month}
    query = {name: str(month) for name, month in months.items() if month is not None}
    return Operation("/v1/merchants/me/settlement", Settlement.parse, query)


def merchant(merchant_id: str) -> Operation[Merchant]:
    """GET /v1/merchants/{id} (operator, auditor)"""
    return Operation(f"/v1/merchants/{segment(merchant_id)}", Merchant.parse)


def position_of(merchant_id: str) -> Operation[Position]:
    """GET /v1/merchants/{id}/position (operator, auditor)"""
    return Operation(f"/v1/merchants/{segment(merchant_id)}/position", Position.parse)


def merchants(cursor: str | None = None, limit: int | None = None) -> Operation[Page[Merchant]]:
    """GET /v1/merchants (operator, auditor), by number."""
    read = Page.parser("merchants", Merchant.parse)
    return Operation("/v1/merchants", read, page_query(cursor, limit))


def onboard_merchant(
    name: str,
    slug: str,
    deposit: Money = 0,
    credit_limit: Money = 0,
    earn_rule: EarnRule | None = None,
    key: str | None = None,
) -> Operation[Merchant]:
    """POST /v1/merchants (operator)."""
    body = {
        "name": name,
        "slug": slug,
        "deposit": deposit,
        "credit_limit": credit_limit,
        "earn_rule": asdict(earn_rule or EarnRule()),
    }
    return post("/v1/merchants", body, Merchant.parse, key)


def book_deposit(
    merchant_id: str, amount: Money, bank_reference: str, key: str | None = None
) -> Operation[bool]:
    """POST /v1/merchants/{id}/deposits (operator)."""
    path = f"/v1/merchants/{segment(merchant_id)}/deposits"
    body = {"amount": amount, "bank_reference": bank_reference}
    return post(path, body, booked, key)


def booked(body: Json) -> bool:
    """The answer to a deposit."""
    return bool(body["booked"])


def make_api_key(role: str, label: str = "", key: str | None = None) -> Operation[ApiKey]:
    """POST /v1/api-keys: a key of your own, or of a till of yours."""
    return post("/v1/api-keys", {"role": role, "label": label}, ApiKey.parse, key)


def api_keys(cursor: str | None = None, limit: int | None = None) -> Operation[Page[KeyLine]]:
    """GET /v1/api-keys, newest first."""
    read = Page.parser("api_keys", KeyLine.parse)
    return Operation("/v1/api-keys", read, page_query(cursor, limit))


def revoke_api_key(key_id: str, key: str | None = None) -> Operation[bool]:
    """POST /v1/api-keys/{id}/revoke"""
    return post(f"/v1/api-keys/{segment(key_id)}/revoke", {}, revoked, key)


def revoked(body: Json) -> bool:
    """The answer to a revocation."""
    return bool(body["revoked"])


def make_member_key(member_id: str, lives_s: int, key: str | None = None) -> Operation[ApiKey]:
    """POST /v1/members/{id}/api-keys (operator): a short-lived key of one member."""
    path = f"/v1/members/{segment(member_id)}/api-keys"
    return post(path, {"lives_s": lives_s}, ApiKey.parse, key)
