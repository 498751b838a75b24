"""Calls by the operator's keys, through the same batches, slots and attempts as orders.

A call is stored before it is sent and goes out once; one may wait for another, sent by another
key, to have taken effect.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select

from gateway.codes import BatchState, Kind, has, lives
from gateway.errors import CallFailed
from gateway.relay import gas
from gateway.relay.transactions import call_wire
from gateway.tables import batches
from wallet_sdk.types import Address, address_bytes


def enqueue(
    connection: Connection,
    *,
    sender: Address,
    to: Address | None,
    data: bytes,
    label: str,
    now: int,
    merchant: int | None = None,
    after: int | None = None,
) -> int:
    """Stores a call of `sender` and returns its batch's row number.

    Calls of one sender go out in the order of these numbers. `after`: a batch that must have taken
    effect before this one is sent.
    """
    row: dict[str, Any] = {
        "kind": Kind.CALL.value,
        "state": BatchState.SEALED.value,
        "signer": address_bytes(sender),
        "merchant_id": merchant,
        "wire": call_wire(to, data),
        "gas": gas.of_call(data, creates=to is None),
        "label": label,
        "after_id": after,
        "created_at": now,
        "changed_at": now,
    }
    return int(connection.execute(insert(batches).returning(batches.c.id), row).scalar_one())


def open_calls(connection: Connection) -> int:
    """How many calls have not come to their end."""
    c = batches.c
    query = select(func.count()).where(
        lives(c.state), has(c.state, BatchState.SEALED), has(c.kind, Kind.CALL)
    )
    return int(connection.execute(query).scalar_one())


def check_done(connection: Connection, batch_ids: Sequence[int]) -> bool:
    """Whether all these calls are final. Raises CallFailed when one was reverted."""
    c = batches.c
    rows = connection.execute(select(c.state, c.label).where(c.id.in_(batch_ids))).all()
    for row in rows:
        if row.state == BatchState.VOID:
            raise CallFailed(f"the call {row.label!r} was mined and reverted", call=row.label)
    return all(row.state == BatchState.DONE for row in rows)
