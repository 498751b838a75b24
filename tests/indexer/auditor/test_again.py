"""An audit that goes on from a saved state asks for what is new, and misses nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import rlp
from audit_proxy import lying
from audit_town import BAKER, FLORIST, Town, key, running_anvil
from hypothesis import assume, given
from hypothesis import strategies as st
from trie import HexaryTrie

from indexer.auditor.cli import run_audit
from indexer.auditor.codec import Node, keccak
from indexer.auditor.leaf_trie import LeafTrie
from indexer.auditor.outcome import Options
from indexer.auditor.storage import mapping_slot
from indexer.auditor.tries import ProofNodes

MEMBERS = [f"member {i}" for i in range(60)]
ALL_SLOTS = 300
"""A first audit of the town asks for more than so many."""
FEW = 60


@pytest.fixture(scope="module")
def one_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running_anvil() as url:
        town = Town(url, tmp_path_factory.mktemp("again"))
        for at in (0, 30):
            town.relayed([town.join(name) for name in MEMBERS[at : at + 30]])
        town.relayed([town.issue(BAKER, *((name, 1_000) for name in MEMBERS))])
        yield town
        town.rpc.close()


@pytest.fixture
def old_town(one_town: Town) -> Iterator[Town]:
    """A town of sixty members, audited, its state kept. What a test plants is taken away again."""
    report, _ = audited(one_town)
    assert (report["exit_code"], report["not_checked"]) == (0, [])
    yield one_town
    for slot in PLANTED:
        plant(one_town, slot, PLANTED[slot])
    PLANTED.clear()


PLANTED: dict[int, int] = {}
"""What the slots held before."""


def state_of(town: Town) -> Path:
    return town.file.with_name("state")


def audited(town: Town) -> tuple[dict[str, Any], int]:
    """(report, slots asked for) of an audit that goes on where the last one ended."""
    asked = 0

    def rule(method: str, params: list[Any], result: Any) -> Any:
        nonlocal asked
        if method == "eth_getProof":
            asked += len(params[1])
        return result

    options = Options(workers=1, last="latest", state=state_of(town))
    with lying(town.url, rule) as url:
        return run_audit(url, town.file, options), asked


def plant(town: Town, slot: int, value: int) -> int:
    """A word of the Points, written without a transaction, in a block of its own."""
    points = town.deployment.addresses["Points"]
    before = town.rpc.call("eth_getStorageAt", [points, hex(slot), "latest"])
    PLANTED.setdefault(slot, int(before, 16))
    word = "0x" + value.to_bytes(32, "big").hex()
    town.rpc.call("anvil_setStorageAt", [points, "0x" + slot.to_bytes(32, "big").hex(), word])
    return town.mine()


def account_slot(name: str) -> int:
    return mapping_slot(bytes.fromhex(key(name).address[2:]), 0)


def leaves_of(town: Town) -> dict[str, str]:
    """The kept leaves of the Points."""
    content = orjson.loads(state_of(town).read_bytes())
    leaves: dict[str, str] = content["leaves"][town.deployment.addresses["Points"].lower()]
    return leaves


def change_leaves(town: Town, changed: dict[str, str]) -> None:
    content = orjson.loads(state_of(town).read_bytes())
    content["leaves"][town.deployment.addresses["Points"].lower()].update(changed)
    state_of(town).write_bytes(orjson.dumps(content))


def slot_beside_another(town: Town) -> int:
    """A stranger's account whose leaf shares so much of its way with a known one that no slot which
    is asked for happens to pass it by.
    """
    taken = {leaf[:3] for leaf in leaves_of(town)}
    slots = (mapping_slot(bytes([0xAB, *i.to_bytes(19, "big")]), 0) for i in range(10_000))
    return next(slot for slot in slots if hashed(slot)[:3] in taken)


def hashed(slot: int) -> str:
    return keccak(slot.to_bytes(32, "big")).hex()


def test_audit_again__a_members_word_changed_without_a_transaction__is_found(
    old_town: Town,
) -> None:
    number = plant(old_town, account_slot(MEMBERS[7]), 5)
    report, _ = audited(old_town)
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert (found["block"], found["check"]) == (number, "storage")
    assert key(MEMBERS[7]).address.lower()[2:] in found["fact"]


@pytest.mark.parametrize("traded", [False, True])
def test_audit_again__a_slot_nobody_knows_written_without_a_transaction__is_found(
    old_town: Town, traded: bool
) -> None:
    if traded:
        old_town.relayed([old_town.redeem(MEMBERS[3], BAKER, 7)])
    number = plant(old_town, slot_beside_another(old_town), 1 << 40)
    report, _ = audited(old_town)
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert (found["block"], found["check"]) == (number, "complete storage")
    again, _ = audited(old_town)
    assert again["findings"][0]["check"] == "complete storage"


def test_audit_again__leaves_in_the_file_forged_to_hide_it__is_found(old_town: Town) -> None:
    slot = account_slot(MEMBERS[7])
    before = leaves_of(old_town)[hashed(slot)]
    plant(old_town, slot, 5)
    report, _ = audited(old_town)
    assert report["exit_code"] == 1
    change_leaves(old_town, {hashed(slot): before})
    report, _ = audited(old_town)
    assert report["exit_code"] == 1
    assert report["findings"][0]["check"] == "storage"


def test_audit_again__leaves_in_the_file_wrong__proves_every_slot(old_town: Town) -> None:
    old_town.relayed([old_town.redeem(MEMBERS[3], BAKER, 7)])
    change_leaves(old_town, {"11" * 32: "05"})
    report, asked = audited(old_town)
    assert report["exit_code"] == 0
    assert asked > len(MEMBERS)


def test_audit_again__a_state_without_leaves__proves_every_slot(old_town: Town) -> None:
    content = orjson.loads(state_of(old_town).read_bytes())
    del content["leaves"]
    state_of(old_town).write_bytes(orjson.dumps(content))
    report, asked = audited(old_town)
    assert report["exit_code"] == 0
    assert asked > ALL_SLOTS


def test_audit_again__nothing_new__asks_for_no_slot(old_town: Town) -> None:
    old_town.mine()
    report, asked = audited(old_town)
    assert (report["exit_code"], report["not_checked"], asked) == (0, [], 0)


def test_audit_again__new_blocks__asks_for_few_slots(old_town: Town) -> None:
    town = old_town
    first = {check["name"]: check["count"] for check in audited(town)[0]["checks"]}
    town.relayed([town.redeem(MEMBERS[3], BAKER, 7), town.join("ada")])
    town.relayed([town.issue(FLORIST, ("ada", 50)), town.transfer(MEMBERS[5], MEMBERS[6], 1_000)])
    report, asked = audited(town)
    assert (report["exit_code"], report["not_checked"]) == (0, [])
    assert 0 < asked < FEW
    counts = {check["name"]: check["count"] for check in report["checks"]}
    assert counts["storage"] > first["storage"]
    assert audited(town)[1] == 0


# ---- the trie from its leaves


def small(number: int) -> bytes:
    return keccak(bytes([number]))


PAIRS = st.dictionaries(
    st.integers(0, 255).map(small), st.binary(min_size=1, max_size=33), max_size=60
)


@given(PAIRS, PAIRS)
def test_leaf_trie__shown_what_changed__becomes_the_other_or_says_where_it_is_unlike(
    old: dict[bytes, bytes], changed: dict[bytes, bytes]
) -> None:
    now = {**dict(list(old.items())[len(old) // 3 :]), **changed}
    other = HexaryTrie({})
    for key_, value in now.items():
        other[key_] = value
    nodes = ProofNodes()
    shown: dict[bytes, list[Node]] = {}
    for key_ in {*now, *old}:
        if old.get(key_) != now.get(key_):
            for node in other.get_proof(key_):
                nodes.add(rlp.encode(node))
            nodes.value(
                other.root_hash, key_, lambda _, __, digest, node: shown.update({digest: node})
            )
    trie = LeafTrie.of(old)
    items, unlike = trie.compare(other.root_hash, shown)
    assert items == sorted(items)
    assert (LeafTrie(items).root == other.root_hash) == (not unlike)
    assert LeafTrie(items, trie).root == LeafTrie(items).root
    assert LeafTrie.of(now).root == LeafTrie(sorted(LeafTrie.of(now).values.items()), trie).root
    # What was only added or changed is all shown; a removed leaf may leave its neighbour alone, in
    # a node that the proof of its absence does not reach.
    assert not unlike or old.keys() - now.keys()
    assert LeafTrie.of(now).root == other.root_hash
    assert LeafTrie.of(now).by_key() == now


@given(PAIRS, st.data())
def test_leaf_trie__a_change_that_was_not_shown__is_unlike(
    old: dict[bytes, bytes], data: st.DataObject
) -> None:
    assume(old)
    key_ = data.draw(st.sampled_from(sorted(old)))
    now = LeafTrie.of({**old, key_: old[key_] + b"!"})
    items, unlike = LeafTrie.of(old).compare(now.root, {})
    assert unlike == [b""]
    assert LeafTrie(items).root != now.root
