"""One merchant's statement: opening balance, every event that moved it, closing balance.

Balances stand on the events themselves, so the opening of one period is the closing of the one
before by construction (law 13), and a statement costs what its own lines cost, however old the
network is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.errors import MirrorInconsistent
from indexer.queries.common import block_number, moment
from indexer.queries.merchants import position_before
from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import Digest, digest_of

_LINES_PER_STEP: Final = 2_000


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One event: `amount` is what it did to the position, `balance` the position after it, both in
    units of the settlement asset. Members are not named.
    """

    id: int
    time: int
    name: str
    points: int | None
    amount: int
    balance: int
    digest: Digest | None
    block: int
    transaction: Digest


@dataclass(frozen=True, slots=True)
class StatementTotal:
    """All lines of one kind."""

    name: str
    lines: int
    points: int
    amount: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A period is from second `begins_at` to before second `ends_at`.

    `is_final`: every block of the period is final, so no line will be added or changed; a
    correction is a line of a later period. `zone` and `currency` say how times and money are
    written: an IANA name, and a label such as USD; they change no figure.
    """

    merchant: int
    begins_at: int
    ends_at: int
    opening: int
    closing: int
    lines: tuple[StatementLine, ...]
    totals: tuple[StatementTotal, ...]
    is_final: bool
    as_of_block: int
    as_of_time: int
    zone: str = "UTC"
    currency: str = ""


def month_bounds(month: int, zone: str = "UTC") -> tuple[int, int]:
    """First second of a month yyyymm on the clocks of `zone` (an IANA name), and of the next one.

    Where midnight does not exist (clocks go forward over it) the month begins with the second that
    follows the last one before it; where it comes twice, with the first. So months leave nothing
    out and share nothing, in any zone. Raises InputInvalid.
    """
    year, number = divmod(month, 100)
    if not 1970 <= year <= 9998 or not 1 <= number <= 12:
        raise InputInvalid(f"a month is yyyymm, got {month}")
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    clock = clock_of(zone)
    begins = datetime(year, number, 1, tzinfo=clock)
    ends = datetime(*following, 1, tzinfo=clock)
    return int(begins.timestamp()), int(ends.timestamp())


def clock_of(zone: str) -> ZoneInfo:
    """The clock of an IANA time zone, such as Asia/Bangkok. Raises InputInvalid."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputInvalid(f"no time zone is called {zone!r:.60} on this machine") from error


def statement(
    conn: Connection,
    merchant: int,
    begins_at: int,
    ends_at: int,
    *,
    zone: str = "UTC",
    currency: str = "",
) -> Statement:
    """The statement of `merchant` from second `begins_at` to before `ends_at`.

    Raises MirrorEmpty, InputInvalid (no such period), and MirrorInconsistent when the lines do not
    add up to the balances.
    """
    if begins_at >= ends_at:
        raise InputInvalid(f"a period begins before it ends, got {begins_at} to {ends_at}")
    now = moment(conn)
    first, last = _first_id_at(conn, begins_at), _first_id_at(conn, ends_at)
    opening = position_before(conn, merchant, first)
    closing = position_before(conn, merchant, last)
    lines = tuple(_lines(conn, merchant, first, last))
    if opening + sum(line.amount for line in lines) != closing:
        raise MirrorInconsistent(
            now.as_of_block, f"merchant {merchant}: the lines of a statement do not add up"
        )
    return Statement(
        merchant=merchant,
        begins_at=begins_at,
        ends_at=ends_at,
        opening=opening,
        closing=closing,
        lines=lines,
        totals=_totals(lines),
        is_final=_is_final(conn, ends_at),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
        zone=zone,
        currency=currency,
    )


def _first_id_at(conn: Connection, time: int) -> int:
    """The first id that a log at or after second `time` can have: block times never go down."""
    b = t.blocks.c
    before = conn.execute(
        sa.select(b.number).where(b.time < time).order_by(b.time.desc(), b.number.desc()).limit(1)
    ).scalar_one_or_none()
    return 0 if before is None else t.first_id(before + 1)


def _is_final(conn: Connection, ends_at: int) -> bool:
    """Whether a final block of ours lies at or after the period's end, or the head itself is."""
    row = conn.execute(sa.select(t.progress)).one()
    if row.time >= ends_at and row.block <= row.final_block:
        return True
    b = t.blocks.c
    found = conn.execute(
        sa.select(b.number).where(b.time >= ends_at).order_by(b.time, b.number).limit(1)
    ).scalar_one_or_none()
    return found is not None and found <= row.final_block


def _lines(conn: Connection, merchant: int, first: int, before: int) -> Iterator[StatementLine]:
    e, b, x = t.events, t.blocks, t.transactions
    statement = (
        sa.select(
            e.c.id,
            e.c.name,
            e.c.points,
            e.c.amount,
            e.c.balance,
            e.c.digest,
            b.c.number,
            b.c.time,
            x.c.hash,
        )
        .select_from(
            e.join(b, b.c.number == block_number(e.c.id)).join(
                x, sa.and_(x.c.block == b.c.number, x.c.position == e.c.position)
            )
        )
        .where(e.c.merchant == merchant, e.c.amount.is_not(None), e.c.id < before)
        .order_by(e.c.id)
        .limit(_LINES_PER_STEP)
    )
    after = first - 1
    while True:
        rows = conn.execute(statement.where(e.c.id > after)).all()
        for row in rows:
            yield StatementLine(
                id=row.id,
                time=row.time,
                name=row.name,
                points=row.points,
                amount=row.amount,
                balance=row.balance,
                digest=None if row.digest is None else digest_of(bytes(row.digest)),
                block=row.number,
                transaction=digest_of(bytes(row.hash)),
            )
        if len(rows) < _LINES_PER_STEP:
            return
        after = rows[-1].id


def _totals(lines: tuple[StatementLine, ...]) -> tuple[StatementTotal, ...]:
    sums: dict[str, list[int]] = {}
    for line in lines:
        total = sums.setdefault(line.name, [0, 0, 0])
        total[0] += 1
        total[1] += line.points or 0
        total[2] += line.amount
    return tuple(StatementTotal(name, *sums[name]) for name in sorted(sums))
