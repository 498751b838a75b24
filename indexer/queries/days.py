"""Trade by day: the journal of supply, read at the last block of each day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.common import moment
from indexer.queries.supply import _newest_supply

DAY_S: Final = 86_400
_KINDS: Final = ("issued", "returned", "redeemed", "refunded")


@dataclass(frozen=True, slots=True)
class Day:
    """Points of one day (UTC) that begins at unix second `starts_at`."""

    starts_at: int
    issued: int
    returned: int
    redeemed: int
    refunded: int


@dataclass(frozen=True, slots=True)
class DailySeries:
    """Days with trade, oldest first."""

    days: tuple[Day, ...]
    as_of_block: int
    as_of_time: int


def daily_series(conn: Connection, days_max: int) -> DailySeries:
    """Trade of the last `days_max` days up to the head's, days without trade left out.

    The journal holds running sums by epoch, so a day is the difference of two of its rows, and the
    cost grows with the blocks of those days, not with their trade. Raises MirrorEmpty.
    """
    now = moment(conn)
    last_day = now.as_of_time // DAY_S
    first_second = (last_day - days_max + 1) * DAY_S
    b, s = t.blocks.c, t.supply
    first_block = conn.execute(
        sa.select(sa.func.min(b.number)).where(b.time >= first_second, b.number <= now.as_of_block)
    ).scalar_one()
    if first_block is None:
        return DailySeries((), now.as_of_block, now.as_of_time)
    sums = {
        row.epoch: tuple(getattr(row, kind) for kind in _KINDS)
        for row in conn.execute(_newest_supply(first_block - 1))
    }
    day = (b.time // sa.literal_column(str(DAY_S), sa.BigInteger)).label("day")
    newest = (
        sa.select(s.c.epoch, day, sa.func.max(s.c.block).label("block"))
        .join(t.blocks, b.number == s.c.block)
        .where(s.c.block >= first_block, s.c.block <= now.as_of_block)
        .group_by(s.c.epoch, day)
        .subquery()
    )
    rows = conn.execute(
        sa.select(newest.c.day, s)
        .join(s, sa.and_(s.c.epoch == newest.c.epoch, s.c.block == newest.c.block))
        .order_by(newest.c.day, s.c.epoch)
    )
    trade: dict[int, list[int]] = {}
    for row in rows:
        before = sums.get(row.epoch, (0, 0, 0, 0))
        sums[row.epoch] = tuple(getattr(row, kind) for kind in _KINDS)
        of_day = trade.setdefault(int(row.day), [0, 0, 0, 0])
        for index, (old, new) in enumerate(zip(before, sums[row.epoch], strict=True)):
            of_day[index] += new - old
    return DailySeries(
        days=tuple(Day(number * DAY_S, *sums_) for number, sums_ in trade.items() if any(sums_)),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )
