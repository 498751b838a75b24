"""What a process keeps in memory does not grow with the number of orders: each bound by itself."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from gateway import ids
from gateway.database import READER_CACHE_KB, WRITER_CACHE_KB, Database, migrate
from gateway.model import NewOrder, OrderKind
from gateway.network import Network
from gateway.orders.known import Request, hash_of
from gateway.relay import signing
from indexer.database import into_wal
from tests.gateway.helpers import House, fresh

# Three that write (order book, mirror, journal), and two pools of fifteen that read.
CACHES_MAX_KB = 90_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'orders.db'}")
    migrate(found)
    yield found
    found.close()


def cache_kb(connection: Connection) -> int:
    return -int(connection.execute(text("PRAGMA cache_size")).scalar_one())


def driver_of(connection: Connection) -> int:
    return id(connection.connection.dbapi_connection)


def test_write__from_many_threads__goes_through_one_connection(book: Database) -> None:
    def write(_: int) -> tuple[int, int]:
        with book.write() as connection:
            return driver_of(connection), cache_kb(connection)

    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(write, range(40)))
    assert [kb for _, kb in found] == [WRITER_CACHE_KB]
    # Closed, it comes back when it is needed.
    book.close()
    assert write(0)[1] == WRITER_CACHE_KB


def test_write__refused__leaves_the_connection_for_the_next(book: Database) -> None:
    def broken_off() -> None:
        with book.write() as connection:
            connection.execute(text("INSERT INTO facts (name, value) VALUES ('a', 'b')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    with book.write() as connection:
        assert connection.execute(text("SELECT count(*) FROM facts")).scalar_one() == 0


def test_caches__all_that_a_process_may_open__are_bounded_together(
    book: Database, network: Network
) -> None:
    pools: list[Any] = [book.engine.pool, network.mirror.pool]
    connections = sum(pool.size() + pool._max_overflow for pool in pools)
    with book.read() as connection:
        assert cache_kb(connection) == READER_CACHE_KB
    with network.mirror.connect() as connection:
        assert cache_kb(connection) == READER_CACHE_KB
    assert 3 * WRITER_CACHE_KB + connections * READER_CACHE_KB < CACHES_MAX_KB
    assert ids.decode.cache_info().maxsize == ids.REMEMBERED_MAX <= 20_000


def test_count__of_orders_by_state__sorts_nothing(network: Network) -> None:
    # A sort holds all that it sorts.
    said: list[str] = []
    engine = network.gateway.database.engine

    @event.listens_for(engine, "before_cursor_execute")
    def hear(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    try:
        assert sum(network.gateway.orders_by_state().values()) >= 0
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    (query,) = [statement for statement in said if statement.startswith("SELECT")]
    assert "GROUP BY" not in query
    assert "ORDER BY" not in query


def test_accept__answered__forgets_the_lines(house: House) -> None:
    class Lines(list[NewOrder]):
        """A list that tells when it is gone."""

    lines = Lines([NewOrder(OrderKind.ISSUE, house.ada, 10, fresh("r"), house.baker)])
    gone = weakref.ref(lines)
    house.writer.submit(Request(1, "test", fresh("k"), hash_of(lines), lines)).result()
    del lines
    until = time.monotonic() + 2
    while gone() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [([], 0), ([600] * 25, 10), ([5_999, 1, 1], 2), ([7_000, 1], 1), ([0, 0, 6_000, 1], 3)],
)
def test_portion__of_open_batches__holds_so_many_orders_at_most(
    sizes: list[int], taken: int
) -> None:
    found = signing.portion([SimpleNamespace(order_count=size) for size in sizes])
    assert len(found) == taken


def test_open__while_another_has_the_new_file_alone__waits(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.1, other.commit).start()
    # Without patience of SQLite's own, which is none for this change in any case.
    mine = sqlite3.connect(file, timeout=0)
    into_wal(mine, wait_s=10)
    assert mine.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    mine.close()
    other.close()
