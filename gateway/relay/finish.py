"""The ends of a batch: final with its effects on rows, or void with its orders free again.

Holds are released in the very transaction that ends the order, so no crash lies between the two.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, select, update

from gateway import faults
from gateway.codes import (
    HOLDS_MONEY,
    HOLDS_POINTS,
    AttemptState,
    BatchState,
    Kind,
    SlotState,
    State,
    has,
    lives,
)
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.tables import attempts, batches, members, merchants, nonce_slots, orders
from gateway.webhooks.events import Event

log = logging.getLogger(__name__)

_RELEASE_MONEY = (
    update(merchants)
    .where(merchants.c.id == bindparam("row_id"))
    .values(held=merchants.c.held - bindparam("amount"), releases=merchants.c.releases + 1)
)
_RELEASE_POINTS = (
    update(members)
    .where(members.c.id == bindparam("row_id"))
    .values(held=members.c.held - bindparam("amount"), releases=members.c.releases + 1)
)
_NONCE_USED = (
    update(members)
    .where(members.c.id == bindparam("row_id"), members.c.nonce_highest < bindparam("nonce"))
    .values(nonce_highest=bindparam("nonce"))
)
_JOINED = (
    update(members).where(members.c.id == bindparam("row_id")).values(joined_at=bindparam("at"))
)


def finalize(connection: Connection, number: int, block_hash: bytes, now: int) -> int:
    """Everything that the block holds is final. Returns how many orders that were."""
    in_block = (batches.c.block_number == number, batches.c.block_hash == block_hash)
    c = batches.c
    done = connection.execute(
        select(c.id, c.kind, c.member_id, c.merchant_id, c.nonce, c.label).where(
            lives(c.state), has(c.state, BatchState.SEALED), *in_block
        )
    ).all()
    batch_ids = [batch.id for batch in done]
    inside = [orders.c.batch_id.in_(part) for part in parts(batch_ids)]
    used = [b.member_id for b in done if b.member_id]
    registered = [b.merchant_id for b in done if b.label == REGISTER]
    release(connection, inside, merchants_too=registered, members_too=used)
    faults.point("settle.before_release")
    count = 0
    for which in inside:
        open_ones = and_(which, orders.c.state < State.FINAL.value)
        count += move(connection, open_ones, Event.FINAL, now, state=State.FINAL.value)
    for part in parts(batch_ids):
        connection.execute(
            update(batches)
            .where(c.id.in_(part))
            .values(state=BatchState.DONE.value, changed_at=now)
        )
    _note_effects(connection, done, now)
    _end_slots(connection, number, block_hash, now)
    return count


def release(
    connection: Connection,
    which: Sequence[ColumnElement[bool]],
    *,
    merchants_too: Sequence[int] = (),
    members_too: Sequence[int] = (),
) -> None:
    """Takes what the open orders of each of `which` hold off their merchants' and members' totals.

    All sums first, then merchants, then members, each by number, before any order: the order in
    which everybody locks these rows. The caller will write to those of `merchants_too` and
    `members_too` as well.
    """
    money: Counter[int] = Counter()
    points: Counter[int] = Counter()
    c = orders.c
    for part in which:
        for sums, owner, kinds in (
            (money, c.merchant_id, HOLDS_MONEY),
            (points, c.member_id, HOLDS_POINTS),
        ):
            query = (
                select(owner, func.sum(c.hold))
                .where(part, c.state < State.FINAL.value, c.kind.in_(kinds))
                .group_by(owner)
            )
            for row_id, amount in connection.execute(query):
                sums[row_id] += int(amount)
    for table, statement, sums, too in (
        (merchants, _RELEASE_MONEY, money, merchants_too),
        (members, _RELEASE_POINTS, points, members_too),
    ):
        if not sums.keys() >= set(too):
            row = table.c.id
            for numbers in parts(sorted({*sums, *too})):
                query = select(row).where(row.in_(numbers)).order_by(row).with_for_update()
                connection.execute(query).all()
        if sums:
            rows = [{"row_id": row_id, "amount": amount} for row_id, amount in sorted(sums.items())]
            connection.execute(statement, rows)


def _note_effects(connection: Connection, done: Sequence[Any], now: int) -> None:
    """What the end of a batch means beyond its orders: nonces, memberships, registrations."""
    used = [
        {"row_id": b.member_id, "nonce": b.nonce}
        for b in done
        if b.member_id and b.nonce is not None
    ]
    if used:
        connection.execute(_NONCE_USED, used)
    joined = [{"row_id": b.member_id, "at": now} for b in done if b.kind == Kind.JOIN]
    if joined:
        connection.execute(_JOINED, joined)
    registered = [b.merchant_id for b in done if b.label == REGISTER]
    if registered:
        connection.execute(update(merchants).where(merchants.c.id.in_(registered)).values(state=1))


REJECTED, CANCELLED = "rejected_on_chain", "cancelled"
"""Why an order failed: the chain would never take it, or somebody took it back."""

REGISTER = "register merchant"
"""The label of the call that registers a merchant; its end makes the merchant active."""


def _end_slots(connection: Connection, number: int, block_hash: bytes, now: int) -> None:
    c = attempts.c
    mined = select(c.slot_id).where(
        lives(c.state),
        has(c.state, AttemptState.MINED),
        c.block_number == number,
        c.block_hash == block_hash,
    )
    slot_ids = list(connection.execute(mined).scalars())
    for part in parts(slot_ids):
        _bury_calls(connection, part, now)
        connection.execute(
            update(attempts)
            .where(c.slot_id.in_(part), c.state == AttemptState.MINED.value)
            .values(state=AttemptState.FINAL.value)
        )
        connection.execute(
            update(attempts)
            .where(c.slot_id.in_(part), c.state < AttemptState.FINAL.value)
            .values(state=AttemptState.SUPERSEDED.value)
        )
        connection.execute(
            update(nonce_slots)
            .where(nonce_slots.c.id.in_(part))
            .values(state=SlotState.OURS.value, changed_at=now)
        )


def _bury_calls(connection: Connection, slot_ids: Sequence[int], now: int) -> None:
    """Calls of the operator's that were mined on these nonces and had no effect: reverted. They are
    over, and a person has to look.
    """
    c = batches.c
    reverted = and_(
        c.slot_id.in_(slot_ids),
        c.state == BatchState.SEALED.value,
        c.block_number.is_(None),
        c.kind == Kind.CALL.value,
    )
    for label in connection.execute(select(c.label).where(reverted)).scalars():
        log.error("the call %r was mined and reverted", label)
    connection.execute(
        update(batches)
        .where(reverted)
        .values(state=BatchState.VOID.value, reason="reverted", changed_at=now)
    )


def void_open(
    connection: Connection, batch_id: int, reason: str, now: int, *, charged: bool = False
) -> None:
    """An unsigned batch is taken apart: its orders wait again, its nonce is left out.

    `charged`: its key was charged for it all the same.
    """
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id)
        .values(state=BatchState.VOID.value, reason=reason, changed_at=now)
    )
    back: dict[str, Any] = {"state": State.ACCEPTED.value, "batch_id": None}
    if charged:
        back["signed_before"] = True
    inside = and_(orders.c.batch_id == batch_id, orders.c.state < State.FINAL.value)
    move(connection, inside, Event.DELAYED, now, **back)


def bury(
    connection: Connection,
    batch_id: int,
    reason: str,
    failed: Sequence[int],
    now: int,
    *,
    counts: bool = True,
) -> int:
    """A batch is proven dead: its orders wait again, save those in `failed` (row numbers).

    `counts`: its death is held against its orders. Returns how many orders failed.
    """
    voided = connection.execute(
        update(batches)
        .where(batches.c.id == batch_id, batches.c.state == BatchState.SEALED.value)
        .values(state=BatchState.VOID.value, reason=reason, changed_at=now)
    )
    if voided.rowcount != 1:
        return 0
    c = orders.c
    dead = [
        and_(c.id.in_(part), c.batch_id == batch_id, c.state < State.FINAL.value)
        for part in parts(list(failed))
    ]
    release(connection, dead)
    count = 0
    for which in dead:
        count += move(
            connection,
            which,
            Event.FAILED,
            now,
            state=State.FAILED.value,
            failure=case((c.cancel_asked_at.is_not(None), CANCELLED), else_=REJECTED),
            failure_detail=reason,
        )
    move(
        connection,
        and_(c.batch_id == batch_id, c.state < State.FINAL.value),
        Event.DELAYED,
        now,
        state=State.ACCEPTED.value,
        batch_id=None,
        voids=c.voids + int(counts),
        signed_before=True,
    )
    return count
