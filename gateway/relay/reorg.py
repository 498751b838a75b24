"""Blocks that are no longer on the chain, and nonces that somebody else used: orders go back.

An ordinary path: nothing is lost, since what was signed is stored and goes out again.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, union, update

from gateway.codes import AttemptState, BatchState, SlotState, State, has, lives
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.relay import incidents
from gateway.relay.incidents import Incident
from gateway.tables import attempts, batches, nonce_slots, orders
from gateway.webhooks.events import Event
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

BlockId = tuple[int, bytes]
"""A block's number and hash."""


def watched_blocks(connection: Connection) -> list[BlockId]:
    """Blocks that hold something of ours and are not final yet, the lowest first."""
    b, a = batches.c, attempts.c
    found = connection.execute(
        union(
            select(b.block_number, b.block_hash).where(
                lives(b.state), has(b.state, BatchState.SEALED), b.block_number.is_not(None)
            ),
            select(a.block_number, a.block_hash).where(
                lives(a.state), has(a.state, AttemptState.MINED)
            ),
        )
    )
    return sorted((number, bytes(block_hash)) for number, block_hash in found)


def newest_final(connection: Connection) -> BlockId | None:
    """The newest block that was final for us: the anchor that must never move."""
    c = attempts.c
    row = connection.execute(
        select(c.block_number, c.block_hash)
        .where(c.state == AttemptState.FINAL.value)
        .order_by(c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.block_number, bytes(row.block_hash))


def take_back(connection: Connection, gone: Sequence[BlockId], now: int) -> int:
    """What stood in these blocks is offered again; its orders are submitted once more."""
    moved = 0
    for number, block_hash in gone:
        log.warning("block %d (0x%s) is no longer on the chain", number, block_hash.hex())
        c = batches.c
        inside = list(
            connection.execute(
                select(c.id).where(
                    lives(c.state),
                    has(c.state, BatchState.SEALED),
                    c.block_number == number,
                    c.block_hash == block_hash,
                )
            ).scalars()
        )
        for part in parts(inside):
            connection.execute(
                update(batches)
                .where(c.id.in_(part))
                .values(block_number=None, block_hash=None, tx_hash=None, changed_at=now)
            )
            which = and_(orders.c.batch_id.in_(part), orders.c.state == State.INCLUDED.value)
            move(connection, which, Event.REORGED, now, state=State.SUBMITTED.value)
        back = connection.execute(
            update(attempts)
            .where(
                lives(attempts.c.state),
                has(attempts.c.state, AttemptState.MINED),
                attempts.c.block_number == number,
                attempts.c.block_hash == block_hash,
            )
            .values(state=AttemptState.OFFERED.value, block_number=None, block_hash=None)
        )
        moved += len(inside) + back.rowcount
    return moved


def give_up_slots(connection: Connection, slots: Sequence[Any], now: int) -> int:
    """These nonces (rows of id, relayer, nonce) are used up without us: what they carry goes on
    others.
    """
    c = nonce_slots.c
    for slot in slots:
        told = f"nonce {slot.nonce} was used up by a transaction that is not ours"
        named = address_of(bytes(slot.relayer))
        incidents.note(connection, Incident.STRANGERS_NONCE, named, told, now)
    for part in parts([slot.id for slot in slots]):
        _free(connection, part, now)
        connection.execute(
            update(attempts)
            .where(attempts.c.slot_id.in_(part), attempts.c.state < AttemptState.FINAL.value)
            .values(state=AttemptState.SUPERSEDED.value)
        )
        connection.execute(
            update(nonce_slots)
            .where(c.id.in_(part))
            .values(state=SlotState.STRANGERS.value, changed_at=now)
        )
    return len(slots)


def relieve(connection: Connection, slot_ids: Sequence[int], now: int) -> int:
    """What waits on these nonces may go out on others. Returns how many batches that were.

    The signed bytes stay: whichever transaction is mined first, each order takes effect once.
    """
    return sum(_free(connection, part, now) for part in parts(list(slot_ids)))


def _free(connection: Connection, slot_ids: Sequence[int], now: int) -> int:
    c = batches.c
    inside = select(c.id).where(
        c.slot_id.in_(slot_ids), c.state == BatchState.SEALED.value, c.block_number.is_(None)
    )
    batch_ids = list(connection.execute(inside).scalars())
    for some in parts(batch_ids):
        which = and_(orders.c.batch_id.in_(some), orders.c.state == State.SUBMITTED.value)
        move(connection, which, Event.DELAYED, now, state=State.BATCHED.value)
        connection.execute(
            update(batches).where(c.id.in_(some)).values(slot_id=None, changed_at=now)
        )
    return len(batch_ids)
