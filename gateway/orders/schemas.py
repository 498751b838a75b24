"""Orders over HTTP: what may be asked and what is answered. Strict: `true` is no number."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.errors import PurchaseInvalid
from gateway.model import LINES_MAX, POINTS_MAX, REFERENCE_LENGTH_MAX, EarnRule

AMOUNT_PATTERN: Final = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?$"

PointsField = Annotated[
    int, Field(ge=1, le=POINTS_MAX, description="Whole points.", examples=[120])
]
Reference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=REFERENCE_LENGTH_MAX,
        description="Your own name of the purchase: once per merchant, unless the order failed.",
        examples=["till-3/2026-11-21/0042"],
    ),
]
MemberId = Annotated[str, Field(min_length=30, max_length=30, examples=["mem_" + "0" * 26])]


def examples(*bodies: dict[str, Any]) -> ConfigDict:
    """Whole bodies for the documentation; a test posts each of them."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


A_MEMBER: Final = "mem_" + "0" * 26
ANOTHER_MEMBER: Final = "mem_" + "1" * 26
AN_ORDER: Final = "ord_" + "0" * 26
"""Stand for ids in examples."""


def one_line(value: str) -> str:
    """Printable text without line breaks: people read it in logs and lists. Raises ValueError."""
    if not value.isprintable():
        raise ValueError("it is one line of printable characters")
    return value


class Strict(BaseModel):
    """Base of every body: strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Purchase(Strict):
    """What was paid; the merchant's earn rule makes points of it."""

    amount: Annotated[
        str, Field(pattern=AMOUNT_PATTERN, description="Decimal, as text.", examples=["12.34"])
    ]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["USD"])]

    def points(self, rule: EarnRule) -> int:
        """Points under `rule`. Raises PurchaseInvalid: other currency, fractions of a cent, or
        nothing earned.
        """
        if self.currency != rule.currency:
            raise PurchaseInvalid(
                f"the merchant's currency is {rule.currency}, got {self.currency}",
                currency=self.currency,
            )
        try:
            minor = Decimal(self.amount).scaleb(rule.minor_digits)
        except InvalidOperation as error:
            raise PurchaseInvalid(f"no amount: {self.amount!r}") from error
        if minor != int(minor):
            raise PurchaseInvalid(
                f"{self.currency} has {rule.minor_digits} decimals, got {self.amount}",
                amount=self.amount,
            )
        points = rule.points_for(int(minor))
        if points < 1:
            raise PurchaseInvalid(
                f"a purchase of {self.amount} {self.currency} earns nothing", amount=self.amount
            )
        return points


class Earned(Strict):
    """Points as they are, or as a purchase earned them."""

    points: PointsField | None = None
    purchase: Purchase | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.points is None) == (self.purchase is None):
            raise ValueError("give either points or a purchase")
        return self

    def points_under(self, rule: EarnRule) -> int:
        """How many they are. Raises PurchaseInvalid."""
        if self.purchase is not None:
            return self.purchase.points(rule)
        assert self.points is not None
        return self.points


class NewIssuance(Earned):
    """Points for a member: given as they are, or earned by a purchase."""

    model_config = examples(
        {"member": A_MEMBER, "reference": "till-3/0042", "points": 120},
        {
            "member": A_MEMBER,
            "reference": "till-3/0043",
            "purchase": {"amount": "12.34", "currency": "USD"},
        },
    )

    member: MemberId
    reference: Reference


class NewIssuances(Strict):
    """Many issues under one key: each line is accepted or refused for itself."""

    model_config = examples(
        {
            "lines": [
                {"member": A_MEMBER, "reference": "till-3/0044", "points": 5},
                {"member": ANOTHER_MEMBER, "reference": "till-3/0045", "points": 7},
            ]
        }
    )

    lines: Annotated[list[NewIssuance], Field(min_length=1, max_length=LINES_MAX)]


class NewRedemption(Strict):
    """Points that a member spends with the merchant."""

    model_config = examples({"member": A_MEMBER, "reference": "till-3/0046", "points": 20})

    member: MemberId
    reference: Reference
    points: PointsField


