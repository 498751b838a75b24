"""Replacements: the same payload at a higher fee, or a no-op where the payload has no use any more.

A replacement belongs to the slot, as one more attempt, stored before it is sent like any other.
Whichever of the slot's attempts is mined ends the slot; the others can then never be.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from gateway import faults
from gateway.clock import NetworkClock
from gateway.codes import AttemptState, BatchState, Purpose, SlotState, has, lives
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import CustodyError, NotReady
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.relay.lines import Lines
from gateway.relay.slots import by_slot
from gateway.relay.transactions import Fees, build
from gateway.relay.unsigned import Unsigned
from gateway.tables import attempts, batches, nonce_slots
from wallet_sdk.types import Address, address_of, digest_bytes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A slot with signed bytes in no block: its newest attempt, and what it still carries."""

    slot: Any
    newest: Any
    inside: Sequence[Any]
    is_head: bool


class Replacer:
    """Looks at slots that wait for a block, and outbids their attempts where that helps."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        chain: Chain,
        clock: NetworkClock,
        coalition: Address,
        policy: FeePolicy,
        bump_after_s: int,
        unsigned: Unsigned,
    ) -> None:
        self._unsigned = unsigned
        self._database = database
        self._custody = custody
        self._chain = chain
        self._clock = clock
        self._coalition = coalition
        self._policy = policy
        self._bump_after_s = bump_after_s
        self._at_the_cap: set[int] = set()

    def run_once(self, lines: Lines) -> int:
        """Returns how many replacements were stored. Raises RpcUnavailable, LeaseLost."""
        if self._policy.is_free:
            # Nothing is too cheap where all is free, and a pool takes no second one at that price.
            return 0
        with self._database.read() as connection:
            waiting = self._waiting(connection, lines)
        self._at_the_cap &= {one.newest.id for one in waiting}
        if not waiting:
            return 0
        base_fee, now = self._chain.base_fee(), self._clock.now()
        rows = [row for one in waiting if (row := self._replacement(one, base_fee, now))]
        if not rows:
            return 0
        faults.point("relay.bump_signed_not_stored")
        with self._database.write() as connection:
            for row in rows:
                if self._is_still_newest(connection, row):
                    connection.execute(insert(attempts), row["row"])
        faults.point("relay.bump_stored_not_sent")
        return len(rows)

    def _waiting(self, connection: Connection, lines: Lines) -> list[_Waiting]:
        s, a = nonce_slots.c, attempts.c
        mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
        query = (
            select(nonce_slots)
            .where(
                lives(s.state),
                has(s.state, SlotState.FILLED),
                lines.has(s.relayer),
                s.id.not_in(mined),
            )
            .order_by(s.relayer, s.nonce)
        )
        slots = connection.execute(query).all()
        slot_ids = [slot.id for slot in slots]
        newest = {
            attempt.slot_id: attempt
            for attempt in connection.execute(
                select(attempts).where(a.slot_id.in_(slot_ids), lives(a.state)).order_by(a.id)
            )
        }
        inside = by_slot(still_inside(connection, slot_ids))
        heads: dict[bytes, int] = {}
        for slot in slots:
            heads.setdefault(bytes(slot.relayer), slot.id)
        return [
            _Waiting(s, newest[s.id], inside[s.id], heads[bytes(s.relayer)] == s.id)
            for s in slots
            if s.id in newest
        ]

    def _replacement(self, one: _Waiting, base_fee: int, now: int) -> dict[str, Any] | None:
        newest = one.newest
        if bytes(one.slot.relayer) in self._unsigned.accounts():
            return None
        if not one.inside and newest.purpose != Purpose.NOOP:
            purpose, why = Purpose.NOOP, "what it carried has come to its end otherwise"
        else:
            purpose = Purpose.BUMP if one.inside else Purpose.NOOP
            waited = now - newest.signed_at
            if newest.fee_cap < base_fee:
                why = f"the base fee is {base_fee}"
            elif one.is_head and waited >= self._bump_after_s:
                # Only the lowest nonce of a line: the others wait for it, not for a better price.
                why = f"in no block for {waited} s"
            else:
                return None
        before = Fees(newest.fee_cap, newest.tip)
        fees = self._policy.replacement(before, base_fee)
        where = f"nonce {one.slot.nonce} of {address_of(bytes(one.slot.relayer))}"
        if fees is None:
            if newest.id not in self._at_the_cap:
                # Once an attempt: this may go on for hours, and mends itself.
                self._at_the_cap.add(newest.id)
                log.warning("%s: %s, and the fee cap allows no more than it offers", where, why)
            return None
        log.info(
            "%s: %s, by %d instead of %d wei a gas: %s",
            where,
            purpose.name.lower(),
            fees.cap,
            before.cap,
            why,
        )
        try:
            row = sign(self._custody, one.slot, one.inside, self._coalition, fees, purpose, now)
        except (CustodyError, NotReady) as error:
            self._unsigned.note(one.slot, error, now)
            return None
        return {"slot_id": one.slot.id, "newest": newest.id, "row": row}

    def _is_still_newest(self, connection: Connection, row: dict[str, Any]) -> bool:
        a = attempts.c
        newest, state = connection.execute(
            select(func.max(a.id), nonce_slots.c.state)
            .join(nonce_slots, nonce_slots.c.id == a.slot_id)
            .where(a.slot_id == row["slot_id"])
            .group_by(nonce_slots.c.state)
        ).one()
        return bool(newest == row["newest"] and state == SlotState.FILLED)


def still_inside(connection: Connection, slot_ids: Sequence[int]) -> Sequence[Any]:
    """Batches on these slots that have not come to their end otherwise, oldest first."""
    c = batches.c
    query = select(c.id, c.slot_id, c.kind, c.wire).where(
        c.slot_id.in_(slot_ids), c.state == BatchState.SEALED.value, c.block_number.is_(None)
    )
    return connection.execute(query.order_by(c.id)).all()


def sign(
    custody: Custody,
    slot: Any,
    inside: Sequence[Any],
    coalition: Address,
    fees: Fees,
    purpose: Purpose,
    now: int,
) -> dict[str, Any]:
    """The row of an attempt on this slot, its bytes signed. Nothing is stored or sent here."""
    signer = custody.signer(bytes(slot.relayer))
    raw, tx_hash = signer.sign_transaction(build(slot, inside, coalition, fees))
    return {
        "slot_id": slot.id,
        "purpose": purpose.value,
        "state": AttemptState.SIGNED.value,
        "hash": digest_bytes(tx_hash),
        "raw": raw,
        "fee_cap": fees.cap,
        "tip": fees.tip,
        "signed_at": now,
    }
