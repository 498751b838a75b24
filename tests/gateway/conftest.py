"""An order book on both databases, with two merchants and three members."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import insert

from gateway.auth.keys import Role, new_key
from gateway.auth.rotation import rotate_key
from gateway.custody import Custody, MasterRing, MasterSources
from gateway.database import Database, migrate
from gateway.model import NewMerchant
from gateway.network import Network, open_network
from gateway.settings import Settings
from gateway.tables import api_keys, metadata
from tests.gateway.helpers import (
    NOON,
    House,
    Town,
    house_on,
    serving,
)
from tests.gateway.node import TOWNS


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
    found = Custody(database, MasterRing(database, MasterSources(tmp_path / "secrets")))
    found.ensure_network_keys(NOON)
    return found


@pytest.fixture
def house(database: Database) -> Iterator[House]:
    with house_on(database) as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def _towns() -> Iterator[None]:
    """The nodes that tests take turns on end with the last test."""
    yield
    TOWNS.close()


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One running embedded network for the tests that only add to it."""
    folder = tmp_path_factory.mktemp("network")
    # Tests ask as a member more often than any wallet does.
    settings = Settings(data_dir=folder, member_requests_per_s=1_000)
    with open_network(folder, settings=settings) as found:
        yield found


@pytest.fixture(scope="session")
def client(network: Network) -> Iterator[httpx.Client]:
    """A client of the network's API over a real socket."""
    with serving(network.app) as url, httpx.Client(base_url=url, timeout=30) as found:
        yield found


@pytest.fixture(scope="session")
def town(network: Network, client: httpx.Client) -> Town:
    """A funded baker and florist with API keys, an operator's key, and three members."""
    baker, florist = network.gateway.onboard_merchants(
        [
            NewMerchant("Baker", "baker", deposit=10**12),
            NewMerchant("Florist", "florist", deposit=11_000),
        ]
    )
    members_found = network.gateway.ensure_members(["card-ada", "card-ben", "card-cleo"])
    operator_key, row = new_key(Role.OPERATOR, None, NOON)
    with network.gateway.database.write() as connection:
        connection.execute(insert(api_keys), row)
        _, auditor_key = rotate_key(connection, Role.AUDITOR, None, NOON)
        _, cashier_key = rotate_key(connection, Role.CASHIER, baker.number, NOON, label="till 1")
        ada = members_found["card-ada"].id
        _, member_key, _ = network.gateway.members_room.new_key_in(
            connection, ada, 86_400, "test", NOON
        )
    network.gateway.drain()
    return Town(
        network=network,
        client=client,
        baker=baker,
        florist=florist,
        ada=members_found["card-ada"],
        ben=members_found["card-ben"],
        cleo=members_found["card-cleo"],
        operator_key=operator_key,
        cashier_key=cashier_key,
        auditor_key=auditor_key,
        member_key=member_key,
    )
