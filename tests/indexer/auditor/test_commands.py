"""Bundles, published heads, the reserve statement and references, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from audit_town import BAKER, Town, key, tag
from coincurve import PrivateKey
from typer.testing import CliRunner

from indexer.auditor import commands, heads
from indexer.auditor.cli import app, run_audit
from indexer.auditor.outcome import Options
from wallet_sdk.merkle import references_root
from wallet_sdk.orders import IssueBatch

REDEEMED = "Redeemed(bytes32,address,uint32,uint256,uint256,uint256,bytes32)"
assert commands.app is app


def ran(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def at(town: Town) -> list[object]:
    return ["--rpc", town.url, "--deployment", town.file]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("0x" + "07" * 32)
    file.chmod(0o600)
    return file


def some_digest(town: Town) -> str:
    from wallet_sdk.types import keccak256

    topic = "0x" + keccak256(REDEEMED.encode()).hex()
    query = {"fromBlock": "0x0", "toBlock": "latest", "topics": [topic]}
    return str(town.rpc.call("eth_getLogs", [query])[0]["topics"][1])


# ---- bundles


def test_order__unknown_digest__exits_2(town: Town) -> None:
    result = ran("order", "0x" + "ab" * 32, *at(town))
    assert result.exit_code == 2
    assert "no order" in result.output


def test_order__no_digest__is_told(town: Town) -> None:
    assert ran("order", "ord_123", *at(town)).exit_code == 2


def spoilt(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


@pytest.mark.parametrize("part", ["transaction_proof", "receipt_proof", "digest", "index"])
def test_verify__a_bundle_changed__is_refused(town: Town, tmp_path: Path, part: str) -> None:
    file = tmp_path / "bundle.json"
    assert ran("order", some_digest(town), *at(town), "--out", file).exit_code == 0
    content = json.loads(file.read_text())
    if part == "index":
        content[part] += 1
    elif isinstance(content[part], list):
        content[part][-1] = spoilt(content[part][-1])
    else:
        content[part] = spoilt(content[part])
    file.write_text(json.dumps(content))
    result = ran("verify", file)
    assert result.exit_code == 1
    assert "did not hold" in result.output


def test_verify__another_header_with_the_same_roots__is_not_the_published_block(
    town: Town, tmp_path: Path, key_file: Path
) -> None:
    file, published = tmp_path / "bundle.json", tmp_path / "heads"
    assert ran("order", some_digest(town), *at(town), "--out", file).exit_code == 0
    content = json.loads(file.read_text())
    arguments = ["--key-file", key_file, "--heads", published, "--state", tmp_path / "s"]
    assert ran("publish-head", *at(town), *arguments, "--to", content["block"]).exit_code == 0
    assert ran("verify", file, "--anchor", published).exit_code == 0
    content["header"] = spoilt(content["header"])
    file.write_text(json.dumps(content))
    result = ran("verify", file, "--anchor", published)
    assert result.exit_code == 1
    assert "another block than was published" in result.output


def test_verify__no_bundle__exits_2(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for content in ("", "[]", "{}", '{"schema":1,"kind":"order"}'):
        file.write_text(content)
        assert ran("verify", file).exit_code == 2


def test_order__an_effect__verifies_offline_and_names_the_signer(
    town: Town, tmp_path: Path
) -> None:
    file = tmp_path / "bundle.json"
    assert ran("order", some_digest(town), *at(town), "--out", file).exit_code == 0
    result = ran("verify", file, "--deployment", town.file, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.output)
    block = town.rpc.call("eth_getBlockByNumber", [hex(answer["block"]), False])
    assert answer["block_hash"] == block["hash"]
    assert any(key("ada").address.lower() in line for line in answer["lines"])


def test_member__a_balance__verifies_offline(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    address = key("eve").address
    result = ran("member", address, *at(town), "--to", "latest", "--orders", 2, "--out", file)
    assert result.exit_code == 0
    result = ran("verify", file)
    assert result.exit_code == 0
    assert "12345 of epoch 3" in result.output
    content = json.loads(file.read_text())
    content["proof"]["storageProof"][0]["proof"].pop()
    file.write_text(json.dumps(content))
    assert ran("verify", file).exit_code == 1


# ---- published heads


def test_publish_head__a_key_that_others_may_read__is_refused(
    town: Town, tmp_path: Path, key_file: Path
) -> None:
    key_file.chmod(0o644)
    arguments = ["--key-file", key_file, "--heads", tmp_path / "h", "--state", tmp_path / "s"]
    result = ran("publish-head", *at(town), *arguments)
    assert result.exit_code == 2
    assert "chmod 600" in result.output


def test_publish_head__twice__is_chained_and_anchors_an_audit(
    town: Town, tmp_path: Path, key_file: Path
) -> None:
    file = tmp_path / "heads.jsonl"
    head = int(town.rpc.call("eth_blockNumber", []), 16)
    for last in (12, head):
        arguments = ["--key-file", key_file, "--heads", file, "--state", tmp_path / "s"]
        result = ran("publish-head", *at(town), *arguments, "--to", last)
        assert result.exit_code == 0, result.output
    first, second = heads.read_heads(file)
    assert second.previous == first.digest
    assert (first.block, second.block) == (12, head)
    chosen = Options(workers=1, last="latest", heads=file, state=tmp_path / "s")
    report = run_audit(town.url, town.file, chosen)
    assert report["exit_code"] == 0
    # The saved state's digest was published: nothing of it is taken on trust.
    assert not any("earlier audit" in line for line in report["trusted"])


# ---- reserve


def test_reserve__an_honest_town__says_no_more_than_was_proven(town: Town, key_file: Path) -> None:
    result = ran("reserve", *at(town), "--to", "latest", "--key-file", key_file)
    assert result.exit_code == 0
    answer = json.loads(result.output)
    statement = answer["statement"]
    assert statement["bank_receipts"] > 0
    assert statement["stablecoin"] == 0
    assert statement["reserve"] == statement["live_points"] * statement["face_value"]
    covered = statement["bank_receipts"] + statement["credit_drawn"]
    assert covered == statement["reserve"] + statement["other_claims"]
    assert any("proven by nobody here" in word for word in statement["words"])
    text = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signer = heads.address_of(PrivateKey(b"\x07" * 32))
    assert heads.signer_of(text, answer["signature"]) == signer == answer["signer"]


# ---- references


def test_audit__a_merchants_references__make_the_root_on_chain(tmp_path: Path) -> None:
    from audit_town import running_anvil

    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada"), town.join("ben")])
        references = [tag("purchase 1"), tag("purchase 2")]
        root = "0x" + references_root([bytes.fromhex(r[2:]) for r in references]).hex()
        entries = ((key("ada").address, 5), (key("ben").address, 6))
        order = IssueBatch(BAKER, town.merchant_nonce(), town.deadline, entries, root)
        town.relayed([town.signed(order, town.tills[BAKER])])
        digest = "0x" + order.digest(town.deployment.domain).hex()
        file = tmp_path / "references.json"
        exits = []
        for listed in (references, [*references[:1], tag("another")], [*references[:1]] * 2):
            file.write_text(json.dumps({"batches": [{"digest": digest, "references": listed}]}))
            chosen = Options(workers=1, last="latest", references=file)
            exits.append(run_audit(town.url, town.file, chosen)["exit_code"])
        town.rpc.close()
    assert exits == [0, 1, 1]
