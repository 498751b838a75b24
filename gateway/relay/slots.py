"""Nonce slots: which transaction of which relayer carries which batches.

A slot is reserved in a short transaction before anything is signed. There is no counter to drift:
the next nonce is one above the highest slot, checked against the chain's own count each time, and
a nonce that the chain has seen used without us is written down as a stranger's.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from gateway import faults
from gateway.clock import NetworkClock
from gateway.codes import BatchState, Kind, SlotState, State, has, lives
from gateway.database import Database
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.relay import gas
from gateway.relay.chain import Chain
from gateway.tables import batches, nonce_slots, orders
from gateway.webhooks.events import Event
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

# Batches that one scan looks at; about ten full relay transactions.
BATCHES_MAX = 2_000

# Unsettled nonces of one relayer: nodes drop what queues further ahead (geth keeps 16 executable
# ones of an account for certain).
IN_FLIGHT_MAX = 16


@dataclass(slots=True)
class _Load:
    """What one transaction will carry."""

    sender: bytes
    batch_ids: list[int]
    gas: int


class SlotKeeper:
    """Reserves slots for sealed batches that have none."""

    def __init__(
        self, database: Database, chain: Chain, clock: NetworkClock, chain_id: int, relayer: bytes
    ) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._chain_id = chain_id
        self._relayer = relayer

    def run_once(self) -> int:
        """Returns how many slots were reserved. Raises RpcUnavailable."""
        senders = self._senders()
        if not senders:
            return 0
        used = {sender: self._chain.transaction_count(sender) for sender in senders}
        now = self._clock.now()
        with self._database.write() as connection:
            self._database.lock_name(connection, "slots")
            reserved = 0
            for load in self._loads(connection, now):
                if load.sender in used and self._reserve(connection, load, used, now):
                    reserved += 1
        if reserved:
            faults.point("relay.reserved")
        return reserved

    def _senders(self) -> set[bytes]:
        with self._database.read() as connection:
            return {load.sender for load in self._loads(connection, self._clock.now())}

    def _loads(self, connection: Connection, now: int) -> list[_Load]:
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
                batches.c.due_at <= now,
                or_(batches.c.after_id.is_(None), earlier.c.block_number.is_not(None)),
            )
            .order_by(batches.c.id)
            .limit(BATCHES_MAX)
        )
        return pack(connection.execute(query), self._relayer)

    def _reserve(
        self, connection: Connection, load: _Load, used: dict[bytes, int], now: int
    ) -> bool:
        c = nonce_slots.c
        mine = (c.chain_id == self._chain_id, c.relayer == load.sender)
        highest = connection.execute(select(func.max(c.nonce)).where(*mine)).scalar_one()
        live = connection.execute(select(func.count()).where(*mine, lives(c.state))).scalar_one()
        if live >= IN_FLIGHT_MAX:
            return False
        nonce = 0 if highest is None else highest + 1
        if used[load.sender] > nonce:
            self._note_strangers(connection, load.sender, highest, used[load.sender], now)
            nonce = used[load.sender]
        slot_id = connection.execute(
            insert(nonce_slots).returning(c.id),
            {
                "chain_id": self._chain_id,
                "relayer": load.sender,
                "nonce": nonce,
                "state": SlotState.RESERVED.value,
                "gas_limit": load.gas,
                "reserved_at": now,
                "changed_at": now,
            },
        ).scalar_one()
        for part in parts(load.batch_ids):
            connection.execute(
                update(batches)
                .where(batches.c.id.in_(part))
                .values(slot_id=slot_id, changed_at=now)
            )
            which = and_(orders.c.batch_id.in_(part), orders.c.state == State.BATCHED.value)
            move(connection, which, Event.SUBMITTED, now, state=State.SUBMITTED.value)
        return True

    def _note_strangers(
        self, connection: Connection, relayer: bytes, highest: int | None, used: int, now: int
    ) -> None:
        if highest is None:
            # A key that was in use before this order book began: nothing of ours is missing.
            return
        log.error(
            "nonces %d to %d of relayer %s were used by somebody else",
            highest + 1,
            used - 1,
            address_of(relayer),
        )
        rows = [
            {
                "chain_id": self._chain_id,
                "relayer": relayer,
                "nonce": nonce,
                "state": SlotState.STRANGERS.value,
                "gas_limit": 0,
                "reserved_at": now,
                "changed_at": now,
            }
            for nonce in range(highest + 1, used)
        ]
        connection.execute(insert(nonce_slots), rows)


def pack(waiting: Iterable[Any], relayer: bytes) -> list[_Load]:
    """Batches (id, kind, signer, gas; oldest first) into transactions.

    Calls go alone, from the account they name. Signed orders share relays of the relayer, in their
    order, each relay under the gas cap.
    """
    loads: list[_Load] = []
    filling: _Load | None = None
    for batch in waiting:
        if batch.kind == Kind.CALL:
            loads.append(_Load(bytes(batch.signer), [batch.id], batch.gas))
            continue
        if filling is None or filling.gas + batch.gas > gas.TRANSACTION_GAS_MAX:
            filling = _Load(relayer, [], gas.RELAY_BASE)
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
