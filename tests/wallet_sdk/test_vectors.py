"""tests/vectors/orders.json holds the SDK, the contracts and any other implementation together."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data

from wallet_sdk.merkle import redemptions_proof, redemptions_root, verify_redemption
from wallet_sdk.orders import Domain, Kind, Refund, decode
from wallet_sdk.signers import recover
from wallet_sdk.types import from_hex, keccak256, to_hex

FILE = Path(__file__).parents[1] / "vectors" / "orders.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text())
ORDERS: list[dict[str, Any]] = VECTORS["orders"]
DOMAIN = Domain(VECTORS["domain"]["chain_id"], VECTORS["domain"]["coalition"])

each = pytest.mark.parametrize("vector", ORDERS, ids=lambda vector: vector["name"])


def test_vectors__every_kind__is_there() -> None:
    assert {vector["kind"] for vector in ORDERS} == set(Kind)
    assert to_hex(DOMAIN.separator) == VECTORS["domain"]["separator"]


@each
def test_vector__decoded__gives_digest_and_wire_again(vector: dict[str, Any]) -> None:
    signed = decode(from_hex(vector["wire"]))
    assert signed.kind == vector["kind"]
    assert to_hex(signed.order.digest(DOMAIN)) == vector["digest"]
    assert to_hex(signed.order.struct_hash(DOMAIN)) == vector["struct_hash"]
    assert to_hex(signed.signature) == vector["signature"]
    assert to_hex(signed.encode()) == vector["wire"]
    assert signed.order.typed_data(DOMAIN) == vector["typed_data"]


@each
def test_vector__its_typed_data__hashes_to_the_digest(vector: dict[str, Any]) -> None:
    typed = encode_typed_data(full_message=vector["typed_data"])
    assert to_hex(_hash_eip191_message(typed)) == vector["digest"]
    assert to_hex(keccak256(vector["type"].encode())) == vector["type_hash"]


@each
def test_vector__its_signature__is_the_signers(vector: dict[str, Any]) -> None:
    signature = from_hex(vector["signature"])
    assert recover(from_hex(vector["digest"]), signature) == vector["signer"]


def test_vector__the_refund__leads_to_a_root_of_three() -> None:
    wire = next(vector["wire"] for vector in ORDERS if vector["name"] == "refund")
    refund = decode(from_hex(wire)).order
    assert isinstance(refund, Refund)
    leaf = refund.redemption.leaf(refund.merchant, DOMAIN)
    others = [keccak256(b"another redemption"), keccak256(b"a third")]
    root = redemptions_root([leaf, *others])
    assert verify_redemption(leaf, [from_hex(step) for step in refund.proof], root)


def test_vector__the_redemptions__give_root_and_proofs() -> None:
    tree = VECTORS["redemptions"]
    leaves = [from_hex(leaf) for leaf in tree["leaves"]]
    assert to_hex(redemptions_root(leaves)) == tree["root"]
    for index, proof in enumerate(tree["proofs"]):
        assert [to_hex(step) for step in redemptions_proof(leaves, index)] == proof
