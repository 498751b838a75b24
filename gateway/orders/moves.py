"""How a stored order changes its state: one statement, and the webhook events of it in the same
transaction. Whoever moves an order that its merchant can see moves it here.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, update

from gateway.tables import orders
from gateway.webhooks import outbox
from gateway.webhooks.events import Event


def move(
    connection: Connection, which: ColumnElement[bool], event: Event, now: int, **values: Any
) -> int:
    """Sets `values` in the orders that fit `which`, and tells who listens. Returns how many.

    Rows that the payload shows beside the order's own (its batch's block) are to be written before.
    """
    statement = update(orders).where(which).values(changed_at=now, **values)
    if not outbox.is_anyone_listening(connection):
        return connection.execute(statement).rowcount
    rows = connection.execute(statement.returning(orders.c.id, orders.c.merchant_id)).all()
    moved = [(row.id, row.merchant_id) for row in rows]
    outbox.write(connection, event, moved, now)
    return len(moved)
