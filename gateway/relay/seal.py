"""Waiting orders into batches, and batches into signed orders.

Two steps, each harmless to repeat. *Open*: one short transaction puts waiting orders into batches
and gives out the nonces, under row locks. *Seal*: the batch is signed outside of any transaction
and the signature stored; until then nothing of it has left the process, so a batch that is found
open after a crash is simply signed (again).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway import faults
from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.codes import BatchState, Kind, State, lives
from gateway.custody import Custody
from gateway.database import Database
from gateway.orders.known import parts
from gateway.relay import causes, gas, tell, waiting
from gateway.relay.signing import HeldBack, Signing
from gateway.statements import Change
from gateway.tables import batches, members, merchants, orders
from wallet_sdk.deployment import Deployment

_STORE = (
    update(batches)
    .where(batches.c.id == bindparam("row_id"), batches.c.state == BatchState.OPEN.value)
    .values(
        state=BatchState.SEALED.value,
        digest=bindparam("new_digest"),
        wire=bindparam("new_wire"),
        deadline=bindparam("new_deadline"),
        reason=None,
        changed_at=bindparam("now"),
    )
)
_HOLD_BACK = (
    update(batches)
    .where(batches.c.id == bindparam("row_id"), batches.c.state == BatchState.OPEN.value)
    .values(reason=bindparam("why"), due_at=bindparam("due"), changed_at=bindparam("now"))
)
_TAKE = Change(
    update(orders)
    .where(orders.c.id == bindparam("order_id"), orders.c.state == State.ACCEPTED.value)
    .values(state=State.BATCHED.value, batch_id=bindparam("into"), changed_at=bindparam("now"))
)


@dataclass(slots=True)
class _NewBatch:
    row: dict[str, Any]
    order_ids: list[int]


class Sealer:
    """Opens and seals batches. One at a time per process; several processes do not disturb."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        clock: NetworkClock,
        deployment: Deployment,
        order_ttl_s: int,
        books: Books,
    ) -> None:
        self._database = database
        self._clock = clock
        self._custody = custody
        self._signing = Signing(database, custody, deployment, order_ttl_s, books)

    def run_once(self) -> int:
        """Opens what waits, seals what is open. Returns how many batches were sealed."""
        while self._open():
            pass
        return self._seal()

    # ---- open

    def _open(self) -> bool:
        """One bounded step; True where more may wait."""
        now = self._clock.now()
        points_max = self._custody.issue_points_max(now)
        with self._database.write() as connection:
            self._database.lock_name(connection, "sealing")
            issues = connection.execute(waiting.WAITING_ISSUES).all()
            of_members = connection.execute(waiting.WAITING_OF_MEMBERS).all()
            new = self._issue_batches(connection, issues, points_max, now)
            new += self._member_batches(connection, of_members, now)
            seldom = connection.execute(waiting.WAITING_SELDOM).all()
            new += self._seldom_batches(connection, seldom, now)
            if not new:
                return False
            # Ids in the order of the oldest order inside: what came first is relayed first.
            new.sort(key=lambda batch: batch.order_ids[0])
            self._store(connection, new, now)
            faults.point("seal.before_commit")
        return (
            len(issues) == waiting.ISSUES_MAX
            or len(of_members) == waiting.ORDERS_MAX
            or len(seldom) == waiting.SELDOM_MAX
        )

    def _store(self, connection: Connection, new: Sequence[_NewBatch], now: int) -> None:
        statement = insert(batches).returning(batches.c.id, sort_by_parameter_order=True)
        numbers = connection.execute(statement, [batch.row for batch in new]).scalars().all()
        alone = []
        for number, batch in zip(numbers, new, strict=True):
            if len(batch.order_ids) == 1:
                alone.append({"order_id": batch.order_ids[0], "into": number, "now": now})
                continue
            for part in parts(batch.order_ids):
                taken = update(orders).where(
                    orders.c.id.in_(part), orders.c.state == State.ACCEPTED.value
                )
                connection.execute(
                    taken.values(state=State.BATCHED.value, batch_id=number, changed_at=now)
                )
        _TAKE(connection, alone)

    def _issue_batches(
        self, connection: Connection, found: Sequence[Any], points_max: int | None, now: int
    ) -> list[_NewBatch]:
        by_merchant: defaultdict[int, defaultdict[int, list[tuple[int, int]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for row in found:
            # Orders whose batches died do not drag fresh ones down with them.
            by_merchant[row.merchant_id][row.voids].append((row.id, row.points))
        new: list[_NewBatch] = []
        c = merchants.c
        for merchant, by_voids in sorted(by_merchant.items()):
            query = select(c.till_key, c.next_nonce).where(c.id == merchant)
            till_key, nonce = connection.execute(self._database.lock_rows(query)).one()
            pieces = [
                piece
                for voids, lines in sorted(by_voids.items())
                for piece in cut(lines, causes.entries_max(voids), points_max)
            ]
            for offset, piece in enumerate(pieces):
                batch = _row(Kind.ISSUE, bytes(till_key), nonce + offset, len(piece), now)
                batch |= {"merchant_id": merchant, "gas": gas.of_order(Kind.ISSUE, len(piece))}
                new.append(_NewBatch(batch, piece))
            connection.execute(
                update(merchants).where(c.id == merchant).values(next_nonce=nonce + len(pieces))
            )
        return new

    def _seldom_batches(
        self, connection: Connection, found: Sequence[Any], now: int
    ) -> list[_NewBatch]:
        """One order a batch: refunds and returns by the till, withdrawals by the owner."""
        new: list[_NewBatch] = []
        c = merchants.c
        for order in found:
            kind = Kind(order.kind)
            by_owner = kind is Kind.WITHDRAW
            signer, nonce = (
                (c.owner, c.next_owner_nonce) if by_owner else (c.till_key, c.next_nonce)
            )
            query = self._database.lock_rows(select(signer, nonce).where(c.id == order.merchant_id))
            address, number = connection.execute(query).one()
            batch = _row(kind, bytes(address), number, 1, now)
            batch |= {"merchant_id": order.merchant_id, "gas": gas.of_order(kind)}
            new.append(_NewBatch(batch, [order.id]))
            connection.execute(
                update(merchants).where(c.id == order.merchant_id).values({nonce.name: number + 1})
            )
        return new

    def _member_batches(
        self, connection: Connection, found: Sequence[Any], now: int
    ) -> list[_NewBatch]:
        by_member: defaultdict[int, list[Any]] = defaultdict(list)
        for row in found:
            by_member[row.member_id].append(row)
        new: list[_NewBatch] = []
        c = members.c
        for part in parts(sorted(by_member)):
            query = select(c.id, c.address, c.nonce_highest).where(c.id.in_(part)).order_by(c.id)
            locked = connection.execute(self._database.lock_rows(query)).all()
            live = self._live_nonces(connection, part)
            for member in locked:
                mine = by_member[member.id]
                free = free_nonces(member.nonce_highest, live[member.id], len(mine))
                for order, nonce in zip(mine, free, strict=False):
                    kind = Kind(order.kind)
                    batch = _row(kind, bytes(member.address), nonce, 1, now)
                    batch |= {"member_id": member.id, "gas": gas.of_order(kind)}
                    if kind is Kind.REDEEM:
                        batch["merchant_id"] = order.merchant_id
                    new.append(_NewBatch(batch, [order.id]))
        return new

    def _live_nonces(
        self, connection: Connection, member_ids: Sequence[int]
    ) -> defaultdict[int, set[int]]:
        query = select(batches.c.member_id, batches.c.nonce).where(
            batches.c.member_id.in_(member_ids), lives(batches.c.state)
        )
        live: defaultdict[int, set[int]] = defaultdict(set)
        for member_id, nonce in connection.execute(query):
            live[member_id].add(nonce)
        return live

    # ---- seal

    def _seal(self) -> int:
        sealed = 0
        while True:
            signed, held_back = self._signing.sign_open(self._clock.now())
            if held_back:
                self._hold_back(held_back)
            if not signed:
                return sealed
            faults.point("seal.signed_not_stored")
            now = self._clock.now()
            with self._database.write() as connection:
                # Where another process was quicker the row is no longer open, and this signature
                # is dropped: it has never left.
                connection.execute(
                    _STORE,
                    [
                        {
                            "row_id": s.batch_id,
                            "new_digest": s.digest,
                            "new_wire": s.wire,
                            "new_deadline": s.deadline,
                            "now": now,
                        }
                        for s in signed
                    ],
                )
            sealed += len(signed)
            faults.point("seal.sealed")
            for s in signed:
                tell.sealed(s.batch_id, s.orders)

    def _hold_back(self, held_back: Sequence[HeldBack]) -> None:
        """Its key would not sign it (a cap, a rule): it stays open and lets others pass."""
        now = self._clock.now()
        rows = [
            {"row_id": h.batch_id, "why": h.reason, "due": h.due_at, "now": now} for h in held_back
        ]
        with self._database.write() as connection:
            connection.execute(_HOLD_BACK, rows)


def cut(
    lines: Sequence[tuple[int, int]], entries_max: int, points_max: int | None
) -> list[list[int]]:
    """Orders (row number, points) in pieces of one batch each, in their order.

    A piece over the cap of a till key's day could never be signed; an order that is over it alone
    stands alone, and waits for a higher cap.
    """
    pieces: list[list[int]] = []
    sum_ = 0
    for order_id, points in lines:
        full = pieces and len(pieces[-1]) == entries_max
        if not pieces or full or (points_max is not None and sum_ + points > points_max):
            pieces.append([])
            sum_ = 0
        pieces[-1].append(order_id)
        sum_ += points
    return pieces


def free_nonces(highest: int, live: set[int], wanted: int) -> list[int]:
    """Up to `wanted` nonces that a member may sign now, lowest first.

    `highest`: the highest one that a final block used up; `live`: those of batches that may still
    take effect. The chain takes a nonce at most 6 above the highest used, and remembers the five
    below it one by one: a nonce must not outrun the lowest live one by more than that.
    """
    lowest = min(live, default=highest + 1)
    last = min(highest + waiting.NONCE_REACH, lowest + waiting.NONCE_REACH - 1)
    return [n for n in range(highest + 1, last + 1) if n not in live][:wanted]


def _row(kind: Kind, signer: bytes, nonce: int, order_count: int, now: int) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "state": BatchState.OPEN.value,
        "signer": signer,
        "merchant_id": None,
        "member_id": None,
        "nonce": nonce,
        "order_count": order_count,
        "created_at": now,
        "changed_at": now,
    }
