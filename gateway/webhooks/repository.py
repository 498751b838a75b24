"""Reads and writes of end points and their logs. Queries alone: the service decides."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update

from gateway import cursors, ids
from gateway.codes import DeliveryState, EndpointState, has
from gateway.database import Database
from gateway.errors import (
    NotFound,
    WebhookEndpointUnknown,
    WebhookEventUnknown,
)
from gateway.orders.known import parts
from gateway.tables import audit, merchants, webhook_attempts, webhook_deliveries
from gateway.tables import webhook_endpoints as endpoints
from gateway.tables import webhook_events as events

PAGE_MAX = 200

ENDPOINT_STATES = {
    EndpointState.ACTIVE: "active",
    EndpointState.DISABLED: "disabled",
    EndpointState.GONE: "gone",
}
DELIVERY_STATES = {
    DeliveryState.PENDING: "pending",
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.FAILED: "failed",
}


# ---- end points


def lock_owner(database: Database, connection: Connection, tenant: int) -> None:
    """Holds the merchant's row: accepting reads there whether anybody listens. The network (0) has
    none, and no order of its own to tell of; its end points are looked for each time.
    """
    if tenant:
        query = select(merchants.c.id).where(merchants.c.id == tenant)
        connection.execute(database.lock_rows(query)).one()
    else:
        database.lock_name(connection, "webhooks of the network")


def note_listening(connection: Connection, tenant: int) -> None:
    """Writes into the merchant's row what its active end points listen to."""
    c = endpoints.c
    query = select(c.events).where(c.merchant_id == tenant, has(c.state, EndpointState.ACTIVE))
    mask = reduce(or_, connection.execute(query).scalars(), 0)
    connection.execute(
        update(merchants).where(merchants.c.id == tenant).values(webhook_events=mask)
    )


def note(connection: Connection, now: int, actor: str, action: str, detail: str) -> None:
    """A row in the audit."""
    row = {"at": now, "actor": actor, "action": action, "subject": "webhooks", "detail": detail}
    connection.execute(insert(audit), row)


def find(
    connection: Connection, endpoint: str, tenant: int | None, *, deleted: bool = False
) -> Any:
    """The end point's row, a merchant's own ones only; None as tenant: anybody's.

    `deleted`: also one that was deleted. Raises WebhookEndpointUnknown.
    """
    c = endpoints.c
    unknown = WebhookEndpointUnknown(f"there is no webhook end point {endpoint[:40]!r}")
    try:
        raw = ids.decode(ids.ENDPOINT, endpoint)
    except NotFound:
        raise unknown from None
    query = select(endpoints).where(c.public_id == raw)
    if not deleted:
        query = query.where(~has(c.state, EndpointState.DELETED))
    if tenant is not None:
        query = query.where(c.merchant_id == tenant)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise unknown
    return row


def all_of(connection: Connection, tenant: int | None) -> Sequence[Any]:
    """The merchant's end points, the oldest first; None: everybody's."""
    c = endpoints.c
    query = select(endpoints).where(~has(c.state, EndpointState.DELETED)).order_by(c.id)
    if tenant is not None:
        query = query.where(c.merchant_id == tenant)
    return connection.execute(query).all()


def mark_gone(database: Database, connection: Connection, number: int, now: int) -> None:
    """The receiver answered 410: it is not called again until its owner says so."""
    c = endpoints.c
    query = select(c.merchant_id).where(c.id == number)
    merchant = connection.execute(query).scalar_one()
    # The merchant's row first, as everywhere: two that lock in two orders would wait for ever.
    lock_owner(database, connection, merchant)
    connection.execute(
        update(endpoints)
        .where(c.id == number, has(c.state, EndpointState.ACTIVE))
        .values(state=EndpointState.GONE.value, changed_at=now)
    )
    note_listening(connection, merchant)


def shown_endpoint(row: Any, now: int) -> dict[str, Any]:
    """A row as the API tells it; `now` is the wall clock."""
    from_rotation = row.old_secret is not None and (row.old_secret_until or 0) > now
    return {
        "id": ids.encode(ids.ENDPOINT, bytes(row.public_id)),
        "url": row.url,
        "description": row.description,
        "events": row.events,
        "state": ENDPOINT_STATES[row.state],
        "failures_in_a_row": row.failures,
        "previous_secret_until": row.old_secret_until if from_rotation else None,
        "created_at": row.created_at,
    }


# ---- events and deliveries


def find_event(connection: Connection, event: str, merchant: int) -> Any:
    """The row of an event of the merchant's. Raises WebhookEventUnknown."""
    unknown = WebhookEventUnknown(f"there is no event {event[:40]!r}; they are kept for 30 days")
    try:
        raw = ids.decode(ids.EVENT, event)
    except NotFound:
        raise unknown from None
    c = events.c
    query = select(events).where(c.public_id == raw, c.merchant_id == merchant)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise unknown
    return row


