"""What the gateway answers, typed. Unknown members of an answer are ignored, so an older client
goes on working.
"""

# Long because every answer of the API is a value here.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import Money, Points, Seconds

T = TypeVar("T")
Json = Mapping[str, Any]


class OrderState(StrEnum):
    """accepted -> batched -> submitted -> included -> final, or failed."""

    ACCEPTED = "accepted"
    BATCHED = "batched"
    SUBMITTED = "submitted"
    INCLUDED = "included"
    FINAL = "final"
    FAILED = "failed"
    OTHER = "other"
    """A state that this version does not know; the order is not settled."""

    @classmethod
    def _missing_(cls, value: object) -> OrderState:
        return cls.OTHER


class _Flat:
    """An object of the API whose fields are read as they stand."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def parse(cls, body: Json) -> Self:
        """Reads the object; fields that this client does not know are left out."""
        return cls(**{name: body[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an order failed: a stable code, and a sentence that a person can act on."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the gateway has it; `to_member` is who receives a transfer.

    `transaction` and `block` say where it took effect, once it is included. `of` is the order that
    a refund or a return reverses, `shortfall` a return's missing points, `amount` a withdrawal's
    money; `cancel_asked_at` is set while its nonce is being used up; `follows` is the order that
    failed under this reference before.
    """

    id: str
    state: OrderState
    kind: str
    member: str | None
    to_member: str | None
    merchant: str | None
    points: Points
    reference: str
    accepted_at: Seconds
    failure: Failure | None
    transaction: str | None
    block: int | None
    of: str | None = None
    shortfall: Points | None = None
    amount: Money | None = None
    cancel_asked_at: Seconds | None = None
    follows: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (OrderState.FINAL, OrderState.FAILED)

    @classmethod
    def parse(cls, body: Json) -> Order:
        """Reads an order object."""
        failure = body.get("failure")
        return cls(
            id=body["id"],
            state=OrderState(body["state"]),
            kind=body["kind"],
            member=body["member"],
            to_member=body.get("to_member"),
            merchant=body.get("merchant"),
            points=body["points"],
            reference=body["reference"],
            accepted_at=body["accepted_at"],
            failure=Failure(failure["code"], failure["detail"]) if failure else None,
            transaction=body.get("transaction"),
            block=body.get("block"),
            of=body.get("of"),
            shortfall=body.get("shortfall"),
            amount=body.get("amount"),
            cancel_asked_at=body.get("cancel_asked_at"),
            follows=body.get("follows"),
        )


@dataclass(frozen=True, slots=True)
class ReturnQuote(_Flat):
    """What a return would do now: `returnable` points come back, `shortfall` are missing (`spent`
    by the member, `over_cap` of the merchant's). The till keeps `shortfall_amount` of the cash.
    """

    points: Points
    returnable: Points
    shortfall: Points
    spent: Points
    over_cap: Points
    shortfall_amount: Money
    window_ends_at: Seconds


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A fresh key; `api_key` is there once only, in the first answer."""

    id: str
    role: str
    label: str
    expires_at: Seconds | None
    api_key: str | None = field(repr=False)

    @classmethod
    def parse(cls, body: Json) -> ApiKey:
        """Reads a key object."""
        return cls(
            body["id"], body["role"], body["label"], body.get("expires_at"), body.get("api_key")
        )


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key as it is listed, without its secret. `last_used_at` is right to a minute."""

    id: str
    role: str
    label: str
    merchant: str | None
    scopes: tuple[str, ...]
    created_at: Seconds
    last_used_at: Seconds | None
    revoked_at: Seconds | None

    @classmethod
    def parse(cls, body: Json) -> KeyLine:
        """Reads a line of a list of keys."""
        found = {name: body.get(name) for name in cls.__slots__}
        return cls(**{**found, "scopes": tuple(body["scopes"])})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Refusal(_Flat):
    """A wish that was refused as things stood; `code` as in the problem that answered it."""

    kind: str
    merchant: str | None
    member: str | None
    points: Points
    reference: str
    code: str
    at: Seconds


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line of a bulk request that was not accepted; others may have been.

    `order` names the one that holds the reference already (code `reference_used`).
    """

    reference: str
    code: str
    detail: str
    order: str | None

    @classmethod
    def parse(cls, body: Json) -> RefusedLine:
        """Reads a refused line."""
        why = body["refused"]
        return cls(body["reference"], why["code"], why["detail"], why.get("order"))


@dataclass(frozen=True, slots=True)
class Member:
    """A member; `joined` once the membership is final. Points can be issued before."""

    id: str
    external_id: str
    joined: bool

    @classmethod
    def parse(cls, body: Json) -> Member:
        """Reads a member object."""
        return cls(body["id"], body["external_id"], body["joined"])


@dataclass(frozen=True, slots=True)
class EpochPoints:
    """Points that expire together; `expires_at` is the first second at which they are gone."""

    epoch: int
    points: Points
    expires_at: Seconds


@dataclass(frozen=True, slots=True)
class Balance:
    """Live points, soonest to expire first; `available` is less what open orders hold."""

    points: Points
    available: Points
    by_epoch: tuple[EpochPoints, ...]
    as_of_block: int
    as_of_time: Seconds

    @classmethod
    def parse(cls, body: Json) -> Balance:
        """Reads a balance object."""
        return cls(
            points=body["points"],
            available=body["available"],
            by_epoch=tuple(
                EpochPoints(part["epoch"], part["points"], part["expires_at"])
                for part in body["by_epoch"]
            ),
            as_of_block=body["as_of_block"],
            as_of_time=body["as_of_time"],
        )


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One movement; `points` carries the sign, `merchant` is None for another merchant's."""

    kind: str
    points: Points
    merchant: str | None
    at: Seconds
    block: int

    @classmethod
    def parse(cls, body: Json) -> HistoryLine:
        """Reads a line of a member's history."""
        return cls(body["kind"], body["points"], body.get("merchant"), body["at"], body["block"])


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `next_cursor` None on the last."""

    items: tuple[T, ...]
    next_cursor: str | None

    @classmethod
    def parser(cls, name: str, item: Callable[[Json], T]) -> Callable[[Json], Page[T]]:
        """Reads a list object whose items stand under `name` and are read by `item`."""
        return lambda body: cls(tuple(item(part) for part in body[name]), body.get("next_cursor"))


@dataclass(frozen=True, slots=True)
class EarnRule:
    """Points for a purchase: floor(amount_minor x points / per_minor)."""

    points: int = 1
    per_minor: int = 1
    currency: str = "USD"
    minor_digits: int = 2

    @classmethod
    def parse(cls, body: Json) -> EarnRule:
        """Reads a rule object."""
        return cls(body["points"], body["per_minor"], body["currency"], body["minor_digits"])


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant; `number` is its id on chain.

    `api_key` is there once only, in the answer that made the merchant.
    """

    id: str
    number: int
    slug: str
    name: str
    state: str
    earn_rule: EarnRule
    api_key: str | None = field(repr=False)

    @classmethod
    def parse(cls, body: Json) -> Merchant:
        """Reads a merchant object."""
        return cls(
            id=body["id"],
            number=body["number"],
            slug=body["slug"],
            name=body["name"],
            state=body["state"],
            earn_rule=EarnRule.parse(body["earn_rule"]),
            api_key=body.get("api_key"),
        )


