"""Receipts for money at a bank: two people mint, holders alone decide on paying out."""

from __future__ import annotations

from typing import Any

from banyan_kit.revm import functions
from coalition_town import DAY, Town, refused

REFERENCE = b"\x77" * 32


def confirm(town: Town, to: Any, amount: int, sender: Any, reference: bytes = REFERENCE) -> None:
    values = {"bankReference": reference, "to": to, "amount": amount}
    asked = [part["name"] for part in functions("BankReceipt")["confirmMint"]["inputs"]]
    town.asset.confirmMint(*[values[name] for name in asked], sender=sender)


def test_propose__by_a_stranger__is_refused(town: Town) -> None:
    with refused("AccessManagedUnauthorized"):
        town.asset.proposeMint(REFERENCE, town.stranger, 5, sender=town.stranger)


def test_confirm__by_the_treasurer__is_refused(town: Town) -> None:
    town.asset.proposeMint(REFERENCE, town.stranger, 5, sender=town.treasurer)
    with refused("AccessManagedUnauthorized"):
        confirm(town, town.stranger, 5, town.treasurer)


def test_confirm__by_one_person_with_both_roles__is_refused(town: Town) -> None:
    town.authority.grantRole(4, town.treasurer, 0, sender=town.admin)
    town.asset.proposeMint(REFERENCE, town.stranger, 5, sender=town.treasurer)
    with refused("SamePerson"):
        confirm(town, town.stranger, 5, town.treasurer)


def test_confirm__what_nobody_proposed__is_refused(town: Town) -> None:
    with refused("MintUnknown"):
        confirm(town, town.stranger, 5, town.attestor)


def test_confirm__a_reference_again__is_refused(town: Town) -> None:
    town.asset.proposeMint(REFERENCE, town.stranger, 5, sender=town.treasurer)
    confirm(town, town.stranger, 5, town.attestor)
    with refused("BankReferenceUsed"):
        town.asset.proposeMint(REFERENCE, town.stranger, 5, sender=town.treasurer)
    assert town.asset.balanceOf(town.stranger) == 5


def test_confirm__over_the_daily_limit__waits_for_the_next_day(town: Town) -> None:
    limit = int(town.asset.dailyLimit())
    town.mine_at((town.now // DAY + 1) * DAY)
    town.asset.proposeMint(REFERENCE, town.stranger, limit, sender=town.treasurer)
    town.asset.proposeMint(b"\x78" * 32, town.stranger, 1, sender=town.treasurer)
    confirm(town, town.stranger, limit, town.attestor)
    with refused("DailyLimitExceeded"):
        confirm(town, town.stranger, 1, town.attestor, b"\x78" * 32)
    town.go((town.now // DAY + 1) * DAY)
    confirm(town, town.stranger, 1, town.attestor, b"\x78" * 32)
    assert town.asset.balanceOf(town.stranger) == limit + 1


def test_payout__cancelled_by_another__is_refused(town: Town) -> None:
    town.asset.requestPayout(100, bytes(32), sender=town.relayer)
    with refused("NotHolder"):
        town.asset.cancelPayout(1, sender=town.stranger)


def test_payout__settled__burns_what_was_locked_and_no_more(town: Town) -> None:
    before = int(town.asset.totalSupply())
    held = int(town.asset.balanceOf(town.relayer))
    town.asset.requestPayout(100, bytes(32), sender=town.relayer)
    assert town.asset.balanceOf(town.relayer) == held - 100
    town.asset.settlePayout(1, REFERENCE, sender=town.treasurer)
    assert town.asset.totalSupply() == before - 100
    with refused("PayoutUnknown"):
        town.asset.settlePayout(1, b"\x79" * 32, sender=town.treasurer)


def test_payout__cancelled_by_the_holder__gives_it_back(town: Town) -> None:
    held = int(town.asset.balanceOf(town.relayer))
    town.asset.requestPayout(100, bytes(32), sender=town.relayer)
    town.asset.cancelPayout(1, sender=town.relayer)
    assert town.asset.balanceOf(town.relayer) == held


def test_attest__by_the_treasurer__is_refused(town: Town) -> None:
    with refused("AccessManagedUnauthorized"):
        town.asset.attestBalance(20_261_121, 5, bytes(32), sender=town.treasurer)
