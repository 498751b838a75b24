"""The storage of a contract from what an earlier audit knew of it: only what is new is asked for.

The leaves of the trie are kept with the state. What the replay changed since is asked for by proof,
and so is what lies where the trie is unlike the old one. Then the whole trie is built from its
leaves, and must have the very root that the account's proof shows; only then is anything said of
it. So what was kept is a help and is not trusted: leaves that are wrong, forged or too old make
another root, and then every slot is proven as in a first audit, which names what was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from indexer.auditor.codec import Node, keccak
from indexer.auditor.completeness import ZERO_LEAF, Prefixes, unexplained
from indexer.auditor.errors import Broken
from indexer.auditor.leaf_trie import LeafTrie
from indexer.auditor.storage import Fact, StorageProver, slot_value
from indexer.auditor.tries import ProofInvalid, from_nibbles, nibbles

_ALL: Final = 2**256 - 1
_ROUNDS_MAX: Final = 24
"""Each round goes at least a nibble deeper; a trie of a million leaves is some six deep."""
_CANDIDATES_MAX: Final = 200
"""Of more slots than these that may be the changed one, first a nibble more is found out."""

_Known = list[tuple[bytes, Fact]]
"""Facts with the nibbles of their hashed slots."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What a contract's storage was proven to be. `unexplained`: hashed slots that hold something,
    and that no log explains; `leaves`: raw values by hashed slot; `closed`: branches that could not
    be looked into.
    """

    broken: list[Broken]
    unexplained: list[bytes]
    leaves: dict[bytes, bytes]
    closed: int = 0


class _Shown:
    """The nodes that proofs have shown under the root, by their hash."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, list[Node]] = {}

    def know(self, key: bytes) -> None:
        """Which slots are known is looked at when all leaves are."""

    def visit(self, path: bytes, depth: int, digest: bytes, node: list[Node]) -> None:
        """A node on the way to a slot."""
        self.nodes[digest] = node


def recall(
    prover: StorageProver,
    address: bytes,
    facts: Iterable[Fact],
    touched: Callable[[], Iterator[int]],
    leaves: Mapping[bytes, bytes],
) -> Storage | None:
    """The contract's storage at the prover's block, each fact compared with it; None: the kept
    `leaves` and what is known to have changed do not make it. Raises Broken: a proof is wrong.
    """
    proven, zeros = prover.proven, prover.zero_leaves
    known = [(nibbles(keccak(fact.slot.to_bytes(32, "big"))), fact) for fact in facts]
    try:
        trie = _trie_now(prover, address, known, touched, LeafTrie.of(leaves))
        if trie is None:
            return None
        broken, inherited = [], []
        for path, fact in known:
            value = slot_value(trie.values.get(path))
            if fact.holds(value):
                continue
            if fact.heirs and value == 0:
                inherited.append(fact._replace(address=fact.heirs[0], heirs=fact.heirs[1:]))
            else:
                broken.append(prover.broken(fact, value))
    except ProofInvalid:
        return None
    finally:
        prover.proven, prover.zero_leaves = proven, zeros
    broken += prover.check(inherited)
    prover.proven = proven + len(known)
    prover.zero_leaves = zeros + sum(value == ZERO_LEAF for value in trie.values.values())
    now = trie.by_key()
    return Storage(broken, unexplained(now, {from_nibbles(path) for path, _ in known}), now)


def _trie_now(
    prover: StorageProver,
    address: bytes,
    known: _Known,
    touched: Callable[[], Iterator[int]],
    old: LeafTrie,
) -> LeafTrie | None:
    """The trie under the account's proven root, or None."""
    account = prover.account(address)
    if account is None:
        return None
    trie = old
    if old.root != account.storage_root:
        trie = _brought_up_to_date(prover, address, account.storage_root, known, touched, old)
    # Everything hangs on this: what was kept and what was asked for are all that is there.
    return trie if trie.root == account.storage_root else None


def _brought_up_to_date(
    prover: StorageProver,
    address: bytes,
    root: bytes,
    known: _Known,
    touched: Callable[[], Iterator[int]],
    old: LeafTrie,
) -> LeafTrie:
    """The old trie with all that could be found to have changed: it may be still another one."""
    shown = _Shown()
    asked: set[int] = set()
    wanted = [fact.slot for path, fact in known if not fact.holds(slot_value(old.values.get(path)))]
    # An exact value that is what it was needs no asking; of the others none knows what they hold.
    loose = [fact.slot for _, fact in known if fact.at_most or fact.mask != _ALL]
    by_path = {path: fact.slot for path, fact in known}
    for _ in range(_ROUNDS_MAX):
        prover.look(address, wanted, shown)
        asked.update(wanted)
        items, unlike = old.compare(root, shown.nodes)
        if not unlike or prover.refusal is not None:
            break
        may_be = (slot for slot in chain(loose, touched()) if slot not in asked)
        wanted = _wanted(unlike, may_be) or _one_each(unlike, old, by_path, asked)
        if not wanted or len(asked) > len(known):
            break
    return LeafTrie(items, old)


def _wanted(unlike: Sequence[bytes], may_be: Iterator[int]) -> list[int]:
    """The slots that may lie there, none when they are too many."""
    begun = filter(Prefixes(unlike).begin, may_be)
    found = list(islice(begun, _CANDIDATES_MAX + 1))
    return list(dict.fromkeys(found)) if len(found) <= _CANDIDATES_MAX else []


def _one_each(
    unlike: Sequence[bytes], old: LeafTrie, by_path: Mapping[bytes, int], asked: set[int]
) -> list[int]:
    """Any slot under each of these: its proof shows what else there is unlike."""
    found = []
    for prefix in unlike:
        slots = (by_path[path] for path, _ in old.under(prefix) if path in by_path)
        if (slot := next((slot for slot in slots if slot not in asked), None)) is not None:
            found.append(slot)
    return found
