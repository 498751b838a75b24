"""Fills reserved slots with signed bytes, stores them, and only then offers them to the chain.

What is sent is always what is stored. A time-out says nothing, so the same bytes go again until a
receipt is there; a node that knows them already says so, and that is fine.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway import faults
from gateway.clock import NetworkClock
from gateway.codes import AttemptState, Purpose, SlotState, has, lives
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import CustodyError, NotReady
from gateway.relay import reorg, tell
from gateway.relay.chain import Chain, Sent
from gateway.relay.fees import FeePolicy
from gateway.relay.lines import Lines
from gateway.relay.replace import Replacer, sign, still_inside
from gateway.relay.slots import by_slot
from gateway.relay.transactions import Fees
from gateway.relay.unsigned import Unsigned
from gateway.tables import attempts, nonce_slots
from wallet_sdk.types import Address

log = logging.getLogger(__name__)

SLOTS_MAX = 32

# Offered bytes that are in no block after so many seconds are offered again: a pool forgets, and
# a transaction under the base fee vanishes without an error.
OFFER_AGAIN_S = 15

# The head of a line that is in no block after so many seconds of network time is outbid.
BUMP_AFTER_S = 45

TAKEN = (Sent.TAKEN, Sent.KNOWN, Sent.NONCE_USED)

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
        bump_after_s: int = BUMP_AFTER_S,
    ) -> None:
        self._database = database
        self._custody = custody
        self._chain = chain
        self._clock = clock
        self._coalition = coalition
        self._fee_policy = fee_policy
        self._unsigned = Unsigned()
        self._replacer = Replacer(
            database, custody, chain, clock, coalition, fee_policy, bump_after_s, self._unsigned
        )
        # When each attempt was last offered by this process (monotonic seconds). A new process
        # has offered nothing and begins with everything.
        self._offered: dict[int, float] = {}
        # Attempts that the node said nothing to when they were offered last.
        self._unanswered: set[int] = set()

    def run_once(self, lines: Lines) -> int:
        """Fills, outbids what is too cheap, offers. Returns how many transactions were handed over.

        Raises RpcUnavailable; what was stored by then goes out at the next scan.
        """
        while self._fill(lines):
            pass
        self._replacer.run_once(lines)
        return self._offer(lines)

    # ---- fill

    def _fill(self, lines: Lines) -> bool:
        """True where more may wait: on lines whose key signs now."""
        with self._database.read() as connection:
            slots = connection.execute(
                select(nonce_slots)
                .where(
                    lives(nonce_slots.c.state),
                    has(nonce_slots.c.state, SlotState.RESERVED),
                    lines.has(nonce_slots.c.relayer),
                    nonce_slots.c.relayer.not_in(self._unsigned.accounts()),
                )
                .order_by(nonce_slots.c.id)
                .limit(SLOTS_MAX)
            ).all()
            if not slots:
                return False
            inside = by_slot(still_inside(connection, [slot.id for slot in slots]))
        fees, now = self._fee_policy.fees(self._chain), self._clock.now()
        rows, elsewhere, unsigned = [], set[bytes](), set[bytes]()
        for slot in slots:
            account = bytes(slot.relayer)
            if account in unsigned:
                # Asked once a pass: the answer would be the same, and a silence costs time.
                continue
            try:
                rows.append(self._sign(slot, inside[slot.id], fees, now))
            except (CustodyError, NotReady) as error:
                unsigned.add(account)
                if self._unsigned.note(slot, error, now) and account in lines.pool:
                    elsewhere.add(account)
        faults.point("relay.signed_not_stored")
        self._store(rows)
        done = {row["slot_id"] for row in rows}
        left = [s.id for s in slots if bytes(s.relayer) in elsewhere and s.id not in done]
        self._hand_on(lines, left, now)
        return len(slots) == SLOTS_MAX

    def _hand_on(self, lines: Lines, slot_ids: Sequence[int], now: int) -> None:
        """What waits on these nonces goes to the other relayers, as far as there are any; no bytes
        with it were signed. The nonces are used up by no-ops once their key signs again.
        """
        if slot_ids and len(lines.pool) > 1:
            with self._database.settle() as connection:
                reorg.relieve(connection, slot_ids, now)

    def _sign(self, slot: Any, inside: Sequence[Any], fees: Fees, now: int) -> dict[str, Any]:
        # What it was reserved for may have ended meanwhile; the nonce still has to be used up.
        purpose = Purpose.PAYLOAD if inside else Purpose.NOOP
        return sign(self._custody, slot, inside, self._coalition, fees, purpose, now)

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
                .order_by(nonce_slots.c.relayer, nonce_slots.c.nonce, attempts.c.id.desc())
            ).all()
        self._offered = {a.id: self._offered[a.id] for a in waiting if a.id in self._offered}
        self._unanswered &= {attempt.id for attempt in waiting}
        until = time.monotonic() - OFFER_AGAIN_S
        offered = []
        # What a node did not answer to comes last: the others do not wait behind it again.
        slots = sorted(by_slot(waiting).values(), key=lambda s: s[0].id in self._unanswered)
        try:
            for newest_first in slots:
                if self._offered.get(newest_first[0].id, until) <= until:
                    offered += self._hand_over_one(newest_first)
        finally:
            # Also where the node fell silent in the middle: what it has taken is marked.
            if offered:
                faults.point("relay.sent_not_marked")
                with self._database.write() as connection:
                    connection.execute(_OFFERED, offered)
        return len(offered)

    def _hand_over_one(self, newest_first: Sequence[Any]) -> list[dict[str, Any]]:
        """The newest attempt of a slot; where a node does not take it (funds), the ones before."""
        offered = []
        for attempt in newest_first:
            said, row = self._hand_over(attempt)
            offered.append(row)
            if said in TAKEN:
                break
        return offered

    def _hand_over(self, attempt: Any) -> tuple[Sent, dict[str, Any]]:
        faults.point("relay.stored_not_sent")
        with tell.offering(self._database, attempt.slot_id, bytes(attempt.hash)):
            # Until it has answered, by whatever way it falls silent.
            self._unanswered.add(attempt.id)
            said, message = self._chain.send(bytes(attempt.raw))
            self._unanswered.discard(attempt.id)
        faults.point("relay.sent_reply_not_read")
        self._offered[attempt.id] = time.monotonic()
        if said not in TAKEN:
            # Not a failure of any order: the bytes stay and go again. What is wrong with them
            # (fees, funds) is for a fee bump or a person.
            log.warning("the node did not take a transaction (%s): %s", said.value, message)
        row = {"row_id": attempt.id, "now": self._clock.now(), "new_reason": message or None}
        return said, row
