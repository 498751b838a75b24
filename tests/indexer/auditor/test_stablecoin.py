"""A coalition that settles in somebody's token, not in bank receipts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from audit_proxy import lying
from audit_story import erc20
from audit_town import BAKER, FLORIST, ROOT, Town, running_anvil

from indexer.auditor.cli import run_audit
from indexer.auditor.outcome import Options
from indexer.auditor.page import page_of
from wallet_sdk.orders import Withdraw
from wallet_sdk.types import keccak256

planning = import_module("wallet_sdk.deployment.plan")  # the package names a function like it
# Keeps its balances after some other things, and says things of its own.
SOURCE = """
// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

contract Dollar {
    address[7] private _reserved;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Minted(address minter, string words);

    function mint(address to, uint256 value) external {
        (totalSupply, balanceOf[to]) = (totalSupply + value, balanceOf[to] + value);
        emit Transfer(address(0), to, value);
        emit Minted(msg.sender, "out of thin air");
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        return _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        return _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private returns (bool) {
        (balanceOf[from], balanceOf[to]) = (balanceOf[from] - value, balanceOf[to] + value);
        emit Transfer(from, to, value);
        return true;
    }
}
"""


def compiled() -> bytes:
    request = {
        "language": "Solidity",
        "sources": {"Dollar.sol": {"content": SOURCE}},
        "settings": {
            "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
            "evmVersion": "prague",
        },
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        [str(ROOT / "tools/solc-v0.8.37"), "--standard-json", "--base-path", str(ROOT)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )
    contract = json.loads(answer.stdout)["contracts"]["Dollar.sol"]["Dollar"]
    return bytes.fromhex(contract["evm"]["bytecode"]["object"])


class DollarTown(Town):
    """The town, with a Dollar where the bank's receipts would stand."""

    @property
    def dollar(self) -> str:
        return self.deployment.addresses["BankReceipt"]

    def open_shop(self, merchant: int, deposit: int = 10**9) -> None:
        owner, till = self.owners[merchant], self.tills[merchant]
        profile = "0x" + "0a" * 32
        call = self.calls.register_merchant(merchant, owner.address, till.address, profile)
        coalition = self.deployment.addresses["Coalition"]
        self.send(self.operator, call)
        self.send(
            self.operator, erc20(self.dollar, "mint(address,uint256)", owner.address, deposit)
        )
        self.mine()
        approve = erc20(self.dollar, "approve(address,uint256)", coalition, deposit)
        self.send(owner, approve)
        self.send(owner, self.calls.deposit(merchant, deposit))
        self.mine()


@pytest.fixture(scope="module")
def dollar_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DollarTown]:
    """A shop each, some trade, a withdrawal and a gift."""
    code = compiled()
    creation, is_artefact = planning._creation, planning.is_artefact
    with pytest.MonkeyPatch.context() as patch, running_anvil() as url:
        patch.setattr(
            planning,
            "_creation",
            lambda name, args: code if name == "BankReceipt" else creation(name, args),
        )
        patch.setattr(
            planning,
            "is_artefact",
            lambda name, at: name == "BankReceipt" or is_artefact(name, at),
        )
        town = DollarTown(url, tmp_path_factory.mktemp("dollars"))
        town.relayed([town.join("ada"), town.join("ben")])
        town.relayed([town.issue(BAKER, ("ada", 5_000), ("ben", 300))])
        owner = town.owners[FLORIST]
        takes = Withdraw(FLORIST, owner.address, 70_000, town.merchant_nonce(), town.deadline)
        town.relayed([town.redeem("ada", FLORIST, 1_000), town.signed(takes, owner)])
        coalition = town.deployment.addresses["Coalition"]
        gift = erc20(town.dollar, "transfer(address,uint256)", coalition, 55)
        sent = town.send(owner, gift)
        town.mine()
        town.ask_all([sent])
        yield town
        town.rpc.close()


def audited(town: Town, url: str = "") -> dict[str, Any]:
    return run_audit(url or town.url, town.file, Options(workers=1, last="latest"))


def check_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(check for check in report["checks"] if check["name"] == name)


def test_audit__tokens_of_the_coalition_moved_in_storage__is_no_pass(
    dollar_town: DollarTown,
) -> None:
    # The token's state says less than its logs: the node that shows it is no witness any more.
    rpc, coalition = dollar_town.rpc, dollar_town.deployment.addresses["Coalition"]
    slot = erc20("", "x", coalition, 7)[1][4:]
    where = "0x" + keccak256(slot).hex()
    before = rpc.call("eth_getStorageAt", [dollar_town.dollar, where, "latest"])
    rpc.call("anvil_setStorageAt", [dollar_town.dollar, where, "0x" + "00" * 31 + "07"])
    dollar_town.mine()
    report = audited(dollar_town)
    rpc.call("anvil_setStorageAt", [dollar_town.dollar, where, before])
    dollar_town.mine()
    assert report["exit_code"] == 1
    assert report["findings"][0]["fact"] == "the node tells another assets of the Coalition"
    assert check_of(report, "storage")["verdict"] == "partly"


def test_audit__a_node_that_lies_about_the_token__names_it(dollar_town: DollarTown) -> None:
    def rule(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_call" and params[0]["to"].lower() == dollar_town.dollar.lower():
            return "0x" + (10**12).to_bytes(32, "big").hex()
        return result

    with lying(dollar_town.url, rule) as url:
        report = audited(dollar_town, url)
    assert report["exit_code"] == 1
    assert "assets of the Coalition" in report["findings"][0]["fact"]


def test_audit__a_stablecoin__holds_and_the_reserve_is_split(dollar_town: DollarTown) -> None:
    report = audited(dollar_town)
    assert report["findings"] == []
    assert report["not_checked"] == []
    assert report["exit_code"] == 0
    reserve = report["reserve"]
    assert reserve["stablecoin"] == 2 * 10**9 - 70_000 + 55
    assert reserve["bank_receipts"] == 0
    assert reserve["attested"] is None
    assert reserve["stablecoin"] == reserve["reserve"] + reserve["other_claims"]
    words = " ".join(reserve["words"])
    assert "somebody else's" in words
    assert "bank" not in words
    assert "mapping at slot 0x7" in check_of(report, "storage")["note"]
    assert check_of(report, "complete storage")["count"] == 4
    assert "Everything held" in page_of(report)
