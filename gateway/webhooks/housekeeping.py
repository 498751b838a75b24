"""What is old goes: the log of deliveries is kept for 30 days, in bounded steps."""

from typing import Final

from sqlalchemy import Connection, Select, delete, select, update

from gateway.codes import DeliveryState, EndpointState, has
from gateway.database import Database
from gateway.orders.known import parts
from gateway.tables import webhook_attempts as attempts
from gateway.tables import webhook_deliveries as deliveries
from gateway.tables import webhook_endpoints as endpoints
from gateway.tables import webhook_events as events
from gateway.webhooks.queue import PATIENCE_S

KEPT_S: Final = 30 * 86_400
# Rows of one step: a transaction of a few milliseconds.
STEP_MAX: Final = 1_000
STEPS_MAX: Final = 50


def sweep(database: Database, now: int) -> int:
    """Forgets what ended more than 30 days ago, and gives up what waits for an end point that has
    been off for three. Returns how many deliveries that were.
    """
    swept = 0
    for find, step in ((_abandoned, _give_up), (_old, _forget)):
        for _ in range(STEPS_MAX):
            with database.read() as connection:
                found = list(connection.execute(find(now).limit(STEP_MAX)).scalars())
            if not found:
                break
            with database.write() as connection:
                step(connection, found, now)
            swept += len(found)
    return swept


def _abandoned(now: int) -> Select[int]:
    d, e = deliveries.c, endpoints.c
    return (
        select(d.id)
        .join(endpoints, e.id == d.endpoint_id)
        .where(
            has(d.state, DeliveryState.PENDING),
            ~has(e.state, EndpointState.ACTIVE),
            e.changed_at < now - PATIENCE_S,
        )
    )


def _old(now: int) -> Select[int]:
    c = deliveries.c
    return select(c.id).where(c.ended_at.is_not(None), c.ended_at < now - KEPT_S)


def _give_up(connection: Connection, found: list[int], now: int) -> None:
    c = deliveries.c
    for part in parts(found):
        connection.execute(
            update(deliveries)
            .where(c.id.in_(part), has(c.state, DeliveryState.PENDING))
            .values(state=DeliveryState.FAILED.value, last_outcome="endpoint_off", ended_at=now)
        )


def _forget(connection: Connection, found: list[int], now: int) -> None:
    c = deliveries.c
    for part in parts(found):
        # What somebody has asked to be sent again meanwhile has not ended any more.
        gone = connection.execute(
            delete(deliveries)
            .where(c.id.in_(part), c.ended_at.is_not(None))
            .returning(c.id, c.event_id)
        ).all()
        told = {row.event_id for row in gone}
        connection.execute(delete(attempts).where(attempts.c.delivery_id.in_([r.id for r in gone])))
        still = set(connection.execute(select(c.event_id).where(c.event_id.in_(told))).scalars())
        connection.execute(delete(events).where(events.c.id.in_(told - still)))
