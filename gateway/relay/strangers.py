"""A relayer's nonce that somebody else used: noticed in a final block, never guessed."""

from collections.abc import Sequence

from sqlalchemy import select

from gateway.clock import NetworkClock
from gateway.codes import AttemptState, has, lives
from gateway.database import Database
from gateway.relay import reorg
from gateway.relay.chain import Block, Chain
from gateway.tables import attempts, nonce_slots


class Strangers:
    """Looks for slots whose nonce is used up in a final block without any of our bytes in it."""

    def __init__(
        self, database: Database, chain: Chain, clock: NetworkClock, coalition: bytes
    ) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._coalition = coalition

    def run_once(self, final: Block) -> int:
        """Gives such slots up. Returns how many. Raises RpcUnavailable."""
        c, a = nonce_slots.c, attempts.c
        mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
        with self._database.read() as connection:
            query = select(c.id, c.relayer, c.nonce).where(lives(c.state), c.id.not_in(mined))
            unmined = connection.execute(query).all()
        if not unmined:
            return 0
        relayers = {bytes(slot.relayer) for slot in unmined}
        used = {r: self._chain.transaction_count(r, final.hash) for r in relayers}
        lost = [slot for slot in unmined if slot.nonce < used[bytes(slot.relayer)]]
        if not lost or self._some_mined([slot.id for slot in lost]):
            return 0
        with self._database.settle() as connection:
            return reorg.give_up_slots(connection, lost, self._clock.now())

    def _some_mined(self, slot_ids: Sequence[int]) -> bool:
        """Whether a receipt came in after all (the count may be younger than our first look)."""
        with self._database.read() as connection:
            query = select(attempts.c.hash).where(attempts.c.slot_id.in_(slot_ids))
            hashes = [bytes(row.hash) for row in connection.execute(query)]
        return any(r is not None for r in self._chain.receipts(hashes, self._coalition))
