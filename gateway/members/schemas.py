"""Members over HTTP."""

from typing import Annotated

from pydantic import BaseModel, Field

from gateway.members.service import EXTERNAL_ID_LENGTH_MAX
from gateway.orders.schemas import Strict, examples


class NewMember(Strict):
    """A customer, by the name that your own system gives it; never a person's name or address."""

    model_config = examples({"external_id": "card-00017"})

    external_id: Annotated[
        str, Field(min_length=1, max_length=EXTERNAL_ID_LENGTH_MAX, examples=["card-00017"])
    ]


class MemberBody(BaseModel):
    """A member. `joined`: the membership is final; points can be issued before."""

    id: str
    external_id: str
    joined: bool


class MemberPage(BaseModel):
    """The newest first; `next_cursor` is null on the last page."""

    members: list[MemberBody]
    next_cursor: str | None


class EpochBody(BaseModel):
    """Points that expire together; `expires_at` is the first second at which they are gone."""

    epoch: int
    points: int
    expires_at: int


class BalanceBody(BaseModel):
    """`points` as mirrored at block `as_of_block`; `available` is less what open orders hold."""

    member: str
    points: int
    available: int
    by_epoch: list[EpochBody]
    as_of_block: int
    as_of_time: int


class HistoryLineBody(BaseModel):
    """One movement; `points` carries the sign, `merchant` is null for another merchant's."""

    kind: str
    points: int
    merchant: str | None
    at: int
    block: int


class HistoryBody(BaseModel):
    """Newest first; `next_cursor` is null on the last page."""

    lines: list[HistoryLineBody]
    next_cursor: str | None
    as_of_block: int
