"""A block's header, and the month it falls into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header; hashes are 32 bytes, `time` is the unix second."""

    number: int
    hash: bytes
    parent_hash: bytes
    time: int


def month_of(time: int) -> int:
    """yyyymm of a unix second in UTC."""
    day = datetime.fromtimestamp(time, UTC)
    return day.year * 100 + day.month
