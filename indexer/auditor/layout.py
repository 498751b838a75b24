"""Which slots hold what the replay knows: the storage layout of the four contracts.

The numbers are the compiler's (`storageLayout`); a test compiles the sources and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from indexer.auditor.accounts import NONCES_MASK
from indexer.auditor.codec import keccak
from indexer.auditor.ledger import Ledger
from indexer.auditor.storage import Fact, mapping_slot

POINTS: Final = {
    "_accounts": 0,
    "_supply": 1,
    "_name": 2,
    "_symbol": 3,
    "_allowances": 4,
    "_permitNonces": 5,
    "_authority": 6,
    "_coalition": 7,
    "_successor": 8,
    "_acceptableAt": 9,
}
PASS: Final = {"_authority": 0, "_name": 1, "_symbol": 2, "_passes": 3, "_recoveredTo": 4}
RECEIPT: Final = {
    "_balances": 0,
    "_allowances": 1,
    "_totalSupply": 2,
    "_name": 3,
    "_symbol": 4,
    "_authority": 5,
    "_proposals": 6,
    "_usedReferences": 7,
    "_mintedOnDay": 8,
    "_payouts": 9,
    "_payoutCount": 10,
}
COALITION: Final = {
    "_authority": 0,
    "_standings": 1,
    "_owners": 2,
    "_profiles": 3,
    "_tillKeys": 4,
    "_merchantNonces": 5,
    "_issues": 6,
    "_closings": 7,
    "_roots": 8,
    "_refunded": 9,
    "_recoveries": 10,
    "_ledger": 11,
    "_lastTerms": 14,
    "_olderTerms": 15,
    "_inheritedThrough": 16,
}
LAYOUTS: Final = {
    "Points": POINTS,
    "Coalition": COALITION,
    "MembershipPass": PASS,
    "BankReceipt": RECEIPT,
}
_ALL: Final = 2**256 - 1
_EXISTS: Final = 1 << 255
_KNOWN_ISSUES: Final = 1 << 232
_KNOWN_RECOVERY: Final = 1 << 224
_MEMBER_MASK: Final = (1 << 160) - 1


def points_facts(ledger: Ledger, points: bytes) -> Iterator[Fact]:
    """Every account's word, every epoch's supply, and whom Points obeys."""
    slot = POINTS["_accounts"]
    for address, word in ledger.accounts.items():
        mask = _ALL & ~NONCES_MASK if address in ledger.nonces_unknown else _ALL
        what = f"account 0x{address.hex()}"
        yield Fact(points, mapping_slot(address, slot), word, what, mask)
    for epoch, supply in ledger.supply.items():
        expected = supply.issued_net | (supply.live << 128)
        where = mapping_slot(epoch, POINTS["_supply"])
        yield Fact(points, where, expected, f"supply of epoch {epoch}")
    coalition = int.from_bytes(ledger.coalition, "big")
    yield Fact(points, POINTS["_coalition"], coalition, "the Coalition that Points obeys")


def _fixed(layout: dict[str, int], *names: str) -> tuple[int, ...]:
    return tuple(layout[name] for name in names)


def _known(address: bytes, slots: Iterable[int]) -> Iterator[Fact]:
    for slot in slots:
        yield Fact(address, slot, 0, "", 0)


def _long_strings(slots: Iterable[int]) -> Iterator[int]:
    """Where the letters of a string of more than 31 bytes stand: three words are 96 letters."""
    for slot in slots:
        start = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
        yield from (start, start + 1, start + 2)


def _allowances(ledger: Ledger, token: bytes, slot: int) -> Iterator[int]:
    for contract, owner, spender in ledger.approvals:
        if contract == token:
            yield mapping_slot(spender, mapping_slot(owner, slot))


def points_known(ledger: Ledger, points: bytes) -> Iterator[Fact]:
    """Names, authority, proposed successor, allowances and permits' nonces."""
    strings = _fixed(POINTS, "_name", "_symbol")
    others = _fixed(POINTS, "_authority", "_successor", "_acceptableAt")
    yield from _known(points, (*strings, *_long_strings(strings), *others))
    yield from _known(points, _allowances(ledger, points, POINTS["_allowances"]))
    owners = {owner for contract, owner, _ in ledger.approvals if contract == points}
    yield from _known(points, (mapping_slot(owner, POINTS["_permitNonces"]) for owner in owners))


