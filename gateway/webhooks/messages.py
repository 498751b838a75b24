"""What is POSTed to end points, for the OpenAPI document: a model and an example of each message.

The bytes themselves are written by `outbox`; a test holds what is sent against what stands here.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, WithJsonSchema

from gateway.orders.schemas import A_MEMBER, AN_ORDER, OrderBody, examples
from gateway.relay.incidents import Incident
from gateway.webhooks.events import OF_NETWORK, OF_ORDERS, WORDS, Event

Sequence_ = Field(description="Counts the events of one order (or incident) from 1.")
Timestamp = Field(
    description="When it happened (network time, UTC); `webhook-timestamp` is when it was sent.",
    pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
)

_ORDER: Final[dict[str, Any]] = {
    "id": AN_ORDER,
    "kind": "issue",
    "state": "final",
    "merchant": "mer_" + "0" * 26,
    "member": A_MEMBER,
    "to_member": None,
    "points": 1_234,
    "reference": "till-3/0042",
    "accepted_at": 1_795_132_740,
    "failure": None,
    "transaction": "0x" + "5b" * 32,
    "block": 4_711,
}


class OrderEventData(BaseModel):
    """The order as `GET /v1/orders/{id}` showed it at that moment."""

    sequence: int = Sequence_
    order: OrderBody


class OrderEvent(BaseModel):
    """Something happened to an order of yours."""

    model_config = examples(
        {
            "type": "order.final",
            "timestamp": "2026-11-20T00:05:48Z",
            "data": {"sequence": 4, "order": _ORDER},
        }
    )

    type: Literal[
        "order.accepted",
        "order.submitted",
        "order.included",
        "order.final",
        "order.failed",
        "order.reorged",
        "order.delayed",
    ]
    timestamp: str = Timestamp
    data: OrderEventData


class IncidentBody(BaseModel):
    """Something that a person should know of; `help` says what to do."""

    id: int
    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": [*Incident]})]
    subject: str
    detail: str
    help: str
    noticed_at: int
    ended_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None


class IncidentEventData(BaseModel):
    """The incident as it stood at that moment: 1 noticed, 2 ended."""

    sequence: int = Sequence_
    incident: IncidentBody


class IncidentEvent(BaseModel):
    """An incident of the network, for the operator."""

    model_config = examples(
        {
            "type": "incident.noticed",
            "timestamp": "2026-11-20T00:05:48Z",
            "data": {
                "sequence": 1,
                "incident": {
                    "id": 7,
                    "kind": "relayer_drained",
                    "subject": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
                    "detail": "holds 1000 wei, a full transaction may cost 33554432000000",
                    "help": "Send coin to the relayer; it comes back by itself.",
                    "noticed_at": 1_795_132_748,
                    "ended_at": None,
                    "acknowledged_at": None,
                    "acknowledged_by": None,
                },
            },
        }
    )

    type: Literal["incident.noticed", "incident.ended"]
    timestamp: str = Timestamp
    data: IncidentEventData


class TestEventData(BaseModel):
    """The end point that was tried out."""

    endpoint: str


class TestEvent(BaseModel):
    """You asked for it: `POST /v1/webhook-endpoints/{id}/test`."""

    model_config = examples(
        {
            "type": "webhook.test",
            "timestamp": "2026-11-20T00:05:48Z",
            "data": {"endpoint": "wep_" + "0" * 26},
        }
    )

    type: Literal["webhook.test"]
    timestamp: str = Timestamp
    data: TestEventData


MEANINGS: Final[dict[Event, str]] = {
    Event.ACCEPTED: "Stored: it will not be lost",
    Event.SUBMITTED: "Signed, and given a place in a transaction",
    Event.INCLUDED: "Took effect in a block that may still be replaced",
    Event.FINAL: "Took effect for good",
    Event.FAILED: "Proven that it can never take effect, or cancelled before it was signed",
    Event.REORGED: "Its block was replaced: submitted once more",
    Event.DELAYED: "Lost its place, and is carried out again",
    Event.NOTICED: "Something that a person should know of (operator)",
    Event.ENDED: "Its cause is gone, or a person has taken note (operator)",
    Event.TEST: "A test that you asked for",
}
HEADERS: Final = {
    "webhook-id": ("The same in every attempt: tell repetitions by it.", "evt_" + "0" * 26),
    "webhook-timestamp": ("Unix seconds of this attempt; refuse what is older than 5 min.", "1"),
    "webhook-signature": ("`v1,` and base64 of HMAC-SHA256; one a secret, spaces between.", "v1,"),
}


def _message(model: type[BaseModel]) -> Callable[..., None]:
    def receiver(body: Any) -> None:
        """Answer 2xx once it is stored; 410 switches the end point off."""

    receiver.__annotations__ = {"body": model, "return": None}
    return receiver


def describe(router: APIRouter) -> None:
    """Adds every message to the document's `webhooks`."""
    models: dict[Event, type[BaseModel]] = {
        **dict.fromkeys(OF_ORDERS, OrderEvent),
        **dict.fromkeys(OF_NETWORK, IncidentEvent),
        Event.TEST: TestEvent,
    }
    for event, model in models.items():
        router.add_api_route(
            WORDS[event], _message(model), methods=["POST"], summary=MEANINGS[event]
        )


def complete(operation: dict[str, Any]) -> None:
    """What the framework does not know of a message: its headers, and what answers mean."""
    operation["responses"] = {
        "2XX": {"description": "Delivered."},
        "410": {"description": "The end point is switched off."},
        "default": {"description": "Sent again, over three days; `Retry-After` is kept to."},
    }
    operation["parameters"] = [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": meaning,
            "schema": {"type": "string"},
            "example": example,
        }
        for name, (meaning, example) in HEADERS.items()
    ]
