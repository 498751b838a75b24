"""The events that end points listen to: a bit each, so that one number says which."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntFlag
from typing import Any, Final

import orjson

from gateway.errors import InvalidRequest


class Event(IntFlag):
    """What happened to an order, or to the network. Never renumber: rows and end points depend on
    it.
    """

    ACCEPTED = 1
    SUBMITTED = 2
    INCLUDED = 4
    FINAL = 8
    FAILED = 16
    REORGED = 32
    DELAYED = 64
    NOTICED = 128
    ENDED = 256
    TEST = 1 << 30


WORDS: Final[dict[Event, str]] = {
    Event.ACCEPTED: "order.accepted",
    Event.SUBMITTED: "order.submitted",
    Event.INCLUDED: "order.included",
    Event.FINAL: "order.final",
    Event.FAILED: "order.failed",
    # Its block is no longer on the chain: the order is submitted once more.
    Event.REORGED: "order.reorged",
    # It lost its place (a rejection for now, a batch that died) and is carried out again.
    Event.DELAYED: "order.delayed",
    # Something that a person should know of: a drained relayer, a stranger's nonce.
    Event.NOTICED: "incident.noticed",
    # Its cause is gone, or a person has taken note.
    Event.ENDED: "incident.ended",
    Event.TEST: "webhook.test",
}
OF_NETWORK: Final = (Event.NOTICED, Event.ENDED)
"""What the operator's end points hear; merchants' hear of their orders."""
OF_ORDERS: Final = tuple(e for e in WORDS if e is not Event.TEST and e not in OF_NETWORK)
ALL: Final = sum(OF_ORDERS)


def of_tenant(tenant: int) -> tuple[Event, ...]:
    """What end points of this tenant can listen to; 0 is the network."""
    return OF_ORDERS if tenant else OF_NETWORK


def word(event: int) -> str:
    """The name of one event, as in a payload's `type`."""
    return WORDS[Event(event)]


def words(mask: int) -> list[str]:
    """The names of the events in `mask`, in the order of an order's life."""
    return [WORDS[event] for event in (*OF_ORDERS, *OF_NETWORK) if mask & event]


def mask_of(names: Iterable[str] | None, tenant: int) -> int:
    """The bits of these names (None: all) for an end point of the tenant. Raises InvalidRequest."""
    by_word = {WORDS[event]: event for event in of_tenant(tenant)}
    mask = 0
    for name in by_word if names is None else names:
        if name not in by_word:
            raise InvalidRequest(f"you hear of no event {name[:40]!r}", events=sorted(by_word))
        mask |= by_word[name]
    return mask


def payload(event: Event, at: int, data: dict[str, Any]) -> bytes:
    """The body of a message: frozen here, signed and sent as these very bytes.

    `at` is network time (unix seconds): when it happened, not when it is sent.
    """
    timestamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return orjson.dumps({"type": WORDS[event], "timestamp": timestamp, "data": data})
