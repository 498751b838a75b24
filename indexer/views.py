"""Views of the mirror: what follows from its rows by adding alone, under the names people ask for.

`entries` is every movement as an account saw it, `balances` what an account received and gave up of
each epoch: the sums carried forward, and the movements since. Expiry is in neither: ask with a
time.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table
from sqlalchemy.types import BigInteger

from indexer import tables as t

_views: Final = MetaData()
# A MetaData of its own: `create_all` must not make tables of them.

entries: Final = Table(
    "entries",
    _views,
    Column("account", LargeBinary, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("piece", Integer, primary_key=True),
    Column("epoch", Integer),
    Column("issuer", BigInteger),
    Column("points", BigInteger),
)
"""A movement as the account saw it, one row for each epoch and issuing merchant it touched: points
received are positive, points given up negative."""

balances: Final = Table(
    "balances",
    _views,
    Column("account", LargeBinary, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("received", BigInteger),
    Column("spent", BigInteger),
)
"""What an account received and gave up of each epoch; what is left is `received - spent`, live
until the epoch expires."""

VIEWS: Final = (entries, balances)
DIGESTED: Final = (*t.FACTS, *t.JOURNALS, balances, *t.TOTALS)
"""What a digest of the mirror covers, in its order."""

_ENTRIES: Final = """
CREATE VIEW entries AS
SELECT receiver AS account, id, 0 AS piece, epoch, merchant AS issuer, points
FROM movements WHERE kind = 'issue' AND receiver IS NOT NULL
UNION ALL
SELECT m.receiver, m.id, p.piece, p.epoch, p.issuer, p.points
FROM movements m JOIN pieces p ON p.id = m.id WHERE m.receiver IS NOT NULL
UNION ALL
SELECT m.sender, m.id, p.piece, p.epoch, p.issuer, -p.points
FROM movements m JOIN pieces p ON p.id = m.id WHERE m.sender IS NOT NULL
"""
# The cast: PostgreSQL adds up bigints to numerics.
_BALANCES: Final = """
CREATE VIEW balances AS
SELECT account, epoch,
    CAST(SUM(received) AS BIGINT) AS received, CAST(SUM(spent) AS BIGINT) AS spent
FROM (
    SELECT account, epoch, received, spent FROM carried
    UNION ALL
    SELECT receiver, epoch, points, 0 FROM movements
    WHERE kind = 'issue' AND receiver IS NOT NULL
        AND id >= (SELECT carried_to FROM progress)
    UNION ALL
    SELECT m.receiver, p.epoch, p.points, 0 FROM movements m JOIN pieces p ON p.id = m.id
    WHERE m.receiver IS NOT NULL AND m.id >= (SELECT carried_to FROM progress)
    UNION ALL
    SELECT m.sender, p.epoch, 0, p.points FROM movements m JOIN pieces p ON p.id = m.id
    WHERE m.sender IS NOT NULL AND m.id >= (SELECT carried_to FROM progress)
) AS changes
GROUP BY account, epoch
"""


def create_views(conn: Connection) -> None:
    """Makes the views; the tables are there."""
    for statement in (_ENTRIES, _BALANCES):
        conn.exec_driver_sql(statement)


def changes() -> sa.CompoundSelect[Any]:
    """Rows that add up to balances, not added up: `account`, `epoch`, `points` (with their sign).

    For sums over some accounts or over all of them: a condition on a part of it reaches its index.
    """
    since = sa.select(t.progress.c.carried_to).scalar_subquery()
    c, m, p = t.carried.c, t.movements.c, t.pieces.c
    moved = t.movements.join(t.pieces, p.id == m.id)
    return sa.union_all(
        sa.select(c.account, c.epoch, (c.received - c.spent).label("points")),
        sa.select(m.receiver, m.epoch, m.points).where(
            m.kind == "issue", m.receiver.is_not(None), m.id >= since
        ),
        sa.select(m.receiver, p.epoch, p.points)
        .select_from(moved)
        .where(m.receiver.is_not(None), m.id >= since),
        sa.select(m.sender, p.epoch, -p.points)
        .select_from(moved)
        .where(m.sender.is_not(None), m.id >= since),
    )
