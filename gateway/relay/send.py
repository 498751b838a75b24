"""Fills reserved slots with signed bytes, stores them, and only then offers them to the chain.

What is sent is always what is stored. A time-out says nothing, so the same bytes go again until a
receipt is there; a node that knows them already says so, and that is fine.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway import faults
from gateway.clock import NetworkClock
from gateway.codes import AttemptState, Purpose, SlotState, has, lives
from gateway.custody import Custody
from gateway.database import Database
from gateway.relay import tell
from gateway.relay.chain import Chain, Sent
from gateway.relay.lines import Lines
from gateway.relay.slots import by_slot
from gateway.relay.transactions import Fees, build
from gateway.tables import attempts, batches, nonce_slots
from wallet_sdk.types import Address, digest_bytes

log = logging.getLogger(__name__)

SLOTS_MAX = 32

# Offered bytes that are in no block after so many seconds are offered again: a pool forgets, and
# a transaction under the base fee vanishes without an error.
OFFER_AGAIN_S = 15

_OFFERED = (
    update(attempts)
    .where(attempts.c.id == bindparam("row_id"), attempts.c.state <= AttemptState.OFFERED.value)
    .values(
        state=AttemptState.OFFERED.value,
        offers=attempts.c.offers + 1,
        offered_at=bindparam("now"),
        reason=bindparam("new_reason"),
    )
)


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """Fees from the settings: a fixed cap, or twice the base fee that the node tells."""

    cap_wei: int | None
    tip_wei: int

    def fees(self, chain: Chain) -> Fees:
        """Fees of a new attempt."""
        if self.cap_wei is not None:
            return Fees(self.cap_wei, min(self.tip_wei, self.cap_wei))
        return Fees(2 * chain.base_fee() + self.tip_wei, self.tip_wei)


class Sender:
    """Signs, stores and offers."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        chain: Chain,
        clock: NetworkClock,
        coalition: Address,
        fee_policy: FeePolicy,
    ) -> None:
        self._database = database
        self._custody = custody
        self._chain = chain
        self._clock = clock
        self._coalition = coalition
        self._fee_policy = fee_policy
        # When each attempt was last offered by this process (monotonic seconds). A new process
        # has offered nothing and begins with everything.
        self._offered: dict[int, float] = {}

    def run_once(self, lines: Lines) -> int:
        """Fills and offers. Returns how many transactions were handed over.

        Raises RpcUnavailable; what was stored by then goes out at the next scan.
        """
        while self._fill(lines):
            pass
        return self._offer(lines)

    # ---- fill

    def _fill(self, lines: Lines) -> bool:
        with self._database.read() as connection:
            slots = connection.execute(
                select(nonce_slots)
                .where(
                    lives(nonce_slots.c.state),
                    has(nonce_slots.c.state, SlotState.RESERVED),
                    lines.has(nonce_slots.c.relayer),
                )
                .order_by(nonce_slots.c.id)
                .limit(SLOTS_MAX)
            ).all()
            if not slots:
                return False
            query = select(batches.c.id, batches.c.slot_id, batches.c.kind, batches.c.wire)
            query = query.where(batches.c.slot_id.in_([slot.id for slot in slots]))
            inside = by_slot(connection.execute(query.order_by(batches.c.id)).all())
        fees = self._fee_policy.fees(self._chain)
        rows = [self._sign(slot, inside[slot.id], fees) for slot in slots]
        faults.point("relay.signed_not_stored")
        self._store(rows)
        return len(slots) == SLOTS_MAX

    def _sign(self, slot: Any, inside: Sequence[Any], fees: Fees) -> dict[str, Any]:
        signer = self._custody.signer(bytes(slot.relayer))
        raw, tx_hash = signer.sign_transaction(build(slot, inside, self._coalition, fees))
        return {
            "slot_id": slot.id,
            "purpose": Purpose.PAYLOAD.value,
            "state": AttemptState.SIGNED.value,
            "hash": digest_bytes(tx_hash),
            "raw": raw,
            "fee_cap": fees.cap,
            "tip": fees.tip,
            "signed_at": self._clock.now(),
        }

    def _store(self, rows: Sequence[dict[str, Any]]) -> None:
        with self._database.write() as connection:
            for row in rows:
                # Where another process filled the slot first, its bytes stand and ours are
                # dropped: they have never left.
                filled = connection.execute(
                    update(nonce_slots)
                    .where(
                        nonce_slots.c.id == row["slot_id"],
                        nonce_slots.c.state == SlotState.RESERVED.value,
                    )
                    .values(state=SlotState.FILLED.value, changed_at=row["signed_at"])
                )
                if filled.rowcount == 1:
                    connection.execute(insert(attempts), row)

    # ---- offer

    def _offer(self, lines: Lines) -> int:
        with self._database.read() as connection:
            waiting = connection.execute(
                select(attempts.c.id, attempts.c.slot_id, attempts.c.hash, attempts.c.raw)
                .join(nonce_slots, nonce_slots.c.id == attempts.c.slot_id)
                .where(
                    lives(attempts.c.state),
                    ~has(attempts.c.state, AttemptState.MINED),
                    lines.has(nonce_slots.c.relayer),
                )
                .order_by(nonce_slots.c.relayer, nonce_slots.c.nonce, attempts.c.id)
            ).all()
        self._offered = {a.id: self._offered[a.id] for a in waiting if a.id in self._offered}
        until = time.monotonic() - OFFER_AGAIN_S
        due = [a for a in waiting if self._offered.get(a.id, until) <= until]
        offered = []
        try:
            for attempt in due:
                offered.append(self._hand_over(attempt))
        finally:
            # Also where the node fell silent in the middle: what it has taken is marked.
            if offered:
                faults.point("relay.sent_not_marked")
                with self._database.write() as connection:
                    connection.execute(_OFFERED, offered)
        return len(offered)

    def _hand_over(self, attempt: Any) -> dict[str, Any]:
        faults.point("relay.stored_not_sent")
        with tell.offering(self._database, attempt.slot_id, bytes(attempt.hash)):
            said, message = self._chain.send(bytes(attempt.raw))
        faults.point("relay.sent_reply_not_read")
        self._offered[attempt.id] = time.monotonic()
        if said not in (Sent.TAKEN, Sent.KNOWN, Sent.NONCE_USED):
            # Not a failure of any order: the bytes stay and go again. What is wrong with them
            # (fees, funds) is for a fee bump or a person.
            log.warning("the node did not take a transaction (%s): %s", said.value, message)
        return {"row_id": attempt.id, "now": self._clock.now(), "new_reason": message or None}
