"""Nodes that are not anvil: what they cannot show is said, and never called a pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from audit_proxy import Refuse, Rule, lying
from audit_town import BAKER, Town, running_anvil

from indexer.auditor.cli import run_audit
from indexer.auditor.errors import CannotRun
from indexer.auditor.outcome import Options


def refusing(*methods: str) -> Rule:
    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method in methods:
            raise Refuse(f"the method {method} does not exist")
        return result

    return rule


def audited(town: Town, rule: Rule, last: int | str = "latest", **node: int) -> dict[str, Any]:
    with lying(town.url, rule, **node) as url:
        return run_audit(url, town.file, Options(workers=1, last=last))


@pytest.fixture(scope="module")
def honest(town: Town) -> dict[str, Any]:
    return run_audit(town.url, town.file, Options(workers=1, last="latest"))


def open_checks(report: dict[str, Any]) -> set[str]:
    assert report["findings"] == []
    return {entry["check"] for entry in report["not_checked"]}


def head_of(town: Town) -> int:
    return int(town.rpc.call("eth_blockNumber", []), 16)


# ---- what is missing


def test_audit__no_receipts_at_all__cannot_run(town: Town) -> None:
    with pytest.raises(CannotRun, match="eth_getTransactionReceipt"):
        audited(town, refusing("eth_getBlockReceipts", "eth_getTransactionReceipt"))


def test_audit__a_receipt_that_the_node_lost__cannot_run(town: Town) -> None:
    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            raise Refuse("the method does not exist")
        return None if method == "eth_getTransactionReceipt" else result

    with pytest.raises(CannotRun, match="no receipt of transaction 0x"):
        audited(town, rule)


def test_audit__a_node_without_proofs__says_so_and_is_no_pass(town: Town) -> None:
    report = audited(town, refusing("eth_getProof"))
    assert report["exit_code"] == 2
    assert open_checks(report) == {"code", "storage", "complete storage"}
    assert not report["reserve"]["storage_proven"]


def test_audit__proofs_that_are_null__are_no_pass_and_no_finding(town: Town) -> None:
    report = audited(
        town, lambda method, params, result: None if method == "eth_getProof" else result
    )
    assert report["exit_code"] == 2
    assert open_checks(report) == {"code", "storage", "complete storage"}


def test_audit__historical_state_pruned__says_at_which_block(town: Town) -> None:
    head = head_of(town)

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method in ("eth_getProof", "eth_call") and params[-1] not in (hex(head), "latest"):
            raise Refuse("missing trie node: state is not available")
        return result

    report = audited(town, rule, last=head - 2)
    assert report["exit_code"] == 2
    assert open_checks(report) == {"code", "storage", "complete storage", "calls"}
    assert all("state is not available" in entry["why"] for entry in report["not_checked"])
    # The same node's newest block can be proven whole.
    assert audited(town, rule)["exit_code"] == 0


def test_audit__a_call_that_fails__is_no_pass(town: Town) -> None:
    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and params[1] != "latest":
            raise Refuse("execution timed out")
        return result

    report = audited(town, rule)
    assert report["exit_code"] == 2
    assert open_checks(report) == {"calls"}


# ---- what is done another way


def test_audit__receipts_only_by_transaction__finds_the_same(
    town: Town, honest: dict[str, Any]
) -> None:
    report = audited(town, refusing("eth_getBlockReceipts"))
    assert report["exit_code"] == 0
    for part in ("laws", "merchants", "epochs", "counts"):
        assert report[part] == honest[part]


def test_audit__receipts_by_transaction_in_a_wrong_order__names_the_block(town: Town) -> None:
    blocks = (
        town.rpc.call("eth_getBlockByNumber", [hex(number), False])
        for number in range(1, head_of(town))
    )
    with_two = next(block for block in blocks if len(block["transactions"]) > 1)
    first, second = with_two["transactions"][:2]
    swapped = {first: second, second: first}

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            raise Refuse("the method does not exist")
        if method == "eth_getTransactionReceipt" and params[0] in swapped:
            return town.rpc.call(method, [swapped[params[0]]])
        return result

    report = audited(town, rule)
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert (found["block"], found["check"]) == (int(with_two["number"], 16), "receipts")


@pytest.mark.parametrize("node", [{"batch_max": 3}, {"batch_max": 0, "too_large": 413}], ids=str)
def test_audit__small_batches_or_none__finds_the_same(town: Town, node: dict[str, int]) -> None:
    report = audited(town, lambda method, params, result: result, last=16, **node)
    assert report["exit_code"] == 0
    honest = run_audit(town.url, town.file, Options(workers=1, last=16))
    assert report["merchants"] == honest["merchants"]
    assert report["counts"] == honest["counts"]


# ---- two faces


def test_audit__receipts_of_another_fork_while_it_is_read__is_read_again(tmp_path: Path) -> None:
    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada"), town.join("ben")])
        number = town.relayed([town.issue(BAKER, ("ada", 7))])
        old = town.rpc.call("eth_getBlockReceipts", [hex(number)])
        town.reorg(1)
        town.relayed([town.issue(BAKER, ("ben", 9))])
        town.mine()
        seen = []

        def rule(method: str, params: list[Any], result: Any) -> Any:
            if method == "eth_getBlockReceipts" and params[0] == hex(number) and not seen:
                seen.append(number)
                return old
            return result

        report = audited(town, rule)
        town.rpc.close()
    assert seen
    assert report["findings"] == []
    assert report["exit_code"] == 0


def test_audit__a_final_block_that_changes_its_face__is_broken(town: Town) -> None:
    head = head_of(town)
    other = town.rpc.call("eth_getBlockByNumber", [hex(head - 3), True])

    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "finalized":
            return town.rpc.call(method, [hex(head), False])
        # One of two back ends is behind, and gives what it has under the number that was asked.
        if method == "eth_getBlockByNumber" and params == [hex(head - 2), True]:
            return other
        return result

    report = audited(town, rule, last="finalized")
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert (found["block"], found["fact"]) == (head - 2, "another block was given")
