"""Orders that reached the Coalition through another contract, found again in its calldata.

`execute` exists for contracts that compose. The transaction then calls a stranger, whose calldata
we cannot read; but the order's bytes nearly always stand in it as they were signed. They are looked
for by the fields that the effect's event names, and believed only if they hash to the digest in
that event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from indexer.auditor.decode import Event, Value
from indexer.auditor.orders import Order, read_order

_KEY_SIGNATURE: Final = 65


def _m(value: Value) -> bytes:
    assert isinstance(value, int)
    return value.to_bytes(4, "big")


def _p(value: Value) -> bytes:
    assert isinstance(value, int)
    return value.to_bytes(5, "big")


def _n(value: Value) -> bytes:
    assert isinstance(value, int)
    return value.to_bytes(8, "big")


def _b(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value


# By the event: how the order's wire begins. Argument 0 is the digest.
_PREFIXES: Final[dict[str, Callable[[tuple[Value, ...]], bytes]]] = {
    "Joined": lambda a: b"\x01" + _b(a[1]),
    "Left": lambda a: b"\x02" + _b(a[1]),
    "Issued": lambda a: b"\x03" + _m(a[1]) + _n(a[2]),
    "Redeemed": lambda a: b"\x04" + _b(a[1]) + _m(a[2]) + _p(a[3]),
    "Refunded": lambda a: b"\x05" + _m(a[2]) + _p(a[4]),
    "Returned": lambda a: b"\x06" + _b(a[1]) + _m(a[2]) + _p(a[4]),
    "Transferred": lambda a: b"\x07" + _b(a[1]) + _b(a[2]) + _p(a[3]),
    "Cancelled": lambda a: b"\x08" + _b(a[1]) + _m(a[2]) + _n(a[3]),
    "Withdrawn": lambda a: b"\x09" + _m(a[1]) + _b(a[2]),
    "TillKeySet": lambda a: b"\x0a" + _m(a[1]) + _b(a[2]),
    "OwnerSet": lambda a: b"\x0b" + _m(a[1]) + _b(a[2]),
    "ProfileSet": lambda a: b"\x0c" + _m(a[1]) + _b(a[2]),
    "RecoveryNamed": lambda a: b"\x0d" + _b(a[1]) + _b(a[2]),
    "RecoveryStarted": lambda a: b"\x0e" + _b(a[1]) + _b(a[2]),
}
EFFECTS: Final = frozenset(_PREFIXES)
"""Names of the events that an order's effect leaves; argument 0 is always the digest."""
# Kind byte and fields, without the signature.
_FIXED_BYTES: Final = dict(
    zip((1, 2, 4, *range(7, 15)), (29, 29, 70, 54, 38, 54, 39, 38, 50, 49, 49), strict=True)
)
_ENTRIES_MAX: Final = 600
_TRIES_MAX: Final = 16  # a hostile calldata repeats the prefix; each try costs a digest


def _ends(kind: int, calldata: bytes, at: int) -> list[int]:
    """Where an order that begins at `at` may end, signed by a key."""
    if kind in _FIXED_BYTES:
        return [at + _FIXED_BYTES[kind] + _KEY_SIGNATURE]
    if kind == 3:
        count = int.from_bytes(calldata[at + 50 : at + 52], "big")
        return [at + 52 + 25 * min(count, _ENTRIES_MAX) + _KEY_SIGNATURE]
    if kind == 5:
        steps = calldata[at + 120] if at + 120 < len(calldata) else 0
        return [at + 121 + 32 * steps + _KEY_SIGNATURE]
    return [at + 77 + 2 + _KEY_SIGNATURE + _KEY_SIGNATURE]


def find_order(event: Event, calldata: bytes, domain: bytes) -> Order | None:
    """The order behind an effect, if a key signed it and it stands in the calldata as signed."""
    make = _PREFIXES.get(event.name)
    if make is None:
        return None
    try:
        prefix = make(event.args)
    except OverflowError:
        return None
    at = calldata.find(prefix)
    for _ in range(_TRIES_MAX):
        if at < 0:
            return None
        for end in _ends(prefix[0], calldata, at):
            if end <= len(calldata):
                order = read_order(calldata, domain, at, end)
                if order is not None and order.digest == event.args[0]:
                    return order
        at = calldata.find(prefix, at + 1)
    return None
