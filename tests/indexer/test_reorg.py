"""Forks: whatever happened on the way, the mirror is the clean mirror of the chain it ends on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from mirror_acts import found, grow
from mirror_model import ModelChain, actor
from sqlalchemy import Engine

from indexer import queries
from indexer.digest import MirrorDigest, mirror_digest
from indexer.errors import WrongNetwork
from indexer.rebuild import rebuild, verify
from indexer.sync import Indexer
from indexer.tables import JOURNALS, TOTALS, carried


def digest(engine: Engine) -> MirrorDigest:
    with engine.connect() as conn:
        return mirror_digest(conn)


def clean(chain: ModelChain, engine: Engine) -> MirrorDigest:
    """The digest of a mirror that was filled once, in ranges."""
    final, chain.final = chain.final, None
    Indexer(chain.rpc(), chain.deployment(), engine).run_once()
    chain.final = final
    return digest(engine)


def test_follow__the_chain_shares_no_block__stops(chain: ModelChain, sqlite_mirror: Engine) -> None:
    chain.final = 0
    Indexer(chain.rpc(), chain.deployment(), sqlite_mirror).run_once()
    other = ModelChain(start=chain.blocks[0].time + 1)
    with pytest.raises(WrongNetwork):
        Indexer(other.rpc(), chain.deployment(), sqlite_mirror).run_once()


def test_follow__a_node_that_is_behind__undoes_nothing(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    chain.final = 0
    chain.mine()
    chain.mine()
    indexer = Indexer(chain.rpc(), chain.deployment(), sqlite_mirror)
    before = indexer.run_once()
    ahead, chain.blocks = chain.blocks, chain.blocks[:-1]
    behind = indexer.run_once()
    chain.blocks = ahead
    assert (behind.block, behind.reorg, behind.head_block) == (before.block, None, before.block - 1)


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_follow__a_fork_of_depth__equals_a_clean_mirror(
    mirror: Engine, depth: int, opened: Callable[[str], Engine], tmp_path: object
) -> None:
    rng = random.Random(depth)
    chain = ModelChain()
    chain.final = 0
    found(chain)
    grow(chain, rng, 14)
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror)
    indexer.run_once()
    chain.fork(depth)
    grow(chain, rng, depth + 1)
    progress = indexer.run_once()
    assert progress.reorg is not None
    assert progress.reorg.depth == depth
    assert not progress.reorg.below_final
    assert digest(mirror) == clean(chain, opened(f"sqlite:///{tmp_path}/clean.db"))
    assert verify(mirror).holds


def test_follow__a_fork_below_what_was_final__is_undone_and_told(
    chain: ModelChain, mirror: Engine, opened: Callable[[str], Engine], tmp_path: object
) -> None:
    rng = random.Random(7)
    grow(chain, rng, 20)
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror)
    indexer.run_once()
    chain.fork(15)
    grow(chain, rng, 16)
    progress = indexer.run_once()
    assert progress.reorg is not None
    assert progress.reorg.below_final
    assert digest(mirror) == clean(chain, opened(f"sqlite:///{tmp_path}/clean.db"))


def test_follow__the_height_goes_down__follows_the_shorter_chain_once_it_differs(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    chain.final = 0
    time = chain.head.time + 10
    chain.issue(1, [(actor("ada"), 500)], time)
    chain.mine(time)
    chain.mine()
    chain.mine()
    indexer = Indexer(chain.rpc(), chain.deployment(), sqlite_mirror)
    indexer.run_once()
    chain.fork(3)
    chain.mine()
    progress = indexer.run_once()
    assert progress.reorg is not None
    with sqlite_mirror.connect() as conn:
        assert queries.member_balance(conn, actor("ada")).points == 0
        assert queries.head(conn).as_of_block == chain.head.number


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(n, marks=pytest.mark.soak) for n in range(3, 30))]
)
def test_follow__any_forks_and_restarts__equal_a_clean_mirror_and_the_model(
    mirror: Engine, seed: int, opened: Callable[[str], Engine], tmp_path: object
) -> None:
    rng = random.Random(seed)
    chain = ModelChain()
    found(chain)
    chain.final = chain.head.number
    for _ in range(6):
        grow(chain, rng, rng.randint(1, 8))
        # A new indexer each time: nothing may live in memory alone.
        Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
        chain.final = max(chain.final, chain.head.number - rng.randint(4, 9))
        if rng.random() < 0.7:
            chain.fork(rng.randint(1, chain.head.number - chain.final))
            grow(chain, rng, rng.randint(1, 4))
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()

    kept = digest(mirror)
    assert kept == clean(chain, opened(f"sqlite:///{tmp_path}/clean.db"))
    # By set-based SQL and by the fold: the rows that the writer kept.
    assert rebuild(mirror) == kept
    assert rebuild(mirror, from_logs=True) == kept
    time = chain.head.time
    with mirror.connect() as conn:
        held = queries.member_balances(conn, list(chain.state.buckets)).points
        rows = queries.merchants_overview(conn).merchants
        broken = [law for law in queries.laws(conn) if not law.holds]
        network = queries.network_overview(conn)
    assert held == {who: sum(chain.live(who, time).values()) for who in chain.state.buckets}
    assert {row.merchant: row.position for row in rows} == {
        merchant: chain.state.positions[merchant] for merchant in (1, 2, 3)
    }
    assert sum(row.live_points for row in rows) == network.live_points == chain.supply_at(time)
    assert network.held == chain.state.held
    assert network.members == len(chain.state.members)
    # The model takes one price for all epochs, so every law can be checked to the unit.
    assert broken == []


def test_rebuild__after_forks__changes_no_digest(chain: ModelChain, mirror: Engine) -> None:
    chain.final = 0
    rng = random.Random(11)
    grow(chain, rng, 10)
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror)
    indexer.run_once()
    chain.fork(4)
    grow(chain, rng, 6)
    indexer.run_once()
    before = digest(mirror)
    assert rebuild(mirror) == before
    assert verify(mirror).holds


@pytest.mark.parametrize("table", [t.name for t in (*JOURNALS, *TOTALS, carried)])
def test_rebuild__a_derived_table_was_emptied__has_its_rows_again(
    chain: ModelChain, sqlite_mirror: Engine, table: str
) -> None:
    grow(chain, random.Random(3), 30)
    Indexer(chain.rpc(), chain.deployment(), sqlite_mirror).run_once()
    before = digest(sqlite_mirror)
    with sqlite_mirror.begin() as conn:
        emptied = conn.exec_driver_sql(f"DELETE FROM {table}").rowcount
    assert emptied or table == "closed_epochs"
    assert rebuild(sqlite_mirror) == before


def test_rebuild__carried_rows_are_wrong_missing_and_foreign__are_mended(
    chain: ModelChain, mirror: Engine
) -> None:
    grow(chain, random.Random(8), 20)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    before = digest(mirror)
    with mirror.begin() as conn:
        for harm in (
            "UPDATE carried SET spent = spent + 1 WHERE account = (SELECT MIN(account)",
            "DELETE FROM carried WHERE account = (SELECT MAX(account)",
        ):
            assert conn.exec_driver_sql(f"{harm} FROM carried)").rowcount
        conn.execute(carried.insert().values(account=bytes(20), epoch=1, received=5, spent=0))
    assert digest(mirror) != before
    assert rebuild(mirror) == before


def test_rebuild__facts_derived_wrongly__are_made_anew_from_the_logs(
    chain: ModelChain, mirror: Engine
) -> None:
    grow(chain, random.Random(4), 30)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    before = digest(mirror)
    with mirror.begin() as conn:
        for harm in (
            "UPDATE pieces SET issuer = issuer + 1, lot_left = 7",
            "UPDATE movements SET merchant = 9, epoch = 9",
            "UPDATE events SET balance = 5, amount = 6 WHERE balance IS NOT NULL",
            "UPDATE blocks SET members_so_far = 0",
        ):
            conn.exec_driver_sql(harm)
    assert not verify(mirror).holds
    assert rebuild(mirror, from_logs=True) == before
