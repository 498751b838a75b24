"""Answers the pages from a running gateway: figures from the mirror, names from the order book.

No SQL: the mirror is asked through `indexer.queries`, the order book through `Book`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, Protocol

from sqlalchemy import Connection, Engine

from gateway.web.facts import (
    AsOf,
    CursorUnknown,
    EpochFacts,
    FlowFacts,
    HistoryFacts,
    LawFacts,
    MemberFacts,
    MerchantFacts,
    NetworkFacts,
    NothingYet,
    OrderFacts,
    PeriodFacts,
    Unit,
)
from indexer import queries
from indexer.errors import CursorInvalid, MirrorEmpty
from indexer.queries.days import DAY_S, daily_series
from wallet_sdk.epochs import EpochSchedule
from wallet_sdk.types import Address

# As many days as columns can be told apart on a phone; longer histories are shown by month.
DAYS_MAX = 62
# What fits on a screen under the pictures.
ORDERS_MAX = 16
HISTORY_PAGE = 40

_UNITS: Mapping[int, Unit] = {1: "points", 2: "money", 3: "money"}


class Book(Protocol):
    """What the pages need from the gateway's own tables."""

    def merchant_names(self) -> Mapping[int, str]:
        """Names of all merchants by their number on the network."""
        ...

    def member_address(self, member_id: str) -> Address | None:
        """Where the points of this member (`mem_...`) are kept; None where there is no such."""
        ...

    def latest_orders(self, limit: int) -> Sequence[OrderFacts]:
        """The latest orders and refusals, newest first; refusals get a part of the places."""
        ...

    def open_orders(self) -> int:
        """Orders that are on their way: not final and not failed."""
        ...

    def refusals(self) -> int:
        """Requests that were refused so far."""
        ...


