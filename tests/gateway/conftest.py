"""An order book on both databases, with two merchants and three members."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import insert

from gateway import ids
from gateway.books import Position
from gateway.custody import Custody, MasterKey
from gateway.database import Database, migrate
from gateway.tables import members, merchants, metadata
from tests.gateway.helpers import (
    NOON,
    House,
    SetClock,
    WrittenBooks,
    member_row,
    merchant_row,
    writer_of,
)


@pytest.fixture(scope="session")
def postgres_orders(postgres_server: str) -> Iterator[Database]:
    """One migrated order book on PostgreSQL for this run; `database` empties it for each test."""
    name = f"orders_{secrets.token_hex(4)}"
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    url = sa.make_url(postgres_server).set(database=name)
    found = Database(url.render_as_string(hide_password=False))
    migrate(found)
    yield found
    found.close()
    with admin.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated, empty order book."""
    if request.param == "sqlite":
        found = Database(f"sqlite:///{tmp_path / 'orders.db'}")
        migrate(found)
        yield found
        found.close()
        return
    found = request.getfixturevalue("postgres_orders")
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    with found.write() as connection:
        connection.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY"))
    yield found


@pytest.fixture
def custody(database: Database, tmp_path: Path) -> Custody:
    found = Custody(database, MasterKey.from_file(tmp_path / "secrets", create=True))
    found.ensure_network_keys(NOON)
    return found


@pytest.fixture
def house(database: Database) -> Iterator[House]:
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
    yield House(
        database,
        books,
        clock,
        writer,
        *(ids.encode(ids.MERCHANT, raw) for raw in merchant_ids),
        *(ids.encode(ids.MEMBER, raw) for raw in member_ids),
    )
    writer.stop()