class NewTransfer(Strict):
    """Points from member to member."""

    model_config = examples(
        {"from": A_MEMBER, "to": ANOTHER_MEMBER, "points": 10, "reference": "gift 1"}
    )

    from_: Annotated[MemberId, Field(alias="from")]
    to: MemberId
    points: PointsField
    reference: Reference


OrderId = Annotated[str, Field(min_length=30, max_length=30, examples=["ord_" + "0" * 26])]


class NewRefund(Strict):
    """Points of a redemption that go back to the member, into the epochs they came from."""

    model_config = examples({"redemption": AN_ORDER, "points": 5, "reference": "till-3/0047"})

    redemption: Annotated[OrderId, Field(description="The redemption, final.")]
    points: PointsField
    reference: Reference


class NewReturn(Earned):
    """Goods that came back: what their purchase earned is taken back.

    `shortfall` is what the quote said; when more is missing by now the return is refused.
    """

    model_config = examples(
        {"issue": AN_ORDER, "points": 10, "reference": "till-3/0048", "shortfall": 0}
    )

    issue: Annotated[OrderId, Field(description="The issue of the purchase, final.")]
    reference: Reference
    shortfall: Annotated[int, Field(ge=0, le=POINTS_MAX)] = 0


class NewWithdrawalBody(Strict):
    """Money out of the merchant's position, to its owner's account."""

    model_config = examples({"amount": 1_000_000, "reference": "november"})

    amount: Annotated[int, Field(ge=1, le=2**62, description="Units of the settlement asset.")]
    reference: Reference


class QuoteBody(BaseModel):
    """What a return would do now. The till pays the price of the goods less `shortfall_amount`."""

    issue: str
    points: int
    returnable: int
    shortfall: int
    spent: int = Field(description="Of the shortfall: spent or given away by the member.")
    over_cap: int = Field(description="Of the shortfall: left out by the return cap.")
    shortfall_amount: int = Field(description="Shortfall x face value, units of the asset.")
    epoch: int
    window_ends_at: int = Field(description="First second at which nothing can be returned.")


class Failure(BaseModel):
    """Why an order failed, for a person who can do something about it."""

    code: str
    detail: str


class OrderBody(BaseModel):
    """An order. `transaction` is where it took effect, once it is included."""

    id: str
    kind: Literal["join", "issue", "redeem", "refund", "return", "transfer", "withdraw"]
    state: Literal["accepted", "batched", "submitted", "included", "final", "failed"]
    merchant: str | None
    member: str | None
    to_member: str | None = None
    points: int
    reference: str
    accepted_at: int
    failure: Failure | None = None
    transaction: str | None = None
    block: int | None = None
    amount: int | None = Field(None, description="Of a withdrawal, units of the asset.")
    of: str | None = Field(None, description="The order that a refund or a return reverses.")
    follows: str | None = Field(
        None, description="The order that failed under this reference before."
    )
    shortfall: int | None = Field(
        None, description="Of a return: points that were missing; the till keeps their worth."
    )
    cancel_asked_at: int | None = None


ENDED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": OrderBody, "description": "The order has ended: final, or failed."}
}
"""Beside 202, of what is asked for with `Prefer: wait`, or ends at once."""


class OrderPage(BaseModel):
    """Newest first; `next_cursor` is null on the last page."""

    orders: list[OrderBody]
    next_cursor: str | None


class RefusalBody(BaseModel):
    """A wish that was refused as things stood; `code` as in the problem that answered it."""

    kind: str
    merchant: str | None
    member: str | None
    points: int
    reference: str
    code: str
    at: int


class RefusalPage(BaseModel):
    """Newest first; `next_cursor` is null on the last page."""

    refusals: list[RefusalBody]
    next_cursor: str | None


class LineRefusal(BaseModel):
    """Why a line was refused, with the values that were wrong, by name, as in a problem."""

    model_config = ConfigDict(extra="allow")

    code: str
    detail: str
    order: str | None = Field(description="The order that holds the line's reference already.")


class RefusedLine(BaseModel):
    """A line that became no order."""

    reference: str
    refused: LineRefusal


class BulkBody(BaseModel):
    """One answer a line, in order: an order, or a refusal with its code."""

    accepted: int
    refused: int
    lines: list[OrderBody | RefusedLine]