class NetworkSource:
    """The `WebSource` of a running gateway. Its methods may be called from several threads."""

    def __init__(self, mirror: Engine, book: Book, schedule: EpochSchedule) -> None:
        self._mirror = mirror
        self._book = book
        self._schedule = schedule
        # The laws look at every balance, so they are read once a block and not once a visitor.
        self._lock = threading.Lock()
        self._kept: tuple[object, NetworkFacts] | None = None

    def network(self, now: int) -> NetworkFacts:
        """Facts of the whole network; those of the mirror are read anew when its head moves.

        Raises `NothingYet` before the mirror's first block.
        """
        facts = self._of_the_mirror(now)
        names = self._book.merchant_names()
        merchants = [
            replace(each, name=names.get(each.number, each.name)) for each in facts.merchants
        ]
        return replace(
            facts,
            merchants=merchants,
            orders=self._book.latest_orders(ORDERS_MAX),
            open_orders=self._book.open_orders(),
            refused=self._book.refusals(),
        )

    def member(self, member_id: str, now: int, cursor: str | None) -> MemberFacts | None:
        """Facts of one member with a page of its history; None where there is no such member."""
        address = self._book.member_address(member_id)
        if address is None:
            return None
        try:
            with self._mirror.connect() as conn, conn.begin():
                balance = queries.member_balance(conn, address, now)
                page = queries.member_history(conn, address, cursor, HISTORY_PAGE)
        except MirrorEmpty as error:
            raise NothingYet from error
        except CursorInvalid as error:
            raise CursorUnknown(cursor) from error
        names = self._book.merchant_names()
        return MemberFacts(
            id=member_id,
            as_of=AsOf(balance.as_of_block, balance.as_of_time),
            balance=balance.points,
            epochs=[self._epoch(each.epoch, each.points, each.points) for each in balance.by_epoch],
            history=[
                HistoryFacts(
                    kind=line.kind,
                    merchant=None if line.merchant is None else names.get(line.merchant),
                    points=line.points,
                    at=line.time,
                )
                for line in page.lines
            ],
            next_cursor=page.next_cursor,
        )

    def _of_the_mirror(self, now: int) -> NetworkFacts:
        try:
            # One transaction: every figure of the page belongs to one block.
            with self._lock, self._mirror.connect() as conn, conn.begin():
                head = queries.head(conn)
                # Expiry writes no row: figures also change when an epoch begins.
                at = max(now, self._schedule.first_start)
                key = (head.block_hash, self._schedule.epoch_at(at))
                if self._kept is None or self._kept[0] != key:
                    self._kept = (key, self._read(conn, now))
                return self._kept[1]
        except MirrorEmpty as error:
            raise NothingYet from error

    def _read(self, conn: Connection, now: int) -> NetworkFacts:
        overview = queries.network_overview(conn, now)
        period, periods = _periods(conn)
        return NetworkFacts(
            as_of=AsOf(overview.as_of_block, overview.as_of_time),
            live=overview.live_points,
            reserve=overview.reserve,
            income=overview.income,
            breakage=overview.breakage,
            members=overview.members,
            issued=overview.issued - overview.returned,
            redeemed=overview.redeemed - overview.refunded,
            open_orders=0,
            refused=0,
            merchants=[
                MerchantFacts(
                    number=each.merchant,
                    name=f"Merchant {each.merchant}",
                    issued=each.issued - each.returned,
                    honoured=each.redeemed - each.refunded,
                    position=each.position,
                    credit_limit=each.credit_limit,
                )
                for each in queries.merchants_overview(conn, now).merchants
            ],
            flows=[
                FlowFacts(each.issuer, each.merchant, each.points)
                for each in queries.flows(conn).cells
            ],
            epochs=[
                self._epoch(each.epoch, each.issued_net, each.unspent) for each in overview.epochs
            ],
            periods=periods,
            period=period,
            laws=[
                LawFacts(
                    number=each.number,
                    name=each.name,
                    left_name=each.left_name,
                    left=each.left,
                    right_name=each.right_name,
                    right=each.right,
                    unit=_UNITS.get(each.number, "count"),
                    holds=each.holds,
                )
                for each in queries.laws(conn, now)
            ],
            orders=[],
        )

    def _epoch(self, epoch: int, issued: int, unspent: int) -> EpochFacts:
        return EpochFacts(
            epoch=epoch,
            issued=issued,
            unspent=unspent,
            starts_at=self._schedule.start(epoch),
            ends_at=self._schedule.end(epoch),
            expires_at=self._schedule.expires_at(epoch),
        )


def _periods(conn: Connection) -> tuple[Literal["day", "month"], list[PeriodFacts]]:
    """Trade by day while it fits into `DAYS_MAX` days, by month from then on."""
    months = queries.monthly_series(conn).months
    days = daily_series(conn, DAYS_MAX).days
    issued = sum(each.issued for each in months)
    # The days hold everything that the months hold: nothing lies further back.
    if issued == sum(each.issued for each in days):
        trade = {each.starts_at: (each.issued, each.redeemed) for each in days}
        starts = range(min(trade), max(trade) + 1, DAY_S) if trade else ()
        return "day", _without_gaps(trade, starts)
    trade = {_start_of(each.month): (each.issued, each.redeemed) for each in months}
    first, last = months[0].month, months[-1].month
    numbers = range(first // 100 * 12 + first % 100 - 1, last // 100 * 12 + last % 100)
    return "month", _without_gaps(trade, [_start_of(n // 12 * 100 + n % 12 + 1) for n in numbers])


def _without_gaps(trade: Mapping[int, tuple[int, int]], starts: Sequence[int]) -> list[PeriodFacts]:
    """A period for every start, also where nothing was traded: an axis of time has no holes."""
    return [PeriodFacts(start, *trade.get(start, (0, 0))) for start in starts]


def _start_of(month: int) -> int:
    """The first second (UTC) of a month given as yyyymm."""
    year, number = divmod(month, 100)
    return int(datetime(year, number, 1, tzinfo=UTC).timestamp())
