"""Storage by Merkle proof: what the replay says against what the state root holds.

`eth_getProof` answers are believed as far as their nodes hash up to the state root of a header that
was checked. anvil keeps slots that were set back to zero as leaves of the value 0x80 (its state
root is not the canonical one); such a proof still shows a zero, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from indexer.auditor.codec import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    RlpInvalid,
    data_of,
    decode,
    keccak,
)
from indexer.auditor.errors import AuditError, Broken, NodeRefused
from indexer.auditor.source import Rpc
from indexer.auditor.tries import ProofInvalid, ProofNodes, Visitor

STORAGE: Final = "storage"
KEYS_MAX: Final = 1_000
"""Slots asked in one call: measured, a call costs 45-120 ms on anvil whatever it asks."""


class Fact(NamedTuple):
    """One slot and what it must hold. `mask`: the bits that are compared; 0: the slot is known, its
    value is not replayed. `heirs`: the predecessors to ask in turn where this one holds nothing: a
    successor copies at first touch. `at_most`: it may also hold less.
    """

    address: bytes
    slot: int
    expected: int
    what: str
    mask: int = 2**256 - 1
    heirs: tuple[bytes, ...] = ()
    at_most: bool = False

    def holds(self, value: int) -> bool:
        """Whether the slot may hold this."""
        if self.at_most:
            return value <= self.expected
        return not (value ^ self.expected) & self.mask


class Witness(Protocol):
    """Is shown the keys that are asked for, and the hashed nodes on the ways to them."""

    def know(self, key: bytes) -> None:
        """A slot that the replay knows, by its hashed key."""

    @property
    def visit(self) -> Visitor:
        """Takes a node."""


@dataclass(frozen=True, slots=True)
class ProvenAccount:
    """An account of the state trie. All zero and empty where there is none."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes

    @property
    def has_code(self) -> bool:
        """Whether a contract, or a delegation to one, stands there."""
        return self.code_hash != EMPTY_CODE_HASH


_NOBODY: Final = ProvenAccount(0, 0, EMPTY_TRIE_ROOT, EMPTY_CODE_HASH)


def mapping_slot(key: int | bytes, slot: int) -> int:
    """Where `mapping[key]` stands: keccak(key . slot), both as words."""
    word = key.to_bytes(32, "big") if isinstance(key, int) else key.rjust(32, b"\0")
    return int.from_bytes(keccak(word + slot.to_bytes(32, "big")), "big")


def read_proof(
    answer: Any,
    state_root: bytes,
    address: bytes,
    slots: Sequence[int],
    completeness: Witness | None = None,
    *,
    explained: bool = True,
) -> tuple[ProvenAccount, list[int], int]:
    """(account, values in the order of `slots`, how many zeros were shown by a leaf). `explained`:
    the replay knows of these slots, so they may hold something.

    Raises ProofInvalid: a node is missing, malformed, or of another root.
    """
    try:
        nodes = ProofNodes()
        for raw in answer["accountProof"]:
            nodes.add(data_of(raw))
        account = _account(nodes.value(state_root, keccak(address)))
        entries = answer["storageProof"]
        if len(entries) != len(slots):
            raise ProofInvalid(f"{len(slots)} slots asked, {len(entries)} proven")
        seen: set[str] = set()
        for entry in entries:
            for raw in entry["proof"]:
                if raw not in seen:
                    seen.add(raw)
                    nodes.add(data_of(raw))
    except ProofInvalid:
        raise
    except (AuditError, KeyError, TypeError) as error:
        raise ProofInvalid(f"malformed: {error}") from error
    values, zeros = [], 0
    visit = None if completeness is None else completeness.visit
    for slot in slots:
        key = keccak(slot.to_bytes(32, "big"))
        if completeness is not None and explained:
            completeness.know(key)
        raw_value = nodes.value(account.storage_root, key, visit)
        value = slot_value(raw_value)
        zeros += raw_value is not None and value == 0
        values.append(value)
    return account, values, zeros


def slot_value(raw: bytes | None) -> int:
    """The word that a leaf holds; 0 where there is none. Raises ProofInvalid."""
    if raw is None:
        return 0
    try:
        value = decode(raw)
    except RlpInvalid as error:
        raise ProofInvalid(f"a slot's value is not RLP: {error}") from error
    if not isinstance(value, bytes) or len(value) > 32:
        raise ProofInvalid("a slot's value is no word")
    return int.from_bytes(value, "big")


def _account(raw: bytes | None) -> ProvenAccount:
    if raw is None:
        return _NOBODY
    fields = decode(raw)
    if not isinstance(fields, list) or len(fields) != 4:
        raise ProofInvalid("an account has four fields")
    words = [field for field in fields if isinstance(field, bytes)]
    if len(words) != 4 or len(words[2]) != 32 or len(words[3]) != 32:
        raise ProofInvalid("an account's fields are malformed")
    nonce, balance, root, code = words
    return ProvenAccount(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), root, code)


