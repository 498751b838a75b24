"""Takes an order back: at once while no signature of it ever left, else by a Cancel on chain.

A Cancel uses the nonce of the signed order up; that is the proof that it can never take effect.
Until a final block shows it the order stays as it is: the two race, and either may win.
"""

from typing import Any

from sqlalchemy import Connection, case, insert, select, update

from gateway import ids
from gateway.clock import DAY_S
from gateway.codes import BatchState, Kind, State
from gateway.database import Database
from gateway.errors import GatewayError, OrderNotCancellable, OrderUnknown
from gateway.orders.moves import move
from gateway.relay import finish
from gateway.relay.causes import use_nonce_up
from gateway.tables import audit, batches, merchants, orders, signing_charges
from gateway.webhooks.events import Event

NEVER = 2**62
"""A due time that never comes: a signed order that was not sent yet is not sent any more."""


def cancel(
    database: Database,
    connection: Connection,
    order_id: str,
    *,
    tenant: int,
    actor: str,
    now: int,
) -> None:
    """Fails the order, or sets its Cancel on the way; asking again changes nothing.

    The caller's transaction is one of `database.settle()`. `tenant` 0 may cancel any order, others
    what they asked for themselves. Raises OrderUnknown, OrderNotCancellable.
    """
    # Nobody opens or takes back a batch meanwhile.
    database.lock_name(connection, "sealing")
    order = _order(database, connection, order_id, tenant)
    if order.cancel_asked_at is not None and order.state < State.FINAL:
        return
    _check(order)
    detail = "no signature of it ever left"
    if order.signed_before:
        detail = "what was signed of it can never take effect"
    batch = None
    if order.batch_id is not None:
        query = select(batches).where(batches.c.id == order.batch_id)
        batch = connection.execute(database.lock_rows(query)).one()
    if batch is None:
        _give_back(connection, order)
        _fail(connection, order.id, detail, now)
    elif batch.state == BatchState.OPEN:
        # A signature that somebody is making now finds the batch void and is dropped.
        charged = _is_charged(connection, batch)
        finish.void_open(connection, batch.id, "cancelled before signing", now, charged=charged)
        if not charged:
            _give_back(connection, order)
        _fail(connection, order.id, detail, now)
    else:
        _ask(connection, order.id, batch, now)
        detail = "its nonce is being used up"
    row = {"at": now, "actor": actor, "action": "cancel", "subject": order_id, "detail": detail}
    connection.execute(insert(audit), row)


def _order(database: Database, connection: Connection, order_id: str, tenant: int) -> Any:
    try:
        raw = ids.decode(ids.ORDER, order_id)
    except GatewayError as error:
        raise OrderUnknown(f"there is no order {order_id[:40]!r}") from error
    query = select(orders).where(orders.c.public_id == raw)
    if tenant:
        query = query.where(orders.c.merchant_id == tenant)
    row = connection.execute(database.lock_rows(query)).one_or_none()
    if row is None:
        raise OrderUnknown(f"there is no order {order_id}", order=order_id)
    return row


def _check(order: Any) -> None:
    if order.kind == Kind.JOIN:
        raise OrderNotCancellable("joining is not taken back by cancelling")
    if order.state == State.FAILED:
        raise OrderNotCancellable("the order has failed already", order_state="failed")
    if order.state >= State.INCLUDED:
        raise OrderNotCancellable("the order has taken effect", order_state="included")


def _fail(connection: Connection, order_id: int, detail: str, now: int) -> None:
    c = orders.c
    finish.release(connection, [c.id == order_id])
    move(
        connection,
        c.id == order_id,
        Event.FAILED,
        now,
        state=State.FAILED.value,
        failure=finish.CANCELLED,
        failure_detail=detail,
        batch_id=None,
        cancel_asked_at=now,
    )


def _is_charged(connection: Connection, batch: Any) -> bool:
    """Whether the key was charged for it: whoever signed it ended before he could store it."""
    c = signing_charges.c
    query = select(c.nonce).where(c.address == batch.signer, c.nonce == batch.nonce)
    return connection.execute(query).first() is not None


def _give_back(connection: Connection, order: Any) -> None:
    """An issue that was never signed has used nothing of its till key's day: what its accept
    counted (`merchants.cap_points`) may be issued again, while that day is the one that counts.
    """
    if order.kind != Kind.ISSUE or order.signed_before:
        return
    c = merchants.c
    # Accepted while there was no cap, it was not counted.
    left = case((c.cap_points > order.points, c.cap_points - order.points), else_=0)
    connection.execute(
        update(merchants)
        .where(c.id == order.merchant_id, c.cap_day == order.accepted_at // DAY_S)
        .values(cap_points=left)
    )


def _ask(connection: Connection, order_id: int, batch: Any, now: int) -> None:
    c = orders.c
    connection.execute(update(orders).where(c.id == order_id).values(cancel_asked_at=now))
    if batch.cancel_id is not None:
        return
    use_nonce_up(connection, batch, now)
    if batch.slot_id is None:
        never = {"due_at": NEVER, "changed_at": now}
        connection.execute(update(batches).where(batches.c.id == batch.id).values(never))
