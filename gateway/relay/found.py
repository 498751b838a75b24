"""Orders that are on the chain and not in the book, written into it: `found on chain`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from gateway import ids
from gateway.codes import BatchState, Kind, State, has, lives
from gateway.database import Database
from gateway.orders.known import parts
from gateway.orders.moves import move
from gateway.relay.finish import void_open
from gateway.relay.matching import Salted, Waiting, identify, shows
from gateway.relay.onchain import FoundOrder
from gateway.relay.wallets import FOUND
from gateway.relay.wishes import member_of, wishes_of
from gateway.tables import batches, members, merchants, orders
from gateway.webhooks.events import Event
from indexer.queries import Effect
from wallet_sdk.orders import Redeem, decode
from wallet_sdk.types import digest_bytes, from_hex


@dataclass(slots=True)
class Written:
    """What was written, for the report. `orders_assumed`: those of the matched ones that the chain
    only shows to be equal.
    """

    batches: int = 0
    orders_matched: int = 0
    orders_assumed: list[str] = field(default_factory=list)
    orders_found: int = 0
    merchants_unknown: set[int] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)


class FoundWriter:
    """Writes found orders, each in a transaction of its own."""

    def __init__(self, database: Database, salted: Salted) -> None:
        self._database = database
        self._salted = salted

    def write(self, one: FoundOrder, now: int, written: Written) -> None:
        """The order as a batch that is in its block, with its orders; then the usual way."""
        order = one.order
        if order is None:
            written.unreadable.append("0x" + one.digest.hex())
            return
        with self._database.settle() as connection:
            row = self._batch_row(connection, one, now, written)
            if row is None:
                return
            wishes = wishes_of(connection, row, one)
            if self._close_open(connection, row, one, wishes, now):
                written.batches += 1
                return
            number = connection.execute(insert(batches).returning(batches.c.id), row).scalar_one()
            written.batches += 1
            self._keep_nonce(connection, row)
            self._fill(connection, number, row, wishes, one, now, written)

    def _close_open(
        self,
        connection: Connection,
        row: dict[str, Any],
        one: FoundOrder,
        wishes: Sequence[dict[str, Any]],
        now: int,
    ) -> bool:
        """The batch was opened before the backup, and signed after it: its orders are these.

        A book that worked on after it had forgotten something has given the same nonce out anew:
        then its batch can never take effect, and its orders wait again.
        """
        c = batches.c
        by_merchant = and_(c.merchant_id == row["merchant_id"], c.member_id.is_(None))
        who = by_merchant if row["member_id"] is None else c.member_id == row["member_id"]
        query = select(c.id, c.kind).where(
            lives(c.state), has(c.state, BatchState.OPEN), who, c.nonce == row["nonce"]
        )
        batch = connection.execute(query).one_or_none()
        if batch is None:
            return False
        number = batch.id
        inside = self._orders(connection, orders.c.batch_id == number)
        same = [w.key for w in inside] == [wish["key"] for wish in wishes]
        shown = [self._salted(w.merchant, w.reference) for w in inside]
        if batch.kind != row["kind"] or not same or shows(one.order, shown) is False:
            void_open(connection, number, "its nonce was used by a forgotten order", now)
            return False
        connection.execute(
            update(batches)
            .where(c.id == number)
            .values(
                state=BatchState.SEALED.value,
                digest=one.digest,
                wire=one.wire,
                deadline=getattr(one.order, "deadline", None),
                reason=FOUND,
                changed_at=now,
                **_place(one.effect),
            )
        )
        which = and_(orders.c.batch_id == number, orders.c.state < State.INCLUDED.value)
        move(connection, which, Event.INCLUDED, now, state=State.INCLUDED.value)
        return True

    def _batch_row(
        self, connection: Connection, one: FoundOrder, now: int, written: Written
    ) -> dict[str, Any] | None:
        order = one.order
        assert order is not None
        merchant = getattr(order, "merchant", None) or None
        row = {
            "kind": int(order.KIND),
            "state": BatchState.SEALED.value,
            "merchant_id": merchant,
            "member_id": None,
            "nonce": getattr(order, "nonce", None),
            "deadline": getattr(order, "deadline", None),
            "digest": one.digest,
            "wire": one.wire,
            "reason": FOUND,
            "created_at": one.effect.time,
            "changed_at": now,
            **_place(one.effect),
        }
        member = member_of(one)
        if member is not None:
            query = select(members.c.id).where(members.c.address == member)
            row["member_id"] = connection.execute(query).scalar_one_or_none()
            row["signer"] = member
            # A wallet of somebody else's: the chain is open to anyone, and this is not ours.
            return row if row["member_id"] is not None else None
        query = select(merchants.c.till_key).where(merchants.c.id == merchant)
        till_key = connection.execute(query).scalar_one_or_none()
        if till_key is None:
            written.merchants_unknown.add(merchant or 0)
            return None
        nonce = row["nonce"] or 0
        # Rows keep the owner's half of the 64 bits below zero.
        row["nonce"] = nonce - 2**64 if nonce >= 2**63 else nonce
        return row | {"signer": bytes(till_key)}

    def _keep_nonce(self, connection: Connection, row: dict[str, Any]) -> None:
        """No merchant's nonce is given out that the chain has used."""
        if row["member_id"] is not None:
            # A member's window moves when the batch is final.
            return
        c = merchants.c
        following = c.next_owner_nonce if row["nonce"] < 0 else c.next_nonce
        connection.execute(
            update(merchants)
            .where(c.id == row["merchant_id"], following <= row["nonce"])
            .values({following.name: row["nonce"] + 1})
        )

    def _fill(
        self,
        connection: Connection,
        number: int,
        row: dict[str, Any],
        wishes: Sequence[dict[str, Any]],
        one: FoundOrder,
        now: int,
        written: Written,
    ) -> None:
        keys = [wish["key"] for wish in wishes]
        found = identify(one.order, keys, self._waiting(connection, row), self._salted)
        rows = found.rows
        matched = [order for order in rows if order is not None]
        # A member joins once: there is no other order that it could be.
        if row["kind"] != Kind.JOIN:
            written.orders_assumed += self._names(connection, found.assumed)
        for part in parts(matched):
            connection.execute(update(orders).where(orders.c.id.in_(part)).values(batch_id=number))
            move(connection, orders.c.id.in_(part), Event.INCLUDED, now, state=State.INCLUDED.value)
        new = [w["row"] for w, order in zip(wishes, rows, strict=True) if order is None]
        for order, raw_id in zip(new, ids.new_ids(len(new), now), strict=True):
            order |= {"public_id": raw_id, "batch_id": number}
        if new:
            connection.execute(insert(orders), new)
        written.orders_matched += len(matched)
        written.orders_found += len(new)
        connection.execute(
            update(batches)
            .where(batches.c.id == number)
            .values(order_count=len(wishes), points=sum(w["row"]["points"] for w in wishes))
        )

    def _waiting(self, connection: Connection, row: dict[str, Any]) -> list[Waiting]:
        """Orders in no batch that the batch's may be, the oldest first."""
        c = orders.c
        owner = (
            c.merchant_id == row["merchant_id"]
            if row["member_id"] is None
            else c.member_id == row["member_id"]
        )
        waits = and_(has(c.state, State.ACCEPTED), c.kind == row["kind"], owner)
        return self._orders(connection, waits)

    def _orders(self, connection: Connection, which: ColumnElement[bool]) -> list[Waiting]:
        c = orders.c
        query = (
            select(c.id, c.kind, c.merchant_id, c.member_id, c.points, c.to_member_id, c.hold)
            .add_columns(c.reference, c.of_id)
            .where(which)
            .order_by(c.id)
        )
        return [
            Waiting(
                o.id,
                (o.kind, _owner(o), o.member_id or None, o.points, _detail(connection, o)),
                o.merchant_id,
                o.reference,
            )
            for o in connection.execute(query).all()
        ]

    def _names(self, connection: Connection, rows: Sequence[int]) -> list[str]:
        """Public ids of these rows, by row number."""
        names: list[str] = []
        for part in parts(sorted(rows)):
            query = select(orders.c.public_id).where(orders.c.id.in_(part)).order_by(orders.c.id)
            names += [ids.encode(ids.ORDER, bytes(raw)) for raw in connection.scalars(query)]
        return names


def _detail(connection: Connection, order: Any) -> int | str | None:
    """Of a withdrawal its money, of a transfer whom it goes to, of a refund its redemption."""
    if order.kind == Kind.REFUND:
        return _redemption(connection, order.of_id)
    found = order.hold if order.kind == Kind.WITHDRAW else order.to_member_id
    return None if found is None else int(found)


def _redemption(connection: Connection, order_id: int | None) -> str | None:
    """The reference, as it was signed, of a redemption; None: the book knows none."""
    query = (
        select(batches.c.wire)
        .join(orders, orders.c.batch_id == batches.c.id)
        .where(orders.c.id == order_id)
    )
    wire = connection.execute(query).scalar_one_or_none()
    order = None if wire is None else decode(bytes(wire)).order
    return order.ref if isinstance(order, Redeem) else None


def _owner(order: Any) -> int:
    # A transfer's reference belongs to who asked; the chain knows no merchant in it.
    return 0 if order.kind == Kind.TRANSFER else int(order.merchant_id)


def _place(effect: Effect) -> dict[str, Any]:
    return {
        "block_number": effect.block,
        "block_hash": digest_bytes(effect.block_hash),
        "tx_hash": from_hex(effect.transaction, 32),
    }
