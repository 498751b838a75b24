"""End points over HTTP: what may be asked and what is answered."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, model_validator

from gateway.orders.schemas import Strict, examples, one_line
from gateway.webhooks.targets import URL_LENGTH_MAX

EventName = Literal[
    "order.accepted",
    "order.submitted",
    "order.included",
    "order.final",
    "order.failed",
    "order.reorged",
    "order.delayed",
    "incident.noticed",
    "incident.ended",
]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=URL_LENGTH_MAX,
        description="Where to POST: https, a public address.",
        examples=["https://pos.example.com/banyan"],
    ),
]
EventNames = Annotated[list[EventName], Field(min_length=1, max_length=len(get_args(EventName)))]
Description = Annotated[
    str,
    Field(max_length=200, examples=["the till server of shop 3"]),
    AfterValidator(one_line),
]


class NewEndpoint(Strict):
    """An end point. Without `events` it hears all of yours: a merchant's of its orders, the
    operator's of incidents.
    """

    model_config = examples(
        {
            "url": "https://pos.example.com/banyan",
            "events": ["order.final", "order.failed"],
            "description": "the till server of shop 3",
        }
    )

    url: Url
    events: EventNames | None = None
    description: Description = ""


class EndpointChange(Strict):
    """What is to change. `active` true switches it on again, also after it answered 410."""

    model_config = examples({"events": ["order.final"]}, {"active": True})

    url: Url | None = None
    events: EventNames | None = None
    description: Description | None = None
    active: bool | None = None


class Replay(Strict):
    """One event, or a stretch of time (unix seconds, as the payloads' timestamps)."""

    model_config = examples({"since": 1_764_806_400, "until": 1_764_892_800, "only": "failed"})

    event: Annotated[str, Field(min_length=30, max_length=30)] | None = None
    since: Annotated[int, Field(ge=0, le=2**53)] | None = None
    until: Annotated[int, Field(ge=0, le=2**53)] | None = None
    only: Literal["failed", "missing", "all"] = "failed"

    @model_validator(mode="after")
    def _one_of_both(self) -> "Replay":
        if (self.event is None) == (self.since is None):
            raise ValueError("give either an event or since")
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ValueError("until comes before since")
        return self


class EndpointBody(BaseModel):
    """An end point. `gone`: it answered 410 and is not called until it is switched on again."""

    id: str
    url: str
    description: str
    events: list[str]
    state: Literal["active", "disabled", "gone"]
    failures_in_a_row: int
    previous_secret_until: int | None = Field(
        description="Until then (unix seconds) the secret before the last rotation signs, too."
    )
    created_at: int


class EndpointWithSecret(EndpointBody):
    """The secret is shown by the request that made it, and by repetitions of that request."""

    secret: str | None = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class EndpointList(BaseModel):
    """All end points of the merchant, the oldest first."""

    endpoints: list[EndpointBody]


class DeliveryBody(BaseModel):
    """One event to one end point. Times of attempts are wall clock, unix seconds."""

    event: str = Field(description="The webhook-id, the same in every attempt.")
    type: str
    sequence: int
    happened_at: int
    state: Literal["pending", "delivered", "failed"]
    tries: int
    next_attempt_at: int | None
    last_status: int | None
    last_outcome: str | None
    ended_at: int | None


class AttemptBody(BaseModel):
    """One POST. `status` is null where no HTTP answer came; `outcome` says why."""

    at: int
    took_ms: int
    status: int | None
    outcome: str
    answer: str


class DeliveryDetail(DeliveryBody):
    """With the payload as it is signed and sent, and every attempt."""

    payload: str
    attempts: list[AttemptBody]


class DeliveryPage(BaseModel):
    """Newest event first; `next_cursor` is null on the last page."""

    deliveries: list[DeliveryBody]
    next_cursor: str | None


class TestSent(BaseModel):
    """The event that is on its way."""

    event: str


class Replayed(BaseModel):
    """How many events are due again; `more`: ask again with a later `since`."""

    events: int
    more: bool
