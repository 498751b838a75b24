"""Events into the outbox, in the very transaction that changes the order.

Only where an end point listens: without one nothing is read and nothing is written here. From the
rows on, delivery is a matter of scanning; a crash after the commit loses nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select

from gateway import ids
from gateway.clock import WallClock
from gateway.codes import DeliveryState, EndpointState, has
from gateway.orders import repository
from gateway.orders.known import parts
from gateway.tables import orders, webhook_deliveries, webhook_endpoints, webhook_events
from gateway.webhooks.events import Event, payload

WALL = WallClock()
NETWORK: Final = 0
"""The operator, as an owner of end points."""


def is_anyone_listening(connection: Connection) -> bool:
    """Whether any merchant has an active end point: one step in a small index."""
    c = webhook_endpoints.c
    query = select(c.id).where(has(c.state, EndpointState.ACTIVE)).limit(1)
    return connection.execute(query).first() is not None


def write(connection: Connection, event: Event, order_ids: Sequence[int], now: int) -> int:
    """The event of each of these orders (row numbers), as the rows stand in this transaction.

    The caller has changed the rows in this transaction, so their locks keep the sequence of each
    order without gaps and without doubles. Returns how many events were written.
    """
    written = 0
    for part in parts(order_ids):
        query = repository.shown_query().where(orders.c.id.in_(part)).order_by(orders.c.id)
        written += _write(connection, event, connection.execute(query).all(), now)
    return written


def write_by_public_id(
    connection: Connection, event: Event, public_ids: Sequence[bytes], now: int
) -> int:
    """As `write`, for orders just inserted, whose row numbers nobody has asked for."""
    written = 0
    for part in parts(public_ids):
        query = repository.shown_query().where(orders.c.public_id.in_(part)).order_by(orders.c.id)
        written += _write(connection, event, connection.execute(query).all(), now)
    return written


def tell_network(
    connection: Connection, event: Event, told: Sequence[dict[str, Any]], now: int
) -> None:
    """The event to the operator's end points, once for each of the payloads' `data`."""
    listeners = _listeners(connection, event, [NETWORK])[NETWORK]
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


def _write(connection: Connection, event: Event, rows: Sequence[Any], now: int) -> int:
    listeners = _listeners(connection, event, sorted({row.merchant_id for row in rows}))
    heard = [row for row in rows if row.merchant_id in listeners]
    if not heard:
        return 0
    last = _sequences(connection, [row.id for row in heard])
    new = [
        _event_row(event, row, raw_id, last.get(row.id, 0) + 1, now)
        for row, raw_id in zip(heard, ids.new_ids(len(heard), now), strict=True)
    ]
    _store(connection, new, [listeners[row.merchant_id] for row in heard])
    return len(heard)


def _store(
    connection: Connection, new: Sequence[dict[str, Any]], listeners: Sequence[Sequence[int]]
) -> None:
    """Event rows, and a delivery of each to every one of its end points (row numbers)."""
    statement = insert(webhook_events).returning(webhook_events.c.id, sort_by_parameter_order=True)
    numbers = connection.execute(statement, new).scalars().all()
    # Delivery is about other people's servers: it goes by the wall clock, not by network time.
    due_at = WALL.now()
    connection.execute(
        insert(webhook_deliveries),
        [
            {
                "endpoint_id": endpoint,
                "event_id": number,
                "state": DeliveryState.PENDING.value,
                "due_at": due_at,
            }
            for number, endpoints in zip(numbers, listeners, strict=True)
            for endpoint in endpoints
        ],
    )


def _listeners(
    connection: Connection, event: Event, merchant_ids: Sequence[int]
) -> defaultdict[int, list[int]]:
    """Active end points (row numbers) that listen to the event, by merchant."""
    c = webhook_endpoints.c
    found: defaultdict[int, list[int]] = defaultdict(list)
    for part in parts(merchant_ids):
        query = select(c.merchant_id, c.id).where(
            c.merchant_id.in_(part),
            has(c.state, EndpointState.ACTIVE),
            c.events.bitwise_and(event.value) != 0,
        )
        for merchant, endpoint in connection.execute(query.order_by(c.id)):
            found[merchant].append(endpoint)
    return found


def _sequences(connection: Connection, order_ids: Sequence[int]) -> dict[int, int]:
    """The highest sequence so far of each order that has one."""
    c = webhook_events.c
    found: dict[int, int] = {}
    for part in parts(order_ids):
        query = select(c.order_id, func.max(c.sequence)).where(c.order_id.in_(part))
        for order_id, sequence in connection.execute(query.group_by(c.order_id)):
            found[order_id] = sequence
    return found


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
