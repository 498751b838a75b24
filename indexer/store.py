"""Writes a batch: every table and the cursor, in the caller's transaction."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import bulk
from indexer import tables as t
from indexer.project import Batch, Header


def write_many(conn: Connection, batch: Batch) -> None:
    """Appends to the tables that have many rows in this batch."""
    for table, rows in batch.appended.items():
        if bulk.is_many(rows):
            bulk.insert(conn, table, rows)
    for sums in batch.sums():
        if bulk.is_merged(sums.by_key):
            bulk.add(conn, sums.table, sums.rows())


def write(conn: Connection, batch: Batch) -> None:
    """Appends what `write_many` has left: a few rows a table, to be sent together."""
    for table, rows in batch.appended.items():
        if not bulk.is_many(rows):
            bulk.insert(conn, table, rows)
    for sums in batch.sums():
        if not bulk.is_merged(sums.by_key):
            bulk.add(conn, sums.table, sums.rows())


def move_cursor(conn: Connection, header: Header, final_block: int) -> None:
    """Makes `header` the last block that was read."""
    row = (header.number, header.hash, header.time, final_block)
    bulk.run(
        conn,
        "INSERT INTO progress (one, block, hash, time, final_block, carried_to) "
        "VALUES (1, ?, ?, ?, ?, 0) ON CONFLICT (one) DO UPDATE SET block = excluded.block, "
        "hash = excluded.hash, time = excluded.time, final_block = excluded.final_block",
        *row,
    )


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
    bulk.replace(conn, t.tail, [(header.number, header.hash, header.parent_hash, header.time)])
    bulk.run(
        conn,
        "DELETE FROM tail WHERE number < (SELECT MAX(number) FROM tail WHERE number <= ?)",
        max(final_block, 0),
    )
