"""A reorg: the chain says something else now about blocks that were mirrored.

Facts and journals carry the id of the log that made them, so undoing blocks deletes what lies above
an id, and takes the sums of just those rows off the totals. Nothing is kept for it besides the rows
themselves, so it works to any depth: a fork below what was called final is undone by the same
statements, and is told apart only so that a person hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import bulk, store
from indexer import tables as t
from indexer.project import Header
from indexer.project.rows import FLOW_COLUMNS, Sums, Trade

_SUBTRACT = """
UPDATE balances SET
    received = balances.received - undone.received,
    spent = balances.spent - undone.spent,
    head = CASE WHEN undone.spent = 0 AND balances.head < {bound} THEN balances.head END
FROM (
    SELECT e.account, e.epoch,
        SUM(CASE WHEN e.points > 0 THEN e.points ELSE 0 END) AS received,
        SUM(CASE WHEN e.points < 0 THEN -e.points ELSE 0 END) AS spent
    FROM undone_entries u JOIN entries e ON e.account = u.account AND e.id = u.id
    GROUP BY e.account, e.epoch
) AS undone
WHERE balances.account = undone.account AND balances.epoch = undone.epoch
"""
# Only where a spend was undone, or the queue's first entry with it, is the head to be found anew.
_HEADS = """
UPDATE balances SET head = found.head
FROM (
    SELECT b.account, b.epoch, MIN(e.id) AS head
    FROM (SELECT DISTINCT account FROM undone_entries) u
    JOIN balances b ON b.account = u.account AND b.head IS NULL AND b.received > b.spent
    JOIN entries e ON e.account = b.account AND e.epoch = b.epoch
        AND e.points > 0 AND e.prior + e.points > b.spent
    GROUP BY b.account, b.epoch
) AS found
WHERE balances.account = found.account AND balances.epoch = found.epoch
"""


@dataclass(frozen=True, slots=True)
class Reorg:
    """What was undone: blocks above `common_block` up to `old_head`.

    `below_final` tells that a block which had been called final is among them.
    """

    common_block: int
    old_head: int
    below_final: bool

    @property
    def depth(self) -> int:
        """Blocks undone."""
        return self.old_head - self.common_block


def find_common(
    conn: Connection, cursor: Header, chain_header: Callable[[int], Header | None], first: int
) -> Header | None:
    """The highest mirrored block that the chain still has; None when not even the first.

    Looks at the tail from above, then halves its way through the blocks that hold logs.
    """
    known = {cursor.number: cursor.hash}
    known |= {
        row.number: bytes(row.hash)
        for row in conn.execute(sa.select(t.tail.c.number, t.tail.c.hash))
    }
    for number in sorted(known, reverse=True):
        found = chain_header(number)
        if found is not None and found.hash == known[number]:
            return found
    return _find_in_blocks(conn, chain_header, first)


def is_lag(conn: Connection, common: Header, head_block: int) -> bool:
    """Whether the node is merely behind: nothing it has contradicts what was mirrored.

    If its chain was really cut, the blocks that take the place of the missing ones tell so.
    """
    above = sa.union_all(
        sa.select(t.tail.c.number).where(t.tail.c.number.between(common.number + 1, head_block)),
        sa.select(t.blocks.c.number).where(
            t.blocks.c.number.between(common.number + 1, head_block)
        ),
    ).subquery()
    known = conn.execute(sa.select(sa.func.count()).select_from(above)).scalar_one()
    return common.number <= head_block and known == 0


def _find_in_blocks(
    conn: Connection, chain_header: Callable[[int], Header | None], first: int
) -> Header | None:
    numbers = list(conn.execute(sa.select(t.blocks.c.number).order_by(t.blocks.c.number)).scalars())
    low, high, best = 0, len(numbers), None
    while low < high:
        middle = (low + high) // 2
        known = conn.execute(
            sa.select(t.blocks.c.hash).where(t.blocks.c.number == numbers[middle])
        ).scalar_one()
        found = chain_header(numbers[middle])
        if found is not None and found.hash == bytes(known):
            best, low = found, middle + 1
        else:
            high = middle
    return best if best is not None else chain_header(first - 1) if first > 0 else None


def undo(conn: Connection, common: Header, final_block: int) -> None:
    """Takes everything above block `common` out of the mirror, and puts the cursor there.

    In the caller's transaction: readers see the mirror before or after, nothing between.
    """
    bound = t.first_id(common.number + 1)
    _undo_trade(conn, bound)
    _undo_flows(conn, bound)
    _undo_balances(conn, bound)
    _delete_above(conn, common.number, bound)
    store.move_cursor(conn, common, min(final_block, common.number))
    conn.execute(sa.delete(t.tail).where(t.tail.c.number > common.number))


def _undo_trade(conn: Connection, bound: int) -> None:
    """Months and epochs of merchants, by the same rule that added them, backwards."""
    e, b = t.events.c, t.blocks.c
    trade = Trade()
    months = {
        row.number: row.month
        for row in conn.execute(sa.select(b.number, b.month).where(b.number >= t.block_of(bound)))
    }
    for row in conn.execute(
        sa.select(e.id, e.name, e.merchant, e.epoch, e.points, e.amount).where(
            e.id >= bound, e.amount.is_not(None)
        )
    ):
        trade.add(
            row.name, row.merchant, months[t.block_of(row.id)], row.epoch, row.points, row.amount
        )
    _take_off(conn, trade.months)
    _take_off(conn, trade.epochs)


def _undo_flows(conn: Connection, bound: int) -> None:
    m, e, b = t.movements.c, t.entries.c, t.blocks.c
    sums = Sums(t.flows)
    month = b.month
    rows = conn.execute(
        sa.select(m.kind, m.merchant, month, e.epoch, e.issuer, sa.func.sum(sa.func.abs(e.points)))
        .select_from(
            t.movements.join(
                t.entries,
                sa.and_(e.account == sa.func.coalesce(m.sender, m.receiver), e.id == m.id),
            ).join(t.blocks, b.number == m.id // sa.literal_column(str(t.IDS_PER_BLOCK)))
        )
        .where(m.id >= bound, m.kind.in_(FLOW_COLUMNS))
        .group_by(m.kind, m.merchant, month, e.epoch, e.issuer)
    )
    for kind, merchant, yyyymm, epoch, issuer, points in rows:
        sums.add((issuer, merchant, epoch, yyyymm), FLOW_COLUMNS[kind], int(points))
    _take_off(conn, sums)


def _take_off(conn: Connection, sums: Sums) -> None:
    """Subtracts; a row that is zero throughout was made by what is undone, and goes."""
    table = sums.table
    bulk.add(conn, table, sums.rows(sign=-1))
    values = [c for c in table.columns if not c.primary_key]
    conn.execute(sa.delete(table).where(*(c == 0 for c in values)))


def _undo_balances(conn: Connection, bound: int) -> None:
    conn.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS undone_entries AS "
        "SELECT account, id FROM entries WHERE 1 = 0"
    )
    conn.exec_driver_sql("DELETE FROM undone_entries")
    for side in ("sender", "receiver"):
        conn.exec_driver_sql(
            f"INSERT INTO undone_entries SELECT {side}, id FROM movements "
            f"WHERE id >= {bound} AND {side} IS NOT NULL AND "
            "(sender IS NULL OR receiver IS NULL OR sender <> receiver)"
        )
    conn.exec_driver_sql(_SUBTRACT.format(bound=bound))
    conn.exec_driver_sql(
        "DELETE FROM balances WHERE received = 0 AND account IN "
        "(SELECT account FROM undone_entries)"
    )
    conn.exec_driver_sql(
        "DELETE FROM entries WHERE (account, id) IN (SELECT account, id FROM undone_entries)"
    )
    conn.exec_driver_sql(_HEADS)
    conn.exec_driver_sql("DELETE FROM undone_entries")


def _delete_above(conn: Connection, block: int, bound: int) -> None:
    # Entries went with their balances; no ANALYZE is needed: every statement uses an index on id.
    for table in (*t.FACTS, *t.JOURNALS):
        if table is t.entries:
            continue
        if "id" in table.c:
            conn.execute(sa.delete(table).where(table.c.id >= bound))
        else:
            column = table.c.number if "number" in table.c else table.c.block
            conn.execute(sa.delete(table).where(column > block))
