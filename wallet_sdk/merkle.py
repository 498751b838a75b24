"""The two Merkle trees of the network.

*Redemptions* of one relay, as `ICoalition.RedemptionsRooted` says: leaf = keccak256(0x00 ‖ digest ‖
buckets), inner node = keccak256(0x01 ‖ smaller ‖ larger), a node without partner rises unchanged.
Pairs are sorted, so a proof is its steps alone.

*References* of one IssueBatch: leaf = keccak256(0x00 ‖ salted reference), inner node =
keccak256(0x01 ‖ left ‖ right), a node without partner rises unchanged. Pairs keep their order, so a
proof shows at which entry a reference stands. The chain stores this root without looking at it. The
leading byte keeps an inner node from being shown as a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import keccak256

_Node = Callable[[bytes, bytes], bytes]


def _sorted_pair(a: bytes, b: bytes) -> bytes:
    return keccak256(b"\x01" + a + b) if a < b else keccak256(b"\x01" + b + a)


def _ordered_pair(a: bytes, b: bytes) -> bytes:
    return keccak256(b"\x01" + a + b)


def _check_words(words: Sequence[bytes]) -> None:
    for word in words:
        if len(word) != 32:
            raise InputInvalid(f"a leaf has 32 bytes, got {len(word)}")


def _rise(level: Sequence[bytes], node: _Node) -> list[bytes]:
    above = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _root(leaves: Sequence[bytes], node: _Node) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        level = _rise(level, node)
    return level[0]


def _proof(leaves: Sequence[bytes], index: int, node: _Node) -> list[bytes]:
    if not 0 <= index < len(leaves):
        raise InputInvalid(f"no leaf {index} among {len(leaves)}")
    level, at, steps = list(leaves), index, []
    while len(level) > 1:
        partner = at ^ 1
        if partner < len(level):
            steps.append(level[partner])
        level, at = _rise(level, node), at // 2
    return steps


def redemption_leaf(digest: bytes, buckets: int) -> bytes:
    """The leaf that a redemption leaves: its order's digest and the buckets word of its `Redeemed`
    event.
    """
    if len(digest) != 32 or not 0 <= buckets < 2**256:
        raise InputInvalid(f"no redemption: digest of {len(digest)} bytes, buckets {buckets}")
    return keccak256(b"\x00" + digest + buckets.to_bytes(32, "big"))


def redemptions_root(leaves: Sequence[bytes]) -> bytes:
    """The root that one relay stores for its redemptions, in the order they took effect. Raises
    InputInvalid on none.
    """
    _check_words(leaves)
    if not leaves:
        raise InputInvalid("no redemptions, no root")
    return _root(leaves, _sorted_pair)


def redemptions_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The steps from leaf `index` to the root, nearest first: what a Refund carries."""
    _check_words(leaves)
    return _proof(leaves, index, _sorted_pair)


def verify_redemption(leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the steps lead from the leaf to the root, as Coalition checks it."""
    node = leaf
    for step in proof:
        node = _sorted_pair(node, step)
    return node == root


def _reference_leaf(salted: bytes) -> bytes:
    return keccak256(b"\x00" + salted)


def references_root(references: Sequence[bytes]) -> bytes:
    """Root over salted order references (32 bytes each) in entry order; 32 zero bytes for none.

    A salted reference is a keyed hash that the gateway makes, never a plain hash of a receipt
    number.
    """
    _check_words(references)
    if not references:
        return bytes(32)
    return _root([_reference_leaf(r) for r in references], _ordered_pair)


def references_proof(references: Sequence[bytes], index: int) -> list[bytes]:
    """The steps from reference `index` to the root, nearest first."""
    _check_words(references)
    return _proof([_reference_leaf(r) for r in references], index, _ordered_pair)


def verify_reference(
    salted: bytes, index: int, count: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether this salted reference is the one of entry `index` of a batch of `count`."""
    if not 0 <= index < count:
        return False
    node, at, width, steps = _reference_leaf(salted), index, count, iter(proof)
    while width > 1:
        if at ^ 1 < width:
            step = next(steps, None)
            if step is None:
                return False
            node = _ordered_pair(step, node) if at % 2 else _ordered_pair(node, step)
        at, width = at // 2, (width + 1) // 2
    return next(steps, None) is None and node == root
