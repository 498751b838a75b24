"""PostgreSQL's arrays as text: a column of values in one parameter.

The driver dumps a list value by value, guesses its type from what is in it (so that one statement
has as many plans as sizes of numbers), and takes a tenth of what a line costs for that. Text cast
in the statement (`%s::bigint[]`) has one type, and is written by C code throughout.
"""

from collections.abc import Iterable

_NULL = "NULL"


def numbers(values: Iterable[int | None]) -> str:
    """`smallint[]`, `integer[]`, `bigint[]`."""
    return "{" + ",".join([_NULL if v is None else str(v) for v in values]) + "}"


def blobs(values: Iterable[bytes | None]) -> str:
    """`bytea[]`."""
    return "{" + ",".join([_NULL if v is None else f'"\\\\x{v.hex()}"' for v in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """`text[]`. What PostgreSQL's text cannot hold, a NUL or half a surrogate pair, is refused by
    the driver as in any other parameter.
    """
    return "{" + ",".join([_NULL if v is None else _quoted(v) for v in values]) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
