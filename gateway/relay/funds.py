"""Relayers' balances: who cannot pay for a full transaction is set aside until it is funded.

A drained relayer gets no new work. What waits on its nonces goes to the others, as far as there
are any; its nonces are used up by no-ops once it can pay again.
"""

import logging
import time
from collections.abc import Sequence

from sqlalchemy import insert, select, update

from gateway.clock import NetworkClock
from gateway.codes import AttemptState, SlotState, has, lives
from gateway.database import Database
from gateway.relay import incidents, reorg
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.relay.gas import TRANSACTION_GAS_MAX
from gateway.relay.incidents import Incident
from gateway.relay.lines import Lines
from gateway.tables import attempts, nonce_slots, relayers
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

# Seconds between two looks at the balances: a relayer has coin for more than one transaction.
LOOK_EVERY_S = 15.0


class Funds:
    """Looks at balances and knows who is set aside."""

    def __init__(
        self, database: Database, chain: Chain, clock: NetworkClock, policy: FeePolicy
    ) -> None:
        self._database = database
        self._chain = chain
        self._clock = clock
        self._policy = policy
        self._looked_at = float("-inf")

    def run_once(self, lines: Lines) -> frozenset[bytes]:
        """The relayers of the pool that are set aside. Raises RpcUnavailable, LeaseLost."""
        if self._policy.is_free or not lines.fences:
            return frozenset()
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._look(list(lines.fences))
            self._looked_at = time.monotonic()
        return self._set_aside(lines)

    def look_again(self) -> None:
        """A node spoke of missing funds: do not wait for the next look."""
        self._looked_at = float("-inf")

    def _set_aside(self, lines: Lines) -> frozenset[bytes]:
        c = relayers.c
        with self._database.read() as connection:
            found = connection.execute(select(c.address).where(c.set_aside_at.is_not(None)))
            return frozenset(bytes(a) for a in found.scalars()) & frozenset(lines.pool)

    def _look(self, watched: Sequence[bytes]) -> None:
        needed = self._policy.fees(self._chain).cap * TRANSACTION_GAS_MAX
        balances = self._chain.balances(watched)
        now = self._clock.now()
        c = relayers.c
        with self._database.write() as connection:
            before = {
                bytes(row.address): row.set_aside_at
                for row in connection.execute(select(relayers).where(c.address.in_(watched)))
            }
            for address in watched:
                balance = balances[address]
                drained = balance < needed
                since = (before.get(address) or now) if drained else None
                values = {
                    "balance_wei": str(balance),
                    "needed_wei": str(needed),
                    "checked_at": now,
                    "set_aside_at": since,
                }
                if address in before:
                    connection.execute(update(relayers).where(c.address == address).values(values))
                else:
                    connection.execute(insert(relayers), {"address": address, **values})
                named = address_of(address)
                if drained:
                    told = f"holds {balance} wei, a full transaction may cost {needed}"
                    incidents.note(connection, Incident.RELAYER_DRAINED, named, told, now)
                elif before.get(address) is not None:
                    log.warning("relayer %s is funded again", named)
                    incidents.end(connection, Incident.RELAYER_DRAINED, named, now)

    def hand_over(self, lines: Lines) -> int:
        """Takes what waits on the nonces of drained relayers off them, where others can pay.

        Should a drained relayer's transaction be mined after all, its orders count once: on chain
        by their own nonces, here by the mirror. Returns how many slots were relieved.
        """
        drained = lines.set_aside & lines.fences.keys()
        if not drained or lines.set_aside.issuperset(lines.pool):
            return 0
        s, a = nonce_slots.c, attempts.c
        mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
        with self._database.settle() as connection:
            query = select(s.id).where(
                lives(s.state),
                has(s.state, SlotState.FILLED),
                s.relayer.in_(list(drained)),
                s.id.not_in(mined),
            )
            slot_ids = list(connection.execute(query).scalars())
            return reorg.relieve(connection, slot_ids, self._clock.now())
