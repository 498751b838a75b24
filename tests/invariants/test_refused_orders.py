"""Each check of an order by itself: the error with its values, and what is allowed beside it."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ZERO, Settings
from banyan_kit.wire import Key, to_bytes
from network_desk import Desk
from network_refusals import (
    ACTIVE,
    ADA,
    BAKER,
    BOB,
    CALLER,
    EVE,
    FLORIST,
    LEAVING,
    NOBODY,
    REF,
    SUSPENDED,
    issue,
    move,
    obeying,
    owners,
    redeem,
    why,
)

# ---- issuing


def test_issue__of_a_merchant_that_does_not_trade__tells_its_status(desk: Desk) -> None:
    for status in (SUSPENDED, LEAVING):
        desk.operate("setMerchantStatus", BAKER, status)
        refused = why(desk.execute, issue(desk, (ADA, 1)))
        assert refused == ("MerchantNotActive", (BAKER, status))
    desk.operate("setMerchantStatus", BAKER, ACTIVE)
    desk.operate("pauseIssuing", True)
    assert why(desk.execute, issue(desk, (ADA, 1))) == ("IssuingIsPaused", ())
    desk.operate("pauseIssuing", False)
    desk.execute(issue(desk, (ADA, 1)))


def test_issue__of_no_or_too_many_entries__is_refused(desk: Desk) -> None:
    assert why(desk.execute, issue(desk)) == ("ZeroAmount", ())
    assert why(desk.execute, issue(desk, *[(ADA, 1)] * 601)) == ("TooManyEntries", (601,))
    desk.execute(issue(desk, *[(ADA, 1)] * 600))
    assert desk.network.points.ask("balanceOf", ADA.address) == 700


def test_issue__with_one_wrong_entry__names_it_and_issues_nothing(desk: Desk) -> None:
    nobody = Key(ADA.private, ZERO)
    assert why(desk.execute, issue(desk, (BOB, 1), (nobody, 1)))[0] == "ERC20InvalidReceiver"
    assert why(desk.execute, issue(desk, (BOB, 1), (ADA, 0), (EVE, 1))) == ("ZeroPoints", ())
    eve = ("NotMember", (EVE.address,))
    assert why(desk.execute, issue(desk, (BOB, 1), (EVE, 2), (ADA, 0))) == eve
    desk.anyone("deposit", BAKER, 2**43)
    full = ("BucketFull", (ADA.address, 1, 2**35 - 100))
    assert why(desk.execute, issue(desk, (BOB, 1), (ADA, 2**35 - 100))) == full
    assert desk.network.points.ask("balanceOf", BOB.address) == 0
    desk.execute(issue(desk, (ADA, 2**35 - 101)))
    desk.go_to_epoch(3)
    desk.execute(issue(desk, (ADA, 7)))
    held = [desk.network.points.ask("balanceOfAtEpoch", e, ADA.address) for e in (1, 2, 3)]
    assert held == [2**35 - 1, 0, 7]


def test_issue__on_credit__is_charged_up_to_the_limit_and_not_a_unit_more(desk: Desk) -> None:
    desk.anyone("depositGuarantee", 1_000)
    # 100 points were issued: 989,000 are left, 8,990 points and 100 units.
    desk.operate("setCreditLimit", BAKER, 9)
    charge = ("CreditLimitExceeded", (BAKER, 989_000, 8_991 * 110, 9))
    assert why(desk.execute, issue(desk, (ADA, 8_991))) == charge
    desk.operate("setCreditLimit", BAKER, 10)
    desk.execute(issue(desk, (ADA, 8_991)))
    assert desk.position(BAKER) == -10


def test_mint_batch__of_half_an_entry__is_malformed(desk: Desk) -> None:
    points = obeying(desk)
    for length in (1, 24, 26):
        malformed = why(points.send, CALLER, "mintBatch", bytes(length))
        assert malformed == ("EntriesMalformed", (length,))
    assert points.send(CALLER, "mintBatch", b"") == 0


# ---- members


def test_join_and_leave__twice__are_refused(desk: Desk) -> None:
    join = desk.make("Join", ADA, member=ADA.address, nonce=2)
    assert why(desk.execute, join) == ("AlreadyMember", (ADA.address,))
    leave = desk.make("Leave", EVE, member=EVE.address, nonce=1)
    assert why(desk.execute, leave) == ("NotMember", (EVE.address,))


def test_redeem__of_nothing_too_much_or_where_nobody_redeems__is_refused(desk: Desk) -> None:
    assert why(desk.execute, redeem(desk, 0, 2)) == ("ZeroPoints", ())
    too_much = ("ERC20InsufficientBalance", (ADA.address, 100, 101))
    assert why(desk.execute, redeem(desk, 101, 2)) == too_much
    assert why(desk.execute, redeem(desk, 1, 2, NOBODY)) == ("MerchantUnknown", (NOBODY,))
    desk.operate("setMerchantStatus", BAKER, LEAVING)
    assert why(desk.execute, redeem(desk, 1, 2)) == ("MerchantNotActive", (BAKER, LEAVING))
    desk.operate("setMerchantStatus", BAKER, SUSPENDED)
    desk.execute(redeem(desk, 100, 2))


def test_transfer_order__of_nothing_or_to_nobody__is_refused(desk: Desk) -> None:
    assert why(desk.execute, move(desk, BOB.address, 0, 2)) == ("ZeroPoints", ())
    assert why(desk.execute, move(desk, ZERO, 1, 2)) == ("ERC20InvalidReceiver", (ZERO,))
    assert why(desk.execute, move(desk, EVE.address, 1, 2)) == ("NotMember", (EVE.address,))
    too_much = ("ERC20InsufficientBalance", (ADA.address, 100, 101))
    assert why(desk.execute, move(desk, BOB.address, 101, 2)) == too_much
    desk.execute(move(desk, BOB.address, 100, 2))


def test_transfer_order__to_oneself__uses_its_nonce_and_moves_nothing(desk: Desk) -> None:
    order = move(desk, ADA.address, 100, 2)
    desk.execute(order)
    assert why(desk.execute, order) == ("NonceUsed", (ADA.address, 2))
    assert desk.network.points.ask("balanceOf", ADA.address) == 100


def test_transfer_order__under_the_closed_policy__is_closed() -> None:
    desk = Desk.open(Settings(policy=2))
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    assert why(desk.execute, move(desk, BOB.address, 1, 2)) == ("TransfersClosed", ())


def test_finish_recovery__never_begun_or_early__is_refused(desk: Desk) -> None:
    unknown = ("RecoveryUnknown", (ADA.address,))
    assert why(desk.anyone, "finishRecovery", ADA.address) == unknown
    names = {"member": ADA.address, "recovery": EVE.address}
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **names))
    assert why(desk.anyone, "finishRecovery", ADA.address) == unknown
    desk.execute(desk.make("Recover", EVE, nonce=1, **names))
    again = desk.make("Recover", EVE, nonce=1, **names)
    assert why(desk.execute, again) == ("NonceUsed", (EVE.address, 1))
    finishable = desk.now + 7 * 86_400
    desk.network.chain.at(finishable - 1)
    early = ("RecoveryTooEarly", (finishable,))
    assert why(desk.anyone, "finishRecovery", ADA.address) == early


def test_recovery__to_nobody_or_oneself__cannot_happen_in_the_ledger(desk: Desk) -> None:
    points = obeying(desk)
    to_nobody = why(points.send, CALLER, "recover", ADA.address, ZERO)
    assert to_nobody == ("ERC20InvalidReceiver", (ZERO,))
    word = points.ask("accountOf", ADA.address)
    points.send(CALLER, "recover", ADA.address, ADA.address)
    assert points.ask("accountOf", ADA.address) == word
    assert desk.network.chain.logs == []


def test_recovery__into_a_full_bucket__names_it(desk: Desk) -> None:
    points = obeying(desk)
    points.send(CALLER, "mintBatch", to_bytes(BOB.address, 20) + (2**35 - 1).to_bytes(5, "big"))
    full = ("BucketFull", (BOB.address, 1, 100))
    assert why(points.send, CALLER, "recover", ADA.address, BOB.address) == full


# ---- owners


def test_withdraw__of_nothing_to_nobody_or_too_much__is_refused(desk: Desk) -> None:
    assert why(desk.execute, owners(desk, "Withdraw", to=ZERO, amount=1)) == ("ZeroAddress", ())
    to = EVE.address
    assert why(desk.execute, owners(desk, "Withdraw", to=to, amount=0)) == ("ZeroAmount", ())
    position = desk.position(BAKER)
    over = ("CreditLimitExceeded", (BAKER, position, position + 1, 0))
    assert why(desk.execute, owners(desk, "Withdraw", to=to, amount=position + 1)) == over
    order = owners(desk, "Withdraw", to=to, amount=position)
    desk.execute(order)
    assert why(desk.execute, order)[0] == "MerchantNonceUsed"


def test_set_owner_or_key__to_nobody_or_anothers__is_refused(desk: Desk) -> None:
    assert why(desk.execute, owners(desk, "SetOwner", owner=ZERO)) == ("ZeroAddress", ())
    none = owners(desk, "SetTillKey", key=ZERO, active=True)
    assert why(desk.execute, none) == ("ZeroAddress", ())
    theirs = desk.merchants[FLORIST].tills[0].address
    taken = owners(desk, "SetTillKey", key=theirs, active=True)
    assert why(desk.execute, taken) == ("TillKeyTaken", (theirs, FLORIST))
    mine = desk.merchants[BAKER].tills[0].address
    desk.execute(owners(desk, "SetTillKey", key=mine, active=True))
    register = ("registerMerchant", 3, EVE.address, mine, REF)
    assert why(desk.operate, *register) == ("TillKeyTaken", (mine, BAKER))
    desk.execute(owners(desk, "SetTillKey", key=mine, active=False))
    # A key that its merchant gave up can be another's.
    desk.operate(*register)
    assert desk.network.coalition.ask("tillKeyMerchant", mine) == 3


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("SetTillKey", {"key": EVE.address, "active": True}),
        ("SetOwner", {"owner": EVE.address}),
        ("SetProfile", {"profileHash": REF}),
        ("Cancel", {}),
    ],
)
def test_owners_order__executed__uses_its_nonce_for_every_other(
    desk: Desk, kind: str, values: dict[str, Any]
) -> None:
    if kind == "Cancel":
        values = {"signer": desk.merchants[BAKER].owner.address}
    order = owners(desk, kind, **values)
    nonce = 2**63 + desk.merchants[BAKER].next_nonce
    desk.execute(order)
    assert desk.network.coalition.ask("isMerchantNonceUsed", BAKER, nonce) is True
    assert why(desk.execute, order) == ("MerchantNonceUsed", (BAKER, nonce))


def test_order__for_an_unknown_merchant__has_nobody_who_could_sign(desk: Desk) -> None:
    values = {"merchant": NOBODY, "nonce": 5}
    cancel = desk.make("Cancel", EVE, signer=EVE.address, **values)
    assert why(desk.execute, cancel) == ("NotTillKey", (NOBODY, EVE.address))
    profile = desk.make("SetProfile", EVE, profileHash=REF, **values)
    assert why(desk.execute, profile) == ("NotOwner", (NOBODY, EVE.address))
    issued = desk.make("IssueBatch", EVE, entries=[(ADA.address, 1)], **values)
    assert why(desk.execute, issued) == ("NotTillKey", (NOBODY, EVE.address))
    # Merchant 0 is no merchant, and no key is its till's.
    zero = desk.make("IssueBatch", EVE, merchant=0, nonce=5, entries=[(ADA.address, 1)])
    assert why(desk.execute, zero) == ("NotTillKey", (0, EVE.address))
