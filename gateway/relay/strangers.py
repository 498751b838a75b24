"""A relayer's nonce that somebody else used: noticed in a final block, never guessed.

A signed order has a nonce of its own on chain, so it may go again on another of ours. A call of the
operator's has none: it would be carried out twice. That a node has no receipt of ours says nothing
(it may be pruned, or have begun with a snapshot), so a call is only given up where a block shows
another transaction with this sender and nonce.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select

from gateway.clock import NetworkClock
from gateway.codes import AttemptState, BatchState, Kind, has, lives
from gateway.database import Database
from gateway.relay import incidents, reorg
from gateway.relay.chain import Block, Chain
from gateway.relay.incidents import Incident
from gateway.relay.onchain import FoundTransaction, found_transaction
from gateway.relay.transactions import call_wire
from gateway.tables import attempts, batches, nonce_slots
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

ASK_AGAIN_S: Final = 60.0
"""A node that did not show who used a nonce is asked again after so many seconds: it takes some
twenty questions, and what it has pruned does not come back.
"""


class Strangers:
    """Looks for slots whose nonce is used up in a final block without any of our bytes in it."""

    def __init__(
        self, database: Database, chain: Chain, clock: NetworkClock, coalition: bytes
    ) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._coalition = coalition
        # When the node was last asked about a slot in vain (monotonic seconds).
        self._asked: dict[int, float] = {}

    def run_once(self, final: Block) -> int:
        """Gives such slots up. Returns how many. Raises RpcUnavailable."""
        c, a = nonce_slots.c, attempts.c
        mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
        with self._database.read() as connection:
            query = select(c.id, c.relayer, c.nonce).where(lives(c.state), c.id.not_in(mined))
            unmined = connection.execute(query).all()
            told = incidents.not_ended(connection, Incident.CALL_UNDECIDED)
        self._asked = {s.id: self._asked[s.id] for s in unmined if s.id in self._asked}
        if not unmined and not told:
            return 0
        relayers = {bytes(slot.relayer) for slot in unmined}
        used = {r: self._chain.transaction_count(r, final.hash) for r in relayers}
        lost = [slot for slot in unmined if slot.nonce < used[bytes(slot.relayer)]]
        if lost and self._some_mined([slot.id for slot in lost]):
            return 0
        calls = self._calls_in([slot.id for slot in lost])
        undecided = [s for s in lost if s.id in calls and not self._is_shown(s, calls[s.id], final)]
        lost = [slot for slot in lost if slot not in undecided]
        self._tell(undecided, told)
        if not lost:
            return 0
        with self._database.settle() as connection:
            return reorg.give_up_slots(connection, lost, self._clock.now())

    def _some_mined(self, slot_ids: Sequence[int]) -> bool:
        """Whether a receipt came in after all (the count may be younger than our first look)."""
        return any(
            r is not None for r in self._chain.receipts(self._sent(slot_ids), self._coalition)
        )

    def _sent(self, slot_ids: Sequence[int]) -> list[bytes]:
        """Hashes of all that was ever signed for these slots."""
        with self._database.read() as connection:
            query = select(attempts.c.hash).where(attempts.c.slot_id.in_(slot_ids))
            return [bytes(row.hash) for row in connection.execute(query)]

    # ---- calls

    def _calls_in(self, slot_ids: Sequence[int]) -> dict[int, bytes]:
        """Calls of the operator's on these slots, as they are stored."""
        c = batches.c
        query = select(c.slot_id, c.wire).where(
            c.slot_id.in_(slot_ids),
            c.kind == Kind.CALL.value,
            c.state == BatchState.SEALED.value,
            c.block_number.is_(None),
        )
        with self._database.read() as connection:
            return {slot_id: bytes(wire) for slot_id, wire in connection.execute(query)}

    def _is_shown(self, slot: Any, wire: bytes, final: Block) -> bool:
        """Whether a block shows that another transaction used the nonce, and not for this call."""
        if time.monotonic() - self._asked.get(slot.id, -ASK_AGAIN_S) < ASK_AGAIN_S:
            return False
        try:
            found = self._user_of(bytes(slot.relayer), slot.nonce, final.number)
        except (RpcError, RpcUnavailable) as error:
            log.warning("who used nonce %d cannot be told: %s", slot.nonce, error)
            found = None
        # The same call in other bytes was sent by a book that has forgotten it since.
        if (
            found is not None
            and found.hash not in self._sent([slot.id])
            and call_wire(found.to, found.data) != wire
        ):
            return True
        self._asked[slot.id] = time.monotonic()
        return False

    def _user_of(self, account: bytes, nonce: int, last: int) -> FoundTransaction | None:
        """The transaction that used the nonce, which is used up in block `last`; None: the node
        does not show it.

        Nodes keep the newest states alone: the search begins there, in steps that double. Raises
        RpcError, RpcUnavailable.
        """
        free_at, used_at, step = -1, last, 1
        while used_at > 0 and free_at < 0:
            at = max(last - step, 0)
            if self._chain.transaction_count(account, at) > nonce:
                used_at, step = at, step * 2
            else:
                free_at = at
        while used_at - free_at > 1:
            at = (free_at + used_at) // 2
            if self._chain.transaction_count(account, at) > nonce:
                used_at = at
            else:
                free_at = at
        block = self._chain.rpc.call("eth_getBlockByNumber", [hex(used_at), True]) or {}
        ours = address_of(account).lower()
        for transaction in block.get("transactions", ()):
            if transaction["from"].lower() == ours and int(transaction["nonce"], 16) == nonce:
                return found_transaction(transaction)
        return None

    def _tell(self, undecided: Sequence[Any], told: Mapping[str, bool]) -> None:
        """Incidents of calls that are undecided now; those of others have ended. One that a person
        has acknowledged is not told again.
        """
        subjects = {f"{address_of(bytes(s.relayer))} nonce {s.nonce}" for s in undecided}
        new = sorted(subjects - told.keys())
        over = sorted(s for s, is_open in told.items() if is_open and s not in subjects)
        if not new and not over:
            return
        now = self._clock.now()
        detail = (
            "the nonce of a call is used up in a final block; the node has no receipt of ours, and "
            "shows no other transaction that used it"
        )
        with self._database.write() as connection:
            for subject in new:
                incidents.note(connection, Incident.CALL_UNDECIDED, subject, detail, now)
            for subject in over:
                incidents.end(connection, Incident.CALL_UNDECIDED, subject, now)
