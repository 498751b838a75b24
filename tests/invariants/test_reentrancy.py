"""A settlement asset that calls back in the middle of a transfer gets nothing twice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import eth_abi
import pytest
from banyan_kit.revm import ADMIN, Contract, Network, Settings, decode_error, deploy_network
from banyan_kit.wire import Key
from eth_hash.auto import keccak
from network_desk import Desk
from network_heirs import hand_over, successor_of

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from export_abi import Export, compile_contracts

OWNER, TILL = Key.from_seed("owner"), Key.from_seed("till")
SOURCE = "tests/kit/contracts/ReentrantAsset.sol"


@pytest.fixture(scope="module")
def hostile_code() -> bytes:
    compiled = compile_contracts({"ReentrantAsset": Export(SOURCE, "ReentrantAsset", 200)})
    return bytes.fromhex(compiled["ReentrantAsset"]["bytecode"][2:])


@pytest.fixture
def network(hostile_code: bytes) -> Network:
    def deploy(chain: Any) -> str:
        return chain.deploy(ADMIN, hostile_code + eth_abi.encode(["address"], [ADMIN]))

    network = deploy_network(Settings(), asset=deploy)
    coalition = network.coalition
    coalition.send(ADMIN, "registerMerchant", 1, OWNER.address, TILL.address, bytes(32))
    network.asset.send(ADMIN, "approve", coalition.address, 2**256 - 1)
    coalition.send(ADMIN, "deposit", 1, 1_000)
    return network


def aim(network: Network, message: bytes, at: str = "") -> None:
    """At the Coalition, if not at another contract."""
    data = keccak(b"aim(address,bytes)")[:4]
    target = at or network.coalition.address
    data += eth_abi.encode(["address", "bytes"], [target, message])
    network.chain.transact(ADMIN, network.asset.address, data)


def answer(asset: Contract) -> str:
    """Name of the error that the call back ran into; "took effect" when it did not."""
    data = asset.chain.ask(ADMIN, asset.address, keccak(b"tookEffect()")[:4])
    if int.from_bytes(data, "big"):
        return "took effect"
    data = asset.chain.ask(ADMIN, asset.address, keccak(b"answer()")[:4])
    return decode_error(eth_abi.decode(["bytes"], data)[0])[0]


def test_deposit__during_a_deposit__is_refused_and_nothing_counts_twice(network: Network) -> None:
    coalition = network.coalition
    aim(network, coalition.encode("deposit", 1, 500))
    coalition.send(ADMIN, "deposit", 1, 100)
    assert answer(network.asset) == "ReentrancyGuardReentrantCall"
    assert coalition.ask("positionOf", 1) == 1_100
    assert network.asset.ask("balanceOf", coalition.address) == 1_100


@pytest.mark.parametrize("door", ["relay", "execute"])
def test_withdraw__during_a_withdrawal__is_refused(network: Network, door: str) -> None:
    coalition, wire = network.coalition, network.wire
    fields = {"merchant": 1, "to": OWNER.address, "deadline": network.points.ask("epochEnd", 1)}
    orders = [wire.signed("Withdraw", OWNER, amount=600, nonce=n, **fields) for n in (1, 2)]
    argument = [orders[1]] if door == "relay" else orders[1]
    aim(network, coalition.encode(door, argument))
    coalition.send(ADMIN, "execute", orders[0])
    assert answer(network.asset) == "ReentrancyGuardReentrantCall"
    assert coalition.ask("positionOf", 1) == 400
    assert network.asset.ask("balanceOf", coalition.address) == 400


@pytest.mark.parametrize("contract", ["successor", "predecessor"])
def test_hand_over__during_the_hand_over__is_refused_to_both(
    network: Network, contract: str
) -> None:
    desk, old = Desk(network), network.coalition
    successor = successor_of(desk, old.address)
    target = successor if contract == "successor" else old
    message = ("deposit", 1, 1) if contract == "successor" else ("handOver",)
    aim(network, target.encode(*message), at=target.address)
    hand_over(desk, successor)
    assert answer(network.asset) == "ReentrancyGuardReentrantCall"
    assert network.asset.ask("balanceOf", successor.address) == 1_000


@pytest.mark.parametrize("money", ["guarantee", "income"])
def test_operators_withdrawal__during_another__is_refused(network: Network, money: str) -> None:
    """The asset calls as itself: let it hold the operator's role."""
    coalition = network.coalition
    network.authority.send(ADMIN, "grantRole", 0, network.asset.address, 0)
    coalition.send(ADMIN, "depositGuarantee", 100)
    call = (
        ("withdrawGuarantee", ADMIN, 60) if money == "guarantee" else ("withdrawIncome", ADMIN, 0)
    )
    aim(network, coalition.encode(*call))
    coalition.send(ADMIN, *call)
    assert answer(network.asset) == "ReentrancyGuardReentrantCall"


def test_guarantee__during_a_deposit_of_it__is_not_counted_twice(network: Network) -> None:
    coalition = network.coalition
    aim(network, coalition.encode("depositGuarantee", 5))
    coalition.send(ADMIN, "depositGuarantee", 100)
    assert answer(network.asset) == "ReentrancyGuardReentrantCall"
    assert coalition.ask("guarantee") == 100
