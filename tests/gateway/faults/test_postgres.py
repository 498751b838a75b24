"""The order book's PostgreSQL goes away, only stands by, or has no connection to spare: what was
answered is not lost, and nothing is stored twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.database import Database, migrate
from gateway.errors import NotReady
from gateway.model import Accepted
from gateway.orders import quick
from tests.gateway.deployed import end_sessions
from tests.gateway.faults.test_storage import ask, holds_once, refused_for_now
from tests.gateway.helpers import House, house_on


@pytest.fixture
def server(postgres_url: str) -> Iterator[tuple[House, Callable[[int], None]]]:
    """A house on PostgreSQL, and what ends one of its back ends."""
    database = Database(postgres_url)
    migrate(database)
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")

    def terminate(pid: int) -> None:
        with admin.connect() as connection:
            ended = sa.text("SELECT pg_terminate_backend(:pid, 5000)")
            assert connection.execute(ended, {"pid": pid}).scalar_one()

    with house_on(database) as house:
        yield house, terminate
    database.close()
    admin.dispose()


Server = tuple[House, Callable[[int], None]]


def once(work: Callable[[Any], None]) -> Callable[..., None]:
    """The first call does the work, later ones nothing."""
    done = threading.Event()

    def call(connection: Any, *_: Any) -> None:
        if not done.is_set():
            done.set()
            work(connection)

    return call


def pid_of(connection: sa.Connection) -> int:
    return int(connection.connection.driver_connection.info.backend_pid)  # type: ignore[union-attr]


@pytest.fixture
def under_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups are decided in one transaction with locks, as where others come in between."""
    monkeypatch.setattr(quick, "suits", lambda *_: False)


@pytest.mark.usefixtures("under_locks")
@pytest.mark.parametrize("moment", ["begin", "commit"])
def test_accept__back_end_terminated_before__is_stored_once(server: Server, moment: str) -> None:
    house, terminate = server
    ask(house, "before")
    hit = once(lambda connection: terminate(pid_of(connection)))
    event.listen(house.database.engine, moment, hit)
    holds_once(house, "before", "during")
    event.remove(house.database.engine, moment, hit)
    holds_once(house, "before", "during")


@pytest.mark.parametrize("moment", ["FROM idempotency", "INSERT INTO idempotency"])
def test_accept__back_end_terminated_before_a_statement__is_stored_once(
    server: Server, moment: str
) -> None:
    house, terminate = server
    ask(house, "before")
    hit = once(lambda connection: terminate(pid_of(connection)))

    def strike(connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if moment in statement:
            hit(connection)

    event.listen(house.database.engine, "before_cursor_execute", strike)
    holds_once(house, "before", "during")
    event.remove(house.database.engine, "before_cursor_execute", strike)
    holds_once(house, "before", "during")


@pytest.mark.parametrize("way", ["do_execute", "do_commit"])
def test_accept__back_end_terminated_after_its_commit__is_stored_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    house, terminate = server
    if way == "do_commit":
        monkeypatch.setattr(quick, "suits", lambda *_: False)
    ask(house, "before")
    dialect = house.database.engine.dialect
    real = getattr(dialect, way)
    struck: list[int] = []

    def carry_out(at: Any, statement: str = "", *rest: Any) -> None:
        real(*([at] if way == "do_commit" else [at, statement, *rest]))
        driver = at.driver_connection if way == "do_commit" else at.connection
        if not struck and (way == "do_commit" or "INSERT INTO idempotency" in statement):
            struck.append(driver.info.backend_pid)
            terminate(struck[0])
            # What the driver says when the reply never came.
            driver.execute("SELECT 1")

    monkeypatch.setattr(dialect, way, carry_out)
    (answer,) = ask(house, "during")
    assert struck
    assert isinstance(answer, Accepted)
    assert ask(house, "during") == [answer]
    holds_once(house, "before", "during")


def test_accept__the_server_only_reads__refuses_and_goes_on_when_it_writes(
    server: Server,
) -> None:
    # As a standby does, or a server that another one has taken over from.
    house, _ = server
    ask(house, "before")
    engine = house.database.engine
    for mode in ("on", "off"):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            change = f'ALTER DATABASE "{engine.url.database}" SET default_transaction_read_only'
            connection.exec_driver_sql(f"{change} = {mode}")
        engine.dispose()
        if mode == "on":
            refused_for_now(house, "during")
    holds_once(house, "before", "during")


@pytest.mark.soak
def test_accept__all_back_ends_terminated_again_and_again__stores_each_once(
    server: Server,
) -> None:
    house, terminate = server
    stopping = threading.Event()

    def storm() -> None:
        own = sa.create_engine(house.database.engine.url, isolation_level="AUTOCOMMIT")
        while not stopping.wait(0.02):
            with suppress(sa.exc.DBAPIError):
                end_sessions(own)
        own.dispose()

    striking = threading.Thread(target=storm)
    striking.start()
    references = [f"r{number}" for number in range(60)]
    try:
        for reference in references:
            for _ in range(50):
                with suppress(NotReady):
                    ask(house, reference)
                    break
    finally:
        stopping.set()
        striking.join()
    holds_once(house, *references)


def test_accept__pool_exhausted__refuses_and_goes_on_when_there_is_a_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _ = server
    ask(house, "before")
    pool = house.database.engine.pool
    monkeypatch.setattr(pool, "_timeout", 0.1)
    monkeypatch.setattr(pool, "_max_overflow", 0)
    taken = [house.database.engine.connect() for _ in range(pool.size())]  # type: ignore[attr-defined]
    try:
        refused_for_now(house, "during")
    finally:
        for connection in taken:
            connection.close()
    holds_once(house, "before", "during")
