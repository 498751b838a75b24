"""Our RLP, tries and Keccak beside the tried libraries."""

from __future__ import annotations

import pytest
import rlp
from eth_hash.auto import keccak as tried_keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from indexer.auditor.codec import (
    RlpInvalid,
    data_of,
    decode,
    encode_bytes,
    encode_int,
    encode_list,
    keccak,
    quantity,
)
from indexer.auditor.errors import AuditError
from indexer.auditor.tries import ProofInvalid, ordered_proof, ordered_root, proven_value

NODES = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6))


def encoded(node: object) -> bytes:
    if isinstance(node, bytes):
        return encode_bytes(node)
    assert isinstance(node, list)
    return encode_list([encoded(part) for part in node])


@pytest.mark.parametrize(
    "text", ["", "81", "8101", "b801ff", "c1", "b90001ff", "8180ff", "f800", "bf"]
)
def test_decode__not_canonical__refused(text: str) -> None:
    with pytest.raises(RlpInvalid):
        decode(bytes.fromhex(text))


def test_decode__nested_a_thousand_deep__refused() -> None:
    data = b"\xc0"
    for _ in range(1000):
        data = encode_list([data])
    with pytest.raises(RlpInvalid):
        decode(data)


@pytest.mark.parametrize("value", [None, 5, "", "0x", "12", "0xzz", True])
def test_quantity__not_one__refused(value: object) -> None:
    with pytest.raises(AuditError):
        quantity(value)


@pytest.mark.parametrize("value", [None, "00", "0x0", "0x0 00", "0x00 ", "0xgg"])
def test_data__not_hex__refused(value: object) -> None:
    with pytest.raises(AuditError):
        data_of(value)


@given(NODES)
def test_rlp__any_item__as_the_library(node: object) -> None:
    ours = encoded(node)
    assert ours == rlp.encode(node)
    assert decode(ours) == node


@given(st.integers(min_value=0, max_value=2**256 - 1))
def test_rlp__any_number__as_the_library(value: int) -> None:
    assert encode_int(value) == rlp.encode(value)


@given(st.binary(max_size=500))
def test_keccak__any_bytes__as_the_library(data: bytes) -> None:
    assert keccak(data) == tried_keccak(data)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=300))
def test_ordered_root__any_values__as_py_trie(values: list[bytes]) -> None:
    tried = HexaryTrie({})
    for i, value in enumerate(values):
        tried[rlp.encode(i)] = value
    assert ordered_root(values) == tried.root_hash


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=300), st.data())
def test_ordered_proof__any_value__leads_there_and_nowhere_else(
    values: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(min_value=0, max_value=len(values) - 1))
    root = ordered_root(values)
    proof = ordered_proof(values, index)
    assert proven_value(root, encode_int(index), proof) == values[index]
    tried = [rlp.decode(node) for node in proof]
    assert HexaryTrie.get_from_proof(root, rlp.encode(index), tried) == values[index]
    with pytest.raises(ProofInvalid):
        proven_value(root, encode_int(index), proof[1:])


def test_proof__absent_key__proven_absent() -> None:
    values = [bytes([i]) * 40 for i in range(20)]
    proof = ordered_proof(values, 3)
    assert proven_value(ordered_root(values), b"\x03\x03", proof) is None


def test_proof__a_flipped_byte__refused() -> None:
    values = [bytes([i]) * 40 for i in range(20)]
    root = ordered_root(values)
    proof = ordered_proof(values, 3)
    bad = bytearray(proof[-1])
    bad[-1] ^= 1
    with pytest.raises(ProofInvalid):
        proven_value(root, b"\x03", [*proof[:-1], bytes(bad)])
