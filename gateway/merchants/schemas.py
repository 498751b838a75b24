"""Merchants over HTTP."""

from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, BaseModel, Field, field_validator

from gateway.merchants.onboarding import AMOUNT_MAX, NAME_LENGTH_MAX, SLUG_LENGTH_MAX
from gateway.orders.schemas import Strict, examples

Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX, description="Units of the settlement asset.")]


class NewRule(Strict):
    """floor(minor units paid x points / per_minor)."""

    points: Annotated[int, Field(ge=1, le=10**6)] = 1
    per_minor: Annotated[int, Field(ge=1, le=10**9)] = 1
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    minor_digits: Annotated[int, Field(ge=0, le=4)] = 2


class NewMerchantBody(Strict):
    """A merchant to onboard; `deposit` is what the bank has received for it."""

    model_config = examples(
        {
            "name": "The Bakery",
            "slug": "the-bakery",
            "deposit": 1_500_000_000,
            "earn_rule": {"points": 1, "per_minor": 1, "currency": "USD", "minor_digits": 2},
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
    slug: Annotated[str, Field(pattern=rf"^[A-Za-z0-9_-]{{1,{SLUG_LENGTH_MAX}}}$")]
    deposit: Amount = 0
    credit_limit: Amount = 0
    earn_rule: NewRule = NewRule()


class NewDeposit(Strict):
    """Money that the bank has received for the merchant, under a reference that is used once."""

    model_config = examples({"amount": 500_000_000, "bank_reference": "2026-11-21/000815"})

    amount: Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
    bank_reference: Annotated[str, Field(min_length=1, max_length=100)]

    @field_validator("bank_reference")
    @classmethod
    def _printable(cls, value: str) -> str:
        # It is written into the audit, which people read line by line.
        if not value.isprintable():
            raise ValueError("a bank reference is printable")
        return value


class MerchantBody(BaseModel):
    """A merchant. `api_key` is shown once, in the answer that made it."""

    id: str
    number: int
    slug: str
    name: str
    state: str
    earn_rule: NewRule
    api_key: str | None = None


class PositionBody(BaseModel):
    """Units of the settlement asset. `available` = position + credit limit - what is held."""

    merchant: str
    position: int
    credit_limit: int
    held: int
    available: int
    as_of_block: int


class DepositBody(BaseModel):
    """Whether the deposit is new; False: this bank reference was booked before."""

    merchant: str
    amount: int
    bank_reference: str
    booked: bool


class MerchantPage(BaseModel):
    """By number; `next_cursor` is null on the last page."""

    merchants: list[MerchantBody]
    next_cursor: str | None


def _of_a_year(month: int | None) -> int | None:
    # 202613 would be an empty answer, and so taken for a month without trade.
    if month is not None and not 1 <= month % 100 <= 12:
        raise ValueError("a month is yyyymm")
    return month


Month = Annotated[
    int | None,
    AfterValidator(_of_a_year),
    Query(ge=197001, le=999912, description="Year and month, yyyymm.", examples=[202611]),
]


class SettlementLine(BaseModel):
    """What one merchant honoured of another's points: points, refunds off, and what it was paid."""

    merchant: str | None
    redeemed: int
    refunded: int
    points: int
    paid: int


class SettlementBody(BaseModel):
    """`honoured`: points of others that you took, by issuer. `issued`: yours that others took."""

    honoured: list[SettlementLine]
    issued: list[SettlementLine]
    as_of_block: int
