"""The mirror against our contracts on a real node: a story with every kind of movement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anvil_network import EPOCH_S, AnvilNetwork, anvil, key
from sqlalchemy import Engine, update

from indexer import audit, queries, tables
from indexer.digest import MirrorDigest, mirror_digest
from indexer.rebuild import verify
from indexer.sync import Indexer, Progress
from wallet_sdk.errors import DeploymentInvalid

BAKER, FLORIST, GROCER = 1, 2, 3
NAMES = ("ada", "bob", "cleo", "dan")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilNetwork]:
    """Three epochs of trade: issues, redemptions, transfers by order and by the holder, a refund, a
    return, a withdrawal, a leave.
    """
    with anvil(tmp_path_factory.mktemp("anvil")) as url:
        network = AnvilNetwork.deploy(url)
        tell_story(network)
        yield network
        network.rpc.close()


def tell_story(n: AnvilNetwork) -> None:
    people = {name: key(name).address for name in NAMES}
    for merchant in (BAKER, FLORIST, GROCER):
        n.fund(merchant, 10**9)
    n.join(*NAMES)
    n.mine()
    n.issue(BAKER, [(people["ada"], 1_000), (people["bob"], 500), (people["ada"], 7)])
    n.issue(FLORIST, [(address, 60) for address in people.values()])
    n.redeem("ada", FLORIST, 300)
    n.mine()
    n.transfer("bob", "cleo", 200)
    n.transfer("ada", "ada", 5)
    n.mine()
    n.mine(n.now + EPOCH_S)
    n.issue(GROCER, [(people["ada"], 80), (people["dan"], 4_000)])
    bread = n.redeem("ada", BAKER, 820)
    n.redeem("cleo", GROCER, 250)
    block = int(n.mine()["number"], 16)
    n.refund(bread, 100, block)
    n.give_back_goods("dan", GROCER, 300, 2)
    n.withdraw(FLORIST, n.accounts[0], 12_345)
    n.mine()
    n.refund(bread, 50, block)
    n.leave("dan")
    n.mine()
    n.mine(n.now + EPOCH_S)
    n.issue(BAKER, [(people["bob"], 33)])
    n.mine()
    settle(n)


def settle(n: AnvilNetwork) -> None:
    """Credit and its guarantee; years pass: one epoch is closed and claimed by one, the next one
    only expired; the operator takes some of its income.
    """
    calls, (_, operator, treasurer, _, _) = n.network.calls, n.accounts
    coalition = n.deployment.address("Coalition")
    n.fund(GROCER, 10**6)
    n.send(calls.propose_mint("0x" + "77" * 32, treasurer, 10**7), treasurer)
    n.send(calls.confirm_mint("0x" + "77" * 32), n.accounts[3])
    n.send(calls.approve_receipts(coalition, 10**7), treasurer)
    n.send(calls.deposit_guarantee(10**7 - 5), treasurer)
    n.send(calls.set_credit_limit(GROCER, 10**6), operator)
    n.mine()
    n.mine(n.now + 5 * EPOCH_S)
    n.issue(GROCER, [(key("bob").address, 12)])
    n.send(calls.close_epoch(1), treasurer)
    n.send(calls.claim_breakage(1, BAKER), treasurer)
    n.send(calls.withdraw_income(operator, 1_000), operator)
    n.send(calls.withdraw_guarantee(operator, 77), operator)
    n.mine()


def follow(network: AnvilNetwork, engine: Engine, confirmations: int = 0) -> Progress:
    indexer = Indexer(network.url, network.deployment, engine, confirmations=confirmations)
    try:
        return indexer.run_once()
    finally:
        indexer.close()


def digest(engine: Engine) -> MirrorDigest:
    with engine.connect() as conn:
        return mirror_digest(conn)


def test_audit__the_whole_story__mirror_equals_chain_and_the_laws_hold(
    network: AnvilNetwork, mirror: Engine
) -> None:
    follow(network, mirror)
    found = audit.check(mirror, network.url, network.deployment)
    assert found.findings == []
    assert found.holds
    assert [law.number for law in found.laws if law.holds] == [1, 2, 3, 4]
    assert all(check.compared for check in found.checks)
    assert verify(mirror).holds


def test_read__the_whole_story__the_issuer_of_every_redeemed_point_is_known(
    network: AnvilNetwork, sqlite_mirror: Engine
) -> None:
    follow(network, sqlite_mirror)
    with sqlite_mirror.connect() as conn:
        cells = {(f.issuer, f.merchant): f.points for f in queries.flows(conn).cells}
        overview = queries.network_overview(conn)
        lines = queries.member_history(conn, key("ada").address).lines
        statement = queries.latest(conn, merchant=FLORIST).effects
    # Ada spent 300 of the baker's at the florist's. Her 820 at the baker's were the baker's other
    # 707, the florist's 60 and, an epoch later, 53 of the grocer's; the 150 given back were those
    # 53, then the last matched of the older epoch: the florist's 60 and 37 of the baker's.
    # Cleo spent her own 60 of the florist's, then 190 of the 200 that bob had from the baker.
    assert cells == {
        (BAKER, FLORIST): 300,
        (BAKER, BAKER): 670,
        (BAKER, GROCER): 190,
        (FLORIST, GROCER): 60,
    }
    assert sum(cells.values()) == overview.redeemed - overview.refunded
    assert [(line.kind, line.points) for line in lines] == [
        ("refund", 50),
        ("refund", 100),
        ("redeem", -820),
        ("issue", 80),
        ("redeem", -300),
        ("issue", 60),
        ("issue", 7),
        ("issue", 1_000),
    ]
    assert [effect.name for effect in statement] == ["Withdrawn", "Redeemed", "Issued", "Deposited"]
    assert statement[0].amount == -12_345


def test_audit__a_mirror_row_changed__is_found_and_named(
    network: AnvilNetwork, sqlite_mirror: Engine
) -> None:
    follow(network, sqlite_mirror)
    with sqlite_mirror.begin() as conn:
        conn.execute(
            update(tables.carried)
            .where(tables.carried.c.account == bytes.fromhex(key("bob").address[2:]))
            .where(tables.carried.c.epoch == 3)
            .values(received=34)
        )
    found = audit.check(sqlite_mirror, network.url, network.deployment)
    assert not found.mirror_equals_chain
    assert not found.conservation
    assert [f.what for f in found.findings] == [f"account {key('bob').address}: points by epoch"]
    assert not verify(sqlite_mirror).holds


def test_audit__another_deployment__is_refused(
    network: AnvilNetwork, sqlite_mirror: Engine
) -> None:
    follow(network, sqlite_mirror)
    content = network.deployment.to_dict()
    content["contracts"]["Points"]["code_hash"] = "0x" + "00" * 32
    with pytest.raises(DeploymentInvalid):
        audit.check(sqlite_mirror, network.url, type(network.deployment).from_dict(content))


@pytest.mark.parametrize("depth", [1, 3, 12])
def test_follow__a_reorg_on_the_node__equals_a_clean_mirror(
    network: AnvilNetwork,
    mirror: Engine,
    depth: int,
    opened: Callable[[str], Engine],
    tmp_path: Path,
) -> None:
    names = [f"guest {network.till_nonce} {number}" for number in range(depth + 1)]
    network.join(*names)
    network.mine()
    for name in names[1:]:
        network.issue(BAKER, [(key(name).address, 10), (key(names[0]).address, 1)])
        network.mine()
    follow(network, mirror, confirmations=20)
    network.reorg(depth)
    # Another order takes the place of those that are gone.
    network.issue(FLORIST, [(key(names[0]).address, 77)])
    network.mine()
    progress = follow(network, mirror, confirmations=20)
    assert progress.reorg is not None
    assert (progress.reorg.depth, progress.reorg.below_final) == (depth, False)
    clean = opened(f"sqlite:///{tmp_path / 'clean.db'}")
    follow(network, clean)
    assert digest(mirror) == digest(clean)
    with mirror.connect() as conn:
        assert queries.member_balance(conn, key(names[0]).address).points == 77
    assert audit.check(mirror, network.url, network.deployment).holds
