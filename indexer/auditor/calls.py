"""What the node tells wallets, beside what its state was proven to hold.

An `eth_call` proves nothing. But a node that shows a member another balance than its own state
holds lies to that member, and the auditor says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from indexer.auditor import accounts as acc
from indexer.auditor.codec import data_of, keccak
from indexer.auditor.errors import AuditError, Broken
from indexer.auditor.laws import live_points
from indexer.auditor.ledger import Ledger
from indexer.auditor.source import Rpc
from wallet_sdk.epochs import EpochSchedule

CALLS: Final = "calls"
_BATCH: Final = 500
_Question = tuple[bytes, bytes, int, str]  # contract, calldata, expected word, what it is


def _call(signature: str, *words: int) -> bytes:
    return keccak(signature.encode())[:4] + b"".join(w.to_bytes(32, "big") for w in words)


def questions(
    ledger: Ledger, schedule: EpochSchedule, points: bytes, asset: bytes, face_value: int
) -> Iterator[_Question]:
    """Every balance, every position, supply and reserve, with what the replay gives."""
    epoch = schedule.epoch_at(max(ledger.timestamp, schedule.first_start))
    live = live_points(ledger, schedule)
    yield points, _call("totalSupply()"), live, "totalSupply"
    yield ledger.coalition, _call("reserve()"), live * face_value, "reserve"
    holder = int.from_bytes(ledger.coalition, "big")
    yield asset, _call("balanceOf(address)", holder), ledger.assets, "assets of the Coalition"
    for number, merchant in ledger.merchants.items():
        expected = merchant.position % 2**256
        what = f"position of merchant {number}"
        yield ledger.coalition, _call("positionOf(uint32)", number), expected, what
    for address, word in ledger.accounts.items():
        expected = acc.balance(acc.aged(word, epoch))
        call = _call("balanceOf(address)", int.from_bytes(address, "big"))
        yield points, call, expected, f"balance of 0x{address.hex()}"


def check_calls(rpc: Rpc, number: int, asked: Iterator[_Question]) -> Iterator[int | Broken]:
    """Yields what differs, then how many were asked. Raises NodeRefused."""
    count = 0
    while batch := list(islice(asked, _BATCH)):
        answers = rpc.batch([_request(question, number) for question in batch])
        for (_, _, expected, what), answer in zip(batch, answers, strict=True):
            got = _word(answer)
            if got != expected:
                yield Broken(CALLS, number, f"the node tells another {what}", expected, got)
        count += len(batch)
    yield count


def _request(question: _Question, number: int) -> tuple[str, list[Any]]:
    contract, calldata, _, _ = question
    return "eth_call", [{"to": "0x" + contract.hex(), "data": "0x" + calldata.hex()}, hex(number)]


def _word(answer: Any) -> int | str:
    try:
        return int.from_bytes(data_of(answer, 32), "big")
    except AuditError:
        return f"{answer!r:.80}"
