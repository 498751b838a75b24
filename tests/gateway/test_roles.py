"""deploy/postgres/roles.sql on a real server: each role can do its work, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from gateway.custody import Custody, MasterRing, MasterSources
from gateway.database import SCHEMA, Database, migrate
from gateway.errors import NotReady
from gateway.tables import metadata
from indexer.database import open_mirror
from tests.gateway.helpers import NOON

ROLES = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
NAMES = ("owner", "gateway", "indexer", "reader", "backup")
UrlOf = Callable[[str], str]


@pytest.fixture
def url_of(postgres_url: str) -> Iterator[UrlOf]:
    """A database with the roles in it; URLs by role."""
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    for _ in range(2):  # a second run changes nothing
        with admin.connect() as connection:
            connection.exec_driver_sql(ROLES.read_text().replace("%", "%%"))
    url = sa.make_url(postgres_url)
    yield lambda role: url.set(username=f"banyan_{role}").render_as_string(hide_password=False)
    with admin.connect() as connection:
        for name in NAMES:
            connection.exec_driver_sql(f"DROP OWNED BY banyan_{name} CASCADE")
            connection.exec_driver_sql(f"DROP ROLE banyan_{name}")
    admin.dispose()


def refused(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with (
        engine.connect() as connection,
        pytest.raises(ProgrammingError, match="permission denied|must be owner"),
    ):
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_roles__before_the_owner_migrated__the_gateway_changes_nothing(url_of: UrlOf) -> None:
    database = Database(url_of("gateway"))
    with pytest.raises(NotReady, match="at revision None, .* run `banyan migrate` under the role"):
        migrate(database)
    database.close()


def test_roles__each_at_its_work__can_do_it_and_nothing_else(url_of: UrlOf, tmp_path: Path) -> None:
    owner, gateway = Database(url_of("owner")), Database(url_of("gateway"))
    migrate(owner)
    owner.close()
    migrate(gateway)  # nothing to do, so nothing is refused
    custody = Custody(gateway, MasterRing(gateway, MasterSources(tmp_path / "secrets")))
    custody.ensure_network_keys(NOON)
    with gateway.write() as connection:
        for table in metadata.sorted_tables:
            connection.execute(sa.select(table).limit(1)).all()
        connection.execute(sa.delete(metadata.tables["leases"]))
    gateway.close()
    for statement in (
        f"DROP TABLE {SCHEMA}.orders",
        f"TRUNCATE {SCHEMA}.orders",
        f"ALTER TABLE {SCHEMA}.orders ADD COLUMN x int",
        f"CREATE TABLE {SCHEMA}.mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
    ):
        refused(url_of("gateway"), statement)

    mirror = open_mirror(url_of("indexer"))
    mirror.dispose()
    reading = open_mirror(url_of("reader"), create=False)
    with reading.connect() as connection:
        version = connection.exec_driver_sql("SELECT version FROM mirror_schema").scalar_one()
        assert version >= 1
    reading.dispose()
    for role in ("reader", "indexer"):
        refused(url_of(role), f"SELECT 1 FROM {SCHEMA}.secrets")
    refused(url_of("reader"), "DELETE FROM mirror.mirror_schema")
    refused(url_of("gateway"), "SELECT 1 FROM mirror.mirror_schema")
    refused(url_of("owner"), "SELECT 1 FROM mirror.mirror_schema")
