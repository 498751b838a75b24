"""The mirror beside the replay: every row that was changed, deleted or added is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from audit_town import Town

from indexer import carry, store
from indexer.auditor.cli import run_audit
from indexer.auditor.errors import CannotRun
from indexer.auditor.outcome import Options
from indexer.database import open_mirror
from indexer.sync import Indexer
from indexer.tables import first_id


def filled(town: Town, url: str) -> None:
    engine = open_mirror(url)
    indexer = Indexer(town.url, town.deployment, engine, confirmations=0)
    indexer.run_once()
    indexer.close()
    with engine.begin() as conn:
        # As it is done once enough has become final: harm to what was carried must show, too.
        carry.carry(conn, first_id(store.read_cursor(conn)[0].number - 5))
    engine.dispose()


@pytest.fixture(scope="module")
def original(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The town's mirror in SQLite."""
    file = tmp_path_factory.mktemp("mirror") / "mirror.db"
    filled(town, f"sqlite:///{file}")
    return file


@pytest.fixture
def mirror(original: Path, tmp_path: Path) -> str:
    """A copy that a test may damage."""
    source = sa.create_engine(f"sqlite:///{original}")
    copy = tmp_path / "mirror.db"
    with source.connect() as conn:
        conn.exec_driver_sql(f"VACUUM INTO '{copy}'")
    source.dispose()
    return f"sqlite:///{copy}"


def harm(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        assert conn.exec_driver_sql(statement).rowcount == 1, statement
    engine.dispose()


def audited(town: Town, url: str) -> dict[str, Any]:
    return run_audit(town.url, town.file, Options(workers=1, last="latest", mirror=url))


def fourth(column: str, table: str) -> str:
    return f"{column} = (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1 OFFSET 3)"


MOVEMENT, EVENT = fourth("id", "movements"), fourth("id", "events")
HARMS = {
    "movement changed": f"UPDATE movements SET points = points + 1 WHERE {MOVEMENT}",
    "movement deleted": f"DELETE FROM movements WHERE {MOVEMENT}",
    "movement added": "INSERT INTO movements SELECT id + 999, position, kind, sender, receiver, "
    f"points, merchant, epoch FROM movements WHERE {MOVEMENT}",
    "movement of another merchant": f"UPDATE movements SET merchant = 9 WHERE {MOVEMENT}",
    "event changed": f"UPDATE events SET data = topics WHERE {EVENT}",
    "event deleted": f"DELETE FROM events WHERE {EVENT}",
    "block hash": f"UPDATE blocks SET hash = parent_hash WHERE {fourth('number', 'blocks')}",
    "transaction": f"DELETE FROM transactions WHERE {fourth('hash', 'transactions')}",
}
STATE_HARMS = {
    "balance": "UPDATE carried SET received = received + 5 WHERE (account, epoch) = "
    "(SELECT account, epoch FROM carried ORDER BY epoch DESC LIMIT 1)",
    "balance added": "INSERT INTO carried (account, epoch, received, spent) VALUES (x'"
    + "ab" * 20
    + "', 7, 9, 0)",
    "piece": "DELETE FROM pieces WHERE (id, piece) = "
    "(SELECT id, piece FROM pieces ORDER BY id LIMIT 1)",
    "supply": "UPDATE supply SET redeemed = redeemed + 1 WHERE (epoch, block) = "
    "(SELECT epoch, MAX(block) FROM supply WHERE epoch = 1)",
    "credit limit": "UPDATE merchants SET credit_limit = 1 WHERE (merchant, id) = "
    "(SELECT merchant, MAX(id) FROM merchants WHERE merchant = 2)",
    "till key": "UPDATE till_keys SET active = 0 WHERE (key, id) = "
    "(SELECT key, id FROM till_keys WHERE active = 1 ORDER BY id DESC LIMIT 1)",
    "member added": "INSERT INTO members (account, id, is_member) VALUES (x'"
    + "cd" * 20
    + "', 5000001, 1)",
    "pass": "UPDATE passes SET tier = 3 WHERE (programme, member, id) = "
    "(SELECT programme, member, id FROM passes ORDER BY id DESC LIMIT 1)",
    "month": "UPDATE merchant_months SET paid = paid + 1 WHERE (merchant, month) = "
    "(SELECT merchant, month FROM merchant_months ORDER BY month LIMIT 1)",
    "treasury": "UPDATE treasury SET held = held - 1 WHERE id = (SELECT MAX(id) FROM treasury)",
    "terms": "DELETE FROM terms WHERE from_epoch = 3",
    "closed epoch": "DELETE FROM closed_epochs WHERE epoch = 1",
    "flow": "UPDATE flows SET redeemed = redeemed + 1 WHERE (issuer, merchant, epoch, month) = "
    "(SELECT issuer, merchant, epoch, month FROM flows LIMIT 1)",
    "merchant's epoch": "UPDATE merchant_epochs SET issued = issued + 1 "
    "WHERE merchant = 1 AND epoch = 2",
}


@pytest.mark.parametrize("name", HARMS)
def test_audit__a_fact_of_the_mirror_harmed__names_block_and_row(
    town: Town, mirror: str, name: str
) -> None:
    harm(mirror, HARMS[name])
    report = audited(town, mirror)
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert found["check"] == "mirror"
    assert found["block"] is not None


@pytest.mark.parametrize("name", STATE_HARMS)
def test_audit__state_of_the_mirror_harmed__names_the_row(
    town: Town, mirror: str, name: str
) -> None:
    harm(mirror, STATE_HARMS[name])
    report = audited(town, mirror)
    assert report["exit_code"] == 1
    assert all(found["check"] == "mirror" for found in report["findings"])


def test_audit__no_mirror_there__cannot_run(town: Town, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="cannot be read"):
        audited(town, f"sqlite:///{tmp_path}/nothing.db")


def test_audit__an_honest_mirror__holds_row_by_row(town: Town, mirror: str) -> None:
    report = audited(town, mirror)
    assert report["findings"] == []
    assert report["exit_code"] == 0
    check = next(check for check in report["checks"] if check["name"] == "mirror")
    assert check["count"] > 300


def test_audit__an_honest_mirror_in_postgresql__holds(town: Town, postgres_url: str) -> None:
    filled(town, postgres_url)
    report = audited(town, postgres_url)
    assert report["findings"] == []
    assert report["exit_code"] == 0
