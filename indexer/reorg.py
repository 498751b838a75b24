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
from indexer.database import is_postgres
from indexer.project import Header
from indexer.project.rows import FLOW_COLUMNS, Sums, Trade
from indexer.queries.common import block_number
from wallet_sdk.epochs import EpochSchedule

# What the undone movements did to each account's epoch. The points of an issue are of the epoch of
# its block, so 99 of 100 rows follow from movements alone; the others are read from the entries.
_UNDONE_ISSUES = """
INSERT INTO undone
SELECT receiver, {epoch}, SUM(points), 0 FROM movements
WHERE id BETWEEN {first} AND {last} AND kind = 'issue'
GROUP BY receiver
"""
_UNDONE_OTHERS = """
INSERT INTO undone
SELECT e.account, e.epoch,
    SUM(CASE WHEN e.points > 0 THEN e.points ELSE 0 END),
    SUM(CASE WHEN e.points < 0 THEN -e.points ELSE 0 END)
FROM (
    SELECT sender AS account, id FROM movements
    WHERE id >= {bound} AND kind <> 'issue' AND sender IS NOT NULL
    UNION
    SELECT receiver, id FROM movements
    WHERE id >= {bound} AND kind <> 'issue' AND receiver IS NOT NULL
) AS moved JOIN entries e ON e.account = moved.account AND e.id = moved.id
WHERE true
GROUP BY e.account, e.epoch
ON CONFLICT (account, epoch) DO UPDATE SET
    received = undone.received + excluded.received, spent = undone.spent + excluded.spent
"""
# An epoch whose oldest unspent entry goes had nothing unspent before it; where a spend was undone,
# the head is found anew.
_SUBTRACT = """
UPDATE balances SET
    received = balances.received - undone.received,
    spent = balances.spent - undone.spent,
    head = CASE WHEN balances.head < {bound} THEN balances.head END
FROM undone
WHERE balances.account = undone.account AND balances.epoch = undone.epoch
"""
# One side at a time: over a union, SQLite looks at every entry there is.
_ENTRIES = """
DELETE FROM entries WHERE (account, id) IN (
    SELECT {side}, id FROM movements WHERE id >= {bound} AND {side} IS NOT NULL
)
"""
# Correlated, but only over the few accounts whose spends were undone, each over its own entries; as
# a join, SQLite would look at every balance there is.
_HEADS = """
UPDATE balances SET head = (
    SELECT MIN(e.id) FROM entries e
    WHERE e.account = balances.account AND e.epoch = balances.epoch
        AND e.points > 0 AND e.prior + e.points > balances.spent
)
WHERE (account, epoch) IN (SELECT account, epoch FROM undone WHERE spent > 0)
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
    if is_postgres(conn):
        # Few rows out of large tables, and a temporary table that the planner knows nothing of:
        # left to itself it reads whole tables.
        conn.exec_driver_sql("SET LOCAL enable_hashjoin = off")
        conn.exec_driver_sql("SET LOCAL enable_mergejoin = off")
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
    kind = (e.name, e.merchant, b.month, e.epoch)
    for name, merchant, month, epoch, number, points, amount in conn.execute(
        sa.select(
            *kind,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(e.points), 0),
            sa.func.sum(e.amount, type_=e.amount.type),
        )
        .select_from(t.events.join(t.blocks, b.number == block_number(e.id)))
        .where(e.id >= bound, e.amount.is_not(None))
        .group_by(*kind)
    ):
        trade.add(name, merchant, month, epoch, int(points), amount, number)
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
            ).join(t.blocks, b.number == block_number(m.id))
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
    key = "BYTEA" if is_postgres(conn) else "BLOB"
    conn.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS undone (account {key}, epoch INTEGER, "
        "received BIGINT, spent BIGINT, PRIMARY KEY (account, epoch))"
    )
    conn.exec_driver_sql("DELETE FROM undone")
    for epoch, first, last in _epochs_above(conn, bound):
        conn.exec_driver_sql(_UNDONE_ISSUES.format(epoch=epoch, first=first, last=last))
    for statement in (
        _UNDONE_OTHERS.format(bound=bound),
        _SUBTRACT.format(bound=bound),
        "DELETE FROM balances WHERE received = 0 AND (account, epoch) IN "
        "(SELECT account, epoch FROM undone)",
        _ENTRIES.format(bound=bound, side="receiver"),
        _ENTRIES.format(bound=bound, side="sender"),
        _HEADS,
        "DELETE FROM undone",
    ):
        conn.exec_driver_sql(statement)


def _epochs_above(conn: Connection, bound: int) -> list[tuple[int, int, int]]:
    """Epochs of the undone blocks, each with the first and last id that its blocks can have."""
    network = conn.execute(sa.select(t.network)).one()
    schedule = EpochSchedule(network.epoch_first_start, network.epoch_length, network.validity)
    b = t.blocks.c
    found: dict[int, tuple[int, int, int]] = {}
    for number, time in conn.execute(
        sa.select(b.number, b.time).where(b.number >= t.block_of(bound)).order_by(b.number)
    ):
        epoch = schedule.epoch_at(max(time, schedule.first_start))
        first = found[epoch][1] if epoch in found else t.first_id(number)
        found[epoch] = (epoch, first, t.first_id(number + 1) - 1)
    return list(found.values())


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
