"""Writes a batch: every table and the cursor, in the caller's transaction."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import bulk
from indexer import tables as t
from indexer.project import Batch, Header


def write(conn: Connection, batch: Batch) -> None:
    """Appends facts and journals, replaces balances, adds to the totals."""
    for table, rows in batch.appended.items():
        if table is t.entries:
            # Its key begins with the account: in order, neighbours share a page.
            rows.sort()
        bulk.insert(conn, table, rows)
    bulk.replace(conn, t.balances, batch.balances)
    for sums in batch.sums():
        bulk.add(conn, sums.table, sums.rows())


def move_cursor(conn: Connection, header: Header, final_block: int) -> None:
    """Makes `header` the last block that was read."""
    bulk.replace(conn, t.progress, [(1, header.number, header.hash, header.time, final_block)])


def read_cursor(conn: Connection) -> tuple[Header, int] | None:
    """The last block that was read (its parent hash left empty) and the final one, if any."""
    row = conn.execute(sa.select(t.progress)).one_or_none()
    if row is None:
        return None
    return Header(row.block, bytes(row.hash), b"", row.time), row.final_block


def extend_tail(conn: Connection, header: Header, final_block: int) -> None:
    """Keeps the header of a block that may yet be replaced, and drops those that may not.

    The highest final one stays: it is where the others must connect to.
    """
    tail = t.tail.c
    bulk.replace(conn, t.tail, [(header.number, header.hash, header.parent_hash, header.time)])
    anchor = conn.execute(
        sa.select(sa.func.max(tail.number)).where(tail.number <= max(final_block, 0))
    ).scalar_one()
    if anchor is not None:
        conn.execute(sa.delete(t.tail).where(tail.number < anchor))
