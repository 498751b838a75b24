"""What became of what was sent: included, final, rejected, or proven dead.

Three looks at the chain, each stored in one short transaction:
receipts of live attempts (*included*, or news of a rejection) · blocks that have become final, or
are no longer on the chain (*final*, or back) · batches whose deadline has passed in a final block
(`burial`). A block hash decides, never a number alone.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from gateway import faults
from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.codes import AttemptState, BatchState, Kind, State, has, lives
from gateway.database import Database
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.relay import causes, evidence, gas, tell
from gateway.relay.blocks import Blocks, is_canonical
from gateway.relay.burial import Burial
from gateway.relay.chain import Chain, Receipt
from gateway.relay.slots import BACKOFF_MAX_S, by_slot
from gateway.relay.strangers import Strangers
from gateway.tables import attempts, batches, orders
from gateway.webhooks.events import Event
from wallet_sdk.contracts import Network
from wallet_sdk.types import address_bytes

log = logging.getLogger(__name__)

# Attempts asked for in one scan; with 16 nonces a relayer in flight, and bumps, many relayers.
ATTEMPTS_MAX = 2_000

_INCLUDE = (
    update(batches)
    .where(batches.c.id == bindparam("row_id"), batches.c.state == BatchState.SEALED.value)
    .values(
        block_number=bindparam("number"),
        block_hash=bindparam("in_block"),
        tx_hash=bindparam("in_tx"),
        reason=None,
        changed_at=bindparam("now"),
    )
)
_TAKE_BACK = (
    update(batches)
    .where(batches.c.id == bindparam("row_id"), batches.c.state == BatchState.SEALED.value)
    .values(
        slot_id=None,
        reason=bindparam("why"),
        due_at=bindparam("due"),
        tries=batches.c.tries + bindparam("tried"),
        gas=bindparam("new_gas"),
        changed_at=bindparam("now"),
    )
)


@dataclass(slots=True)
class Settled:
    """What one scan moved, in orders; `moved` counts every change of anything."""

    included: int = 0
    final: int = 0
    failed: int = 0
    moved: int = 0


class Settler:
    """Reads the chain and writes down what it says."""

    def __init__(
        self,
        database: Database,
        chain: Chain,
        network: Network,
        books: Books,
        clock: NetworkClock,
    ) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._coalition = address_bytes(network.deployment.address("Coalition"))
        self._strangers = Strangers(database, chain, clock, self._coalition)
        self._blocks = Blocks(database, chain, books, clock)
        self._burial = Burial(database, chain, network, books, clock)

    def run_once(self) -> Settled:
        """One scan. Raises RpcUnavailable, NotReady, ReorgBelowFinality; what was stored stays."""
        settled = Settled()
        final = self._chain.final_block()
        self._see_receipts(settled)
        if final is not None:
            settled.moved += self._strangers.run_once(final)
        self._blocks.run_once(final, settled)
        if final is not None:
            settled.failed += self._burial.run_once(final, settled)
        return settled

    # ---- receipts

    def _see_receipts(self, settled: Settled) -> None:
        with self._database.read() as connection:
            query = (
                select(attempts.c.id, attempts.c.slot_id, attempts.c.hash)
                .where(lives(attempts.c.state), ~has(attempts.c.state, AttemptState.MINED))
                .order_by(attempts.c.id)
                .limit(ATTEMPTS_MAX)
            )
            live = connection.execute(query).all()
        receipts = self._chain.receipts([bytes(a.hash) for a in live], self._coalition)
        mined = [(a, r) for a, r in zip(live, receipts, strict=True) if r is not None]
        if not mined:
            return
        # A receipt may come from a back end that has not seen a reorg yet: its block must be the
        # canonical one at its height, on the same node.
        canonical = self._chain.blocks(sorted({r.block_number for _, r in mined}))
        seen = [(a, r) for a, r in mined if is_canonical(canonical, r.block_number, r.block_hash)]
        faults.point("settle.receipt_not_stored")
        now = self._clock.now()
        with self._database.settle() as connection:
            seen = _still_live(connection, seen)
            inside = self._inside(connection, [attempt.slot_id for attempt, _ in seen])
            for attempt, receipt in seen:
                mined_at = canonical[receipt.block_number].time
                self._store_receipt(
                    connection, attempt, receipt, mined_at, inside[attempt.slot_id], settled, now
                )
        faults.point("settle.included")
        for attempt, receipt in seen:
            tell.mined(self._database, attempt, inside[attempt.slot_id], receipt)

    def _inside(self, connection: Connection, slot_ids: Sequence[int]) -> Any:
        c = batches.c
        query = select(batches).where(c.slot_id.in_(slot_ids), c.state == BatchState.SEALED.value)
        return by_slot(connection.execute(query.order_by(c.id)).all())

    def _store_receipt(
        self,
        connection: Connection,
        attempt: Any,
        receipt: Receipt,
        mined_at: int,
        inside: Sequence[Any],
        settled: Settled,
        now: int,
    ) -> None:
        connection.execute(
            update(attempts)
            .where(attempts.c.id == attempt.id)
            .values(
                state=AttemptState.MINED.value,
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
            )
        )
        settled.moved += 1
        digests = [bytes(b.digest) for b in inside if b.digest is not None]
        found = evidence.read(receipt, digests)
        included, back = [], []
        for batch in inside:
            if receipt.ok and (batch.kind == Kind.CALL or bytes(batch.digest) in found.effective):
                included.append(batch)
            elif batch.kind != Kind.CALL:
                back.append(self._back(batch, receipt, mined_at, found, now))
            # A call that was reverted is over when its block is final (`finish`): in another block
            # it may take effect.
        self._store_included(connection, included, attempt, receipt, settled, now)
        if back:
            connection.execute(_TAKE_BACK, back)
            batch_ids = [b["row_id"] for b in back]
            before = (State.SUBMITTED,)
            _move(connection, batch_ids, before, State.BATCHED, Event.DELAYED, now)
            self._part(connection, inside, back, now)

    def _part(
        self, connection: Connection, inside: Sequence[Any], back: Sequence[Any], now: int
    ) -> None:
        """Rejected batches whose cause will not pass: the good orders in them must not wait."""
        why = {row["row_id"]: row["why"] for row in back}
        for batch in inside:
            if batch.id in why and causes.must_part(connection, batch, why[batch.id]):
                causes.use_nonce_up(connection, batch, now)

    def _store_included(
        self,
        connection: Connection,
        included: Sequence[Any],
        attempt: Any,
        receipt: Receipt,
        settled: Settled,
        now: int,
    ) -> None:
        if not included:
            return
        place = {
            "number": receipt.block_number,
            "in_block": receipt.block_hash,
            "in_tx": bytes(attempt.hash),
            "now": now,
        }
        connection.execute(_INCLUDE, [{"row_id": batch.id, **place} for batch in included])
        batch_ids = [batch.id for batch in included]
        before = (State.BATCHED, State.SUBMITTED)
        settled.included += _move(
            connection, batch_ids, before, State.INCLUDED, Event.INCLUDED, now
        )

    def _back(
        self, batch: Any, receipt: Receipt, mined_at: int, found: evidence.Evidence, now: int
    ) -> dict[str, Any]:
        """A batch that had no effect in a mined relay goes onto another slot, a while later."""
        # News of an earlier rejection stays: a relay that came too late brings none.
        reason, new_gas = batch.reason, batch.gas
        if not receipt.ok:
            # The relay as a whole ran out of gas: the estimates were too low.
            new_gas = min(batch.gas * 3 // 2, gas.TRANSACTION_GAS_MAX - gas.RELAY_BASE)
            log.error("a relay was mined and reverted; its orders are packed with more gas")
        elif bytes(batch.digest) in found.rejected:
            reason = evidence.told(found.rejected[bytes(batch.digest)])
            log.warning("batch %d was rejected: %s", batch.id, reason)
        wait = min(2 ** (batch.tries + 1), BACKOFF_MAX_S)
        return {
            "row_id": batch.id,
            "why": reason,
            "due": now + wait,
            # A relay that came too late says nothing of the orders in it.
            "tried": int(mined_at <= batch.deadline),
            "new_gas": new_gas,
            "now": now,
        }


def _still_live(
    connection: Connection, seen: Sequence[tuple[Any, Receipt]]
) -> list[tuple[Any, Receipt]]:
    """Those attempts that no other process has settled meanwhile."""
    c = attempts.c
    ours = c.id.in_([attempt.id for attempt, _ in seen])
    query = select(c.id).where(ours, lives(c.state), ~has(c.state, AttemptState.MINED))
    live = set(connection.execute(query).scalars())
    return [(attempt, receipt) for attempt, receipt in seen if attempt.id in live]


def _move(
    connection: Connection,
    batch_ids: Sequence[int],
    before: Sequence[State],
    after: State,
    event: Event,
    now: int,
) -> int:
    c = orders.c
    moved = 0
    for part in parts(batch_ids):
        which = and_(c.batch_id.in_(part), c.state.in_([s.value for s in before]))
        moved += move(connection, which, event, now, state=after.value)
    return moved
