"""What the relay tells of its steps: a line in the log, and a span in each order's trace.

Which orders a transaction carries is asked of the database only where traces are wanted; a line in
the log names batches, and the line of their sealing named the orders.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select

from gateway.database import Database
from gateway.observe import counters, logs, tracing
from gateway.relay.chain import Receipt
from gateway.tables import batches, orders
from wallet_sdk.types import to_hex

log = logging.getLogger(__name__)


def sealed(batch: int, public_ids: Sequence[bytes]) -> None:
    """A batch is signed and stored."""
    if log.isEnabledFor(logging.INFO):
        log.info("sealed", extra={"batch": batch, **logs.orders(public_ids)})
    with tracing.step("seal", lambda: public_ids, batch=batch):
        pass


@contextmanager
def offering(database: Database, slot: int, tx_hash: bytes) -> Iterator[None]:
    """A transaction goes out."""
    with tracing.step("send", lambda: carried(database, slot), slot=slot, tx=to_hex(tx_hash)):
        yield
    if log.isEnabledFor(logging.INFO):
        log.info("sent", extra={"slot": slot, "tx": to_hex(tx_hash)})


def carried(database: Database, slot: int) -> list[bytes]:
    """Public ids of the orders that a slot carries."""
    query = (
        select(orders.c.public_id)
        .join(batches, batches.c.id == orders.c.batch_id)
        .where(batches.c.slot_id == slot)
        .order_by(orders.c.id)
        .limit(tracing.ORDERS_TRACED_MAX)
    )
    with database.read() as connection:
        return [bytes(raw) for raw in connection.execute(query).scalars()]


def mined(database: Database, attempt: Any, inside: Sequence[Any], receipt: Receipt) -> None:
    """A transaction with these batches was mined."""
    outcome = "done" if receipt.ok else "reverted"
    counters.GAS_USED.inc(receipt.gas_used)
    counters.MINED.labels(outcome).inc()
    told = {
        "slot": attempt.slot_id,
        "block": receipt.block_number,
        "tx": to_hex(bytes(attempt.hash)),
        "outcome": outcome,
    }
    if log.isEnabledFor(logging.INFO):
        numbers = [batch.id for batch in inside]
        log.info("mined", extra=told | {"gas": receipt.gas_used, "batches": numbers})
    with tracing.step("mined", lambda: carried(database, attempt.slot_id), **told):
        pass
