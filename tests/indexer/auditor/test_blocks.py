"""Blocks of a real node: what was hashed is rebuilt, and every flipped byte is found."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest
from eth_account import Account
from eth_utils import to_checksum_address

from indexer.auditor.blocks import RangeChecker, Watch
from indexer.auditor.codec import data_of, keccak, quantity
from indexer.auditor.errors import Broken
from indexer.auditor.headers import encode_header
from indexer.auditor.receipts import encode_receipt
from indexer.auditor.source import BlockFetcher, RawRange, Rpc
from indexer.auditor.transactions import encode_transaction, sender_of
from indexer.auditor.tries import ordered_root

RICH = Account.from_key("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADA = Account.from_key("0x" + "a" * 64)
# Logs with 0 to 4 topics over what it is called with, then stops.
LOGGER = "365f5f37365fa0" + "6001365fa1" + "60026001365fa2" + "600360026001365fa3"
LOGGER += "6004600360026001365fa400"
FEES = {"maxFeePerGas": 10**9, "maxPriorityFeePerGas": 0, "gas": 500_000, "value": 0}


@pytest.fixture(scope="module")
def busy_node(plain_node: str) -> str:
    """Two blocks with transactions of every type that the node takes, and an empty one."""
    url = plain_node
    rpc = Rpc(url)

    def call(method: str, *params: Any) -> Any:
        return rpc.call(method, params)

    chain_id = quantity(call("eth_chainId"))
    init = f"60{len(LOGGER) // 2:02x}600c60003960{len(LOGGER) // 2:02x}6000f3" + LOGGER
    nonce = 0

    def send(**fields: Any) -> str:
        nonlocal nonce
        signed = RICH.sign_transaction({"nonce": nonce, "chainId": chain_id, **fields})
        nonce += 1
        return str(call("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex()))

    created = send(**FEES, data="0x" + init)
    call("evm_mine")
    logger = call("eth_getTransactionReceipt", created)["contractAddress"]
    logger = to_checksum_address(logger)
    legacy = {"gasPrice": 10**9, "gas": 500_000, "value": 1}
    send(**legacy, to=logger, data="0x" + "ab" * 70)
    access = [{"address": logger, "storageKeys": ["0x" + "01" * 32]}]
    send(**legacy, to=logger, data="0x", accessList=access)
    for size in (0, 1, 31, 32, 33, 200):
        send(**FEES, to=logger, data="0x" + "07" * size, accessList=access)
    permit = ADA.sign_authorization({"chainId": chain_id, "address": logger, "nonce": 0})
    send(**FEES, to=ADA.address, data="0x0102", authorizationList=[permit])
    send(**{**FEES, "gas": 22_000}, to=logger, data="0x" + "ff" * 20)  # runs out of gas
    for _ in range(140):
        send(**FEES, to=logger, data="0x01")
    call("evm_mine")
    call("evm_mine")
    rpc.close()
    return url


@cache
def fetched(url: str) -> RawRange:
    rpc = Rpc(url)
    head = quantity(rpc.call("eth_blockNumber"))
    [raw] = list(BlockFetcher(rpc).ranges(0, head))
    rpc.close()
    return raw


def raw_range(url: str) -> tuple[RawRange, list[Any]]:
    raw = fetched(url)
    return raw, orjson.loads(raw.raw)


def check(raw: RawRange, answers: list[Any]) -> Any:
    watch = Watch(1, {}, ())
    return RangeChecker(watch).check(RawRange(raw.first, raw.last, orjson.dumps(answers)))


def flip(text: str, at: int = -1) -> str:
    digits = list(text)
    digits[at] = "0" if digits[at] != "0" else "1"
    return "".join(digits)


HEADER_FIELDS = ["stateRoot", "miner", "timestamp", "gasUsed", "extraData", "mixHash", "hash"]


@pytest.mark.parametrize("field", HEADER_FIELDS)
def test_check__a_header_field_changed__names_the_block(busy_node: str, field: str) -> None:
    raw, answers = raw_range(busy_node)
    value = answers[4]["result"][field]
    answers[4]["result"][field] = value + "00" if value == "0x" else flip(value)
    with pytest.raises(Broken, match="hash") as broken:
        check(raw, answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (2, "headers")


def test_check__a_parent_replaced_with_a_valid_header__names_the_child(busy_node: str) -> None:
    raw, answers = raw_range(busy_node)
    block = answers[2]["result"]
    block["extraData"] = "0x1234"
    block["hash"] = "0x" + keccak(encode_header(block)).hex()
    with pytest.raises(Broken) as broken:
        check(raw, answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (2, "parents")


@pytest.mark.parametrize("field", ["input", "to", "value", "r", "nonce"])
@pytest.mark.parametrize("at", [0, 1, 8])
def test_check__a_transaction_changed__names_the_block(busy_node: str, field: str, at: int) -> None:
    raw, answers = raw_range(busy_node)
    tx = answers[4]["result"]["transactions"][at]
    tx[field] = "0x00" if tx[field] == "0x" else flip(tx[field])
    with pytest.raises(Broken) as broken:
        check(raw, answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (2, "transactions")


@pytest.mark.parametrize("part", ["data", "topics", "address", "status", "cumulativeGasUsed"])
def test_check__a_flipped_byte_in_a_receipt__names_the_block(busy_node: str, part: str) -> None:
    raw, answers = raw_range(busy_node)
    receipt = answers[5]["result"][0]
    if part in ("data", "address"):
        receipt["logs"][1][part] = flip(receipt["logs"][1][part])
    elif part == "topics":
        receipt["logs"][4]["topics"][3] = flip(receipt["logs"][4]["topics"][3])
    else:
        receipt[part] = flip(receipt[part])
    with pytest.raises(Broken) as broken:
        check(raw, answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (2, "receipts")


def test_check__a_receipt_removed__names_the_block(busy_node: str) -> None:
    raw, answers = raw_range(busy_node)
    answers[5]["result"].pop(3)
    with pytest.raises(Broken, match="another number of receipts") as broken:
        check(raw, answers)
    assert broken.value.finding.block == 2


def test_check__a_receipt_removed_and_the_root_recomputed__header_fails(busy_node: str) -> None:
    raw, answers = raw_range(busy_node)
    answers[5]["result"].pop()
    answers[4]["result"]["transactions"].pop()
    root = ordered_root([encode_receipt(r).encoded for r in answers[5]["result"]])
    bodies = ordered_root([encode_transaction(t) for t in answers[4]["result"]["transactions"]])
    answers[4]["result"]["receiptsRoot"] = "0x" + root.hex()
    answers[4]["result"]["transactionsRoot"] = "0x" + bodies.hex()
    with pytest.raises(Broken) as broken:
        check(raw, answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (2, "headers")


def test_check__a_bloom_filter_changed_in_a_valid_header__names_the_block(busy_node: str) -> None:
    raw, answers = raw_range(busy_node)
    block = answers[4]["result"]
    block["logsBloom"] = flip(block["logsBloom"])
    block["hash"] = "0x" + keccak(encode_header(block)).hex()
    with pytest.raises(Broken) as broken:
        check(raw, answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (2, "bloom")


@pytest.mark.parametrize("junk", ["0x", None, 5, [], "0xzz"])
def test_check__a_malformed_answer__is_broken_not_a_traceback(busy_node: str, junk: Any) -> None:
    raw, answers = raw_range(busy_node)
    answers[4]["result"]["transactions"][2]["accessList"] = junk or [junk]
    with pytest.raises(Broken) as broken:
        check(raw, answers)
    assert broken.value.finding.block == 2


def test_check__an_honest_node__every_block_holds(busy_node: str) -> None:
    raw, answers = raw_range(busy_node)
    checked = check(raw, answers)
    assert [b.header.number for b in checked] == [0, 1, 2, 3]
    assert [b.transaction_count for b in checked] == [0, 1, 150, 0]
    assert checked[2].log_count == 148 * 5 + 5
    assert all(b.bodies_proven for b in checked)


def test_sender__every_type__is_the_signer(busy_node: str) -> None:
    _, answers = raw_range(busy_node)
    bodies = answers[4]["result"]["transactions"]
    assert {quantity(t["type"]) for t in bodies} == {0, 1, 2, 4}
    for tx in bodies:
        assert sender_of(tx) == data_of(tx["from"], 20)
        assert keccak(encode_transaction(tx)) == data_of(tx["hash"])
