"""Clocks that are wrong, and a hole in a relayer's line of nonces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model import OrderKind
from tests.faults.test_rpc import drop_pool, patiently, right, wish
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.test_reconcile import backup, restore

DAY_S = 86_400

pytestmark = pytest.mark.soak


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path, confirmations=2) as found:
        yield found


def test_nonces__the_first_of_three_is_forgotten__all_come_in(house: NodeHouse) -> None:
    for points in (1, 2, 3):
        assert wish(house, OrderKind.ISSUE, points)
        house.gateway.relay.send()
    content = house.node.call("txpool_content", [])["pending"]
    (by_nonce,) = content.values()
    assert len(by_nonce) == 3
    first = min(by_nonce, key=int)
    house.node.call("anvil_dropTransaction", [by_nonce[first]["hash"]])
    house.mine(2)
    house.scan()
    # The two behind the hole wait; nothing else is put in their place.
    assert house.states().get("submitted") == 3
    house.gateway.relay._sender._offered.clear()
    right(house, 6)


def test_reorg__while_nobody_runs__is_seen_at_the_next_start(house: NodeHouse) -> None:
    assert wish(house, OrderKind.ISSUE, 10)
    house.gateway.relay.send()
    house.mine()
    house.scan()
    assert house.states()["included"] == 1
    book = backup(house)
    house.node.call("anvil_reorg", [1, []])
    restore(house, book)
    assert house.states()["included"] == 1
    house.scan()
    assert house.states()["submitted"] == 1
    right(house, 10)


@pytest.mark.parametrize("off_s", [-DAY_S, DAY_S])
def test_clock__of_the_machine_a_day_off__harms_no_order(house: NodeHouse, off_s: int) -> None:
    # Late enough for a day before to be a day of the network.
    house.clock.time += 3 * DAY_S
    house.mine(3)
    house.scan()
    assert wish(house, OrderKind.ISSUE, 10)
    at = house.clock.time
    for _ in range(8):
        # Blocks carry the world's time, the gateway reads its own.
        house.clock.time = at + off_s
        patiently(house)
        at += 20
        house.node.call("evm_setNextBlockTimestamp", [at])
        house.node.call("evm_mine", [])
    house.clock.time = at
    house.gateway.relay._sender._offered.clear()
    drop_pool(house.node)
    right(house, 10)
