"""Headers as nodes give them, and what can be told from them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from indexer.errors import SourceContradicts
from indexer.project import Header
from indexer.tables import IDS_PER_BLOCK
from wallet_sdk.types import digest_bytes, keccak256

_NUMBER_MAX: Final = 2**63 // IDS_PER_BLOCK - 2
"""Ids of logs have 63 bits."""
_TIME_MAX: Final = 253_402_300_799
"""The last second of the year 9999: statements name months."""


def header_of(raw: Any) -> Header:
    """Raises SourceContradicts: this is no header, or of no block that there can be."""
    try:
        header = Header(
            number=int(raw["number"], 16),
            hash=digest_bytes(raw["hash"]),
            parent_hash=digest_bytes(raw["parentHash"]),
            time=int(raw["timestamp"], 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceContradicts(f"not a header: {error!r}") from error
    if not 0 <= header.number <= _NUMBER_MAX or not 0 <= header.time <= _TIME_MAX:
        raise SourceContradicts(f"a header of block {header.number} at second {header.time}")
    return header


def header_at(raw: Any, number: int) -> Header:
    """The header of the block that was asked for. Raises SourceContradicts: it is another's."""
    header = header_of(raw)
    if header.number != number:
        raise SourceContradicts(f"asked for block {number}, the node gave block {header.number}")
    return header


def numbers_of(logs: Sequence[Any]) -> set[int]:
    """The blocks that these logs name. Raises SourceContradicts: one of them names none."""
    try:
        return {int(number, 16) for number in {log["blockNumber"] for log in logs}}
    except (KeyError, TypeError, ValueError) as error:
        raise SourceContradicts(f"a log of no block: {error!r}") from error


def bloom_of(raw: Mapping[str, Any]) -> int:
    """A header's bloom, empty where the node tells none. Raises SourceContradicts: it is none."""
    bloom = raw.get("logsBloom") or "0x0"
    try:
        return int(bloom, 16)
    except (TypeError, ValueError) as error:
        raise SourceContradicts(f"a bloom that is none: {bloom!r:.80}") from error


def shown_number(text: object) -> object:
    """A quantity; what is none, as it came."""
    try:
        return int(text, 16) if isinstance(text, str) else text
    except ValueError:
        return text


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