@dataclass(frozen=True, slots=True)
class Position:
    """What a merchant has with the network, in units of the settlement asset.

    `held` is what open orders will take; `available` = position + credit limit - held.
    """

    position: Money
    credit_limit: Money
    held: Money
    available: Money
    as_of_block: int

    @classmethod
    def parse(cls, body: Json) -> Position:
        """Reads a position object."""
        return cls(
            body["position"],
            body["credit_limit"],
            body["held"],
            body["available"],
            body["as_of_block"],
        )


@dataclass(frozen=True, slots=True)
class SettlementLine(_Flat):
    """What one merchant honoured of another's points: `points` = redeemed - refunded, and what it
    was paid for them. `merchant` is the other one.
    """

    merchant: str | None
    redeemed: Points
    refunded: Points
    points: Points
    paid: Money


@dataclass(frozen=True, slots=True)
class Settlement:
    """`honoured`: points of others that you took, by issuer; `issued`: yours that others took."""

    honoured: tuple[SettlementLine, ...]
    issued: tuple[SettlementLine, ...]
    as_of_block: int

    @classmethod
    def parse(cls, body: Json) -> Settlement:
        """Reads a settlement object."""
        return cls(
            honoured=tuple(SettlementLine.parse(line) for line in body["honoured"]),
            issued=tuple(SettlementLine.parse(line) for line in body["issued"]),
            as_of_block=body["as_of_block"],
        )


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought, for the merchant's earn rule. Floats are refused: 0.1 + 0.2 is not 0.3."""

    amount: Decimal
    currency: str

    def __init__(self, amount: Decimal | str | int, currency: str) -> None:
        """`amount` in major units: "12.34". Raises InputInvalid."""
        if isinstance(amount, bool) or not isinstance(amount, Decimal | str | int):
            raise InputInvalid(f"an amount is a Decimal, a str or an int, got {amount!r}")
        try:
            exact = Decimal(amount)
        except ArithmeticError as error:
            raise InputInvalid(f"no amount: {amount!r}") from error
        if not exact.is_finite() or exact < 0:
            raise InputInvalid(f"an amount is a number from 0, got {amount!r}")
        object.__setattr__(self, "amount", exact)
        object.__setattr__(self, "currency", currency)

    def body(self) -> dict[str, str]:
        """As the gateway takes it."""
        return {"amount": f"{self.amount:f}", "currency": self.currency}


@dataclass(frozen=True, slots=True)
class IssueLine:
    """One line of a bulk issue: `points`, or a purchase under the merchant's earn rule."""

    member: str
    reference: str
    points: Points | None = None
    purchase: Purchase | None = None

    def body(self) -> dict[str, Any]:
        """As the gateway takes it. Raises InputInvalid: neither points nor purchase, or both."""
        if (self.points is None) == (self.purchase is None):
            raise InputInvalid(f"{self.reference}: give points or a purchase, one of the two")
        earned: dict[str, Any] = (
            {"points": self.points} if self.purchase is None else {"purchase": self.purchase.body()}
        )
        return {"member": self.member, "reference": self.reference, **earned}
