"""Refunds, returns and withdrawals: decided one by one, since they are seldom.

A *refund* gives points of a redemption back, only those whose epoch is live. A *return* takes
points of an issue back from the member, as far as they are still in the bucket they were earned
in; what is missing is the shortfall, which the till is shown before it pays cash. A *withdrawal*
pays the merchant's own money to its owner.

Everything runs inside the writer's transaction, under the locks that `known.read` took and one on
the order that is reversed.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select

from gateway import ids
from gateway.books import Books, Redemption, Window
from gateway.codes import KIND_CODES, Kind, State, lives
from gateway.database import Database
from gateway.errors import (
    CreditLimitExceeded,
    EpochExpired,
    GatewayError,
    NothingToReturn,
    NotReady,
    OrderNotReversible,
    OrderUnknown,
    RefundTooHigh,
    ReturnTooHigh,
    ReturnWindowOver,
    ShortfallChanged,
)
from gateway.model import NewReversal, OrderKind
from gateway.tables import batches, orders
from gateway.webhooks import outbox
from gateway.webhooks.events import Event
from wallet_sdk.buckets import take_soonest

REVERSES = {OrderKind.REFUND: Kind.REDEEM, OrderKind.RETURN: Kind.ISSUE}


@dataclass(frozen=True, slots=True)
class ReturnQuote:
    """What a return of `points` would do now.

    Attributes:
        returnable: points that would be taken back from the member.
        shortfall: points that are missing: spent or given away, or over the return cap.
        spent: of the shortfall, what the member no longer has in that epoch's bucket.
        over_cap: of the shortfall, what the return cap of the merchant leaves out.
        window: epoch, and how long it is open.
    """

    points: int
    returnable: int
    spent: int
    over_cap: int
    window: Window

    @property
    def shortfall(self) -> int:
        return self.points - self.returnable


@dataclass(frozen=True, slots=True)
class Decided:
    """What the order will do: points on chain, what it holds, and columns of its own."""

    points: int
    hold: int
    member_id: int
    columns: dict[str, Any]


class Reversals:
    """Decides over one connection, that of the writer's transaction or of a reader."""

    def __init__(self, database: Database, connection: Connection, books: Books, now: int) -> None:
        self._database = database
        self._connection = connection
        self._books = books
        self._now = now

    def store(self, row: dict[str, Any]) -> None:
        """Inserts an accepted order."""
        self._connection.execute(insert(orders), row)

    def tell(self, raw_id: bytes, merchant: int) -> None:
        """The order's webhook event, in the same transaction."""
        outbox.write_first(self._connection, Event.ACCEPTED, {raw_id: merchant}, self._now)

    # ---- refunds

    def refund(self, line: NewReversal, merchant: int, held: int, position: int) -> Decided:
        """A refund's place in the book. `position` with credit, `held` of it by others.

        Raises OrderUnknown, OrderNotReversible, RefundTooHigh, EpochExpired,
        CreditLimitExceeded.
        """
        target = self.target(line, merchant, locked=True)
        found = self._redemption(target)
        given = max(self._given(target.id), found.refunded)
        left = target.points - given
        if line.points > left:
            raise RefundTooHigh(
                f"{line.points} points asked, {left} of the redemption are not given back",
                refundable=left,
                needed=line.points,
            )
        # Newest first, as the chain gives back: what was refunded so far came off the live end.
        live = {
            epoch: points
            for epoch, points in found.points_by_epoch.items()
            if self._books.live_until(epoch) > self._now
        }
        refundable = max(sum(live.values()) - given, 0)
        if line.points > refundable:
            raise EpochExpired(
                f"{refundable} of the points can go back, the others have expired",
                refundable=refundable,
                expired=left - refundable,
            )
        # By the dearest epoch, since other refunds of the same redemption may come first.
        charge = line.points * max(self._books.redeem_price(epoch) for epoch in live)
        available = max(position - held, 0)
        if charge > available:
            raise CreditLimitExceeded(
                f"the refund costs {charge}, {available} are available",
                available=available,
                needed=charge,
            )
        return Decided(line.points, charge, target.member_id, {"of_id": target.id})

    def _redemption(self, target: Any) -> Redemption:
        found = self._books.redemption(self._digest(target))
        if found is None:
            raise NotReady("the mirror does not know the redemption yet")
        return found

    def _given(self, target_id: int) -> int:
        """Points of all refunds of it that have not failed."""
        c = orders.c
        query = select(func.coalesce(func.sum(c.points), 0)).where(
            c.of_id == target_id, c.state != State.FAILED.value
        )
        return int(self._connection.execute(query).scalar_one())

    # ---- returns

    def quote(
        self, line: NewReversal, merchant: int, address: bytes, held: int, *, locked: bool = False
    ) -> tuple[ReturnQuote, Any]:
        """What a return of these points would do now, and the issue's row.

        `held`: points of the member that open orders hold. Raises OrderUnknown,
        OrderNotReversible, ReturnTooHigh, ReturnWindowOver.
        """
        target = self.target(line, merchant, locked=locked)
        c = orders.c
        query = select(func.coalesce(func.sum(c.points + c.shortfall), 0)).where(
            c.of_id == target.id, c.state != State.FAILED.value
        )
        left = target.points - int(self._connection.execute(query).scalar_one())
        if line.points > left:
            raise ReturnTooHigh(
                f"{line.points} points asked, {left} of the purchase are not returned",
                returnable=left,
                needed=line.points,
            )
        window = self._books.return_window(self._digest(target), merchant, address, self._now)
        if window is None:
            raise NotReady("the mirror does not know the issue yet")
        if not window.open:
            raise ReturnWindowOver(
                f"the points were earned in epoch {window.epoch}, which is no longer open",
                ended_at=window.ends_at,
            )
        in_bucket = self._in_bucket(target.member_id, window, held)
        cap_left = max(window.cap_left - self._returning(merchant, window.epoch), 0)
        returnable = min(line.points, in_bucket, cap_left)
        spent = max(line.points - in_bucket, 0)
        over_cap = line.points - returnable - spent
        return ReturnQuote(line.points, returnable, spent, over_cap, window), target

    def return_(self, line: NewReversal, merchant: int, address: bytes, held: int) -> Decided:
        """A return's place in the book. Raises also NothingToReturn, ShortfallChanged."""
        found, target = self.quote(line, merchant, address, held, locked=True)
        values = {"returnable": found.returnable, "shortfall": found.shortfall}
        if found.returnable == 0:
            raise NothingToReturn("none of the points can be taken back", **values)
        if found.shortfall > line.shortfall:
            raise ShortfallChanged(
                f"{found.shortfall} points are missing, the till was shown {line.shortfall}",
                **values,
            )
        columns = {
            "of_id": target.id,
            "epoch": found.window.epoch,
            "shortfall": found.shortfall,
        }
        return Decided(found.returnable, found.returnable, target.member_id, columns)

    def _in_bucket(self, member_id: int, window: Window, held: int) -> int:
        """What of the epoch's bucket no open order will take.

        Open returns take from their own bucket, all else takes the soonest to expire.
        """
        c = orders.c
        query = (
            select(c.epoch, func.sum(c.points))
            .where(c.epoch.is_not(None), _open(), c.member_id == member_id)
            .group_by(c.epoch)
        )
        returning = {epoch: int(sum_) for epoch, sum_ in self._connection.execute(query)}
        buckets = {e: max(p - returning.get(e, 0), 0) for e, p in window.buckets.items()}
        others = min(max(held - sum(returning.values()), 0), sum(buckets.values()))
        taken = take_soonest(buckets, others)
        return buckets.get(window.epoch, 0) - taken.get(window.epoch, 0)

    def _returning(self, merchant: int, epoch: int) -> int:
        """Points of the merchant's open returns in the epoch: the chain has not counted them."""
        c = orders.c
        query = select(func.coalesce(func.sum(c.points), 0)).where(
            c.epoch == epoch, _open(), c.merchant_id == merchant
        )
        return int(self._connection.execute(query).scalar_one())

    # ---- what is reversed

    def target(self, line: NewReversal, merchant: int, *, locked: bool) -> Any:
        """The order that the line reverses: the merchant's own, of the right kind and final.

        Raises OrderUnknown, OrderNotReversible.
        """
        row = self._row(line.of, merchant, locked=locked)
        wanted = REVERSES[line.kind]
        if row.kind != wanted or row.state != State.FINAL:
            raise OrderNotReversible(
                f"a {line.kind.value} reverses a final order of kind {_word(wanted)}",
                order_kind=_word(row.kind),
            )
        return row

    def _row(self, order_id: str, merchant: int, *, locked: bool) -> Any:
        try:
            raw = ids.decode(ids.ORDER, order_id)
        except GatewayError as error:
            raise OrderUnknown(f"there is no order {order_id[:40]!r}") from error
        query: Select[Any] = select(orders).where(
            orders.c.public_id == raw, orders.c.merchant_id == merchant
        )
        if locked:
            query = self._database.lock_rows(query)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise OrderUnknown(f"there is no order {order_id}", order=order_id)
        return row

    def _digest(self, target: Any) -> bytes:
        query = select(batches.c.digest).where(batches.c.id == target.batch_id)
        return bytes(self._connection.execute(query).scalar_one())


def _open() -> Any:
    # As the partial index over live returns has it.
    return lives(orders.c.state)


def _word(kind: int) -> str:
    return next(word.value for word, code in KIND_CODES.items() if code == kind)
