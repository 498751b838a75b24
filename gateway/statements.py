"""Statements that are written out once: what is said a thousand times a second is not built anew.

SQLAlchemy composes, caches and unpacks a statement at every call, and every value and row of it
apart; for a request that is accepted alone that was near half of the writer's time. A statement
here is composed by SQLAlchemy as well, but once, and handed to the driver as text with all of its
values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Row, Select, Table, Update
from sqlalchemy.dialects import postgresql

from gateway import arrays

KEYS: Final = "keys"
"""Name of the bind parameter (`expanding=True`) that a Lookup is asked with."""

# SQLite keeps the plans of 128 statements a connection; lists of all lengths would push each other
# out, so they are filled up to a power of two by repeating the last key.
SQLITE_KEYS_MAX: Final = 512

_PLACE: Final = f"(__[POSTCOMPILE_{KEYS}])"


class Insert:
    """Rows into a table, all of them in one call.

    The driver writes them row by row on SQLite; PostgreSQL is sent one array a column.
    """

    def __init__(self, table: Table, *names: str) -> None:
        self._table, self._names = table.name, names
        marks = ", ".join("?" * len(names))
        dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        self._types = [table.c[name].type.compile(dialect=dialect) for name in names]
        self._arrays = [_array_of(type_) for type_ in self._types]
        columns = ", ".join(names)
        self._by_row = f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"
        self._by_column = self.by_column("")
        self._pick = itemgetter(*names)

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts the rows, in their order. Raises whatever the database raises."""
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(self._by_row, [self._pick(row) for row in rows])
        else:
            connection.exec_driver_sql(self._by_column, self.columns("", rows))

    def by_column(self, prefix: str) -> str:
        """The statement for PostgreSQL, to be part of a larger one: parameters are `columns`."""
        unnested = ", ".join(
            f"%({prefix}{name})s::{type_}[]"
            for name, type_ in zip(self._names, self._types, strict=True)
        )
        columns = ", ".join(self._names)
        return f"INSERT INTO {self._table} ({columns}) SELECT * FROM unnest({unnested})"

    def columns(self, prefix: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The rows as parameters of `by_column`."""
        values = zip(*map(self._pick, rows), strict=True) if rows else [()] * len(self._names)
        return {
            prefix + name: array(column)
            for name, array, column in zip(self._names, self._arrays, values, strict=True)
        }


def _array_of(type_: str) -> Callable[[Iterable[Any]], str]:
    """What writes an array of this type of PostgreSQL."""
    if type_ == "BYTEA":
        return arrays.blobs
    return arrays.texts if type_ == "TEXT" else arrays.numbers


class Change:
    """An UPDATE with named bind parameters, once for each row of them."""

    def __init__(self, statement: Update) -> None:
        self._statement = statement
        self._texts: dict[str, _Text] = {}

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carries the change out for each of `rows`, in their order."""
        if not rows:
            return
        said = _said(self._statement, connection, self._texts)
        named = [{**said.literals, **row} for row in rows]
        if connection.dialect.name == "sqlite":
            values = [tuple([row[name] for name in said.marks]) for row in named]
            connection.exec_driver_sql(said.text, values)
        else:
            connection.exec_driver_sql(said.text, named)


class Lookup:
    """A SELECT with `column.in_(bindparam(KEYS, expanding=True))` in it, asked with a list."""

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        self._query = query
        self._texts: dict[str, _Text] = {}

    def __call__(
        self, connection: Connection, keys: Sequence[Any], **fixed: Any
    ) -> list[Row[*tuple[Any, ...]]]:
        """The rows of all `keys`; `fixed` are the query's other parameters."""
        if not keys:
            return []
        said = _said(self._query, connection, self._texts)
        assert said.text.count(_PLACE) == 1, said.text
        named = {**said.literals, **fixed}
        if connection.dialect.name != "sqlite":
            text = said.text.replace(f"IN {_PLACE}", f"= ANY(%({KEYS})s)")
            return list(connection.exec_driver_sql(text, {**named, KEYS: list(keys)}))
        found: list[Row[*tuple[Any, ...]]] = []
        for start in range(0, len(keys), SQLITE_KEYS_MAX):
            part = list(keys[start : start + SQLITE_KEYS_MAX])
            wanted = 1 << (len(part) - 1).bit_length()
            part += part[-1:] * (wanted - len(part))
            values: list[Any] = []
            for name in said.marks:
                values += part if name == KEYS else [named[name]]
            marks = f"({','.join('?' * wanted)})"
            found += connection.exec_driver_sql(said.text.replace(_PLACE, marks), tuple(values))
        return found


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as a dialect writes it: its marks in their order, and the values it came with."""

    text: str
    marks: Sequence[str]
    literals: Mapping[str, Any]


def _said(
    statement: Select[*tuple[Any, ...]] | Update, connection: Connection, texts: dict[str, _Text]
) -> _Text:
    """The statement for this connection, kept in `texts` (two threads may make the same)."""
    dialect = connection.dialect
    known = texts.get(dialect.name)
    if known is None:
        compiled = statement.compile(dialect=dialect)
        literals = {name: v for name, v in compiled.params.items() if v is not None}
        known = _Text(str(compiled), tuple(compiled.positiontup or ()), literals)
        texts[dialect.name] = known
    return known
