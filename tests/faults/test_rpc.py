"""The relay on a line that lies, and on a chain that bends: nothing lost, nothing doubled."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.errors import NotReady
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.tables import members, merchants
from indexer import audit
from indexer.errors import SourceContradicts
from tests.faults.proxy import FAULTS, faulty_line
from tests.gateway.helpers import fresh
from tests.gateway.node import NodeHouse, open_house
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.rpc import Rpc


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path, confirmations=3) as found:
        yield found


def wish(house: NodeHouse, kind: OrderKind, points: int, member: str | None = None) -> bool:
    """Asks for one order; whether it was accepted."""
    line = NewOrder(kind, member or house.ada.id, points, fresh("r"), house.baker.id)
    (answer,) = house.gateway.accept_many([line], idempotency_key=fresh("k"))
    return isinstance(answer, Accepted)


def patiently(house: NodeHouse) -> None:
    """One pass of the relay and the mirror; what the line did is not their failure."""
    for step in (house.gateway.relay.send, house.indexer.run_once, house.gateway.relay.settle):
        try:
            step()
        except (RpcUnavailable, SourceContradicts, NotReady):
            continue


def right(house: NodeHouse, supply: int) -> None:
    """The oracle: all final, nothing held, supply as accepted, mirror = chain, the laws hold."""
    house.settle(4)
    states = house.states()
    assert set(states) == {"final"}, states
    assert house.gateway.network.total_supply() == supply
    with house.database.read() as connection:
        for table in (merchants, members):
            assert connection.execute(select(func.sum(table.c.held))).scalar_one() == 0
    house.indexer.run_once()
    found = audit.check(house.gateway.mirror, house.node, house.gateway.deployment)
    assert found.holds, found


@pytest.mark.soak
@pytest.mark.parametrize("name", FAULTS)
def test_rpc__one_fault_over_and_over__each_order_once(house: NodeHouse, name: str) -> None:
    with faulty_line(house.node.url, 1, rate=0.5, names=(name,), delay_max_s=0.2) as line:
        house.line.to = line.url
        supply = 0
        for points in range(1, 6):
            supply += points
            # Told "not ready", a till asks again: nothing was stored.
            assert any(wish_patiently(house, OrderKind.ISSUE, points) for _ in range(50))
            for _ in range(4):
                patiently(house)
                house.mine()
        line.rate = 0.0
        right(house, supply)
        assert line.injected[name] > 5


def test_rpc__all_faults_at_random_places__each_order_once(house: NodeHouse) -> None:
    run_mixed(house, 20_261_122, rounds=12)


@pytest.mark.soak
def test_rpc__all_faults_and_reorgs_for_long__each_order_once(
    house: NodeHouse, soak_seed: int
) -> None:
    run_mixed(house, soak_seed, rounds=150)


def run_mixed(house: NodeHouse, seed: int, rounds: int) -> None:
    """Orders, faults on the line, reorgs above finality, dropped transactions, by a seed."""
    dice = random.Random(seed)
    house.gateway.relay._sender._offered.clear()
    supply, reorgs, dropped = 0, 0, 0
    with faulty_line(house.node.url, seed, rate=0.25, delay_max_s=0.1) as line:
        house.line.to = line.url
        for number in range(rounds):
            points = number + 1
            if wish_patiently(house, OrderKind.ISSUE, points):
                supply += points
            if number % 5 == 4 and wish_patiently(house, OrderKind.REDEEM, 2):
                supply -= 2
            for _ in range(dice.randint(1, 3)):
                patiently(house)
            chance = dice.random()
            if chance < 0.15:
                house.node.call("anvil_reorg", [dice.randint(1, 2), []])
                reorgs += 1
                house.clock.time += 2
            elif chance < 0.25:
                dropped += drop_pool(house.node)
            house.mine()
            # A pool forgets without a word; here nobody waits 15 seconds for the next offer.
            house.gateway.relay._sender._offered.clear()
        line.rate = 0.0
        house.gateway.relay._sender._offered.clear()
        right(house, supply)
    shown = ", ".join(f"{name} {count}" for name, count in sorted(line.injected.items()))
    sys.stderr.write(
        f"\nseed {seed}: {line.requests} requests, {line.injected.total()} faults ({shown}), "
        f"{reorgs} reorgs, {dropped} dropped transactions; {rounds} rounds, each order once\n"
    )


def wish_patiently(house: NodeHouse, kind: OrderKind, points: int) -> bool:
    """Asks for one order; False also where the gateway cannot ask the chain now."""
    try:
        return wish(house, kind, points)
    except NotReady:
        return False


def drop_pool(node: Rpc) -> int:
    """Everything in the node's pool is forgotten."""
    pending = node.call("txpool_content", [])["pending"]
    hashes = [tx["hash"] for by_nonce in pending.values() for tx in by_nonce.values()]
    for tx_hash in hashes:
        node.call("anvil_dropTransaction", [tx_hash])
    return len(hashes)


# ---- the chain bends


@pytest.mark.soak
@pytest.mark.parametrize("depth", [1, 3])
def test_reorg__of_any_depth_above_finality__is_taken_back_and_in_again(
    tmp_path: Path, depth: int
) -> None:
    with open_house(tmp_path, confirmations=depth + 2) as house:
        assert wish(house, OrderKind.ISSUE, 100)
        house.gateway.relay.send()
        house.mine(depth)
        house.scan()
        assert house.states()["included"] == 1
        house.node.call("anvil_reorg", [depth, []])
        house.scan()
        assert house.states()["submitted"] == 1
        house.gateway.relay._sender._offered.clear()
        house.clock.time += depth
        house.settle(depth + 3)
        right(house, 100)


@pytest.mark.soak
def test_reorg__twelve_deep_and_the_chain_gets_shorter__is_taken_back(tmp_path: Path) -> None:
    with open_house(tmp_path, confirmations=14) as house:
        assert wish(house, OrderKind.ISSUE, 100)
        house.gateway.relay.send()
        house.mine(12)
        house.scan()
        house.node.call("anvil_rollback", [12])
        house.scan()
        assert house.states()["submitted"] == 1
        house.gateway.relay._sender._offered.clear()
        house.settle(15)
        right(house, 100)


def test_reorg__with_the_position_used_up__it_is_not_given_out_twice(house: NodeHouse) -> None:
    # Two orders that together use the position up; their block is replaced, and they come in again.
    position = house.gateway.books.position(house.baker.number)
    assert position is not None
    half = position.position // 110 // 2
    assert wish(house, OrderKind.ISSUE, half)
    assert wish(house, OrderKind.ISSUE, half, house.ben.id)
    assert not wish(house, OrderKind.ISSUE, half)
    house.gateway.relay.send()
    house.mine()
    house.scan()
    house.node.call("anvil_reorg", [1, []])
    house.scan()
    # Held again, or still: what is on its way back is not given out a second time.
    assert not wish(house, OrderKind.ISSUE, half)
    house.gateway.relay._sender._offered.clear()
    house.clock.time += 2
    right(house, 2 * half)


@pytest.mark.soak
def test_time__a_year_later__orders_under_way_are_signed_anew(house: NodeHouse) -> None:
    assert wish(house, OrderKind.ISSUE, 50)
    house.gateway.relay.send()
    drop_pool(house.node)
    house.clock.time += 365 * 86_400
    house.mine(4)
    house.scan()
    house.gateway.relay._sender._offered.clear()
    right(house, 50)
