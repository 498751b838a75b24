"""Every query is served by an index: its plan reads no table that grows with the chain."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from mirror_acts import MERCHANTS, found, grow
from mirror_model import ModelChain, actor
from sqlalchemy import Connection, Engine, event

from indexer import carry, queries, statements
from indexer.database import open_mirror
from indexer.queries.days import daily_series
from indexer.sync import Indexer
from wallet_sdk.types import digest_of

# One row a log, a block or a member. Others hold a few rows a merchant, an epoch or a month.
GROWING = ("blocks", "transactions", "movements", "pieces", "events", "carried", "members")
ADA = actor("ada")
QUERIES: dict[str, Callable[[Connection], object]] = {
    "head": queries.head,
    "member_balance": lambda c: queries.member_balance(c, ADA),
    "member_balance as of": lambda c: queries.member_balance(c, ADA, as_of=9),
    "member_balances": lambda c: queries.member_balances(c, [actor(n) for n in ("ada", "bob")]),
    "member_history": lambda c: queries.member_history(c, ADA, None, 3),
    "member_history, next page": lambda c: queries.member_history(
        c, ADA, queries.member_history(c, ADA, None, 3).next_cursor, 3
    ),
    "member_pass": lambda c: queries.member_pass(c, ADA),
    "merchant_position": lambda c: queries.merchant_position(c, 1),
    "merchants_overview": queries.merchants_overview,
    "network_overview": queries.network_overview,
    "network_overview as of": lambda c: queries.network_overview(c, as_of=9),
    "flows": queries.flows,
    "latest": lambda c: queries.latest(c, 20),
    "latest of a merchant": lambda c: queries.latest(c, 20, merchant=1),
    "monthly_series": queries.monthly_series,
    "daily_series": lambda c: daily_series(c, 7),
    "order_effects": lambda c: queries.order_effects(
        c, [digest_of(bytes([n]) * 32) for n in (1, 2)]
    ),
    "settlement": statements.settlement,
    "statement": lambda c: statements.statement(c, MERCHANTS[0], 1_000_000, 1_000_200),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A filled mirror of each kind; the tests only read."""
    url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'mirror.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url_of_module")
    chain = ModelChain()
    found(chain)
    chain.final = 20
    grow(chain, random.Random(5), 60)
    mirror = open_mirror(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carry, "LOGS_MIN", 10)
        Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    yield mirror
    mirror.dispose()


@pytest.fixture
def explained(filled: Engine) -> Callable[[Callable[[Connection], object]], str]:
    """Runs a query and gives the plans of all its statements."""

    def plans_of(query: Callable[[Connection], object]) -> str:
        asked: list[tuple[str, Any]] = []

        def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        with filled.connect() as conn:
            explain = "EXPLAIN QUERY PLAN "
            if filled.dialect.name == "postgresql":
                # The tables are small: whole ones are read wherever no index can help.
                conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
                explain = "EXPLAIN "
            event.listen(filled, "before_cursor_execute", note)
            try:
                query(conn)
            finally:
                event.remove(filled, "before_cursor_execute", note)
            assert asked
            return "\n".join(
                " ".join(map(str, row))
                for statement, parameters in asked
                for row in conn.exec_driver_sql(explain + statement, parameters)
            )

    return plans_of


def whole_tables(plans: str) -> set[str]:
    """Growing tables that a plan reads from end to end, in the words of either database."""
    read = set(re.findall(r"Seq Scan on (\w+)", plans))
    # SQLite says an alias in place of its table. To walk an index is no harm under a limit, and
    # only there SQLite walks one here.
    aliases = {"m": "movements", "p": "pieces", "e": "events", "b": "blocks"}
    read |= {aliases.get(n, n) for n in re.findall(r"SCAN (\w+)(?! USING)\b", plans)}
    return read & set(GROWING)


@pytest.mark.parametrize("name", QUERIES)
def test_ask__every_query__reads_no_growing_table_whole(
    explained: Callable[[Callable[[Connection], object]], str], name: str
) -> None:
    assert whole_tables(explained(QUERIES[name])) == set()


def test_ask__a_sum_over_all_points__would_show(
    explained: Callable[[Callable[[Connection], object]], str],
) -> None:
    everything = sa.text("SELECT sum(points) FROM movements")
    assert whole_tables(explained(lambda c: c.execute(everything).all())) == {"movements"}
