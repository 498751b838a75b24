"""The replayed state as a file, so that a re-audit costs only what is new.

JSON without pickling: a file somebody else wrote can be wrong, but it can run nothing. What the
file says is believed (and said so in the report) unless a published head carries its digest. The
leaves of storage in it are never believed: they save asking, or they are of no use (`recall`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

import orjson

from indexer.auditor.codec import keccak
from indexer.auditor.errors import InputInvalid
from indexer.auditor.ledger import Ledger

SCHEMA: Final = 2
Leaves = Mapping[bytes, Mapping[bytes, bytes]]
"""By contract: the raw value of each leaf of its storage trie, by hashed slot."""
_UNREADABLE: Final = (
    OSError,
    orjson.JSONDecodeError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)
_NOT_STATE: Final = frozenset(("counts", "flows", "touched"))


def _plain(value: Any) -> Any:
    """JSON of a part of the state: maps as sorted pairs, so that equal states are equal bytes."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)  # words have 256 bits; JSON numbers have 53
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return sorted(([_plain(k), _plain(v)] for k, v in value.items()), key=orjson.dumps)
    if isinstance(value, set):
        return sorted((_plain(v) for v in value), key=orjson.dumps)
    return [_plain(v) for v in value]


def _typed(kind: Any, value: Any) -> Any:
    """The way back, by the type of the field."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is bytes:
        return bytes.fromhex(value[2:])
    if kind is bool or kind is str:
        return value
    if kind is int:
        return int(value)
    if origin is dict:
        return {_typed(arguments[0], k): _typed(arguments[1], v) for k, v in value}
    if origin is set:
        return {_typed(arguments[0], v) for v in value}
    if origin is list:
        return [_typed(arguments[0], v) for v in value]
    if origin is tuple:
        return tuple(_typed(a, v) for a, v in zip(arguments, value, strict=True))
    if isinstance(kind, type) and is_dataclass(kind):
        make: Any = kind
        hints = get_type_hints(kind)
        names = [f.name for f in fields(kind)]
        return make(**{name: _typed(hints[name], value[name]) for name in names})
    # What is left is `X | None`.
    return (
        None if value is None else _typed(next(a for a in arguments if a is not type(None)), value)
    )


def state_digest(ledger: Ledger) -> bytes:
    """Keccak of the state in its canonical form. What was counted and summed up for the report, or
    noted for the search, is left out: it says how the auditor worked, not what is true.
    """
    state = {
        f.name: _plain(getattr(ledger, f.name)) for f in fields(ledger) if f.name not in _NOT_STATE
    }
    return keccak(orjson.dumps(state, option=orjson.OPT_SORT_KEYS))


def save(path: Path, ledger: Ledger, deployment: bytes, leaves: Leaves | None = None) -> None:
    """Writes the state beside `path` first, so that a crash leaves the old one whole. `leaves`: of
    the contracts' storage, for the next audit to ask for less; they need not be of this block.
    """
    content = {"schema": SCHEMA, "deployment": "0x" + deployment.hex(), "state": _plain(ledger)}
    content["leaves"] = {
        "0x" + address.hex(): {key.hex(): value.hex() for key, value in found.items()}
        for address, found in (leaves or {}).items()
    }
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(orjson.dumps(content))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def load(path: Path, deployment: bytes) -> Ledger | None:
    """The saved state; None where there is no file. Raises InputInvalid: of another network or
    schema, or not readable.
    """
    if not path.exists():
        return None
    with _reading(path):
        content = orjson.loads(path.read_bytes())
        if content["schema"] != SCHEMA:
            raise InputInvalid(f"{path} is of another version: remove it and audit anew")
        if content["deployment"] != "0x" + deployment.hex():
            raise InputInvalid(f"{path} is of another deployment file")
        ledger = _typed(Ledger, content["state"])
    assert isinstance(ledger, Ledger)
    return ledger


def load_leaves(path: Path) -> dict[bytes, dict[bytes, bytes]]:
    """The leaves in the same file; none where an older auditor wrote it. Raises InputInvalid."""
    with _reading(path):
        kept = orjson.loads(path.read_bytes()).get("leaves", {})
        return {
            bytes.fromhex(address[2:]): {
                int(key, 16).to_bytes(32, "big"): bytes.fromhex(value)
                for key, value in found.items()
            }
            for address, found in kept.items()
        }


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise InputInvalid(f"{path} is no saved state of this auditor: {error!r}") from error
