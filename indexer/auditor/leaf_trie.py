"""A trie from its leaves alone, and what another one with its root has that is unlike it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from indexer.auditor.codec import EMPTY_TRIE_ROOT, Node, keccak
from indexer.auditor.tries import (
    Items,
    ProofInvalid,
    TrieBuilder,
    from_nibbles,
    nibbles,
    unprefix,
)


class _Recorder(TrieBuilder):
    """Keeps the hash of every node by the nibbles above it, and takes those that `like` has already
    where no leaf is `new`: keys that were added, changed or removed, in order.
    """

    def __init__(self, like: Mapping[bytes, bytes], new: Sequence[bytes]) -> None:
        super().__init__()
        self.digests: dict[bytes, bytes] = {}
        self._like = like
        self._new = new

    def _below(self, items: Items, depth: int) -> bytes:
        prefix = items[0][0][:depth]
        digest = self._like.get(prefix)
        if digest is not None:
            at = bisect_left(self._new, prefix)
            if at == len(self._new) or not self._new[at].startswith(prefix):
                self.digests[prefix] = digest
                return b"\xa0" + digest
        reference = super()._below(items, depth)
        if len(reference) == 33:
            self.digests[prefix] = reference[1:]
        return reference


class LeafTrie:
    """A trie by its leaves alone: (nibbles of the key, value) in the order of the keys. `like`: one
    that shares most of them, for the hashes that need not be computed again.
    """

    def __init__(self, items: Items, like: LeafTrie | None = None) -> None:
        self._items = items
        self._paths = [path for path, _ in items]
        self.values = dict(items)
        before: dict[bytes, bytes] = {}
        new: list[bytes] = []
        if like is not None:
            before = like._digests
            new = sorted({path for path, _ in self.values.items() ^ like.values.items()})
        builder = _Recorder(before, new)
        self.root = keccak(builder.node(items, 0)) if items else EMPTY_TRIE_ROOT
        self._digests: dict[bytes, bytes] = {**builder.digests, b"": self.root}

    @classmethod
    def of(cls, values: Mapping[bytes, bytes]) -> LeafTrie:
        """From values by their whole keys."""
        return cls(sorted((nibbles(key), value) for key, value in values.items()))

    def by_key(self) -> dict[bytes, bytes]:
        """The way back."""
        return {from_nibbles(path): value for path, value in self._items}

    def under(self, prefix: bytes) -> Items:
        """The leaves whose keys begin so."""
        begin = bisect_left(self._paths, prefix)
        return self._items[begin : bisect_left(self._paths, prefix + b"\x10", begin)]

    def compare(self, root: bytes, shown: Mapping[bytes, list[Node]]) -> tuple[Items, list[bytes]]:
        """(leaves of the trie under `root`, where it is unlike this one and nobody has shown how).
        `shown`: nodes of that trie by their hash. What was not shown is taken over from this one.

        Raises ProofInvalid: a node is malformed.
        """
        found: Items = []
        unlike: list[bytes] = []
        # Digits are pushed from the last to the first, so leaves come in the order of their keys.
        ahead: list[tuple[bytes, Node]] = [(b"", root)]
        while ahead:
            prefix, below = ahead.pop()
            node = below if isinstance(below, list) else shown.get(below)
            if isinstance(below, bytes):
                if below in (b"", EMPTY_TRIE_ROOT):
                    continue
                if node is None or self._digests.get(prefix) == below:
                    leaves = self.under(prefix)
                    found += leaves
                    if not self._is_at(prefix, below, leaves):
                        unlike.append(prefix)
                    continue
            assert node is not None
            if len(node) == 17:
                ahead += [(prefix + bytes([digit]), node[digit]) for digit in range(15, -1, -1)]
                continue
            if len(node) != 2:
                raise ProofInvalid(f"a trie node has {len(node)} items")
            is_leaf, part = unprefix(node[0])
            if not is_leaf:
                ahead.append((prefix + part, node[1]))
            elif isinstance(node[1], bytes) and len(prefix + part) == 64:
                found.append((prefix + part, node[1]))
            else:
                raise ProofInvalid("a leaf under no whole key")
        return found, unlike

    def _is_at(self, prefix: bytes, digest: bytes, leaves: Items) -> bool:
        if prefix in self._digests:
            return self._digests[prefix] == digest
        # No node of ours begins here: a leaf or an extension that a neighbour made shorter, or
        # longer, is another node over the same leaves.
        return bool(leaves) and keccak(TrieBuilder().node(leaves, len(prefix))) == digest
