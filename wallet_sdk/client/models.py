"""What the gateway answers, typed. Unknown members of an answer are ignored, so an older client
goes on working.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an order failed: a stable code, and a sentence that a person can act on."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the gateway has it. `transaction` once it was sent."""

    id: str
    state: OrderState
    kind: str
    member: str
    merchant: str | None
    points: Points
    reference: str | None
    failure: Failure | None
    transaction: str | None
    accepted_at: Seconds

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
            merchant=body.get("merchant"),
            points=body["points"],
            reference=body.get("reference"),
            failure=Failure(failure["code"], failure["detail"]) if failure else None,
            transaction=body.get("transaction"),
            accepted_at=body["accepted_at"],
        )


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line of a bulk request that was not accepted; the others were."""

    reference: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member; `joined` once the membership is on chain."""

    id: str
    external_id: str
    joined: bool

    @classmethod
    def parse(cls, body: Json) -> Member:
        """Reads a member object."""
        return cls(body["id"], body["external_id"], body["joined"])


@dataclass(frozen=True, slots=True)
class ExpiringPoints:
    """Points that expire together; `expires_at` is the first second at which they are gone."""

    points: Points
    expires_at: Seconds


@dataclass(frozen=True, slots=True)
class Balance:
    """A member's live points, soonest to expire first. `available` leaves out what open orders
    hold.
    """

    points: Points
    available: Points
    expiring: tuple[ExpiringPoints, ...]
    as_of_block: int

    @classmethod
    def parse(cls, body: Json) -> Balance:
        """Reads a balance object."""
        return cls(
            points=body["points"],
            available=body.get("available", body["points"]),
            expiring=tuple(
                ExpiringPoints(part["points"], part["expires_at"]) for part in body["by_epoch"]
            ),
            as_of_block=body["as_of_block"],
        )


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One movement; `points` carries the sign."""

    kind: str
    points: Points
    merchant: str | None
    at: Seconds

    @classmethod
    def parse(cls, body: Json) -> HistoryLine:
        """Reads a line of a member's history."""
        return cls(body["kind"], body["points"], body.get("merchant"), body["at"])


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `next_cursor` None on the last."""

    items: tuple[T, ...]
    next_cursor: str | None

    @classmethod
    def parser(cls, item: Callable[[Json], T]) -> Callable[[Json], Page[T]]:
        """Reads a list object whose items are read by `item`."""
        return lambda body: cls(
            tuple(item(part) for part in body["items"]), body.get("next_cursor")
        )


@dataclass(frozen=True, slots=True)
class EarnRule:
    """Points for a purchase: floor(amount_minor x points / per_minor)."""

    points: int
    per_minor: int
    currency: str
    minor_digits: int


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant. `api_key` is there once only, in the answer that made the merchant."""

    id: str
    slug: str
    name: str
    state: str
    earn_rule: EarnRule
    api_key: str | None

    @classmethod
    def parse(cls, body: Json) -> Merchant:
        """Reads a merchant object."""
        rule = body["earn_rule"]
        return cls(
            id=body["id"],
            slug=body["slug"],
            name=body["name"],
            state=body["state"],
            earn_rule=EarnRule(
                rule["points"], rule["per_minor"], rule["currency"], rule["minor_digits"]
            ),
            api_key=body.get("api_key"),
        )


@dataclass(frozen=True, slots=True)
class Position:
    """What a merchant has with the network, in units of the settlement asset.

    `available` = position + credit limit - what open orders hold.
    """

    position: Money
    credit_limit: Money
    available: Money
    as_of_block: int

    @classmethod
    def parse(cls, body: Json) -> Position:
        """Reads a position object."""
        return cls(body["position"], body["credit_limit"], body["available"], body["as_of_block"])


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
