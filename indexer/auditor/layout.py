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
_KNOWN_ISSUES: Final = 1 << 232
_KNOWN_RECOVERY: Final = 1 << 224


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
    successor, due = ledger.proposed or (bytes(20), 0)
    expected = int.from_bytes(successor, "big")
    yield Fact(points, POINTS["_successor"], expected, "the successor that was proposed")
    yield Fact(points, POINTS["_acceptableAt"], due, "when a successor may take over")
    yield authority_fact(ledger, points, POINTS["_authority"])
    yield from allowance_facts(ledger, points, POINTS["_allowances"])
    yield from known(points, names(POINTS))
    # A permit says its allowance, not its nonce.
    owners = {owner for contract, owner, _ in ledger.approvals if contract == points}
    yield from known(points, (mapping_slot(owner, POINTS["_permitNonces"]) for owner in owners))


def authority_fact(ledger: Ledger, contract: bytes, slot: int) -> Fact:
    """Whom the contract asks about roles. Of a successor it was said before anybody listened."""
    said = ledger.authorities.get(contract)
    expected = int.from_bytes(said or b"", "big")
    return Fact(contract, slot, expected, "the authority over roles", _ALL if said else 0)


def allowance_facts(ledger: Ledger, token: bytes, slot: int) -> Iterator[Fact]:
    """Of each allowance, that it is no more than was approved last."""
    for (contract, owner, spender), most in ledger.approvals.items():
        if contract == token:
            where = mapping_slot(spender, mapping_slot(owner, slot))
            what = f"allowance of 0x{owner.hex()} to 0x{spender.hex()}, at most"
            yield Fact(token, where, most, what, at_most=True)


def known(address: bytes, slots: Iterable[int]) -> Iterator[Fact]:
    """Slots that may hold anything."""
    for slot in slots:
        yield Fact(address, slot, 0, "", 0)


def names(layout: dict[str, int]) -> Iterator[int]:
    """Name and symbol, which no log tells. The letters of a string of more than 31 bytes stand
    behind its hash: three words are 96 letters.
    """
    for slot in (layout["_name"], layout["_symbol"]):
        start = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
        yield from (slot, start, start + 1, start + 2)


def coalition_facts(ledger: Ledger) -> Iterator[Fact]:
    """Merchants, keys, nonces, issues, closings, roots, refunds, recoveries, terms, the ledger."""
    yield from _merchants(ledger)
    yield from _books(ledger)
    here, heirs = _places(ledger)
    yield authority_fact(ledger, here, COALITION["_authority"])
    through = COALITION["_inheritedThrough"]
    yield Fact(here, through, ledger.inherited_through, "epochs that a predecessor may know")
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
