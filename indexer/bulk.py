"""Writing and reading many rows at once, below SQLAlchemy: one statement, or one COPY, a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Integer, LargeBinary, SmallInteger, String, Table

from indexer.database import is_postgres
from indexer.tables import Money

Row = tuple[Any, ...]

_KEYS_PER_STATEMENT: Final = 10_000
"""SQLite takes 32,766 values in one statement; PostgreSQL any number, in one array."""
_COPY_FROM_ROWS: Final = 16
"""Under so many rows the round trips of COPY cost more than they save."""


def insert(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Appends rows; their values in the order of the table's columns."""
    if not rows:
        return
    if is_postgres(conn) and len(rows) >= _COPY_FROM_ROWS:
        _copy(conn, table, table.name, rows)
    else:
        _executemany(conn, _insert_sql(table, is_postgres(conn)), rows)


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
    if is_postgres(conn):
        # A set joined is planned as a hash or as index look-ups; a long IN list is compared.
        text = sql.format(keys="(SELECT unnest(%s::bytea[]))").replace("?", "%s")
        if wanted:
            yield from _cursor(conn).execute(text, (wanted, *parameters))
        return
    for start in range(0, len(wanted), _KEYS_PER_STATEMENT):
        part = wanted[start : start + _KEYS_PER_STATEMENT]
        marks = ",".join("?" * len(part))
        yield from _cursor(conn).execute(sql.format(keys=f"({marks})"), (*part, *parameters))


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
    if is_postgres(conn) and len(rows) >= _COPY_FROM_ROWS:
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
        _executemany(conn, _insert_sql(table, is_postgres(conn)) + clause, rows)


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
def _insert_sql(table: Table, postgres: bool) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join("%s" if postgres else "?" for _ in table.columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks})"


def _executemany(conn: Connection, sql: str, rows: Sequence[Row]) -> None:
    _cursor(conn).executemany(sql, rows)


def _cursor(conn: Connection) -> Any:
    """The driver's own cursor, in SQLAlchemy's transaction."""
    return conn.connection.cursor()
