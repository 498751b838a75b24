"""What the gateway's tests share: a clock and books that a test writes down itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.books import Effect, Head, Position
from gateway.database import Database
from gateway.orders.writer import AcceptWriter

NOON = 1_800_000_000


@dataclass
class SetClock:
    """Network time that a test sets."""

    time: int = NOON

    def now(self) -> int:
        return self.time


@dataclass
class WrittenBooks:
    """Balances and positions as the test wrote them down."""

    points: dict[bytes, int] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    found: dict[bytes, Effect] = field(default_factory=dict)
    price: int = 110
    head_block: Head | None = None

    def head(self) -> Head | None:
        return self.head_block

    def balances(self, addresses: Sequence[bytes], at: int) -> dict[bytes, int]:
        return {a: self.points[a] for a in addresses if a in self.points}

    def position(self, merchant: int) -> Position | None:
        return self.positions.get(merchant)

    def effects(self, digests: Sequence[bytes]) -> dict[bytes, Effect]:
        return {d: self.found[d] for d in digests if d in self.found}

    def issue_price(self, at: int) -> int:
        return self.price


@dataclass
class House:
    """An order book with a baker (merchant 1), a florist (2), ada, ben and cleo."""

    database: Database
    books: WrittenBooks
    clock: SetClock
    writer: AcceptWriter
    baker: str
    florist: str
    ada: str
    ben: str
    cleo: str


def writer_of(database: Database, books: WrittenBooks, clock: SetClock) -> AcceptWriter:
    return AcceptWriter(
        database, books, clock, group_requests_max=256, group_wait_ms=5, queue_requests_max=4096
    )


def address_of_member(number: int) -> bytes:
    return bytes([0xAA]) * 16 + number.to_bytes(4, "big")


def merchant_row(number: int, raw: bytes) -> dict[str, object]:
    return {
        "id": number,
        "public_id": raw,
        "slug": f"m{number}",
        "name": f"Merchant {number}",
        "state": 1,
        "owner": bytes([number]) * 20,
        "till_key": bytes([0x10 + number]) * 20,
        "earn_points": 1,
        "earn_per_minor": 1,
        "currency": "USD",
        "minor_digits": 2,
        "created_at": NOON,
    }


def member_row(number: int, raw: bytes) -> dict[str, object]:
    return {
        "id": number,
        "public_id": raw,
        "external_id": f"card-{number}",
        "address": address_of_member(number),
        "created_at": NOON,
    }
