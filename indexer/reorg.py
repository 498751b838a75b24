"""A reorg: the chain says something else now about blocks that were mirrored.

Facts and journals carry the id of the log that made them, so undoing blocks deletes what lies above
an id, and takes the sums of just those rows off the few totals. Balances need nothing: what can be
undone was not carried forward yet (`carry`). Nothing is kept for it besides the rows themselves, so
it works to any depth; a fork below what was called final has the balances summed up again, and a
person hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import bulk, carry, store
from indexer import tables as t
from indexer.database import is_postgres
from indexer.derive import take_off
from indexer.project import Header


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
        # Few rows out of large tables: left to itself the planner reads whole ones.
        conn.exec_driver_sql("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
    carried_to = carry.carried_to(conn)
    final_block = min(final_block, common.number)
    with bulk.pipelined(conn):
        take_off(conn, bound)
        _delete_above(conn, common.number, bound)
        store.move_cursor(conn, common, final_block)
    if carried_to > bound:
        # Deeper than what was final: what was carried forward is summed up again from the rows.
        if is_postgres(conn):
            # This is about whole tables.
            conn.exec_driver_sql("SET LOCAL enable_hashjoin = on")
        carry.anew(conn, t.first_id(max(final_block, 0) + 1))


def _delete_above(conn: Connection, block: int, bound: int) -> None:
    for table in (*t.FACTS, *t.JOURNALS, t.coalition_codes, t.tail):
        if "id" in table.c:
            bulk.run(conn, f"DELETE FROM {table.name} WHERE id >= ?", bound)
        else:
            column = "number" if "number" in table.c else "block"
            bulk.run(conn, f"DELETE FROM {table.name} WHERE {column} > ?", block)
