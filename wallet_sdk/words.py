"""ABI words: every static value is 32 bytes. Events, refusals and answers of calls are read by
these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from wallet_sdk.types import address_of, to_hex

WordReader: TypeAlias = Callable[[bytes], Any]


def _signed(word: bytes) -> int:
    return int.from_bytes(word, "big", signed=True)


def _unsigned(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _bool(word: bytes) -> bool:
    return word[31] == 1


def _address(word: bytes) -> str:
    return address_of(word[12:])


def _address_raw(word: bytes) -> bytes:
    return word[12:]


def reader(abi_type: str) -> WordReader:
    """Reads one word of a static type in border form: EIP-55 addresses, 0x hex, ints."""
    if abi_type == "address":
        return _address
    if abi_type == "bool":
        return _bool
    if abi_type.startswith("bytes"):
        size = int(abi_type.removeprefix("bytes"))
        return lambda word: to_hex(word[:size])
    if abi_type.startswith(("uint", "int")):
        return _unsigned if abi_type[0] == "u" else _signed
    raise ValueError(f"not a static type: {abi_type!r}")


def raw_reader(abi_type: str) -> WordReader:
    """As `reader`, in the form that SQL keeps: addresses 20 bytes, bytesN N bytes."""
    if abi_type == "address":
        return _address_raw
    if abi_type.startswith("bytes"):
        size = int(abi_type.removeprefix("bytes"))
        return lambda word: word[:size]
    return reader(abi_type)


def word_of(abi_type: str, value: Any) -> bytes:
    """The word of a value in border form: the inverse of `reader`."""
    if abi_type == "address":
        return bytes.fromhex(value[2:]).rjust(32, b"\0")
    if abi_type.startswith("bytes"):
        return bytes.fromhex(value[2:]).ljust(32, b"\0")
    return int(value).to_bytes(32, "big", signed=abi_type.startswith("int"))