def pass_known(ledger: Ledger, contract: bytes) -> Iterator[Fact]:
    """Names, authority, where recovered passes went, members who left."""
    strings = _fixed(PASS, "_name", "_symbol")
    yield from _known(contract, (*strings, *_long_strings(strings), PASS["_authority"]))
    yield from _known(contract, (mapping_slot(t, PASS["_passes"]) for t in ledger.passes_gone))
    went = (mapping_slot(member, PASS["_recoveredTo"]) for member in ledger.passes_followed)
    yield from _known(contract, went)


def asset_known(ledger: Ledger, asset: bytes) -> Iterator[Fact]:
    """Names, authority, allowances, bank references, days and pay-outs."""
    strings = _fixed(RECEIPT, "_name", "_symbol")
    others = _fixed(RECEIPT, "_authority", "_payoutCount")
    yield from _known(asset, (*strings, *_long_strings(strings), *others))
    yield from _known(asset, _allowances(ledger, asset, RECEIPT["_allowances"]))
    for reference in ledger.bank_mints:
        first = mapping_slot(reference, RECEIPT["_proposals"])
        used = mapping_slot(reference, RECEIPT["_usedReferences"])
        yield from _known(asset, (first, first + 1, first + 2, used))
    settled = (
        mapping_slot(reference, RECEIPT["_usedReferences"]) for reference in ledger.bank_settled
    )
    yield from _known(asset, settled)
    yield from _known(
        asset, (mapping_slot(day, RECEIPT["_mintedOnDay"]) for day in ledger.bank_days)
    )
    for payout in ledger.bank_payouts:
        first = mapping_slot(payout, RECEIPT["_payouts"])
        yield from _known(asset, (first, first + 1))


def coalition_known(ledger: Ledger) -> Iterator[Fact]:
    """Authority, and up to which epoch a predecessor may know more."""
    yield from _known(ledger.coalition, _fixed(COALITION, "_authority", "_inheritedThrough"))


def pass_facts(ledger: Ledger, contract: bytes) -> Iterator[Fact]:
    """Every pass; the word of programme 0 also counts how many its member holds."""
    counts: dict[int, int] = {}
    for token in ledger.passes:
        member = token & _MEMBER_MASK
        counts[member] = counts.get(member, 0) + 1
    words = {
        t: _EXISTS | (joined << 64) | (tier << 48) for t, (tier, joined) in ledger.passes.items()
    }
    for member, count in counts.items():
        words[member] = words.get(member, 0) | count
    for token, word in words.items():
        yield Fact(contract, mapping_slot(token, PASS["_passes"]), word, f"pass 0x{token:x}")


def asset_facts(ledger: Ledger, asset: bytes) -> Iterator[Fact]:
    """Every holder's receipts, and their sum. For `BankReceipt`, whose layout is known."""
    for holder, amount in ledger.asset_balances.items():
        where = mapping_slot(holder, RECEIPT["_balances"])
        yield Fact(asset, where, amount, f"receipts of 0x{holder.hex()}")
    yield Fact(asset, RECEIPT["_totalSupply"], ledger.asset_supply, "receipts in all")


def coalition_facts(ledger: Ledger) -> Iterator[Fact]:
    """Merchants, keys, nonces, issues, closings, roots, refunds, recoveries, terms, the ledger."""
    yield from _merchants(ledger)
    yield from _books(ledger)
    here, heirs = _places(ledger)
    for root in ledger.roots:
        where = mapping_slot(root, COALITION["_roots"])
        yield Fact(here, where, 1, f"root 0x{root.hex()}", 0xFF, heirs)
    for leaf, points in ledger.refunded.items():
        where = mapping_slot(leaf, COALITION["_refunded"])
        yield Fact(here, where, points, f"refunded of 0x{leaf.hex()}", _ALL, heirs)
    for member, (recovery, due_at) in ledger.recoveries.items():
        word = int.from_bytes(recovery, "big") | (due_at << 160) | _KNOWN_RECOVERY
        where = mapping_slot(member, COALITION["_recoveries"])
        yield Fact(here, where, word, f"recovery of 0x{member.hex()}", _ALL, heirs)


