"""Every lie that a node, a mirror or an operator could tell ends 1, and names block and fact."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from audit_forger import Forger
from audit_proxy import Rule, lying
from audit_town import BAKER, DAY, FIRST_TIME, Town, key, running_anvil, tag
from coincurve import PrivateKey

from indexer.auditor import heads as published
from indexer.auditor.checkpoint import load
from indexer.auditor.cli import run_audit
from indexer.auditor.network import read_network
from indexer.auditor.outcome import Options
from wallet_sdk.types import keccak256

Report = dict[str, Any]


def audited(town: Town, rule: Rule | None = None, **options: Any) -> Report:
    """The report of an audit in this process, through a lying node where a rule is given."""
    chosen = Options(workers=1, last="latest", **options)
    if rule is None:
        return run_audit(town.url, town.file, chosen)
    with lying(town.url, rule) as url:
        return run_audit(url, town.file, chosen)


def only_finding(report: Report) -> dict[str, Any]:
    assert report["exit_code"] == 1, report["findings"]
    found: dict[str, Any] = report["findings"][0]
    return found


def block_with(town: Town, event: str, at: int = 0) -> int:
    """The block of the n-th event of the Coalition of that signature."""
    topic = "0x" + keccak256(event.encode()).hex()
    query = {"fromBlock": "0x0", "toBlock": "latest", "topics": [topic]}
    logs = town.rpc.call("eth_getLogs", [query])
    return int(logs[at]["blockNumber"], 16)


REDEEMED = "Redeemed(bytes32,address,uint32,uint256,uint256,uint256,bytes32)"
ISSUED = "Issued(bytes32,uint32,uint256,uint256,uint256,uint256,bytes32)"


def flipped(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


# ---- logs and receipts


def test_audit__a_flipped_byte_in_a_log__names_block_and_receipts(town: Town) -> None:
    number = block_with(town, REDEEMED)

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts" and params[0] == hex(number):
            log = result[0]["logs"][-1]
            log["data"] = flipped(log["data"])
        return result

    found = only_finding(audited(town, rule))
    assert (found["block"], found["check"]) == (number, "receipts")


def test_audit__a_receipt_removed__names_the_block(town: Town) -> None:
    number = block_with(town, ISSUED)

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts" and params[0] == hex(number):
            result.pop()
        return result

    found = only_finding(audited(town, rule))
    assert (found["block"], found["check"]) == (number, "receipts")


def test_audit__a_receipt_removed_and_the_root_recomputed__names_the_block(town: Town) -> None:
    number = block_with(town, ISSUED)
    forger = Forger(town.url, number, lambda block, receipts: receipts[0]["logs"].pop())

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if params and params[0] == hex(number):
            answer = copy.deepcopy(forger(method, params, result))
            if method == "eth_getBlockByNumber":
                answer["hash"] = result["hash"]
            return answer
        return result

    found = only_finding(audited(town, rule))
    assert (found["block"], found["check"]) == (number, "headers")


def test_audit__a_log_removed_from_a_whole_valid_suffix__names_the_block(town: Town) -> None:
    number = block_with(town, REDEEMED)

    def change(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        # The effect is gone, its movement of points stays.
        logs = receipts[0]["logs"]
        receipts[0]["logs"] = [log for log in logs if log["topics"][0] != topic]

    topic = "0x" + keccak256(REDEEMED.encode()).hex()
    found = only_finding(audited(town, Forger(town.url, number, change)))
    assert found["block"] == number
    assert "root" in found["fact"] or "no order" in found["fact"]


# ---- whole chains, against a published head


@pytest.fixture(scope="module")
def heads_file(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two published heads: one in the middle of the story, one at its end."""
    folder = tmp_path_factory.mktemp("heads")
    network = read_network(town.file)
    head = int(town.rpc.call("eth_blockNumber", []), 16)
    for last in (20, head):
        chosen = Options(workers=1, last=last, state=folder / "state")
        assert run_audit(town.url, town.file, chosen)["exit_code"] == 0
        ledger = load(folder / "state", network.digest)
        assert ledger is not None
        signer = PrivateKey(b"\x07" * 32)
        coalition = network.address("Coalition")
        published.publish(folder / "heads", ledger, network.chain_id, coalition, 0, signer)
    return folder / "heads"


