"""What the gateway's tests share: a clock and books that a test writes down itself."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI
from sqlalchemy import insert

from gateway import ids
from gateway.books import Effect, Head, Position
from gateway.database import Database
from gateway.listening import server_of
from gateway.model import Member, Merchant
from gateway.network import Network
from gateway.orders.writer import AcceptWriter
from gateway.tables import members, merchants

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

    def coalition(self) -> None:
        """None was ever succeeded."""

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


@dataclass
class Town:
    """A running network with a baker, a florist, ada, ben and cleo, and a client of its API.

    Keys: the operator's, an auditor's, one of a cashier of the baker's, and ada's own.
    """

    network: Network
    client: httpx.Client
    baker: Merchant
    florist: Merchant
    ada: Member
    ben: Member
    cleo: Member
    operator_key: str
    cashier_key: str
    auditor_key: str
    member_key: str

    def post(
        self, path: str, body: object, *, key: str | None = None, by: str | None = None
    ) -> httpx.Response:
        """A POST by the baker (or the API key `by`) under a fresh idempotency key (or `key`)."""
        headers = self.headers(by) | {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.client.post(path, json=body, headers=headers)

    def get(self, path: str, *, by: str | None = None) -> httpx.Response:
        """A GET by the baker, or by the API key `by`."""
        return self.client.get(path, headers=self.headers(by))

    def headers(self, by: str | None = None) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"Bearer {by or self.baker.api_key}"}


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The application on a free port of 127.0.0.1, as `banyan serve` runs it; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = server_of(app, grace_s=1)
    thread = threading.Thread(
        target=lambda: server.run(sockets=[listener]), name="uvicorn", daemon=True
    )
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server ended before it had started"
        assert time.monotonic() < until, "the server has not started"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def fresh(name: str) -> str:
    """A reference that no other test uses."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def writer_of(
    database: Database, books: WrittenBooks, clock: SetClock, *, group_wait_ms: float = 5
) -> AcceptWriter:
    return AcceptWriter(
        database,
        books,
        clock,
        group_requests_max=256,
        group_wait_ms=group_wait_ms,
        queue_requests_max=4096,
    )


@contextmanager
def house_on(database: Database) -> Iterator[House]:
    """An order book on this database, with its accept writer running."""
    books, clock = WrittenBooks(), SetClock()
    merchant_ids, member_ids = ids.new_ids(2, NOON), ids.new_ids(3, NOON)
    with database.write() as connection:
        connection.execute(
            insert(merchants),
            [merchant_row(n + 1, raw) for n, raw in enumerate(merchant_ids)],
        )
        connection.execute(
            insert(members), [member_row(n + 1, raw) for n, raw in enumerate(member_ids)]
        )
    books.positions = {1: Position(1_100_000, 0), 2: Position(0, 0)}
    writer = writer_of(database, books, clock)
    writer.start()
    try:
        yield House(
            database,
            books,
            clock,
            writer,
            *(ids.encode(ids.MERCHANT, raw) for raw in merchant_ids),
            *(ids.encode(ids.MEMBER, raw) for raw in member_ids),
        )
    finally:
        writer.stop()


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
