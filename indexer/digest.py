"""One number for the whole mirror: equal on both databases and on every machine.

SHA-256 over the rows of each table in the order of its key, every value in a canonical encoding
that says its kind and length. Nothing in these tables depends on a wall clock, on how ranges were
cut, or on forks that were undone, so two mirrors of one chain at one block have one digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from indexer import store, views
from indexer.errors import MirrorEmpty
from wallet_sdk.types import Digest, digest_of, to_hex

_ROWS_PER_FETCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class TableDigest:
    """One table's rows and their hash."""

    table: str
    rows: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class MirrorDigest:
    """The mirror's digest after `block`, and that of each table."""

    block: int
    block_hash: Digest
    digest: Digest
    tables: tuple[TableDigest, ...]


def mirror_digest(
    conn: Connection,
    *,
    tables: Iterable[Table] = views.DIGESTED,
    on_progress: Callable[[str, int], None] | None = None,
) -> MirrorDigest:
    """Hashes the mirror as this transaction sees it. `on_progress` is told the table and how many
    of its rows are done. Raises MirrorEmpty.
    """
    cursor = store.read_cursor(conn)
    if cursor is None:
        raise MirrorEmpty
    found = tuple(table_digest(conn, table, on_progress) for table in tables)
    whole = hashlib.sha256()
    for one in found:
        whole.update(f"{one.table}:{one.rows}:{one.digest}\n".encode())
    header, _ = cursor
    return MirrorDigest(
        block=header.number,
        block_hash=digest_of(header.hash),
        digest=to_hex(whole.digest()),
        tables=found,
    )


def table_digest(
    conn: Connection, table: Table, on_progress: Callable[[str, int], None] | None = None
) -> TableDigest:
    """Hashes one table in the order of its key."""
    statement = sa.select(table).order_by(*table.primary_key.columns)
    result = conn.execute(
        statement, execution_options={"yield_per": _ROWS_PER_FETCH, "stream_results": True}
    )
    hashed = hashlib.sha256()
    rows = 0
    for part in result.partitions():
        hashed.update(b"".join(map(encode_row, part)))
        rows += len(part)
        if on_progress is not None:
            on_progress(table.name, rows)
    return TableDigest(table.name, rows, to_hex(hashed.digest()))


def encode_row(row: Iterable[Any]) -> bytes:
    """A row as bytes: for each value its kind, its length and itself.

    None `n`, booleans `t` and `f`, integers `i` in decimal, bytes `x`, text `s` in UTF-8.
    """
    return b"".join(map(_encode, row)) + b"\n"


def _encode(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"x%d:%b" % (len(value), value)
    if value is None:
        return b"n"
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"i%d;" % value
    if isinstance(value, str):
        text = value.encode()
        return b"s%d:%b" % (len(text), text)
    raise TypeError(f"no canonical form for {type(value).__name__}")
