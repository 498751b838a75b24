"""Events into the outbox, in the very transaction that changes the order.

Only where an end point listens: without one nothing is read and nothing is written here. From the
rows on, delivery is a matter of scanning; a crash after the commit loses nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from gateway import ids
from gateway.clock import WallClock
from gateway.codes import DeliveryState, EndpointState, has
from gateway.orders import repository
from gateway.orders.known import parts
from gateway.statements import KEYS, Insert, Lookup
from gateway.tables import orders, webhook_deliveries, webhook_endpoints, webhook_events
from gateway.webhooks.events import Event, payload

WALL = WallClock()
NETWORK: Final = 0
"""The operator, as an owner of end points."""

_KEYS: Final[BindParameter[Any]] = bindparam(KEYS, expanding=True)
_BY_NUMBER = Lookup(repository.shown_query().where(orders.c.id.in_(_KEYS)).order_by(orders.c.id))
_BY_PUBLIC_ID = Lookup(
    repository.shown_query().where(orders.c.public_id.in_(_KEYS)).order_by(orders.c.id)
)
_LISTENERS = Lookup(
    select(webhook_endpoints.c.merchant_id, webhook_endpoints.c.id, webhook_endpoints.c.events)
    .where(
        webhook_endpoints.c.merchant_id.in_(_KEYS),
        has(webhook_endpoints.c.state, EndpointState.ACTIVE),
    )
    .order_by(webhook_endpoints.c.id)
)
_SEQUENCES = Lookup(
    select(webhook_events.c.order_id, func.max(webhook_events.c.sequence))
    .where(webhook_events.c.order_id.in_(_KEYS))
    .group_by(webhook_events.c.order_id)
)
_NUMBERS = Lookup(
    select(webhook_events.c.public_id, webhook_events.c.id).where(
        webhook_events.c.public_id.in_(_KEYS)
    )
)
_EVENTS = Insert(
    webhook_events,
    *("public_id", "merchant_id", "order_id", "sequence", "event", "payload", "created_at"),
)
_DELIVERIES = Insert(webhook_deliveries, "endpoint_id", "event_id", "state", "due_at")


def is_anyone_listening(connection: Connection) -> bool:
    """Whether any merchant has an active end point: one step in a small index."""
    c = webhook_endpoints.c
    query = select(c.id).where(has(c.state, EndpointState.ACTIVE)).limit(1)
    return connection.execute(query).first() is not None


def write(
    connection: Connection, event: Event, moved: Sequence[tuple[int, int | None]], now: int
) -> int:
    """The event of each of these orders (row number, its merchant's), as the rows stand in this
    transaction. Only orders that somebody hears of are read. Returns how many events were written.

    The caller has changed the rows in this transaction, so their locks keep the sequence of each
    order without gaps and without doubles.
    """
    listeners = _listeners(connection, event, {merchant for _, merchant in moved})
    heard = sorted(number for number, merchant in moved if merchant in listeners)
    # In pieces: a block may hold ten thousand orders, and each is its payload here.
    for part in parts(heard):
        last = {row[0]: row[1] for row in _SEQUENCES(connection, part)}
        _write(connection, event, _BY_NUMBER(connection, part), listeners, last, now)
    return len(heard)


def write_first(
    connection: Connection, event: Event, new: Mapping[bytes, int | None], now: int
) -> int:
    """As `write`, for orders that this transaction has inserted, and whose row numbers nobody has
    asked for: public id -> merchant. Nothing has been told of them yet.
    """
    listeners = _listeners(connection, event, set(new.values()))
    heard = [public_id for public_id, merchant in new.items() if merchant in listeners]
    for part in parts(heard):
        _write(connection, event, _BY_PUBLIC_ID(connection, part), listeners, {}, now)
    return len(heard)


def tell_network(
    connection: Connection, event: Event, told: Sequence[dict[str, Any]], now: int
) -> None:
    """The event to the operator's end points, once for each of the payloads' `data`."""
    listeners = _listeners(connection, event, {NETWORK}).get(NETWORK)
    if not listeners or not told:
        return
    rows = [
        {
            "public_id": raw_id,
            "merchant_id": NETWORK,
            "order_id": None,
            "sequence": data["sequence"],
            "event": event.value,
            "payload": payload(event, now, data),
            "created_at": now,
        }
        for data, raw_id in zip(told, ids.new_ids(len(told), now), strict=True)
    ]
    _store(connection, rows, [listeners] * len(rows))


def _write(
    connection: Connection,
    event: Event,
    rows: Sequence[Any],
    listeners: Mapping[int, Sequence[int]],
    last: Mapping[int, int],
    now: int,
) -> None:
    new = [
        _event_row(event, row, raw_id, last.get(row.id, 0) + 1, now)
        for row, raw_id in zip(rows, ids.new_ids(len(rows), now), strict=True)
    ]
    _store(connection, new, [listeners[row.merchant_id] for row in rows])


def _store(
    connection: Connection, new: Sequence[dict[str, Any]], listeners: Sequence[Sequence[int]]
) -> None:
    """Event rows, and a delivery of each to every one of its end points (row numbers)."""
    _EVENTS(connection, new)
    found = _NUMBERS(connection, [row["public_id"] for row in new])
    numbers = {bytes(public_id): number for public_id, number in found}
    # Delivery is about other people's servers: it goes by the wall clock, not by network time.
    due_at, pending = WALL.now(), DeliveryState.PENDING.value
    deliveries = [
        {
            "endpoint_id": endpoint,
            "event_id": numbers[row["public_id"]],
            "state": pending,
            "due_at": due_at,
        }
        for row, endpoints in zip(new, listeners, strict=True)
        for endpoint in endpoints
    ]
    _DELIVERIES(connection, deliveries)


def _listeners(
    connection: Connection, event: Event, merchants: Collection[int | None]
) -> dict[int, list[int]]:
    """Active end points (row numbers) that listen to the event, by merchant."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    asked = sorted(merchant for merchant in merchants if merchant is not None)
    for merchant, endpoint, mask in _LISTENERS(connection, asked):
        if mask & event:
            found[merchant].append(endpoint)
    return dict(found)


def _event_row(event: Event, row: Any, raw_id: bytes, sequence: int, now: int) -> dict[str, Any]:
    data = {"sequence": sequence, "order": repository.shown(row)}
    return {
        "public_id": raw_id,
        "merchant_id": row.merchant_id,
        "order_id": row.id,
        "sequence": sequence,
        "event": event.value,
        "payload": payload(event, now, data),
        "created_at": now,
    }