class StorageProver:
    """Proves slots of one block. `refusal`: why the node proves nothing, once it said so."""

    def __init__(self, rpc: Rpc, number: int, state_root: bytes) -> None:
        self._rpc = rpc
        self._number = number
        self._root = state_root
        self.refusal: str | None = None
        self.proven = 0
        self.asked = 0
        self._accounts: dict[bytes, ProvenAccount] = {}
        self.zero_leaves = 0

    def account(self, address: bytes) -> ProvenAccount | None:
        """The account; None: the node gives no proof. Raises Broken: the proof does not hold."""
        if (known := self._accounts.get(address)) is not None:
            return known
        answer = self._ask(address, ())
        return None if answer is None else self._read(answer, address, ())[0]

    def values(self, address: bytes, slots: Sequence[int]) -> list[int] | None:
        """What up to KEYS_MAX slots hold; None: the node gives no proof. Raises Broken."""
        answer = self._ask(address, slots)
        return None if answer is None else self._read(answer, address, slots)[1]

    def _ask(self, address: bytes, slots: Sequence[int]) -> Any:
        params = [
            "0x" + address.hex(),
            ["0x" + slot.to_bytes(32, "big").hex() for slot in slots],
            hex(self._number),
        ]
        try:
            answer = self._rpc.call("eth_getProof", params)
        except NodeRefused as error:
            self.refusal = str(error)
            return None
        if answer is None:
            self.refusal = "it answers null"
        return answer

    def _read(
        self,
        answer: Any,
        address: bytes,
        slots: Sequence[int],
        completeness: Witness | None = None,
        *,
        explained: bool = True,
    ) -> tuple[ProvenAccount, list[int]]:
        try:
            account, values, zeros = read_proof(
                answer, self._root, address, slots, completeness, explained=explained
            )
        except ProofInvalid as error:
            raise Broken(
                STORAGE,
                self._number,
                f"a proof of 0x{address.hex()} does not lead to the state root: {error}",
            ) from error
        self._accounts[address] = account
        self.proven += len(slots)
        self.asked += len(slots)
        self.zero_leaves += zeros
        return account, values

    def check(self, facts: Iterable[Fact], completeness: Witness | None = None) -> Iterator[Broken]:
        """Yields what does not hold. Proofs are fetched two calls ahead of the checks."""
        waiting = list(self._unequal(facts, completeness))
        while waiting and self.refusal is None:
            inherited = []
            for fact, got in waiting:
                # What a successor has not touched yet stands where it stood: ask there.
                if fact.heirs and got == 0:
                    inherited.append(fact._replace(address=fact.heirs[0], heirs=fact.heirs[1:]))
                else:
                    yield self.broken(fact, got)
            waiting = list(self._unequal(inherited, None))

    def broken(self, fact: Fact, got: int) -> Broken:
        """What to say of a slot that was proven to hold something else."""
        return Broken(
            STORAGE,
            self._number,
            f"storage does not hold what the replay gives: {fact.what}",
            f"0x{fact.expected & fact.mask:x}",
            f"0x{got & fact.mask:x}",
        )

    def look(self, address: bytes, slots: Iterable[int], completeness: Witness) -> None:
        """Shows `completeness` the ways to slots that nothing explains."""
        facts = (Fact(address, slot, 0, "", 0) for slot in slots)
        for _ in self._unequal(facts, completeness, explained=False):
            pass

    def _unequal(
        self,
        facts: Iterable[Fact],
        completeness: Witness | None,
        *,
        explained: bool = True,
    ) -> Iterator[tuple[Fact, int]]:
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="audit-proof") as pool:
            chunks = _chunks(facts)
            ahead = []
            for chunk in islice(chunks, 2):
                ahead.append((chunk, pool.submit(self._ask, chunk[0].address, _slots(chunk))))
            while ahead and self.refusal is None:
                chunk, future = ahead.pop(0)
                answer = future.result()
                following = next(chunks, None)
                if following is not None:
                    slots = _slots(following)
                    ahead.append((following, pool.submit(self._ask, following[0].address, slots)))
                if answer is None:
                    return
                slots = _slots(chunk)
                _, values = self._read(
                    answer, chunk[0].address, slots, completeness, explained=explained
                )
                for fact, value in zip(chunk, values, strict=True):
                    if not fact.holds(value):
                        yield fact, value


def _slots(chunk: Sequence[Fact]) -> list[int]:
    return [fact.slot for fact in chunk]


def _chunks(facts: Iterable[Fact]) -> Iterator[list[Fact]]:
    """At most KEYS_MAX facts of one address each, whatever their order."""
    open_by_address: dict[bytes, list[Fact]] = {}
    for fact in facts:
        chunk = open_by_address.setdefault(fact.address, [])
        chunk.append(fact)
        if len(chunk) == KEYS_MAX:
            yield open_by_address.pop(fact.address)
    yield from open_by_address.values()
