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

LOGS_MIN: Final = 5_000
"""Fewer final logs than this are left uncarried: carrying them takes some 20 ms, and a balance is
the sum over a few of them at most."""
LOGS_IN_BACKFILL: Final = 250_000
"""The more at once, the fewer rows are written twice; a sort of 250,000 takes some 30 MB."""

_ISSUES: Final = """
INSERT INTO carried (account, epoch, received, spent)
SELECT receiver, epoch, SUM(points), 0 FROM movements
WHERE id >= ? AND id < ? AND kind = 'issue' AND receiver IS NOT NULL
GROUP BY receiver, epoch
"""
_OTHERS: Final = """
INSERT INTO carried (account, epoch, received, spent)
SELECT account, epoch, SUM(received), SUM(spent) FROM (
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
_ADD: Final = """
ON CONFLICT (account, epoch) DO UPDATE SET
    received = carried.received + excluded.received, spent = carried.spent + excluded.spent
"""


def carry(conn: Connection, end: int) -> None:
    """Carries every movement before id `end` forward, in the caller's transaction."""
    start = carried_to(conn)
    if end <= start:
        return
    # SQLite reads "ON" after a FROM as a join; a WHERE before it makes it plain.
    first = _ISSUES if start == 0 else _ISSUES + _ADD
    bulk.run(conn, first, start, end)
    bulk.run(conn, _OTHERS + _ADD, start, end, start, end)
    bulk.run(conn, "UPDATE progress SET carried_to = ?", end)


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


def begin_anew(conn: Connection) -> None:
    """Forgets what was carried forward; balances are right at once, and slow until `carry`."""
    bulk.run(conn, "DELETE FROM carried")
    bulk.run(conn, "UPDATE progress SET carried_to = 0")


def carried_to(conn: Connection) -> int:
    """The first id that is not carried forward yet."""
    return conn.execute(sa.select(t.progress.c.carried_to)).scalar_one_or_none() or 0
