"""Whether a contract's storage holds anything that the logs do not explain.

The proofs of all known slots together show every node on their ways. A branch that points at a node
which no proof showed leads to a slot that nobody asked for, and a leaf under another key than the
known ones is such a slot. So storage that was written without a transaction is found wherever it
lies, also in the account of somebody who never appeared in a log.

A node may keep leaves of slots that are zero (anvil does, for slots that were only read). They hold
nothing; to see that, the unknown branch is opened: a made-up slot whose hash begins as the branch
does is asked for, and the proof of its absence shows the leaf that is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from indexer.auditor.codec import Node, keccak
from indexer.auditor.tries import nibbles, unprefix

_ZERO_LEAF: Final = b"\x80"
HASHES_MAX: Final = 6_000_000
"""Made-up slots tried in all, about ten seconds: enough for a trie of a million slots."""


class Completeness:
    """Collects the nodes on the ways to all known slots. Memory: some 200 bytes a slot."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._seen: set[bytes] = set()
        self._pointed_at: dict[bytes, bytes] = {}
        self._leaves: set[bytes] = set()

    def know(self, key: bytes) -> None:
        """A slot that the replay knows, by its hashed key."""
        self._known.add(key)

    def visit(self, path: bytes, depth: int, digest: bytes, node: list[Node]) -> None:
        """A node on the way to `path`, `depth` nibbles under the root."""
        if digest in self._seen:
            return
        self._seen.add(digest)
        self._pointed_at.pop(digest, None)
        self._look(path[:depth], node)

    def _look(self, prefix: bytes, node: list[Node]) -> None:
        if len(node) == 17:
            for digit in range(16):
                self._follow(prefix + bytes([digit]), node[digit])
            return
        is_leaf, part = unprefix(node[0])
        if not is_leaf:
            self._follow(prefix + part, node[1])
        elif node[1] != _ZERO_LEAF:
            self._leaves.add(bytes.fromhex((prefix + part).hex()[1::2]))

    def _follow(self, prefix: bytes, below: Node) -> None:
        if isinstance(below, list):
            self._look(prefix, below)
        elif below and below not in self._seen:
            self._pointed_at[below] = prefix

    def unopened(self) -> set[bytes]:
        """Where branches begin that no proof has shown, in nibbles."""
        return set(self._pointed_at.values())

    def unexplained(self) -> list[bytes]:
        """Hashed keys of slots that hold something and that no log explains."""
        return sorted(self._leaves - self._known)


class MadeUpSlots:
    """Slots that nobody uses, found by the beginning of their hash."""

    def __init__(self) -> None:
        self._next = 1 << 200
        self._tried = 0

    def under(self, prefixes: Iterable[bytes]) -> list[int]:
        """One slot for each beginning that was found before the hashes ran out."""
        wanted = set(prefixes)
        lengths = sorted({len(prefix) for prefix in wanted})
        found = []
        while wanted and self._tried < HASHES_MAX:
            slot = self._next
            self._next += 1
            self._tried += 1
            path = nibbles(keccak(slot.to_bytes(32, "big"))[: (lengths[-1] + 1) // 2])
            for length in lengths:
                prefix = path[:length]
                if prefix in wanted:
                    wanted.discard(prefix)
                    found.append(slot)
                    break
        return found
