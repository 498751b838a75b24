"""Which slots of MembershipPass and BankReceipt hold what the replay knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from indexer.auditor.layout import PASS, RECEIPT, allowance_facts, authority_fact, known, names
from indexer.auditor.ledger import Ledger
from indexer.auditor.storage import Fact, mapping_slot

_EXISTS: Final = 1 << 255
_MEMBER_MASK: Final = (1 << 160) - 1


def pass_facts(ledger: Ledger, contract: bytes) -> Iterator[Fact]:
    """Every pass, and where recovered ones went; the word of programme 0 also counts how many its
    member holds.
    """
    counts: dict[int, int] = {}
    for token in ledger.passes:
        member = token & _MEMBER_MASK
        counts[member] = counts.get(member, 0) + 1
    words = dict.fromkeys(ledger.passes_gone, 0)
    for token, (tier, joined) in ledger.passes.items():
        words[token] = _EXISTS | (joined << 64) | (tier << 48)
    for member, count in counts.items():
        words[member] = words.get(member, 0) | count
    for token, word in words.items():
        yield Fact(contract, mapping_slot(token, PASS["_passes"]), word, f"pass 0x{token:x}")
    for member_, heir in ledger.recovered_to.items():
        where = mapping_slot(member_, PASS["_recoveredTo"])
        what = f"where the pass of 0x{member_.hex()} went"
        yield Fact(contract, where, int.from_bytes(heir, "big"), what)
    yield authority_fact(ledger, contract, PASS["_authority"])
    yield from known(contract, names(PASS))


def asset_facts(ledger: Ledger, asset: bytes) -> Iterator[Fact]:
    """Every holder's receipts and their sum, mints and pay-outs with their bank references. For
    `BankReceipt`, whose layout is known.
    """
    for holder, amount in ledger.asset_balances.items():
        where = mapping_slot(holder, RECEIPT["_balances"])
        yield Fact(asset, where, amount, f"receipts of 0x{holder.hex()}")
    yield Fact(asset, RECEIPT["_totalSupply"], ledger.asset_supply, "receipts in all")
    for reference, (to, amount, proposer, confirmed) in ledger.bank_mints.items():
        words = (to, proposer, amount) if not confirmed else (b"", b"", 0)
        what = f"mint under the bank reference 0x{reference.hex()}"
        yield from _words(asset, mapping_slot(reference, RECEIPT["_proposals"]), words, what)
    used = {r for r, (_, _, _, confirmed) in ledger.bank_mints.items() if confirmed}
    for reference in ledger.bank_mints.keys() | ledger.bank_settled:
        where = mapping_slot(reference, RECEIPT["_usedReferences"])
        is_used = reference in used or reference in ledger.bank_settled
        yield Fact(asset, where, int(is_used), f"use of the bank reference 0x{reference.hex()}")
    for day, minted in ledger.bank_days.items():
        where = mapping_slot(day, RECEIPT["_mintedOnDay"])
        yield Fact(asset, where, minted, f"receipts minted on day {day}")
    for payout, waiting in ledger.bank_payouts.items():
        where = mapping_slot(payout, RECEIPT["_payouts"])
        yield from _words(asset, where, waiting, f"pay-out {payout}")
    count = max(ledger.bank_payouts, default=0)
    yield Fact(asset, RECEIPT["_payoutCount"], count, "number of pay-outs")
    yield authority_fact(ledger, asset, RECEIPT["_authority"])
    yield from allowance_facts(ledger, asset, RECEIPT["_allowances"])
    yield from known(asset, names(RECEIPT))


def _words(
    contract: bytes, first: int, words: tuple[bytes | int, ...], what: str
) -> Iterator[Fact]:
    for i, word in enumerate(words):
        expected = word if isinstance(word, int) else int.from_bytes(word, "big")
        yield Fact(contract, first + i, expected, what)
