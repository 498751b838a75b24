"""Blocks that say what no contract could have said, all hashes valid: every rule of the replay."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from audit_forger import Forger
from audit_proxy import lying
from audit_town import Town, key

from indexer.auditor.cli import run_audit
from indexer.auditor.outcome import Options
from wallet_sdk.types import keccak256

Log = dict[str, Any]
Logs = list[Log]


class Forgery(NamedTuple):
    """The n-th event of a signature, what is done to its receipt's logs, and what must be said."""

    event: str
    change: Callable[[Logs, int], None]
    check: str
    fact: str
    nth: int = 0


def topic_of(event: str) -> str:
    return "0x" + keccak256(event.encode()).hex()


def word(index: int, delta: int) -> Callable[[Logs, int], None]:
    """Adds to a word of the log's data."""

    def change(logs: Logs, at: int) -> None:
        data = bytearray.fromhex(logs[at]["data"][2:])
        place = slice(32 * index, 32 * index + 32)
        value = (int.from_bytes(data[place], "big") + delta) % 2**256
        data[place] = value.to_bytes(32, "big")
        logs[at]["data"] = "0x" + data.hex()

    return change


def topic(index: int, value: str) -> Callable[[Logs, int], None]:
    """Puts an address where another one stood."""

    def change(logs: Logs, at: int) -> None:
        logs[at]["topics"][index] = "0x" + "00" * 12 + value[2:].lower()

    return change


def twice(logs: Logs, at: int) -> None:
    logs.insert(at, copy.deepcopy(logs[at]))


def gone(logs: Logs, at: int) -> None:
    del logs[at]


MALLORY = key("mallory").address
FORGERIES = {
    "claims paid twice": Forgery(
        "BreakageClaimed(uint256,uint32,uint256)", twice, "law 8", "claimed the breakage"
    ),
    "a claim too large": Forgery(
        "BreakageClaimed(uint256,uint32,uint256)", word(0, 1), "law 8", "another share"
    ),
    "an epoch closed twice": Forgery(
        "EpochClosed(uint256,uint256,uint256,uint256)", twice, "law 8", "closed twice"
    ),
    "more breakage than expired": Forgery(
        "EpochClosed(uint256,uint256,uint256,uint256)", word(0, 100), "law 8", "is not what expired"
    ),
    "a pool beyond the share": Forgery(
        "EpochClosed(uint256,uint256,uint256,uint256)", word(1, 1), "law 8", "not their share"
    ),
    "terms that were never set": Forgery(
        "TermsSet(uint256,uint256,uint256,uint256)", twice, "law 16", "set late, or over terms", 1
    ),
    "a redemption paid too much": Forgery(
        "Redeemed(bytes32,address,uint32,uint256,uint256,uint256,bytes32)",
        word(1, 1),
        "law 16",
        "paid other than its terms",
    ),
    "a redemption of more points": Forgery(
        "Redeemed(bytes32,address,uint32,uint256,uint256,uint256,bytes32)",
        word(0, 1),
        "replay",
        "differs from the order in points",
    ),
    "a redemption out of younger points": Forgery(
        "Redeemed(bytes32,address,uint32,uint256,uint256,uint256,bytes32)",
        word(2, (1 << 35) - 1),
        "replay",
        "other buckets than the soonest",
    ),
    "a refund of more": Forgery(
        "Refunded(bytes32,address,uint32,bytes32,uint256,uint256,uint256)",
        word(1, 5),
        "replay",
        "differs from the order in points",
    ),
    "a refund twice": Forgery(
        "Refunded(bytes32,address,uint32,bytes32,uint256,uint256,uint256)",
        twice,
        "replay",
        "in another order than they were relayed",
    ),
    "a return credited too much": Forgery(
        "Returned(bytes32,address,uint32,uint256,uint256,uint256,bytes32)",
        word(2, 1),
        "law 16",
        "credited other than its terms",
    ),
    "a withdrawal to another": Forgery(
        "Withdrawn(bytes32,uint32,address,uint256)", topic(3, MALLORY), "replay", "in to"
    ),
    "a withdrawal that is kept": Forgery(
        "Withdrawn(bytes32,uint32,address,uint256)", gone, "law 3", "paid out other than"
    ),
    "income beyond what is earned": Forgery(
        "IncomeWithdrawn(address,uint256)", word(0, 10**12), "law 3", "not its own yet"
    ),
    "a deposit of nothing": Forgery(
        "Deposited(uint32,address,uint256)", word(0, 1), "law 3", "without the asset"
    ),
    "a limit beyond the guarantee": Forgery(
        "CreditLimitSet(uint32,uint256)", word(0, 10**9), "law 3", "exceed the guarantee"
    ),
    "a till key of nobody's order": Forgery(
        "TillKeySet(bytes32,uint32,address,bool)", topic(3, MALLORY), "replay", "in key", 2
    ),
    "a shop sold to another": Forgery(
        "OwnerSet(bytes32,uint32,address)", topic(3, MALLORY), "replay", "in owner"
    ),
    "points moved to another": Forgery(
        "Transferred(bytes32,address,address,uint256)", topic(3, MALLORY), "replay", "in to"
    ),
    "a recovery to another": Forgery(
        "Recovered(address,address)", topic(2, MALLORY), "law 9", "not named, or not due"
    ),
    "a recovery that is due at once": Forgery(
        "RecoveryStarted(bytes32,address,address,uint256)", word(0, -86_400), "replay", "delay"
    ),
    "a member without an order": Forgery("Joined(bytes32,address)", gone, "storage", "account 0x"),
    "a member twice": Forgery("MemberSet(address,bool)", twice, "replay", "set to what it was"),
    "a tier of a pass that is not there": Forgery(
        "TierSet(uint256,uint256)", topic(1, MALLORY), "replay", "a pass that does not exist"
    ),
    "receipts by one person": Forgery(
        "MintConfirmed(bytes32,address,uint256,address)",
        word(1, int(key("operator").address, 16) - int(key("attestor").address, 16)),
        "law 15",
        "one person proposed and confirmed",
    ),
    "a pay-out settled under a used reference": Forgery(
        "PayoutSettled(uint256,bytes32)", twice, "law 15", "used twice"
    ),
    "a bank reference twice": Forgery(
        "MintConfirmed(bytes32,address,uint256,address)", twice, "law 15", "other than proposed"
    ),
    "a root that is another": Forgery(
        "RedemptionsRooted(bytes32,uint256)", word(0, 1), "replay", "another number of redemptions"
    ),
    "a rejection of what was not relayed": Forgery(
        "Rejected(bytes32,address,bytes)", topic(1, MALLORY), "replay", "was not relayed"
    ),
    "a contract says what nobody knows": Forgery(
        "IssuingPaused(bool)", topic(0, MALLORY), "events", "its ABI does not have"
    ),
}


