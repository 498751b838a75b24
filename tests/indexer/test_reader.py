"""People with their own tools: a role that reads and nothing else, and the documented queries."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from mirror_acts import found, grow
from mirror_model import ModelChain, actor
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from indexer import queries
from indexer.database import create_tables, drop_tables, grant_reader
from indexer.sync import Indexer
from indexer.tables import metadata
from indexer.views import VIEWS
from wallet_sdk.errors import InputInvalid

MANUAL = Path(__file__).parents[2] / "docs/MIRROR.md"


@pytest.fixture
def filled(mirror: Engine) -> Engine:
    chain = ModelChain()
    found(chain)
    grow(chain, random.Random(9), 30)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    return mirror


def test_reader__on_sqlite__is_refused(sqlite_mirror: Engine) -> None:
    with sqlite_mirror.begin() as conn, pytest.raises(InputInvalid):
        grant_reader(conn, "analyst")


@pytest.mark.parametrize("mirror_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("role", ["", "a;drop table balances", "Analyst", "1st", "x" * 64])
def test_reader__a_name_that_is_no_role__is_refused(mirror: Engine, role: str) -> None:
    with mirror.begin() as conn, pytest.raises(InputInvalid):
        grant_reader(conn, role)


@pytest.mark.parametrize("mirror_url", ["postgresql"], indirect=True)
def test_reader__a_role__reads_and_writes_nothing(filled: Engine) -> None:
    with filled.begin() as conn:
        grant_reader(conn, "analyst")
        grant_reader(conn, "analyst")
        expected = queries.network_overview(conn).live_points
    try:
        as_reader = sa.create_engine(filled.url.set(username="analyst"))
        with as_reader.connect() as conn:
            total = conn.execute(
                sa.text("SELECT sum(received - spent) FROM balances WHERE epoch > 0")
            ).scalar_one()
            assert total >= expected
            for write in ("DELETE FROM balances", "CREATE TABLE mine (x int)"):
                with pytest.raises(DBAPIError), conn.begin_nested():
                    conn.execute(sa.text(write))
            # Even when it says that it wants to write.
            conn.rollback()
            conn.execute(sa.text("SET default_transaction_read_only = off"))
            conn.commit()
            with pytest.raises(DBAPIError):
                conn.execute(sa.text("DELETE FROM balances"))
        # Tables that a later version makes are readable, too.
        with filled.begin() as conn:
            drop_tables(conn)
            create_tables(conn)
        with as_reader.connect() as conn:
            assert conn.execute(sa.text("SELECT count(*) FROM balances")).scalar_one() == 0
        as_reader.dispose()
    finally:
        with filled.begin() as conn:
            conn.execute(sa.text("DROP OWNED BY analyst"))
            conn.execute(sa.text("DROP ROLE analyst"))


def documented() -> list[tuple[str, str]]:
    """Heading and statement of every example in the manual."""
    text = MANUAL.read_text()
    return re.findall(r"^### (.+?)\n(?:(?!^###).)*?```sql\n(.+?)```", text, re.S | re.M)


def test_manual__every_example__runs_and_answers(filled: Engine) -> None:
    examples = documented()
    assert len(examples) >= 6
    parameters = {
        "member": bytes.fromhex(actor("ada")[2:]),
        "merchant": 1,
        "month": 197001,
        "now": 1_010_000,
    }
    with filled.connect() as conn:
        for heading, statement in examples:
            rows = conn.execute(sa.text(statement), parameters).all()
            assert rows, heading


def test_manual__every_table_and_column__is_documented() -> None:
    text = MANUAL.read_text()
    for table in (*metadata.sorted_tables, *VIEWS):
        section = re.search(rf"^\*\*`{table.name}`\*\*(.*?)(?=^\*\*`|^## )", text, re.S | re.M)
        assert section, table.name
        for column in table.columns:
            assert f"`{column.name}`" in section[1], f"{table.name}.{column.name}"
