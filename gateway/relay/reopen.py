"""Orders that were final in a block that is gone: taken up again, with what they hold.

Only a person lets this happen (`banyan reconcile`): a reorg below finality is the network's
failure, not an ordinary path.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, and_, select, update

from gateway.books import Books
from gateway.codes import HOLDS_MONEY, AttemptState, BatchState, Kind, SlotState, State
from gateway.database import Database
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.relay.chain import Chain
from gateway.relay.reorg import BlockId
from gateway.tables import attempts, batches, members, merchants, nonce_slots, orders
from gateway.webhooks.events import Event
from wallet_sdk.contracts import Network
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

# Blocks compared at once, the newest first; a whole such stretch as it should be ends the search.
STRETCH = 200

ALIVE: Final = "took effect in another fork"


def gone_blocks(database: Database, chain: Chain) -> list[BlockId]:
    """Blocks with something final of ours that are gone from the chain. Raises RpcUnavailable."""
    b, a = batches.c, attempts.c
    query = (
        select(b.block_number, b.block_hash)
        .where(b.state == BatchState.DONE.value, b.block_number.is_not(None))
        .union(select(a.block_number, a.block_hash).where(a.state == AttemptState.FINAL.value))
    )
    with database.read() as connection:
        found = sorted(((n, bytes(h)) for n, h in connection.execute(query)), reverse=True)
    gone: list[BlockId] = []
    for start in range(0, len(found), STRETCH):
        stretch = found[start : start + STRETCH]
        canonical = chain.blocks(sorted({number for number, _ in stretch}))
        bad = [
            (number, block_hash)
            for number, block_hash in stretch
            if number not in canonical or canonical[number].hash != block_hash
        ]
        gone += bad
        if not bad:
            break
    return gone


def reopen(
    database: Database, network: Network, books: Books, gone: Sequence[BlockId], now: int
) -> int:
    """Takes up what those blocks held. Returns how many orders are no longer final."""
    count = 0
    for number, block_hash in gone:
        log.error("block %d (0x%s) was final and is gone", number, block_hash.hex())
        in_block = and_(batches.c.block_number == number, batches.c.block_hash == block_hash)
        with database.read() as connection:
            inside = connection.execute(select(batches).where(in_block)).all()
        effects = books.effects([bytes(b.digest) for b in inside if b.digest is not None])
        with database.settle() as connection:
            for batch in inside:
                effect = effects.get(bytes(batch.digest or b""))
                values = {
                    "state": BatchState.SEALED.value,
                    "block_number": None if effect is None else effect.block_number,
                    "block_hash": None if effect is None else effect.block_hash,
                    "tx_hash": None if effect is None else effect.tx_hash,
                    "changed_at": now,
                }
                connection.execute(update(batches).where(batches.c.id == batch.id).values(values))
                to = State.SUBMITTED if effect is None else State.INCLUDED
                count += _take_up(connection, batch.id, to, now)
            _reopen_slots(connection, number, block_hash, now)
        _lower_nonces(database, network, [b.member_id for b in inside if b.member_id])
    return count


def forget_alive(database: Database, books: Books, now: int) -> int:
    """Void batches that took effect all the same: in the blocks that proved them dead now stand
    others. Their orders wait or went elsewhere meanwhile, so they are found again like orders that
    the book has forgotten. Returns how many.
    """
    c = batches.c
    query = select(c.id, c.digest).where(
        c.state == BatchState.VOID.value, c.digest.is_not(None), c.kind != Kind.CALL.value
    )
    with database.read() as connection:
        void = {bytes(digest): number for number, digest in connection.execute(query)}
    alive = [n for part in parts(list(void)) for n in (void[d] for d in books.effects(part))]
    if alive:
        log.error("%d batches took effect after they were proven dead", len(alive))
        with database.settle() as connection:
            for part in parts(alive):
                connection.execute(
                    update(batches)
                    .where(c.id.in_(part))
                    .values(digest=None, reason=ALIVE, changed_at=now)
                )
    return len(alive)


def _take_up(connection: Connection, batch_id: int, to: State, now: int) -> int:
    """The batch's final orders, and what they hold again."""
    c = orders.c
    which = and_(c.batch_id == batch_id, c.state == State.FINAL.value)
    money: Counter[int] = Counter()
    points: Counter[int] = Counter()
    for order in connection.execute(
        select(c.kind, c.merchant_id, c.member_id, c.hold).where(which)
    ):
        if order.kind in HOLDS_MONEY:
            money[order.merchant_id] += order.hold
        else:
            points[order.member_id] += order.hold
    for table, sums in ((merchants, money), (members, points)):
        for row_id, amount in sorted(sums.items()):
            connection.execute(
                update(table).where(table.c.id == row_id).values(held=table.c.held + amount)
            )
    event = Event.REORGED if to is State.SUBMITTED else Event.INCLUDED
    return move(connection, which, event, now, state=to.value)


def _reopen_slots(connection: Connection, number: int, block_hash: bytes, now: int) -> None:
    c = attempts.c
    which = and_(
        c.state == AttemptState.FINAL.value, c.block_number == number, c.block_hash == block_hash
    )
    slot_ids = list(connection.execute(select(c.slot_id).where(which)).scalars())
    connection.execute(
        update(attempts)
        .where(which)
        .values(state=AttemptState.OFFERED.value, block_number=None, block_hash=None)
    )
    for part in parts(slot_ids):
        connection.execute(
            update(nonce_slots)
            .where(nonce_slots.c.id.in_(part))
            .values(state=SlotState.FILLED.value, changed_at=now)
        )


def _lower_nonces(database: Database, network: Network, member_ids: Sequence[int]) -> None:
    """The highest used nonce of these members, and whether they joined, as the chain has it now."""
    c = members.c
    for part in parts(sorted(set(member_ids))):
        with database.read() as connection:
            query = select(c.id, c.address).where(c.id.in_(part))
            rows = connection.execute(query).all()
        accounts = network.accounts_of([address_of(bytes(row.address)) for row in rows])
        with database.write() as connection:
            for row in rows:
                account = accounts[address_of(bytes(row.address))]
                joined = c.joined_at if account.is_member else None
                connection.execute(
                    update(members)
                    .where(c.id == row.id)
                    .values(nonce_highest=account.highest_nonce, joined_at=joined)
                )
