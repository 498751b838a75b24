"""Slots that the contracts read, or set back to zero, without a log that gives them a value.

A canonical trie holds none of these. anvil keeps each of them as a leaf of zero, and so its tries
have branches that no known slot lies under. Here are the slots that can be there by the contracts'
own code; each is asked for by proof, so nothing is believed, and what holds anything is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product
from typing import Final

from indexer.auditor.layout import COALITION, PASS, POINTS, RECEIPT
from indexer.auditor.ledger import Ledger, Touched
from indexer.auditor.orders import ENTRY_BYTES, Order
from indexer.auditor.roles import touched_roles
from indexer.auditor.storage import mapping_slot
from wallet_sdk.epochs import EpochSchedule

_ADDRESSES: Final = ("member", "from", "to", "signer", "key", "owner", "recovery")
_PAIRS_OF_MAX: Final = 300
"""Of so many strangers every pair may be owner and spender; of more, the pairs are too many."""
_DAY_S: Final = 86_400


def note(touched: Touched, order: Order) -> None:
    """An order that had no effect: what was read for it before it was refused."""
    fields = order.fields
    touched.accounts.update(fields[name] for name in _ADDRESSES if name in fields)
    touched.accounts.update(s for s in (order.signer, order.member_signer) if s is not None)
    entries = fields.get("entries", b"")
    touched.accounts.update(entries[at : at + 20] for at in range(0, len(entries), ENTRY_BYTES))
    if "merchant" in fields:
        touched.nonces.add((fields["merchant"], fields["nonce"] >> 8))
    touched.words.update(fields[name] for name in ("root", "leaf") if name in fields)


def touched_slots(name: str, ledger: Ledger, schedule: EpochSchedule) -> Iterator[int]:
    """The slots of one contract, by its name in the deployment file; some of them twice."""
    epochs = range(schedule.epoch_at(max(ledger.timestamp, schedule.first_start)) + 2)
    if name == "Points":
        return _points(ledger, epochs)
    if name == "MembershipPass":
        return _passes(ledger)
    if name == "Coalition":
        return _coalition(ledger, epochs)
    if name == "AccessManager":
        return touched_roles(ledger, _addresses(ledger))
    first_day = schedule.first_start // _DAY_S - 1
    return _asset(ledger, range(first_day, ledger.timestamp // _DAY_S + 2))


def _addresses(ledger: Ledger) -> Iterator[bytes]:
    """Everybody that was ever named, some twice."""
    yield bytes(20)
    yield ledger.coalition
    yield from chain(ledger.predecessors, ledger.touched.accounts, ledger.accounts)
    yield from chain(ledger.asset_balances, ledger.tills)
    yield from (merchant.owner for merchant in ledger.merchants.values())
    yield from (recovery for recovery, _ in ledger.recoveries.values())


def _allowances(ledger: Ledger, slot: int) -> Iterator[int]:
    strangers = ledger.touched.accounts
    if len(strangers) <= _PAIRS_OF_MAX:
        for owner, spender in product(strangers, strangers):
            yield mapping_slot(spender, mapping_slot(owner, slot))


def _points(ledger: Ledger, epochs: range) -> Iterator[int]:
    for address in _addresses(ledger):
        yield mapping_slot(address, POINTS["_accounts"])
        yield mapping_slot(address, POINTS["_permitNonces"])
    for epoch in epochs:
        yield mapping_slot(epoch, POINTS["_supply"])
    yield from _allowances(ledger, POINTS["_allowances"])


def _passes(ledger: Ledger) -> Iterator[int]:
    # Every join clears where an earlier pass of the member went.
    for address in _addresses(ledger):
        yield mapping_slot(address, PASS["_recoveredTo"])
        yield mapping_slot(address, PASS["_passes"])
    for merchant, address in product(ledger.merchants, ledger.touched.accounts):
        token = (merchant << 160) | int.from_bytes(address, "big")
        yield mapping_slot(token, PASS["_passes"])


def _coalition(ledger: Ledger, epochs: range) -> Iterator[int]:
    for address in _addresses(ledger):
        yield mapping_slot(address, COALITION["_tillKeys"])
        yield mapping_slot(address, COALITION["_recoveries"])
    strangers = {merchant for merchant, _ in ledger.touched.nonces}
    for merchant in strangers:
        for field in ("_standings", "_owners", "_profiles"):
            yield mapping_slot(merchant, COALITION[field])
    for merchant, index in ledger.touched.nonces:
        yield mapping_slot(index, mapping_slot(merchant, COALITION["_merchantNonces"]))
    for word in ledger.touched.words:
        yield mapping_slot(word, COALITION["_roots"])
        yield mapping_slot(word, COALITION["_refunded"])
    for epoch in epochs:
        where = mapping_slot(epoch, COALITION["_closings"])
        yield from (where, where + 1)
        outer = mapping_slot(epoch, COALITION["_issues"])
        for merchant in chain(ledger.merchants, strangers):
            yield mapping_slot(merchant, outer)
    for index in range(len(ledger.terms)):
        yield mapping_slot(index, COALITION["_olderTerms"])


def _asset(ledger: Ledger, days: range) -> Iterator[int]:
    coalitions = (ledger.coalition, *ledger.predecessors)
    for address in _addresses(ledger):
        yield mapping_slot(address, RECEIPT["_balances"])
        outer = mapping_slot(address, RECEIPT["_allowances"])
        yield from (mapping_slot(coalition, outer) for coalition in coalitions)
    yield from _allowances(ledger, RECEIPT["_allowances"])
    for day in days:
        yield mapping_slot(day, RECEIPT["_mintedOnDay"])
    for payout in range(max(ledger.bank_payouts, default=0) + 2):
        first = mapping_slot(payout, RECEIPT["_payouts"])
        yield from (first, first + 1)