def _places(ledger: Ledger) -> tuple[bytes, tuple[bytes, ...]]:
    """Where to look first, and where when the first touch has not come yet."""
    return ledger.coalition, tuple(reversed(ledger.predecessors))


def _merchants(ledger: Ledger) -> Iterator[Fact]:
    here, heirs = _places(ledger)
    # A successor notes the leaving of a merchant at its own first touch.
    mask = (1 << 232) - 1 if heirs else _ALL
    for number, merchant in ledger.merchants.items():
        word = merchant.position % 2**128 | (merchant.limit << 128) | (merchant.status << 224)
        word |= merchant.leaving_since << 232
        name = f"of merchant {number}"
        where = mapping_slot(number, COALITION["_standings"])
        yield Fact(here, where, word, f"position, limit and status {name}", mask, heirs)
        for field, value in (("_owners", merchant.owner), ("_profiles", merchant.profile)):
            expected = int.from_bytes(value, "big")
            where = mapping_slot(number, COALITION[field])
            yield Fact(here, where, expected, f"{field[1:]} {name}", _ALL, heirs)
        nonces = mapping_slot(number, COALITION["_merchantNonces"])
        for index, bits in merchant.nonces.items():
            yield Fact(here, mapping_slot(index, nonces), bits, f"used nonces {name}")
    for key, (number, active) in ledger.tills.items():
        where = mapping_slot(key, COALITION["_tillKeys"])
        word = number | (active << 32)
        yield Fact(here, where, word, f"till key 0x{key.hex()}", (1 << 40) - 1, heirs)
    for (epoch, number), issues in ledger.issues.items():
        outer = mapping_slot(epoch, COALITION["_issues"])
        word = issues.issued | (issues.returned << 112) | (issues.claimed << 224) | _KNOWN_ISSUES
        what = f"issues of merchant {number} in epoch {epoch}"
        yield Fact(here, mapping_slot(number, outer), word, what, _ALL, heirs)


def _books(ledger: Ledger) -> Iterator[Fact]:
    here, heirs = _places(ledger)
    for epoch, closing in ledger.closings.items():
        where = mapping_slot(epoch, COALITION["_closings"])
        what = f"closing of epoch {epoch}"
        yield Fact(here, where, closing.pool | (closing.paid << 128), what, _ALL, heirs)
        yield Fact(here, where + 1, closing.claimed_points | (1 << 128), what, _ALL, heirs)
    first = COALITION["_ledger"]
    yield Fact(here, first, ledger.guarantee | (ledger.limits << 128), "guarantee, limits")
    income = ledger.earned_closed | (ledger.income_withdrawn << 128)
    yield Fact(here, first + 1, income, "income of closed epochs, income withdrawn")
    first_open = 1
    while first_open in ledger.closings:
        first_open += 1
    unclaimed = ledger.breakage_unclaimed | (first_open << 128)
    yield Fact(here, first + 2, unclaimed, "breakage not claimed, first open epoch")
    yield from _terms(ledger)


def _terms(ledger: Ledger) -> Iterator[Fact]:
    packed = [
        (t.from_epoch << 80) | (t.issue_fee << 48) | (t.redeem_fee << 16) | t.share_bps
        for t in ledger.terms
    ]
    if not packed:
        return
    word = packed[-1] | (len(packed) << 192) | (ledger.paused << 208)
    if len(packed) > 1:
        word |= packed[-2] << 96
    slot = COALITION["_lastTerms"]
    mask = (1 << 216) - 1
    yield Fact(ledger.coalition, slot, word, "terms in force, pause", mask)
    for index, older in enumerate(packed[:-2]):
        where = mapping_slot(index, COALITION["_olderTerms"])
        yield Fact(ledger.coalition, where, older, f"terms {index}", (1 << 96) - 1)
