"""Headers as nodes give them, and what can be told from them alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from indexer.errors import SourceContradicts
from indexer.project import Header
from wallet_sdk.types import digest_bytes, keccak256


def header_of(raw: Any) -> Header:
    """Raises SourceContradicts: this is no header."""
    try:
        return Header(
            number=int(raw["number"], 16),
            hash=digest_bytes(raw["hash"]),
            parent_hash=digest_bytes(raw["parentHash"]),
            time=int(raw["timestamp"], 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceContradicts(f"not a header: {error!r}") from error


def bloom_bits(value: bytes) -> int:
    """The three bits of the 2048-bit bloom that stand for `value` (Yellow Paper, 4.3.1)."""
    digest = keccak256(value)
    bits = 0
    for at in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return bits


def check_links(headers: Sequence[Header]) -> None:
    """Each header names the one before it. Raises SourceContradicts."""
    for before, after in zip(headers, headers[1:], strict=False):
        if after.number == before.number + 1 and after.parent_hash != before.hash:
            raise SourceContradicts(
                f"block {after.number} does not follow the node's own block {before.number}"
            )
