"""The state of the chain after the last block: code, storage, and that there is nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Final

from indexer.auditor import layout, token_layout
from indexer.auditor.caps import CODE, code_at, word_of
from indexer.auditor.checks import Check
from indexer.auditor.codec import keccak
from indexer.auditor.completeness import Completeness, MadeUpSlots, Prefixes
from indexer.auditor.errors import AuditError, Broken, NodeRefused
from indexer.auditor.foreign_asset import mapping_that_holds
from indexer.auditor.headers import Header
from indexer.auditor.ledger import Ledger
from indexer.auditor.network import NetworkFile, immutables_of
from indexer.auditor.outcome import Outcome
from indexer.auditor.recall import Storage, recall
from indexer.auditor.roles import role_facts
from indexer.auditor.source import Rpc
from indexer.auditor.storage import Fact, StorageProver
from indexer.auditor.touched import touched_slots

COMPLETE: Final = "complete storage"
_FINDINGS_MAX: Final = 20


_RECEIPT_CALLS: Final = (
    keccak(b"proposeMint(bytes32,address,uint256)")[:4],
    keccak(b"confirmMint(bytes32)")[:4],
)


def asset_is_receipt(rpc: Rpc, network: NetworkFile) -> bool:
    """Whether the settlement asset is a BankReceipt (of any version): its pinned code answers to
    proposing and confirming mints. Anything else is somebody's token. Raises Broken.
    """
    pinned = network.contracts["BankReceipt"]
    code = code_at(rpc, pinned.address)
    if keccak(code) != pinned.code_hash:
        expected, got = "0x" + pinned.code_hash.hex(), "0x" + keccak(code).hex()
        fact = "the settlement asset runs other code than the deployment file pins"
        raise Broken(CODE, None, fact, expected, got)
    return all(selector in code for selector in _RECEIPT_CALLS)


def check_state_of_chain(
    rpc: Rpc,
    outcome: Outcome,
    header: Header,
    caps: Mapping[bytes, int],
    progress: Callable[[str, int, int], None],
) -> None:
    """Fills the checks `code`, `storage` and `complete storage` of the outcome. `caps`: every
    Coalition in order, with the return cap that the replay took.
    """
    prover = StorageProver(rpc, header.number, header.state_root)
    _check_code(rpc, prover, outcome, caps)
    began = time.perf_counter()
    storage, complete = outcome.checks["storage"], outcome.checks[COMPLETE]
    ledger = outcome.ledger
    assert ledger is not None
    made_up = MadeUpSlots()
    recalled = 0
    for name, address, facts in _contracts(outcome.network, ledger):
        if name == "BankReceipt" and not outcome.asset_is_receipt:
            outcome.asset_mapping = mapping_that_holds(prover, address, ledger)
            continue  # somebody's token: its layout is not ours to know
        touched = partial(touched_slots, name, ledger, outcome.network.schedule)
        found = None
        if kept := outcome.leaves.get(address):
            facts = list(facts)
            found = recall(prover, address, facts, touched, kept)
        if found is not None:
            recalled += 1
        else:
            asked = _with_progress(facts, progress)
            found = _prove_all(prover, address, asked, touched, made_up)
        for broken in found.broken[: _FINDINGS_MAX - len(storage.findings)]:
            storage.broken(broken.finding)
        if prover.refusal is None:
            _check_complete(name, found, header.number, complete)
            outcome.leaves[address] = found.leaves
    if prover.refusal is not None:
        why = f"the node gives no proofs at block {header.number}: {prover.refusal}"
        storage.note = complete.note = why
    else:
        notes = []
        if recalled:
            notes.append(
                f"{prover.asked:,} were asked for; leaves kept with the saved state make the "
                f"roots of {recalled} contracts with them"
            )
        if prover.zero_leaves:
            notes.append(f"{prover.zero_leaves:,} zeros were shown by a leaf, as anvil keeps them")
        if outcome.asset_is_receipt:
            storage.held(prover.proven, "slots", "; ".join(notes))
        elif outcome.asset_mapping is not None:
            notes.append(
                "the settlement token is not ours: what it holds under the Coalition's address "
                f"(mapping at slot {outcome.asset_mapping:#x}) is what its logs say"
            )
            storage.held(prover.proven, "slots", "; ".join(notes))
        else:
            notes.append(
                "the settlement token is not ours, and no mapping was found in its storage"
            )
            storage.partly(prover.proven, "slots", "; ".join(notes))
        count = 5 - (not outcome.asset_is_receipt)
        if complete.note:
            complete.partly(count, "contracts", complete.note)
        else:
            complete.held(count, "contracts")
    outcome.zero_leaves = prover.zero_leaves
    storage.seconds += time.perf_counter() - began


def _contracts(network: NetworkFile, ledger: Ledger) -> list[tuple[str, bytes, Iterable[Fact]]]:
    points, passes = network.address("Points"), network.address("MembershipPass")
    asset, manager = network.address("BankReceipt"), network.address("AccessManager")
    return [
        ("Points", points, layout.points_facts(ledger, points)),
        ("Coalition", ledger.coalition, layout.coalition_facts(ledger)),
        ("MembershipPass", passes, token_layout.pass_facts(ledger, passes)),
        ("AccessManager", manager, role_facts(ledger, manager)),
        ("BankReceipt", asset, token_layout.asset_facts(ledger, asset)),
    ]


def _with_progress(
    facts: Iterable[Fact], progress: Callable[[str, int, int], None]
) -> Iterable[Fact]:
    for count, fact in enumerate(facts, start=1):
        if count % 1000 == 0:
            progress("storage proofs", count, 0)
        yield fact


def _open_branches(
    prover: StorageProver,
    address: bytes,
    completeness: Completeness,
    touched: Callable[[], Iterator[int]],
    made_up: MadeUpSlots,
) -> int:
    """Looks into the branches that no known slot lies under. Returns how many stayed closed."""
    if unopened := Prefixes(completeness.unopened()):
        prover.look(address, filter(unopened.begin, touched()), completeness)
    while (prefixes := completeness.unopened()) and prover.refusal is None:
        slots = made_up.under(prefixes)
        if not slots:
            return len(prefixes)
        prover.look(address, slots, completeness)
    return 0


def _prove_all(
    prover: StorageProver,
    address: bytes,
    facts: Iterable[Fact],
    touched: Callable[[], Iterator[int]],
    made_up: MadeUpSlots,
) -> Storage:
    """Every slot by its proof."""
    completeness = Completeness()
    broken: list[Broken] = []
    for found in prover.check(facts, completeness):
        if len(broken) < _FINDINGS_MAX:
            broken.append(found)
    closed = 0
    if prover.refusal is None:
        closed = _open_branches(prover, address, completeness, touched, made_up)
    # Leaves that are not all there make no root: the next audit need not try.
    leaves = {} if closed else completeness.leaves
    return Storage(broken, completeness.unexplained(), leaves, closed)


def _check_complete(name: str, found: Storage, number: int, check: Check) -> None:
    keys, closed = found.unexplained, found.closed
    if keys:
        which = ", ".join("0x" + key.hex() for key in keys[:3])
        fact = f"{name} holds {len(keys)} slots of storage that no log explains"
        broken = Broken(COMPLETE, number, fact, "none", f"slots whose keys hash to {which}")
        check.broken(broken.finding)
    if closed:
        check.note = f"{closed} branches of {name} could not be looked into"


def _check_code(
    rpc: Rpc, prover: StorageProver, outcome: Outcome, caps: Mapping[bytes, int]
) -> None:
    check = outcome.checks[CODE]
    network = outcome.network
    proven = 0
    notes: list[str] = []
    older: list[str] = []
    for name, pinned in network.contracts.items():
        account = prover.account(pinned.address)
        if account is None:
            check.note = f"the node gives no proofs: {prover.refusal}"
            return
        if account.code_hash != pinned.code_hash:
            fact = f"{name} runs other code than the deployment file pins"
            expected, got = "0x" + pinned.code_hash.hex(), "0x" + account.code_hash.hex()
            check.broken(Broken(CODE, outcome.last, fact, expected, got).finding)
        proven += 1
        foreign = name == "BankReceipt" and not outcome.asset_is_receipt
        if not foreign and not _is_ours(rpc, name, pinned.address, account.code_hash):
            older.append(name)
    for before, successor in pairwise(caps):
        if _is_successor(rpc, prover, outcome.network, successor, before, caps[successor]):
            proven += 1
        else:
            notes.append(f"the successor 0x{successor.hex()} runs code that nobody pinned")
    said = f"as pinned, not as in this version of the auditor: {', '.join(older)}" if older else ""
    if notes:
        check.partly(proven, "contracts", "; ".join([*notes, said] if said else notes))
    else:
        check.held(proven, "contracts", said)


def _is_successor(
    rpc: Rpc,
    prover: StorageProver,
    network: NetworkFile,
    successor: bytes,
    before: bytes,
    cap: int,
) -> bool:
    """Whether a successor runs the committed code of both halves, with this network's contracts,
    the Coalition before it and the replay's figures in its immutables.
    """
    account = prover.account(successor)
    assert account is not None
    try:
        code = code_at(rpc, successor)
        words = immutables_of("Coalition", code)
        if keccak(code) != account.code_hash or words is None:
            return False
        # The code is ours, so it is asked; and what the node says must stand in it.
        office = word_of(rpc, successor, "office()")
        parts = ("Points", "BankReceipt", "MembershipPass")
        needed = [int.from_bytes(network.address(name), "big") for name in parts]
        needed += [int.from_bytes(before, "big"), network.face_value, cap, office]
        if any(word not in words for word in needed):
            return False
        half_at = office.to_bytes(32, "big")[12:]
        half = prover.account(half_at)
    except (NodeRefused, AuditError):
        return False
    return half is not None and _is_ours(rpc, "CoalitionOffice", half_at, half.code_hash)


def _is_ours(rpc: Rpc, name: str, address: bytes, code_hash: bytes) -> bool:
    """Whether the code is the committed artefact's, its immutables left open."""
    try:
        code = code_at(rpc, address)
    except (NodeRefused, AuditError):
        return False
    return keccak(code) == code_hash and immutables_of(name, code) is not None