def places(town: Town, event: str) -> list[tuple[int, int]]:
    """(block, index of the log in its block) of every event of that signature."""
    query = {"fromBlock": "0x0", "toBlock": "latest", "topics": [topic_of(event)]}
    logs = town.rpc.call("eth_getLogs", [query])
    return [(int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in logs]


def audited(town: Town, forger: Forger) -> dict[str, Any]:
    # What was forged stands in the last block: the audit need not read on.
    with lying(town.url, forger) as url:
        return run_audit(url, town.file, Options(workers=1, last=forger.head, calls=False))


# One for each law in the default suite, the others in the soak: each costs a third of a second.
DEFAULT = {
    "claims paid twice",
    "terms that were never set",
    "a redemption out of younger points",
    "a refund of more",
    "a return credited too much",
    "a withdrawal to another",
    "income beyond what is earned",
    "a recovery to another",
    "a member without an order",
    "receipts by one person",
}
CASES = [
    pytest.param(name, marks=() if name in DEFAULT else pytest.mark.soak) for name in FORGERIES
]


@pytest.mark.parametrize("name", CASES)
def test_audit__a_log_that_no_contract_wrote__names_block_and_rule(town: Town, name: str) -> None:
    forgery = FORGERIES[name]
    block, index = places(town, forgery.event)[forgery.nth]

    def change(_: dict[str, Any], receipts: list[dict[str, Any]]) -> None:
        for receipt in receipts:
            for at, log in enumerate(receipt["logs"]):
                if int(log["logIndex"], 16) == index:
                    forgery.change(receipt["logs"], at)
                    return

    report = audited(town, Forger(town.url, block, change, block))
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert found["check"].startswith(forgery.check), found
    assert forgery.fact in found["fact"]
    assert found["block"] == block


# ---- calldata


def calldata_of(town: Town, block: int) -> list[str]:
    transactions = town.rpc.call("eth_getBlockByNumber", [hex(block), True])["transactions"]
    return [tx["input"] for tx in transactions]


def test_audit__calldata_of_another_relay__names_block_and_law(town: Town) -> None:
    first, second = (block for block, _ in places(town, ISSUED)[:3:2])
    foreign = calldata_of(town, second)[0]

    def change(block: dict[str, Any], _: list[dict[str, Any]]) -> None:
        block["transactions"][0]["input"] = foreign

    report = audited(town, Forger(town.url, first, change, first))
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert (found["block"], found["check"][:5]) == (first, "law 9")
    assert found["fact"] == "an effect without an order in the calldata"


def test_audit__two_orders_of_a_relay_exchanged__names_the_block(town: Town) -> None:
    block = places(town, "Transferred(bytes32,address,address,uint256)")[0][0]

    def change(body: dict[str, Any], _: list[dict[str, Any]]) -> None:
        data = bytearray.fromhex(body["transactions"][0]["input"][10:])
        # relay(bytes[]): the offsets of the elements stand behind the count.
        data[64:96], data[96:128] = data[96:128], data[64:96]
        body["transactions"][0]["input"] = body["transactions"][0]["input"][:10] + data.hex()

    report = audited(town, Forger(town.url, block, change, block))
    assert report["exit_code"] == 1
    found = report["findings"][0]
    assert found["block"] == block
    assert found["fact"] == "orders took effect in another order than they were relayed in"


def test_audit__an_order_after_its_deadline__names_the_block(town: Town) -> None:
    block = places(town, ISSUED)[0][0]

    def change(body: dict[str, Any], _: list[dict[str, Any]]) -> None:
        body["timestamp"] = hex(int(body["timestamp"], 16) + 7_200)

    report = audited(town, Forger(town.url, block, change, block))
    assert report["exit_code"] == 1
    assert report["findings"][0]["block"] == block
    assert "deadline" in report["findings"][0]["fact"]


ISSUED = "Issued(bytes32,uint32,uint256,uint256,uint256,uint256,bytes32)"
