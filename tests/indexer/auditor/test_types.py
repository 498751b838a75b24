"""Transactions and receipts of every type, in a block built with the tried libraries."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
import rlp
from eth_account import Account
from eth_hash.auto import keccak
from trie import HexaryTrie

from indexer.auditor.blocks import RangeChecker, Watch
from indexer.auditor.errors import Broken, CannotRun
from indexer.auditor.source import RawRange

SIGNER = Account.from_key("0x" + "b" * 64)
TO = "0x" + "22" * 20
FEES = {"chainId": 7, "maxFeePerGas": 9, "maxPriorityFeePerGas": 1, "gas": 90_000, "value": 3}
ACCESS = [{"address": TO, "storageKeys": ["0x" + "01" * 32]}]
NO_WORD, NO_ADDRESS = "0x" + "00" * 32, "0x" + "00" * 20


def hexed(fields: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON-RPC writes them."""
    return {
        name: hex(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in fields.items()
    }


def signed(kind: int, **fields: Any) -> tuple[dict[str, Any], bytes]:
    """A transaction as a node tells it, and the bytes that eth-account makes of it."""
    content = {"nonce": 4, "to": TO, "data": "0xabcd", **fields}
    if kind:
        content |= {"type": kind, "accessList": ACCESS}
    made = SIGNER.sign_transaction(content)
    shown = {**content, "r": made.r, "s": made.s, "v": made.v, "yParity": made.v, "type": kind}
    if kind == 0:
        del shown["yParity"]
    shown["input"] = shown.pop("data")
    return hexed(shown), bytes(made.raw_transaction)


def blob() -> tuple[dict[str, Any], bytes]:
    more = {"maxFeePerBlobGas": 5, "blobVersionedHashes": ["0x01" + "33" * 31]}
    return signed(3, **FEES, **more)


def set_code() -> tuple[dict[str, Any], bytes]:
    permit = SIGNER.sign_authorization({"chainId": 7, "address": TO, "nonce": 0})
    tx, raw = signed(4, **FEES, authorizationList=[permit])
    tx["authorizationList"] = [
        hexed(
            {
                **{"chainId": 7, "address": TO, "nonce": 0},
                **{"yParity": permit.y_parity, "r": permit.r, "s": permit.s},
            }
        )
    ]
    return tx, raw


def deposit(mint: int | None) -> tuple[dict[str, Any], bytes]:
    """A deposit of an OP-stack rollup, by the rollup's specification."""
    source, sender, to = b"\x44" * 32, b"\x55" * 20, bytes.fromhex(TO[2:])
    fields = [source, sender, to, mint or 0, 3, 1_000_000, 0, b"\xab\xcd"]
    tx = {
        **{"type": 0x7E, "sourceHash": "0x" + source.hex(), "from": "0x" + sender.hex(), "to": TO},
        **{"value": 3, "gas": 1_000_000, "isSystemTx": False, "input": "0xabcd", "nonce": 17},
        **{"r": 0, "s": 0, "v": 0},
    }
    if mint is not None:
        tx["mint"] = mint
    return hexed(tx), b"\x7e" + rlp.encode(fields)


def receipt(kind: int, gas: int, **more: int) -> tuple[dict[str, Any], bytes]:
    """A receipt with one log, as a node tells it and as it is hashed."""
    address, topic, data = b"\x66" * 20, b"\x77" * 32, b"\x88" * 5
    bloom = 0
    for item in (address, topic):
        digest = keccak(item)
        for at in (0, 2, 4):
            bloom |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    fields = [1, gas, bloom.to_bytes(256, "big"), [[address, [topic], data]]]
    if kind == 0x7E and "depositReceiptVersion" in more:
        fields += [more["depositNonce"], more["depositReceiptVersion"]]
    log = {"address": address, "topics": [topic], "data": data}
    shown = {"type": kind, "status": 1, "cumulativeGasUsed": gas, **more}
    texts = {
        "address": "0x" + address.hex(),
        "topics": ["0x" + topic.hex()],
        "data": "0x" + log["data"].hex(),
    }
    encoded = rlp.encode(fields)
    return {**hexed(shown), "logs": [texts]}, bytes([kind]) + encoded if kind else encoded


BODIES = [
    signed(0, gasPrice=9, gas=90_000, value=3, chainId=7),
    signed(1, gasPrice=9, gas=90_000, value=3, chainId=7),
    signed(2, **FEES),
    blob(),
    set_code(),
    deposit(10**18),
    deposit(None),
]
RECEIPTS = [
    *(receipt(kind, 50_000 * (kind + 1)) for kind in range(5)),
    receipt(0x7E, 300_000, depositNonce=17),
    receipt(0x7E, 350_000, depositNonce=18, depositReceiptVersion=1),
]


def root_of(values: list[bytes]) -> bytes:
    trie = HexaryTrie({})
    for i, value in enumerate(values):
        trie[rlp.encode(i)] = value
    return bytes(trie.root_hash)


def block(bodies: list[Any], receipts: list[Any]) -> list[dict[str, Any]]:
    """The node's answer for block 5 with these."""
    roots = [root_of([raw for _, raw in bodies]), root_of([raw for _, raw in receipts])]
    bloom_bits = bytes(256)
    for log in receipts:
        items = [log[0]["logs"][0]["address"], *log[0]["logs"][0]["topics"]]
        number = int.from_bytes(bloom_bits, "big")
        for item in items:
            digest = keccak(bytes.fromhex(item[2:]))
            for at in (0, 2, 4):
                number |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
        bloom_bits = number.to_bytes(256, "big")
    ommers = keccak(rlp.encode([]))
    header = [b"\1" * 32, ommers, bytes(20), b"\2" * 32, *roots, bloom_bits]
    header += [0, 5, 30_000_000, 1, 1_700_000_000, b"", bytes(32), bytes(8), 9]
    fields = {
        **{"parentHash": "0x" + "01" * 32, "sha3Uncles": "0x" + ommers.hex(), "miner": NO_ADDRESS},
        **{"stateRoot": "0x" + "02" * 32, "transactionsRoot": "0x" + roots[0].hex()},
        **{"receiptsRoot": "0x" + roots[1].hex(), "logsBloom": "0x" + bloom_bits.hex()},
        **{"difficulty": "0x0", "number": "0x5", "gasLimit": hex(30_000_000), "gasUsed": "0x1"},
        **{"timestamp": hex(1_700_000_000), "extraData": "0x", "mixHash": NO_WORD},
        **{"nonce": "0x" + "00" * 8, "baseFeePerGas": "0x9"},
        "hash": "0x" + keccak(rlp.encode(header)).hex(),
        "transactions": [tx for tx, _ in bodies],
    }
    answers = [{"id": 0, "result": fields}, {"id": 1, "result": [r for r, _ in receipts]}]
    return copy.deepcopy(answers)


def check(answers: list[dict[str, Any]]) -> Any:
    [checked] = RangeChecker(Watch(7, {}, ())).check(RawRange(5, 5, orjson.dumps(answers)))
    return checked


@pytest.mark.parametrize(
    ("at", "field"),
    [(3, "blobVersionedHashes"), (3, "maxFeePerBlobGas"), (4, "authorizationList"), (5, "mint")],
)
def test_check__a_field_of_a_rare_type_left_out__names_the_block(at: int, field: str) -> None:
    answers = block(BODIES, RECEIPTS)
    value = answers[0]["result"]["transactions"][at][field]
    answers[0]["result"]["transactions"][at][field] = [] if isinstance(value, list) else "0x1"
    with pytest.raises(Broken) as broken:
        check(answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (5, "transactions")


@pytest.mark.parametrize("field", ["depositNonce", "depositReceiptVersion"])
def test_check__a_deposits_receipt_changed__names_the_block(field: str) -> None:
    answers = block(BODIES, RECEIPTS)
    answers[1]["result"][6][field] = "0x63"
    with pytest.raises(Broken) as broken:
        check(answers)
    assert (broken.value.finding.block, broken.value.finding.check) == (5, "receipts")


def test_check__every_type__makes_both_roots() -> None:
    checked = check(block(BODIES, RECEIPTS))
    assert checked.bodies_proven
    assert (checked.transaction_count, checked.log_count) == (7, 7)


STRANGE = ({"type": "0x6a", "input": "0x", "hash": NO_WORD, "to": TO}, b"\x6a\xc0")


def test_check__a_type_that_nobody_knows__is_said() -> None:
    # Its receipt is encoded as all others are: receipts, and so events, are proven.
    checked = check(block([*BODIES, STRANGE], [*RECEIPTS, receipt(0x6A, 400_000)]))
    assert not checked.bodies_proven
    assert checked.log_count == 8


def test_check__receipts_of_an_unknown_encoding__cannot_run() -> None:
    odd = (receipt(0x6A, 400_000)[0], b"\x6a" + rlp.encode([1, 2, 3]))
    with pytest.raises(CannotRun, match="block 5 holds receipts of type 0x6a"):
        check(block([*BODIES, STRANGE], [*RECEIPTS, odd]))
