import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_sdk.errors import InputInvalid
from wallet_sdk.merkle import (
    redemption_leaf,
    redemptions_proof,
    redemptions_root,
    references_proof,
    references_root,
    verify_redemption,
    verify_reference,
)
from wallet_sdk.types import keccak256

words = st.binary(min_size=32, max_size=32)
some_words = st.lists(words, min_size=1, max_size=20, unique=True)


def leaf(n: int) -> bytes:
    return bytes([n]) * 32


def test_redemptions_root__none__refused() -> None:
    with pytest.raises(InputInvalid):
        redemptions_root([])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_roots__leaf_of_another_length__refused(length: int) -> None:
    with pytest.raises(InputInvalid, match=f"got {length}"):
        redemptions_root([bytes(length)])
    with pytest.raises(InputInvalid, match=f"got {length}"):
        references_root([bytes(length)])


@pytest.mark.parametrize("index", [-1, 3])
def test_proofs__no_such_leaf__refused(index: int) -> None:
    with pytest.raises(InputInvalid):
        redemptions_proof([leaf(1), leaf(2), leaf(3)], index)
    with pytest.raises(InputInvalid):
        references_proof([leaf(1), leaf(2), leaf(3)], index)


def test_redemption_leaf__parts_that_are_none__refused() -> None:
    with pytest.raises(InputInvalid):
        redemption_leaf(bytes(31), 1)
    with pytest.raises(InputInvalid):
        redemption_leaf(bytes(32), 2**256)


def test_redemption_leaf__two_words_of_an_inner_node__are_not_that_node() -> None:
    node = redemptions_root([leaf(1), leaf(2)])
    assert redemption_leaf(leaf(1), int.from_bytes(leaf(2), "big")) != node


def test_redemptions_root__one__is_its_leaf() -> None:
    assert redemptions_root([leaf(7)]) == leaf(7)
    assert redemptions_proof([leaf(7)], 0) == []


def test_redemptions_root__three__the_last_rises_unchanged() -> None:
    pair = keccak256(b"\x01" + leaf(1) + leaf(2))
    root = keccak256(b"\x01" + min(pair, leaf(3)) + max(pair, leaf(3)))
    assert redemptions_root([leaf(2), leaf(1), leaf(3)]) == root


def test_redemption_leaf__digest_and_buckets__are_hashed_behind_a_zero_byte() -> None:
    assert redemption_leaf(leaf(1), 5) == keccak256(b"\0" + leaf(1) + bytes(31) + b"\5")


@given(some_words, st.data())
def test_redemptions_proof__any_leaf__verifies_and_no_other_does(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = redemptions_proof(leaves, index), redemptions_root(leaves)
    assert verify_redemption(leaves[index], proof, root)
    assert other == index or not verify_redemption(leaves[other], proof, root)


@given(some_words, st.data())
def test_references_proof__any_entry__verifies_at_its_place_alone(
    references: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(references) - 1))
    proof, root = references_proof(references, index), references_root(references)
    count = len(references)
    assert verify_reference(references[index], index, count, proof, root)
    for other in range(-1, count + 1):
        assert other == index or not verify_reference(references[index], other, count, proof, root)
    assert not verify_reference(references[index], index, count, [*proof, leaf(1)], root)
    assert not proof or not verify_reference(references[index], index, count, proof[:-1], root)


def test_references_root__none__is_zero() -> None:
    assert references_root([]) == bytes(32)


def test_references_root__other_order__is_another_root() -> None:
    assert references_root([leaf(1), leaf(2)]) != references_root([leaf(2), leaf(1)])
