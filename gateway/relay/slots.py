"""Nonce slots: which transaction of which relayer carries which batches.

A slot is reserved in a short transaction before anything is signed. There is no counter to drift:
the next nonce is one above the highest slot, checked against the chain's own count each time, and
a nonce that the chain has seen used without us is written down as a stranger's. Relays go to the
relayer of the pool that has least in flight.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from gateway import faults
from gateway.clock import NetworkClock
from gateway.codes import BatchState, Kind, SlotState, State, has, lives
from gateway.database import Database
from gateway.orders.cancel import NEVER
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.relay import gas, incidents
from gateway.relay.chain import Chain
from gateway.relay.incidents import Incident
from gateway.relay.lines import Lines
from gateway.relay.transactions import NOOP_GAS
from gateway.tables import batches, nonce_slots, orders
from gateway.webhooks.events import Event
from wallet_sdk.types import address_of

# Batches that one scan looks at; about ten full relay transactions.
BATCHES_MAX = 2_000

# Unsettled nonces of one relayer: nodes drop what queues further ahead (geth keeps 16 executable
# ones of an account for certain).
IN_FLIGHT_MAX = 16

# A rejected order is offered again after 2, 4, 8 ... seconds of network time, at most this long.
BACKOFF_MAX_S = 120


@dataclass(frozen=True, slots=True)
class _Used:
    """How many nonces of an account the chain has seen used: in its newest block, and in the last
    final one (asked for only where the newest is ahead of the slots).
    """

    newest: int
    settled: int


@dataclass(slots=True)
class _Load:
    """What one transaction will carry. `sender` None: any relayer of the pool."""

    sender: bytes | None
    batch_ids: list[int]
    gas: int


class SlotKeeper:
    """Reserves slots for sealed batches that have none."""

    def __init__(
        self, database: Database, chain: Chain, clock: NetworkClock, chain_id: int
    ) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._chain_id = chain_id

    def run_once(self, lines: Lines) -> int:
        """Returns how many slots were reserved. Raises RpcUnavailable."""
        senders = self._senders(lines)
        if not senders:
            return 0
        used = self._used(senders)
        now = self._clock.now()
        with self._database.write() as connection:
            self._database.lock_name(connection, "slots")
            loads = self._loads(connection, lines, now)
            reserved = self._give_out(connection, loads, lines, used, now)
        if reserved:
            faults.point("relay.reserved")
        return reserved

    def _used(self, senders: set[bytes]) -> dict[bytes, _Used]:
        newest = {sender: self._chain.transaction_count(sender) for sender in senders}
        with self._database.read() as connection:
            ahead = {s for s in senders if newest[s] > self._next(connection, s)}
        # Somebody else has used nonces up: which of them for good, a final block tells.
        final = self._chain.final_block() if ahead else None
        settled = dict.fromkeys(senders, 0)
        if final is not None:
            settled |= {s: self._chain.transaction_count(s, final.hash) for s in ahead}
        return {s: _Used(newest[s], min(settled[s], newest[s])) for s in senders}

    def _next(self, connection: Connection, sender: bytes) -> int:
        """One above the highest nonce that has a slot; 0: none has."""
        c = nonce_slots.c
        query = select(func.max(c.nonce)).where(c.chain_id == self._chain_id, c.relayer == sender)
        highest = connection.execute(query).scalar_one()
        return 0 if highest is None else int(highest) + 1

    def _senders(self, lines: Lines) -> set[bytes]:
        """Accounts that something waits for."""
        with self._database.read() as connection:
            loads = self._loads(connection, lines, self._clock.now())
        callers = {load.sender for load in loads if load.sender is not None}
        return callers | (set(lines.open) if any(load.sender is None for load in loads) else set())

    def _loads(self, connection: Connection, lines: Lines, now: int) -> list[_Load]:
        """Waiting batches packed into transactions, the oldest first."""
        earlier = batches.alias("earlier")
        query = (
            select(batches.c.id, batches.c.kind, batches.c.signer, batches.c.gas)
            .outerjoin(earlier, earlier.c.id == batches.c.after_id)
            .where(
                lives(batches.c.state),
                has(batches.c.state, BatchState.SEALED),
                batches.c.slot_id.is_(None),
                batches.c.block_number.is_(None),
                _is_due(now),
                _may_follow(earlier),
            )
            .order_by(batches.c.id)
            .limit(BATCHES_MAX)
        )
        if not lines.calls:
            query = query.where(batches.c.kind != Kind.CALL.value)
        if not lines.open:
            query = query.where(batches.c.kind == Kind.CALL.value)
        waiting = connection.execute(query).all()
        early = self._ahead_of_joins(connection, waiting) if len(lines.pool) > 1 else set()
        return pack(batch for batch in waiting if batch.id not in early)

    def _ahead_of_joins(self, connection: Connection, waiting: Sequence[Any]) -> set[int]:
        """Issues for members whose Join is not in a block: on another line they would be first."""
        join = batches.alias("join")
        joining = (
            lives(join.c.state),
            has(join.c.kind, Kind.JOIN),
            join.c.block_number.is_(None),
        )
        if connection.execute(select(join.c.id).where(*joining).limit(1)).first() is None:
            return set()
        found: set[int] = set()
        for part in parts([batch.id for batch in waiting if batch.kind == Kind.ISSUE]):
            query = (
                select(orders.c.batch_id)
                .join(join, join.c.member_id == orders.c.member_id)
                .where(orders.c.batch_id.in_(part), *joining)
                .distinct()
            )
            found.update(connection.execute(query).scalars())
        return found

    def _give_out(
        self,
        connection: Connection,
        loads: Sequence[_Load],
        lines: Lines,
        used: dict[bytes, _Used],
        now: int,
    ) -> int:
        in_flight = {sender: self._in_flight(connection, sender) for sender in used}
        reserved = 0
        for load in loads:
            if load.sender is None:
                # The relayer with least in flight; of equals the first.
                free = [relayer for relayer in lines.open if relayer in used]
                sender = min(free, key=lambda relayer: in_flight[relayer], default=None)
            else:
                sender = load.sender
            if sender not in used or in_flight[sender] >= IN_FLIGHT_MAX:
                continue
            fence = lines.fences.get(sender, 0)
            self._reserve(connection, load, sender, fence, used[sender], now)
            in_flight[sender] += 1
            reserved += 1
        return reserved

    def _in_flight(self, connection: Connection, sender: bytes) -> int:
        c = nonce_slots.c
        query = select(func.count()).where(
            c.chain_id == self._chain_id, c.relayer == sender, lives(c.state)
        )
        return int(connection.execute(query).scalar_one())

    def _reserve(
        self, connection: Connection, load: _Load, sender: bytes, fence: int, used: _Used, now: int
    ) -> None:
        nonce = self._next(connection, sender)
        if used.newest > nonce:
            self._note_strangers(connection, sender, nonce, used, now)
            nonce = used.newest
        row = self._row(sender, nonce, SlotState.RESERVED, load.gas, now) | {"fence": fence}
        slot_id = connection.execute(
            insert(nonce_slots).returning(nonce_slots.c.id), row
        ).scalar_one()
        for part in parts(load.batch_ids):
            connection.execute(
                update(batches)
                .where(batches.c.id.in_(part))
                .values(slot_id=slot_id, changed_at=now)
            )
            which = and_(orders.c.batch_id.in_(part), orders.c.state == State.BATCHED.value)
            move(connection, which, Event.SUBMITTED, now, state=State.SUBMITTED.value)

    def _note_strangers(
        self, connection: Connection, relayer: bytes, first: int, used: _Used, now: int
    ) -> None:
        """Nonces from `first` on that somebody else has used up. Those of blocks that may still be
        replaced get slots that carry nothing: where the stranger's transaction goes, a no-op closes
        the gap, or all that comes behind it would wait for ever.
        """
        if first == 0:
            # A key that was in use before this order book began: nothing of ours is missing.
            first = used.settled
        else:
            told = (
                f"nonces {first} to {used.newest - 1} were used by transactions that are not ours"
            )
            incidents.note(connection, Incident.STRANGERS_NONCE, address_of(relayer), told, now)
        rows = [
            self._row(relayer, n, SlotState.STRANGERS, 0, now)
            if n < used.settled
            else self._row(relayer, n, SlotState.RESERVED, NOOP_GAS, now)
            for n in range(first, used.newest)
        ]
        if rows:
            connection.execute(insert(nonce_slots), rows)

    def _row(
        self, relayer: bytes, nonce: int, state: SlotState, gas_limit: int, now: int
    ) -> dict[str, Any]:
        return {
            "chain_id": self._chain_id,
            "relayer": relayer,
            "nonce": nonce,
            "state": state.value,
            "gas_limit": gas_limit,
            "reserved_at": now,
            "changed_at": now,
        }


def _is_due(now: int) -> ColumnElement[bool]:
    """SQL: its time has come; or it lies so far ahead that the clock was wrong that set it."""
    due_at = batches.c.due_at
    return or_(due_at <= now, due_at.between(now + BACKOFF_MAX_S + 1, NEVER - 1))


def _may_follow(earlier: Any) -> ColumnElement[bool]:
    """SQL: what the batch follows has taken effect, and no reorg can put the batch before it: it is
    final, or of the same account, whose nonces the chain takes in their order.
    """
    is_behind = and_(earlier.c.signer == batches.c.signer, earlier.c.block_number.is_not(None))
    is_final = earlier.c.state == BatchState.DONE.value
    return or_(batches.c.after_id.is_(None), is_final, is_behind)


def pack(waiting: Iterable[Any]) -> list[_Load]:
    """Batches (id, kind, signer, gas; oldest first) into transactions.

    Calls go alone, from the account they name. Signed orders share relays, in their order, each
    relay under the gas cap.
    """
    loads: list[_Load] = []
    filling: _Load | None = None
    for batch in waiting:
        if batch.kind == Kind.CALL:
            loads.append(_Load(bytes(batch.signer), [batch.id], batch.gas))
            continue
        if filling is None or filling.gas + batch.gas > gas.TRANSACTION_GAS_MAX:
            filling = _Load(None, [], gas.RELAY_BASE)
            loads.append(filling)
        filling.batch_ids.append(batch.id)
        filling.gas += batch.gas
    return loads


def by_slot(rows: Sequence[Any]) -> defaultdict[int, list[Any]]:
    """Batches by the slot that carries them."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.slot_id].append(row)
    return found
