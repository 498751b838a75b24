"""tests/vectors/orders.json: what the SDK signs is what the compiled Coalition hashes, and what the
kit's own encoder makes of the same fields.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from banyan_kit.revm import Contract, deploy_network
from banyan_kit.wire import (
    FIELDS,
    domain_separator,
    merkle_levels,
    merkle_proof,
    to_bytes,
    type_text,
)
from eth_hash.auto import keccak
from pyrevm import AccountInfo

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "orders.json").read_text())
ORDERS = {order["name"]: order for order in VECTORS["orders"]}


@pytest.fixture(scope="module")
def coalition() -> Contract:
    """The deployed code, standing at the address that the vectors were signed for: there it hashes
    its domain anew.
    """
    network = deploy_network()
    code = network.chain.evm.get_code(network.coalition.address)
    address = VECTORS["domain"]["coalition"]
    network.chain.evm.insert_account_info(address, AccountInfo(code=bytes(code)))
    return network.chain.contract("Coalition", address)


def test_vectors__the_domain__is_the_contracts(coalition: Contract) -> None:
    domain = VECTORS["domain"]
    assert "0x" + coalition.ask("domainSeparator").hex() == domain["separator"]
    here = domain_separator(domain["chain_id"], domain["coalition"])
    assert "0x" + here.hex() == domain["separator"]


@pytest.mark.parametrize("name", ORDERS)
def test_vectors__each_order__has_one_digest_in_solidity_and_python(
    coalition: Contract, name: str
) -> None:
    order: dict[str, Any] = ORDERS[name]
    assert "0x" + coalition.ask("digestOf", to_bytes(order["wire"], 0)).hex() == order["digest"]


@pytest.mark.parametrize("name", ORDERS)
def test_vectors__each_type__is_written_the_same_in_the_kit(name: str) -> None:
    order = ORDERS[name]
    kind = order["type"].partition("(")[0]
    assert (order["kind"], order["type"]) == (FIELDS[kind][0], type_text(kind))
    assert order["type_hash"] == "0x" + keccak(type_text(kind).encode()).hex()


def test_vectors__every_kind__is_there() -> None:
    assert {order["kind"] for order in VECTORS["orders"]} == {kind for kind, _ in FIELDS.values()}


def test_vectors__the_tree_of_redemptions__is_the_kits() -> None:
    tree = VECTORS["redemptions"]
    leaves = [to_bytes(leaf, 32) for leaf in tree["leaves"]]
    assert "0x" + merkle_levels(leaves)[-1][0].hex() == tree["root"]
    proofs = [["0x" + step.hex() for step in merkle_proof(leaves, i)] for i in range(len(leaves))]
    assert proofs == tree["proofs"]