def page(
    connection: Connection, endpoint: int, *, state: int | None, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Deliveries to the end point, the newest event first, and the cursor of the page after."""
    d = webhook_deliveries.c
    query = _shown_deliveries().where(d.endpoint_id == endpoint)
    if state is not None:
        query = query.where(d.state == state)
    if cursor is not None:
        query = query.where(d.event_id < cursors.decode(cursor))
    rows = connection.execute(query.order_by(d.event_id.desc()).limit(limit + 1)).all()
    shown = [shown_delivery(row) for row in rows[:limit]]
    after = cursors.encode(rows[limit - 1].event_id) if len(rows) > limit else None
    return shown, after


def delivery(connection: Connection, endpoint: int, event: Any) -> dict[str, Any]:
    """One delivery with its payload and every attempt. Raises WebhookEventUnknown."""
    d, a = webhook_deliveries.c, webhook_attempts.c
    query = _shown_deliveries().where(d.endpoint_id == endpoint, d.event_id == event.id)
    row = connection.execute(query).one_or_none()
    if row is None:
        name = ids.encode(ids.EVENT, bytes(event.public_id))
        raise WebhookEventUnknown(f"the event {name} was not meant for this end point")
    made = connection.execute(
        select(webhook_attempts).where(a.delivery_id == row.id).order_by(a.id)
    ).all()
    return shown_delivery(row) | {
        "payload": bytes(event.payload).decode(),
        "attempts": [
            {
                "at": attempt.at,
                "took_ms": attempt.took_ms,
                "status": attempt.status,
                "outcome": attempt.outcome,
                "answer": attempt.answer,
            }
            for attempt in made
        ],
    }


def shown_delivery(row: Any) -> dict[str, Any]:
    """A row of `_shown_deliveries` as the API tells it."""
    pending = row.state == DeliveryState.PENDING
    return {
        "event": ids.encode(ids.EVENT, bytes(row.public_id)),
        "type": row.event,
        "sequence": row.sequence,
        "happened_at": row.happened_at,
        "state": DELIVERY_STATES[row.state],
        "tries": row.tries,
        "next_attempt_at": row.due_at if pending else None,
        "last_status": row.last_status,
        "last_outcome": row.last_outcome,
        "ended_at": row.ended_at,
    }


def _shown_deliveries() -> Any:
    v = events.c
    return select(
        webhook_deliveries, v.public_id, v.event, v.sequence, v.created_at.label("happened_at")
    ).join(events, v.id == webhook_deliveries.c.event_id)


# ---- once more


def put_again(connection: Connection, endpoint: int, event_ids: Sequence[int], now: int) -> None:
    """These events (row numbers) are due to the end point now, whatever became of them before."""
    d = webhook_deliveries.c
    for part in parts(event_ids):
        known = set(
            connection.execute(
                select(d.event_id).where(d.endpoint_id == endpoint, d.event_id.in_(part))
            ).scalars()
        )
        connection.execute(
            update(webhook_deliveries)
            .where(d.endpoint_id == endpoint, d.event_id.in_(part))
            .values(
                state=DeliveryState.PENDING.value,
                due_at=now,
                expires_at=0,
                tries=0,
                ended_at=None,
                # An attempt under way at this moment ends the delivery before, not this one.
                fence=d.fence + 1,
            )
        )
        fresh = [number for number in part if number not in known]
        if fresh:
            row = {"endpoint_id": endpoint, "state": DeliveryState.PENDING.value, "due_at": now}
            connection.execute(
                insert(webhook_deliveries), [row | {"event_id": number} for number in fresh]
            )


def replayable(
    connection: Connection,
    endpoint: Any,
    *,
    since: int,
    until: int | None,
    wanted: str,
    limit: int,
) -> list[int]:
    """Row numbers of the merchant's events that the end point should get once more, oldest first.

    wanted: `failed` (given up), `missing` (never meant for it, though it listens to them now), or
    `all`. `since` and `until` are network time, as in the payload.
    """
    d, v = webhook_deliveries.c, events.c
    mine = and_(d.event_id == v.id, d.endpoint_id == endpoint.id)
    query = (
        select(v.id)
        .outerjoin(webhook_deliveries, mine)
        .where(
            v.merchant_id == endpoint.merchant_id,
            v.created_at >= since,
            v.event.bitwise_and(endpoint.events) != 0,
        )
        .order_by(v.created_at, v.id)
        .limit(limit)
    )
    if until is not None:
        query = query.where(v.created_at < until)
    if wanted == "failed":
        query = query.where(d.state == DeliveryState.FAILED.value)
    elif wanted == "missing":
        query = query.where(d.id.is_(None))
    return list(connection.execute(query).scalars())


def waiting_by_endpoint(connection: Connection) -> dict[int, tuple[int, int]]:
    """End point (row number) -> how many of its deliveries wait, and how many were given up."""
    d = webhook_deliveries.c
    query = select(d.endpoint_id, d.state, func.count()).where(
        d.state.in_([DeliveryState.PENDING.value, DeliveryState.FAILED.value])
    )
    found: dict[int, tuple[int, int]] = {}
    for endpoint, state, count in connection.execute(query.group_by(d.endpoint_id, d.state)):
        waiting, failed = found.get(endpoint, (0, 0))
        if state == DeliveryState.PENDING:
            waiting = count
        else:
            failed = count
        found[endpoint] = (waiting, failed)
    return found
