"""Carrying balances forward: what lies safely below finality is summed up, account by account.

A block at the head appends its movements and touches no balance, and a fork takes movements away
again and restores none: at the head a block costs what it holds, and so does undoing it. Balances
are what was carried forward plus the movements since (the view `balances`). Carrying is done
between blocks, by one statement over all final movements since the last time.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import bulk, store
from indexer import tables as t
from indexer.database import is_postgres

LOGS_MIN: Final = 5_000
"""Fewer final logs than this are left uncarried: carrying them takes some 20 ms, and a balance is
the sum over a few of them at most."""
LOGS_IN_BACKFILL: Final = 250_000
"""The more at once, the fewer rows are written twice; a sort of 250,000 takes some 30 MB."""

_ISSUES: Final = """
SELECT receiver AS account, epoch, SUM(points) AS received, 0 AS spent FROM movements
WHERE id >= ? AND id < ? AND epoch IS NOT NULL AND receiver IS NOT NULL
GROUP BY receiver, epoch
"""
"""Only an issue has an epoch of its own: told by that, no text is compared."""
_OTHERS: Final = """
SELECT account, epoch, SUM(received) AS received, SUM(spent) AS spent FROM (
    SELECT m.receiver AS account, p.epoch, p.points AS received, 0 AS spent
    FROM pieces p JOIN movements m ON m.id = p.id
    WHERE p.id >= ? AND p.id < ? AND m.receiver IS NOT NULL
    UNION ALL
    SELECT m.sender, p.epoch, 0, p.points
    FROM pieces p JOIN movements m ON m.id = p.id
    WHERE p.id >= ? AND p.id < ? AND m.sender IS NOT NULL
) AS changes
WHERE true
GROUP BY account, epoch
"""
_CARRIED_ANEW: Final = f"""
CREATE TEMPORARY TABLE carried_anew ON COMMIT DROP AS
SELECT account, epoch, COALESCE(i.received, 0) + COALESCE(o.received, 0) AS received,
    COALESCE(o.spent, 0) AS spent
FROM ({_ISSUES}) AS i FULL JOIN ({_OTHERS}) AS o USING (account, epoch)
"""
_MEND: Final = (
    "DELETE FROM carried c WHERE NOT EXISTS (SELECT FROM carried_anew a WHERE "
    "(a.account, a.epoch, a.received, a.spent) = (c.account, c.epoch, c.received, c.spent))",
    "INSERT INTO carried SELECT * FROM carried_anew a WHERE NOT EXISTS "
    "(SELECT FROM carried c WHERE (c.account, c.epoch) = (a.account, a.epoch))",
)
_INSERT: Final = "INSERT INTO carried (account, epoch, received, spent)"
_ADD: Final = """
ON CONFLICT (account, epoch) DO UPDATE SET
    received = carried.received + excluded.received, spent = carried.spent + excluded.spent
"""


def carry(conn: Connection, end: int) -> None:
    """Carries every movement before id `end` forward, in the caller's transaction."""
    start = carried_to(conn)
    if end > start:
        _carry(conn, start, end)


def due(conn: Connection) -> int | None:
    """Up to which id to carry: the first that is not final, when LOGS_MIN final logs wait."""
    found = store.read_cursor(conn)
    if found is None:
        return None
    header, final_block = found
    end = t.first_id(max(min(final_block, header.number), 0) + 1)
    start = carried_to(conn)
    if end <= start:
        return None
    b = t.blocks.c
    logs = [
        conn.execute(
            sa.select(b.logs_so_far)
            .where(b.number < t.block_of(border))
            .order_by(b.number.desc())
            .limit(1)
        ).scalar_one_or_none()
        or 0
        for border in (start, end)
    ]
    return end if logs[1] - logs[0] >= LOGS_MIN else None


def anew(conn: Connection, end: int) -> None:
    """Makes `carried` say what every movement before id `end` comes to, whatever it said before, in
    the caller's transaction.

    PostgreSQL keeps each row that is deleted and writes each anew, with its place in the index: so
    there, rows that are right already are left alone.
    """
    if is_postgres(conn):
        # With its usual 4 MB, more than some 80,000 sums are put on disk and read again.
        bulk.run(conn, "SET LOCAL work_mem = '64MB'")
    if is_postgres(conn) and conn.execute(sa.select(t.carried.c.epoch).limit(1)).first():
        _run(conn, _CARRIED_ANEW, 0, end, 0, end, 0, end)
        for statement in _MEND:
            bulk.run(conn, statement)
        bulk.run(conn, "UPDATE progress SET carried_to = ?", end)
    else:
        begin_anew(conn)
        _carry(conn, 0, end)


def begin_anew(conn: Connection) -> None:
    """Forgets what was carried forward; balances are right at once, and slow until `carry`."""
    bulk.run(conn, "DELETE FROM carried")
    bulk.run(conn, "UPDATE progress SET carried_to = 0")


def carried_to(conn: Connection) -> int:
    """The first id that is not carried forward yet."""
    return conn.execute(sa.select(t.progress.c.carried_to)).scalar_one_or_none() or 0


def _carry(conn: Connection, start: int, end: int) -> None:
    # SQLite reads "ON" after a FROM as a join; a WHERE before it makes it plain.
    _run(conn, _INSERT + _ISSUES + (_ADD if start else ""), start, end)
    _run(conn, _INSERT + _OTHERS + _ADD, start, end, start, end)
    bulk.run(conn, "UPDATE progress SET carried_to = ?", end)


def _run(conn: Connection, sql: str, *parameters: int) -> None:
    # PostgreSQL's own sum of bigints is a numeric, at twice the cost of the grouping.
    bulk.run(conn, sql.replace("SUM(", "added(") if is_postgres(conn) else sql, *parameters)
