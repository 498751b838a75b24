"""Writing and reading many rows at once, below SQLAlchemy: one statement, or one COPY, a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Integer, LargeBinary, SmallInteger, String, Table

from indexer.database import is_postgres
from indexer.tables import Money

Row = tuple[Any, ...]

_KEYS_PER_STATEMENT: Final = 1_000
"""SQLite takes 32,766 values in one statement; PostgreSQL looks each key of an array up in the
index, and reads whole tables instead when there are very many."""
_COPY_FROM_ROWS: Final = 16
"""Under so many rows the round trips of COPY cost more than they save."""
_MERGE_FROM_ROWS: Final = 400
"""Under so many rows a table beside, and merging it, costs more than single upserts."""
_VALUES_PER_STATEMENT: Final = 4_000
"""SQLite lets go of the interpreter once a statement: with hundreds of rows in one, the threads
that read ahead work meanwhile; with one row in each, they take turns at every row."""


def is_merged(rows: Sized) -> bool:
    """Whether adding so many rows takes a table beside on PostgreSQL."""
    return len(rows) >= _MERGE_FROM_ROWS


def is_many(rows: Sized) -> bool:
    """Whether these rows go by COPY on PostgreSQL, which nothing may be sent along with."""
    return len(rows) >= _COPY_FROM_ROWS


@contextlib.contextmanager
def pipelined(conn: Connection) -> Iterator[None]:
    """Statements within are sent to PostgreSQL without waiting for each one's answer."""
    if is_postgres(conn):
        with conn.connection.driver_connection.pipeline():  # type: ignore[union-attr]
            yield
    else:
        yield


def insert(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Appends rows; their values in the order of the table's columns."""
    if not rows:
        return
    if is_postgres(conn) and is_many(rows):
        _copy(conn, table, table.name, rows)
    else:
        _executemany(conn, table, rows)


def replace(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Writes rows whole, in place of those with the same key."""
    _upsert(conn, table, rows, "{column} = excluded.{column}")


def add(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Adds each row's values to the row with the same key, or makes it."""
    _upsert(conn, table, rows, "{column} = {table}.{column} + excluded.{column}")


def run(conn: Connection, sql: str, *parameters: Any) -> None:
    """Runs one statement with `?` where the parameters go."""
    _cursor(conn).execute(sql.replace("?", "%s") if is_postgres(conn) else sql, parameters)


def select_in(conn: Connection, sql: str, keys: Iterable[bytes], *parameters: Any) -> Iterator[Row]:
    """Runs a SELECT for many keys. `sql` holds `{keys}` where the list of them goes, as in
    `account IN {keys}`, before any other parameter (written `?`).
    """
    wanted = list(keys)
    cursor = _cursor(conn)
    for start in range(0, len(wanted), _KEYS_PER_STATEMENT):
        part = wanted[start : start + _KEYS_PER_STATEMENT]
        if is_postgres(conn):
            text = sql.replace("IN {keys}", "= ANY(%s::bytea[])").replace("?", "%s")
            yield from cursor.execute(text, (part, *parameters))
        else:
            marks = ",".join("?" * len(part))
            yield from cursor.execute(sql.format(keys=f"({marks})"), (*part, *parameters))


def _upsert(conn: Connection, table: Table, rows: Sequence[Row], assignment: str) -> None:
    if not rows:
        return
    keys = ", ".join(column.name for column in table.primary_key.columns)
    assignments = ", ".join(
        assignment.format(column=column.name, table=table.name)
        for column in table.columns
        if not column.primary_key
    )
    clause = f" ON CONFLICT ({keys}) DO UPDATE SET {assignments}"
    if is_postgres(conn) and is_merged(rows):
        beside = f"incoming_{table.name}"
        cursor = _cursor(conn)
        cursor.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {beside} (LIKE {table.name}) "
            "ON COMMIT DELETE ROWS"
        )
        # It may have served before in this transaction.
        cursor.execute(f"TRUNCATE {beside}")
        _copy(conn, table, beside, rows)
        cursor.execute(f"INSERT INTO {table.name} SELECT * FROM {beside}{clause}")
    else:
        _executemany(conn, table, rows, clause)


def _copy(conn: Connection, table: Table, name: str, rows: Sequence[Row]) -> None:
    with _cursor(conn).copy(f"COPY {name} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_copy_types(table))
        write = copy.write_row
        for row in rows:
            write(row)


@lru_cache
def _copy_types(table: Table) -> tuple[str, ...]:
    return tuple(_postgres_type(column.type) for column in table.columns)


def _postgres_type(kind: object) -> str:
    if isinstance(kind, LargeBinary):
        return "bytea"
    if isinstance(kind, Money):
        return "numeric"
    if isinstance(kind, Boolean):
        return "bool"
    if isinstance(kind, String):
        return "varchar"
    if isinstance(kind, SmallInteger):
        return "int2"
    # BigInteger is a kind of Integer in SQLAlchemy.
    return "int4" if type(kind) is Integer else "int8"


@lru_cache
def _insert_sql(table: Table, postgres: bool, rows: int = 1) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("%s" if postgres else "?" for _ in table.columns)
    return f"INSERT INTO {table.name} ({names}) VALUES " + ", ".join([f"({marks})"] * rows)


def _executemany(conn: Connection, table: Table, rows: Sequence[Row], clause: str = "") -> None:
    cursor = _cursor(conn)
    done = 0
    if not is_postgres(conn):
        step = _VALUES_PER_STATEMENT // len(table.columns)
        many = _insert_sql(table, False, step) + clause if len(rows) >= step else ""
        while len(rows) - done >= step:
            cursor.execute(many, list(chain.from_iterable(rows[done : done + step])))
            done += step
    cursor.executemany(_insert_sql(table, is_postgres(conn)) + clause, rows[done:])


def _cursor(conn: Connection) -> Any:
    """The driver's own cursor, in SQLAlchemy's transaction."""
    return conn.connection.cursor()
