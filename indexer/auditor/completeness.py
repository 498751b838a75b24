"""Whether a contract's storage holds anything that the logs do not explain.

The proofs of all known slots together show every node on their ways. A branch that points at a node
which no proof showed leads to a slot that nobody asked for, and a leaf under another key than the
known ones is such a slot. So storage that was written without a transaction is found wherever it
lies, also in the account of somebody who never appeared in a log.

A node may keep leaves of slots that are zero (anvil does, for slots that were only read, or set
back to zero). They hold nothing; to see that, the unknown branch is opened: a slot whose hash
begins as the branch does is asked for, and its proof shows the leaf that is there. First the slots
that the contracts are known to have touched (`touched`); for the rest a slot is made up, which
costs sixteen times as many hashes for each nibble of the branch, and so cannot open the deep
branches of a large trie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Final

from indexer.auditor.codec import Node, keccak
from indexer.auditor.tries import from_nibbles, unprefix

ZERO_LEAF: Final = b"\x80"
HASHES_MAX: Final = 6_000_000
"""Made-up slots tried in one audit, about ten seconds: enough for some branches of five nibbles."""


class Completeness:
    """Collects the nodes on the ways to all known slots. Memory: some 200 bytes a slot."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._seen: set[bytes] = set()
        self._pointed_at: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, bytes] = {}

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
        elif isinstance(node[1], bytes):
            self.leaves[from_nibbles(prefix + part)] = node[1]

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
        return unexplained(self.leaves, self._known)


def unexplained(leaves: Mapping[bytes, bytes], known: Set[bytes]) -> list[bytes]:
    """Keys that hold something, and that are not known."""
    return sorted(k for k, value in leaves.items() if value != ZERO_LEAF and k not in known)


class Prefixes:
    """Beginnings of hashed keys, asked for quickly: does one of them begin this key?"""

    def __init__(self, prefixes: Iterable[bytes]) -> None:
        self._by_shift: dict[int, set[int]] = {}
        for prefix in prefixes:
            number = 0
            for digit in prefix:
                number = number << 4 | digit
            self._by_shift.setdefault(256 - 4 * len(prefix), set()).add(number)

    def __bool__(self) -> bool:
        return bool(self._by_shift)

    def begin(self, slot: int) -> bool:
        """Whether the key of this slot begins with one of them."""
        key = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
        return any(key >> shift in numbers for shift, numbers in self._by_shift.items())

    def take(self, slot: int) -> bool:
        """The same, and what was found is wanted no more."""
        key = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
        for shift, numbers in self._by_shift.items():
            if key >> shift in numbers:
                numbers.discard(key >> shift)
                if not numbers:
                    del self._by_shift[shift]
                return True
        return False


class MadeUpSlots:
    """Slots that nobody uses, found by the beginning of their hash."""

    def __init__(self) -> None:
        self._next = 1 << 200
        self._end = self._next + HASHES_MAX

    def under(self, prefixes: Iterable[bytes]) -> list[int]:
        """One slot for each beginning that was found before the hashes ran out."""
        wanted = Prefixes(prefixes)
        found = []
        while wanted and self._next < self._end:
            if wanted.take(self._next):
                found.append(self._next)
            self._next += 1
        return found
