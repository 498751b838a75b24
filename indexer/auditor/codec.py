"""Keccak and RLP, written for speed.

Measured beside the tried libraries on the receipts of full batches (docs/AUDIT.md has the figures):
`rlp` spends about 24 us on a log, this encoder about 2; pycryptodome's Keccak about 8 us a call,
safe-pysha3's about 1.5. The tests hold both against `rlp`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from indexer.auditor.errors import AuditError

Node: TypeAlias = "bytes | list[Node]"
"""What RLP decodes to: bytes, or a list of the same."""


def _choose() -> Callable[[bytes], bytes]:
    try:
        from eth_hash.backends.pysha3 import keccak256 as quick

        return quick
    except ImportError:
        from wallet_sdk.types import keccak256 as plain

        return plain


keccak: Final[Callable[[bytes], bytes]] = _choose()
EMPTY_LIST_HASH: Final = keccak(b"\xc0")
"""keccak(rlp([])): the ommers of every block since the merge."""
EMPTY_TRIE_ROOT: Final = keccak(b"\x80")
EMPTY_CODE_HASH: Final = keccak(b"")


class RlpInvalid(AuditError):
    """Bytes that are not canonical RLP."""


def encode_bytes(data: bytes) -> bytes:
    """One RLP string."""
    size = len(data)
    if size == 1 and data[0] < 0x80:
        return data
    return _head(size, 0x80) + data


def encode_int(value: int) -> bytes:
    """One RLP string that holds a number, big endian without leading zeros."""
    if value < 0x80:
        return bytes([value]) if value else b"\x80"
    return encode_bytes(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def encode_list(encoded: Sequence[bytes]) -> bytes:
    """An RLP list of parts that are encoded already."""
    payload = b"".join(encoded)
    return _head(len(payload), 0xC0) + payload


def _head(size: int, offset: int) -> bytes:
    if size < 56:
        return bytes([offset + size])
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(length)]) + length


def decode(data: bytes) -> Node:
    """The only item in `data`. Raises RlpInvalid: not canonical, too short, or bytes left over."""
    item, end = _decode_at(data, 0, len(data), 0)
    if end != len(data):
        raise RlpInvalid(f"{len(data) - end} bytes behind the item")
    return item


_DEPTH_MAX: Final = 64  # trie nodes nest at most twice; a hostile node must not end us by recursion


def _decode_at(data: bytes, at: int, limit: int, depth: int) -> tuple[Node, int]:
    if at >= limit or depth > _DEPTH_MAX:
        raise RlpInvalid("an item begins behind the end, or nests too deep")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    is_list = first >= 0xC0
    base = 0xC0 if is_list else 0x80
    start = at + 1
    size = first - base
    if size > 55:
        width = size - 55
        start += width
        if start > limit or data[at + 1] == 0:
            raise RlpInvalid("a length is cut or has leading zeros")
        size = int.from_bytes(data[at + 1 : start], "big")
        if size < 56:
            raise RlpInvalid("a long length for a short item")
    end = start + size
    if end > limit:
        raise RlpInvalid("an item ends behind its container")
    if not is_list:
        if size == 1 and data[start] < 0x80:
            raise RlpInvalid("a single byte in a long form")
        return data[start:end], end
    items: list[Node] = []
    while start < end:
        item, start = _decode_at(data, start, end, depth + 1)
        items.append(item)
    return items, end


def quantity(text: object) -> int:
    """A JSON-RPC QUANTITY. Raises AuditError on anything else."""
    if not isinstance(text, str) or text[:2] != "0x" or len(text) < 3:
        raise AuditError(f"expected a hex quantity, got {text!r:.60}")
    try:
        return int(text[2:], 16)
    except ValueError as error:
        raise AuditError(f"expected a hex quantity, got {text!r:.60}") from error


def data_of(text: object, length: int | None = None) -> bytes:
    """A JSON-RPC DATA, of `length` bytes where given. Raises AuditError on anything else."""
    if not isinstance(text, str) or text[:2] != "0x":
        raise AuditError(f"expected hex data, got {text!r:.60}")
    try:
        data = bytes.fromhex(text[2:])
    except ValueError as error:
        raise AuditError(f"expected hex data, got {text!r:.60}") from error
    # bytes.fromhex skips blanks.
    if len(data) * 2 != len(text) - 2 or (length is not None and len(data) != length):
        raise AuditError(f"expected {length} bytes of hex data, got {text!r:.60}")
    return data