def test_audit__a_valid_suffix_rewritten__only_the_published_head_finds_it(
    town: Town, heads_file: Path
) -> None:
    number = 18

    def change(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        block["extraData"] = "0x6c6965"

    found = only_finding(audited(town, Forger(town.url, number, change), heads=heads_file))
    assert (found["block"], found["check"]) == (20, "published heads")
    assert found["fact"] == "another block than was published"


def test_audit__the_last_blocks_withheld__names_the_first_that_is_missing(
    town: Town, heads_file: Path
) -> None:
    head = int(town.rpc.call("eth_blockNumber", []), 16)

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            return town.rpc.call("eth_getBlockByNumber", [hex(head - 2), False])
        return result

    found = only_finding(audited(town, rule, heads=heads_file))
    assert (found["block"], found["check"]) == (head - 1, "published heads")


def test_audit__heads_changed_or_cut__cannot_run(town: Town, heads_file: Path) -> None:
    from indexer.auditor.errors import InputInvalid

    lines = heads_file.read_bytes().splitlines()
    for name, content in (("changed", lines[0].replace(b"20", b"21", 1)), ("cut", lines[1])):
        bad = heads_file.with_name(name)
        bad.write_bytes(content + b"\n")
        with pytest.raises(InputInvalid, match="line 1"):
            audited(town, heads=bad)


def test_audit__an_honest_chain_with_its_heads__holds(town: Town, heads_file: Path) -> None:
    signer = published.address_of(PrivateKey(b"\x07" * 32))
    report = audited(town, heads=heads_file, heads_signer=signer)
    assert report["exit_code"] == 0


# ---- state


def test_audit__a_balance_forged_in_calls_alone__names_the_member(town: Town) -> None:
    ada = key("ada").address[2:].lower()

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and params[0]["data"].endswith(ada):
            return "0x" + "00" * 31 + "07"
        return result

    found = only_finding(audited(town, rule))
    head = int(town.rpc.call("eth_blockNumber", []), 16)
    assert (found["block"], found["check"]) == (head, "calls")
    assert ada in found["fact"]


def proof_rule(change: Callable[[dict[str, Any]], None]) -> Rule:
    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getProof" and len(params[1]) > 3:
            change(result)
        return result

    return rule


def test_audit__a_truncated_proof__names_the_block(town: Town) -> None:
    report = audited(town, proof_rule(lambda answer: answer["storageProof"][1]["proof"].pop()))
    # What other proofs of the same call show needs no node of its own: cut a node that is alone.
    found = only_finding(report)
    assert found["check"] == "storage"
    assert found["block"] == int(town.rpc.call("eth_blockNumber", []), 16)


def test_audit__a_proof_of_another_block__names_the_block(town: Town) -> None:
    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getProof":
            return town.rpc.call("eth_getProof", [params[0], params[1], hex(20)])
        return result

    found = only_finding(audited(town, rule))
    assert found["check"] in ("storage", "code")
    assert "state root" in found["fact"]


def test_audit__fewer_slots_proven_than_asked__is_found(town: Town) -> None:
    report = audited(town, proof_rule(lambda answer: answer["storageProof"].pop()))
    assert "proven" in only_finding(report)["fact"]


def test_audit__an_unexpected_code_hash__names_the_contract(town: Town, tmp_path: Path) -> None:
    import json

    content = json.loads(town.file.read_text())
    content["contracts"]["Points"]["code_hash"] = "0x" + "11" * 32
    changed = tmp_path / "deployment.json"
    changed.write_text(json.dumps(content))
    report = run_audit(town.url, changed, Options(workers=1, last="latest"))
    found = only_finding(report)
    assert found["check"] == "code"
    assert "Points" in found["fact"]


# ---- a chain that did wrong with valid hashes


@pytest.fixture
def young_town(tmp_path: Path) -> Iterator[Town]:
    """A town of its own, for tests that do it harm."""
    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada"), town.join("ben")])
        town.relayed([town.issue(BAKER, ("ada", 5_000), ("ben", 70))])
        yield town
        town.rpc.close()


def points_slot(address: str) -> str:
    return "0x" + keccak256(bytes(12) + bytes.fromhex(address[2:]) + bytes(32)).hex()


@pytest.mark.parametrize("victim", ["ada", "a stranger who never appeared"])
def test_audit__storage_written_without_a_transaction__is_found(
    young_town: Town, victim: str
) -> None:
    points = young_town.deployment.addresses["Points"]
    word = "0x" + (1 << 240 | 1 << 210 | 1 << 216 | 999_999).to_bytes(32, "big").hex()
    slot = points_slot(key(victim).address)
    young_town.rpc.call("anvil_setStorageAt", [points, slot, word])
    number = young_town.mine()
    found = only_finding(audited(young_town))
    assert found["block"] == number
    assert found["check"] == ("storage" if victim == "ada" else "complete storage")


def test_audit__points_minted_into_another_account_by_storage__is_found(young_town: Town) -> None:
    points = young_town.deployment.addresses["Points"]
    supply = "0x" + keccak256((1).to_bytes(32, "big") + (1).to_bytes(32, "big")).hex()
    young_town.rpc.call("anvil_setStorageAt", [points, supply, "0x" + "00" * 31 + "05"])
    number = young_town.mine()
    found = only_finding(audited(young_town))
    assert (found["block"], found["check"]) == (number, "storage")
    assert "supply of epoch 1" in found["fact"]


def in_words(*values: int | str) -> str:
    numbers = [int(v, 16) if isinstance(v, str) else v for v in values]
    return "0x" + sum(numbers).to_bytes(32, "big").hex()


def mapped(slot: int, *keys: int | str) -> str:
    """The slot of a mapping of mappings."""
    at = slot
    for key_ in keys:
        number = int(key_, 16) if isinstance(key_, str) else key_
        at = int.from_bytes(keccak256(number.to_bytes(32, "big") + at.to_bytes(32, "big")), "big")
    return in_words(at)


MALLORY = key("mallory").address
PLANTED = {
    "a successor that nobody proposed": ("Points", (8,), in_words(MALLORY)),
    "an authority of her own": ("Coalition", (0,), in_words(MALLORY)),
    "an authority over receipts": ("BankReceipt", (5,), in_words(MALLORY)),
    "a till key": ("Coalition", (4, MALLORY), in_words(BAKER, 1 << 32)),
    "a merchant": ("Coalition", (1, 9), in_words(1 << 224, 10**6)),
    "a larger allowance": (
        "BankReceipt",
        (1, key("owner 1").address, "Coalition"),
        in_words(10**12),
    ),
    "receipts of a day forgotten": ("BankReceipt", (8, FIRST_TIME // DAY), in_words(1)),
    "a used bank reference forgotten": ("BankReceipt", (7, tag("bank 1")), in_words(0)),
    "a mint that waits": ("BankReceipt", (6, tag("free money")), in_words(MALLORY)),
    "a pass": ("MembershipPass", (3, MALLORY), in_words(1 << 255, 1)),
    "where a pass went": ("MembershipPass", (4, key("ada").address), in_words(MALLORY)),
    "a root of redemptions": ("Coalition", (8, tag("root")), in_words(1)),
    "a recovery": ("Coalition", (10, key("ada").address), in_words(MALLORY, 1 << 224)),
    "a role": ("AccessManager", (1, 0, MALLORY), in_words(1)),
    "a function for everybody": (
        "AccessManager",
        (0, "MembershipPass", keccak256(b"setTier(uint256,uint256)")[:4].hex() + "0" * 56),
        in_words(2**64 - 1),
    ),
    "a nonce set free": ("Coalition", (5, 1, 0), in_words(0)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_audit__storage_planted_in_any_contract__is_found(planted_town: Town, name: str) -> None:
    contract, (base, *keys), word = PLANTED[name]
    addresses, rpc = planted_town.deployment.addresses, planted_town.rpc
    slot = mapped(base, *(addresses.get(key_, key_) for key_ in keys))
    before = rpc.call("eth_getStorageAt", [addresses[contract], slot, "latest"])
    assert before != word
    rpc.call("anvil_setStorageAt", [addresses[contract], slot, word])
    number = planted_town.mine()
    found = only_finding(audited(planted_town))
    rpc.call("anvil_setStorageAt", [addresses[contract], slot, before])
    assert found["block"] == number
    assert found["check"] in ("storage", "complete storage")


@pytest.fixture(scope="module")
def planted_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town in whose storage every test plants something, and takes it away again."""
    with running_anvil() as url:
        town = Town(url, tmp_path_factory.mktemp("planted"))
        town.relayed([town.join("ada"), town.join("ben")])
        town.relayed([town.issue(BAKER, ("ada", 5_000), ("ben", 70))])
        yield town
        town.rpc.close()


@pytest.mark.parametrize("name", ["Points", "Coalition", "AccessManager", "BankReceipt"])
def test_audit__code_replaced_without_a_transaction__is_found(
    planted_town: Town, name: str
) -> None:
    address, rpc = planted_town.deployment.addresses[name], planted_town.rpc
    code = rpc.call("eth_getCode", [address, "latest"])
    rpc.call("anvil_setCode", [address, code + "00"])
    planted_town.mine()
    found = only_finding(audited(planted_town))
    rpc.call("anvil_setCode", [address, code])
    assert found["check"] == "code"
    assert "other code" in found["fact"]


def test_audit__a_signature_swapped_for_anothers__names_block_and_party(young_town: Town) -> None:
    number = young_town.relayed([young_town.redeem("ada", BAKER, 100)])
    order = young_town.rpc.call("eth_getBlockByNumber", [hex(number), True])["transactions"][0]

    def change(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        # Another key signs the same digest: everything else of the chain stays as it was.
        calldata = bytearray.fromhex(block["transactions"][0]["input"][2:])
        at = calldata.find(b"\x04" + bytes.fromhex(key("ada").address[2:]))
        topics = receipts[0]["logs"][-2]["topics"]
        digest = bytes.fromhex(topics[1][2:])
        calldata[at + 70 : at + 135] = key("mallory").sign(digest)
        block["transactions"][0]["input"] = "0x" + calldata.hex()

    assert order["input"].startswith("0x")
    found = only_finding(audited(young_town, Forger(young_town.url, number, change)))
    assert found["block"] == number
    assert found["check"].startswith("law 9")
    assert key("ada").address.lower() == found["expected"]


def test_audit__a_batch_signed_by_a_revoked_key__names_the_merchant(young_town: Town) -> None:
    number = young_town.relayed([young_town.issue(BAKER, ("ada", 1))])

    def change(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        calldata = bytearray.fromhex(block["transactions"][0]["input"][2:])
        at = calldata.find(b"\x03\x00\x00\x00\x01")
        digest = bytes.fromhex(receipts[0]["logs"][-1]["topics"][1][2:])
        calldata[at + 77 : at + 142] = key("a till key of last year").sign(digest)
        block["transactions"][0]["input"] = "0x" + calldata.hex()

    found = only_finding(audited(young_town, Forger(young_town.url, number, change)))
    assert found["block"] == number
    assert "no till key of merchant 1" in found["fact"]


def test_audit__points_issued_by_no_order__are_found(young_town: Town) -> None:
    number = young_town.relayed([young_town.issue(BAKER, ("ada", 1))])

    def change(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        receipts[0]["logs"].append(copy.deepcopy(receipts[0]["logs"][0]))

    found = only_finding(audited(young_town, Forger(young_town.url, number, change)))
    assert (found["block"], found["fact"]) == (number, "points were issued by no order")


def test_audit__an_issue_charged_too_little__names_the_law(young_town: Town) -> None:
    number = young_town.relayed([young_town.issue(BAKER, ("ada", 10))])

    def change(block: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        data = bytearray.fromhex(receipts[0]["logs"][-1]["data"][2:])
        data[127] -= 1  # nonce, epoch, points, charged
        receipts[0]["logs"][-1]["data"] = "0x" + data.hex()

    found = only_finding(audited(young_town, Forger(young_town.url, number, change)))
    assert (found["block"], found["check"][:6]) == (number, "law 16")
