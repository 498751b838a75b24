"""Each check by itself: the error with its values, and what is allowed right beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from banyan_kit.revm import ADMIN, ZERO, Contract, Refused, Settings, deploy_network
from banyan_kit.wire import Key, to_bytes
from eth_hash.auto import keccak
from network_desk import ATTESTOR, TREASURY, Desk

ADA, BOB, EVE = (Key.from_seed(name) for name in ("ada", "bob", "eve"))
BAKER, FLORIST, NOBODY = 1, 2, 77
ACTIVE, SUSPENDED, LEAVING, CLOSED = 1, 2, 3, 4
REF = bytes(32)
COALITION_SLOT, PASSES_SLOT = 7, 3
# Obeyed by Points in the place of the Coalition, for calls that no order leads to.
CALLER = "0x" + "ca" * 20
Why = tuple[str, tuple[Any, ...]]


@pytest.fixture
def desk() -> Desk:
    """A baker and a florist with 1,000,000 each; Ada with 100 points and Bob are members."""
    desk = Desk.open()
    for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
        desk.register(number, name)
        desk.anyone("deposit", number, 1_000_000)
    for member in (ADA, BOB):
        desk.execute(desk.make("Join", member, member=member.address, nonce=1))
    desk.execute(issue(desk, (ADA, 100)))
    return desk


def why(act: Callable[..., Any], *arguments: Any) -> Why:
    """The error with which a call is refused, and its values."""
    with pytest.raises(Refused) as refused:
        act(*arguments)
    return refused.value.name, refused.value.values


def issue(desk: Desk, *entries: tuple[Key, int], merchant: int = BAKER) -> bytes:
    values = {"merchant": merchant, "nonce": desk.nonce(merchant)}
    values["entries"] = [(member.address, points) for member, points in entries]
    return desk.make("IssueBatch", desk.merchants[merchant].tills[0], **values)


def redeem(desk: Desk, points: int, nonce: int, merchant: int = BAKER) -> bytes:
    values = {"member": ADA.address, "merchant": merchant, "points": points, "nonce": nonce}
    return desk.make("Redeem", ADA, ref=REF, **values)


def move(desk: Desk, to: str, points: int, nonce: int) -> bytes:
    values = {"from": ADA.address, "to": to, "points": points, "nonce": nonce}
    return desk.make("Transfer", ADA, **values)


def give_back(desk: Desk, points: int, epoch: int = 1, nonce: int | None = None) -> bytes:
    values = {"member": ADA.address, "merchant": BAKER, "points": points, "epoch": epoch}
    values["nonce"] = desk.nonce(BAKER) if nonce is None else nonce
    return desk.make("Return", desk.merchants[BAKER].tills[0], member_key=ADA, ref=REF, **values)


def owners(desk: Desk, kind: str, **values: Any) -> bytes:
    """An order of the baker's owner."""
    values |= {"merchant": BAKER, "nonce": 2**63 + desk.nonce(BAKER)}
    return desk.make(kind, desk.merchants[BAKER].owner, **values)


def past(desk: Desk, points: int, nonce: int) -> dict[str, Any]:
    """Ada redeems at the baker: what a refund must know of it."""
    fields = {"member": ADA.address, "merchant": BAKER, "points": points, "nonce": nonce}
    fields |= {"deadline": desk.epoch_end(), "ref": REF}
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **fields))
    log = next(log for log in logs if log.name == "Redeemed")
    return desk.redemption(log, fields, []).fields


def refund(desk: Desk, points: int, redemption: dict[str, Any]) -> bytes:
    values = {"merchant": BAKER, "points": points, "nonce": desk.nonce(BAKER)}
    return desk.make("Refund", desk.merchants[BAKER].tills[0], redemption=redemption, **values)


def leaf_of(desk: Desk, redemption: dict[str, Any]) -> bytes:
    return desk.network.wire.leaf_of(redemption, BAKER)


def obeying(desk: Desk) -> Contract:
    """Points, which obeys CALLER."""
    points = desk.network.points
    desk.network.chain.evm.insert_account_storage(points.address, COALITION_SLOT, int(CALLER, 16))
    return points


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


# ---- refunds and returns


def test_refund__of_nothing_or_more_than_is_left__tells_what_is_left(desk: Desk) -> None:
    redemption = past(desk, 60, 2)
    leaf = leaf_of(desk, redemption)
    assert why(desk.execute, refund(desk, 0, redemption)) == ("ZeroAmount", ())
    over = ("RefundExceedsRedemption", (leaf, 60, 61))
    assert why(desk.execute, refund(desk, 61, redemption)) == over
    desk.execute(refund(desk, 20, redemption))
    over = ("RefundExceedsRedemption", (leaf, 40, 41))
    assert why(desk.execute, refund(desk, 41, redemption)) == over
    order = refund(desk, 40, redemption)
    desk.execute(order)
    unknown = redemption | {"points": 59}
    refused = why(desk.execute, refund(desk, 1, unknown))
    assert refused == ("RedemptionUnknown", (leaf_of(desk, unknown),))


def test_refund__that_the_merchant_cannot_pay__is_refused(desk: Desk) -> None:
    redemption = past(desk, 60, 2)
    position = desk.position(BAKER)
    owner = desk.merchants[BAKER].owner
    desk.execute(owners(desk, "Withdraw", to=owner.address, amount=position - 97))
    unpaid = ("CreditLimitExceeded", (BAKER, 97, 98, 0))
    assert why(desk.execute, refund(desk, 1, redemption)) == unpaid
    desk.anyone("depositGuarantee", 1)
    desk.operate("setCreditLimit", BAKER, 1)
    desk.execute(refund(desk, 1, redemption))
    assert desk.position(BAKER) == -1


def test_refund__over_lanes_of_several_epochs__gives_the_longest_lived_first(desk: Desk) -> None:
    """Taken: 100 of epoch 1, 0 of epoch 2, 100 of epoch 3, 50 of epoch 4."""
    for epoch in (3, 4):
        desk.go_to_epoch(epoch)
        desk.execute(issue(desk, (ADA, 100)))
    redemption = past(desk, 250, 2)
    points = desk.network.points
    held: list[list[int]] = []
    for amount in (20, 30, 40, 60, 50):
        desk.execute(refund(desk, amount, redemption))
        held.append([points.ask("balanceOfAtEpoch", e, ADA.address) for e in (1, 2, 3, 4)])
    assert held == [
        [0, 0, 0, 70],
        [0, 0, 0, 100],
        [0, 0, 40, 100],
        [0, 0, 100, 100],
        [50, 0, 100, 100],
    ]


def test_refund__that_reaches_expired_epochs__names_the_first_it_would_reach(desk: Desk) -> None:
    for epoch in (2, 3):
        desk.go_to_epoch(epoch)
        desk.execute(issue(desk, (ADA, 100)))
    redemption = past(desk, 300, 2)
    desk.go_to_epoch(8)
    assert why(desk.execute, refund(desk, 300, redemption)) == ("EpochExpired", (2,))
    assert why(desk.execute, refund(desk, 101, redemption)) == ("EpochExpired", (2,))
    desk.execute(refund(desk, 100, redemption))
    assert why(desk.execute, refund(desk, 1, redemption)) == ("EpochExpired", (2,))


def test_refund__in_the_ledger__of_nothing_or_of_what_expired_is_refused(desk: Desk) -> None:
    desk.go_to_epoch(9)
    points = obeying(desk)
    give = (points.send, CALLER, "refund", ADA.address)
    assert why(*give, 9 << 240) == ("ZeroPoints", ())
    # Of epochs 3 and 2 in a word of epoch 5: the oldest that is not empty.
    assert why(*give, 5 << 240 | 5 << 105 | 4 << 70) == ("EpochExpired", (2,))
    assert why(*give, 5 << 240 | 4 << 70 | 1) == ("EpochExpired", (3,))
    for points_given in (1, 2**35 - 1):
        assert why(*give, 3 << 240 | points_given) == ("EpochExpired", (3,))
    assert why(*give, 10 << 240 | 1) == ("AccountFromTheFuture", (10, 9))


def test_return__out_of_its_window_or_cap__tells_both(desk: Desk) -> None:
    assert why(desk.execute, give_back(desk, 1, epoch=2)) == ("ReturnWindowOver", (2, 1))
    over = ("ReturnExceedsIssued", (BAKER, 1, 10, 11))
    assert why(desk.execute, give_back(desk, 11)) == over
    desk.execute(give_back(desk, 4))
    desk.go_to_epoch(2)
    over = ("ReturnExceedsIssued", (BAKER, 1, 6, 7))
    assert why(desk.execute, give_back(desk, 7)) == over
    assert why(desk.execute, give_back(desk, 0)) == ("ZeroPoints", ())
    desk.go_to_epoch(3)
    assert why(desk.execute, give_back(desk, 1)) == ("ReturnWindowOver", (1, 3))


def test_return__of_points_that_are_spent__tells_what_is_left_in_the_bucket(desk: Desk) -> None:
    desk.execute(redeem(desk, 95, 2))
    refused = why(desk.execute, give_back(desk, 6))
    assert refused == ("BucketTooLow", (ADA.address, 1, 5, 6))
    desk.execute(give_back(desk, 5))
    assert desk.network.points.ask("supplyOfEpoch", 1) == (95, 0)


def test_return__in_the_ledger__of_an_expired_epoch_is_refused(desk: Desk) -> None:
    desk.go_to_epoch(7)
    points = obeying(desk)
    expired = ("EpochExpired", (1,))
    assert why(points.send, CALLER, "returnPoints", ADA.address, 1, 1) == expired


@pytest.mark.parametrize("kind", ["Refund", "Return"])
def test_order__of_a_till_twice__is_used(desk: Desk, kind: str) -> None:
    order = refund(desk, 1, past(desk, 60, 2)) if kind == "Refund" else give_back(desk, 1)
    nonce = desk.merchants[BAKER].next_nonce
    desk.execute(order)
    assert why(desk.execute, order) == ("MerchantNonceUsed", (BAKER, nonce))
    assert desk.network.coalition.ask("isMerchantNonceUsed", BAKER, nonce) is True


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


# ---- the operator


def test_register__number_zero_an_owner_zero_or_twice__is_refused(desk: Desk) -> None:
    register = (desk.operate, "registerMerchant")
    assert why(*register, 0, EVE.address, ZERO, REF) == ("MerchantUnknown", (0,))
    assert why(*register, 3, ZERO, ZERO, REF) == ("ZeroAddress", ())
    assert why(*register, BAKER, EVE.address, ZERO, REF) == ("MerchantExists", (BAKER,))


def test_status__none_or_closed_too_early__is_refused_and_closed_is_for_ever(desk: Desk) -> None:
    set_status = (desk.operate, "setMerchantStatus", BAKER)
    assert why(desk.operate, "setMerchantStatus", NOBODY, 2) == ("MerchantUnknown", (NOBODY,))
    assert why(*set_status, 0) == ("MerchantNotActive", (BAKER, ACTIVE))
    assert why(*set_status, CLOSED) == ("MerchantNotActive", (BAKER, ACTIVE))
    redemption = past(desk, 50, 2)
    desk.operate("setMerchantStatus", BAKER, SUSPENDED)
    desk.go_to_epoch(2)
    desk.operate("setMerchantStatus", BAKER, LEAVING)
    desk.go_to_epoch(4)
    # Saying it again does not begin anew.
    desk.operate("setMerchantStatus", BAKER, LEAVING)
    desk.go_to_epoch(7)
    assert why(*set_status, CLOSED) == ("MerchantNotActive", (BAKER, LEAVING))
    desk.go_to_epoch(8)
    desk.operate("setMerchantStatus", BAKER, CLOSED)
    closed = ("MerchantNotActive", (BAKER, CLOSED))
    for status in (ACTIVE, SUSPENDED, LEAVING, CLOSED):
        assert why(*set_status, status) == closed
    assert why(desk.execute, refund(desk, 1, redemption)) == closed
    assert why(desk.execute, give_back(desk, 1, epoch=8)) == closed
    assert why(desk.execute, redeem(desk, 1, 3)) == closed
    # What is the merchant's stays so.
    position = desk.position(BAKER)
    desk.execute(owners(desk, "Withdraw", to=EVE.address, amount=position))


def test_status__leaving_and_back__begins_to_leave_anew(desk: Desk) -> None:
    for epoch, status in ((1, LEAVING), (3, ACTIVE), (4, LEAVING)):
        desk.go_to_epoch(epoch)
        desk.operate("setMerchantStatus", BAKER, status)
    desk.go_to_epoch(9)
    early = why(desk.operate, "setMerchantStatus", BAKER, CLOSED)
    assert early == ("MerchantNotActive", (BAKER, LEAVING))
    desk.go_to_epoch(10)
    desk.operate("setMerchantStatus", BAKER, CLOSED)


def test_limits_and_guarantee__of_each_other__bound_each_other_to_the_unit(desk: Desk) -> None:
    limit, withdraw = ("setCreditLimit", BAKER), ("withdrawGuarantee", EVE.address)
    assert why(desk.anyone, "depositGuarantee", 0) == ("ZeroAmount", ())
    desk.anyone("depositGuarantee", 100)
    assert why(desk.operate, *limit, 101) == ("GuaranteeTooLow", (100, 101))
    desk.operate("setCreditLimit", FLORIST, 30)
    assert why(desk.operate, *limit, 71) == ("GuaranteeTooLow", (100, 101))
    desk.operate(*limit, 70)
    desk.operate(*limit, 60)
    assert desk.network.coalition.ask("sumOfLimits") == 90
    assert why(desk.operate, "withdrawGuarantee", ZERO, 1) == ("ZeroAddress", ())
    assert why(desk.operate, *withdraw, 11) == ("GuaranteeTooLow", (100, 90))
    assert why(desk.operate, *withdraw, 101) == ("GuaranteeTooLow", (100, 90))
    desk.operate(*withdraw, 10)
    assert why(desk.operate, "setCreditLimit", NOBODY, 0) == ("MerchantUnknown", (NOBODY,))


def test_income__more_than_may_be_taken_or_to_nobody__is_refused(desk: Desk) -> None:
    desk.go_to_epoch(2)
    too_low = ("IncomeTooLow", (0, 1))
    assert why(desk.operate, "withdrawIncome", EVE.address, 1) == too_low
    desk.execute(redeem(desk, 40, 2))
    desk.go_to_epoch(3)
    # The issue fees of epoch 1: goods of that epoch can no longer come back.
    assert desk.network.coalition.ask("income") == (1_000 + 80, 1_000)
    assert why(desk.operate, "withdrawIncome", ZERO, 1) == ("ZeroAddress", ())
    too_low = ("IncomeTooLow", (1_000, 1_001))
    assert why(desk.operate, "withdrawIncome", EVE.address, 1_001) == too_low
    desk.operate("withdrawIncome", EVE.address, 600)
    desk.operate("withdrawIncome", EVE.address, 400)
    assert desk.network.coalition.ask("income") == (80, 0)


def test_terms__unsound_too_late_or_too_far__tell_which_epochs_may_be_named(desk: Desk) -> None:
    assert why(desk.operate, "setTerms", 2, (1, 101, 0)) == ("TermsUnsound", (1, 101, 0))
    assert why(desk.operate, "setTerms", 1, (1, 1, 1)) == ("TermsTooLate", (1, 2))
    assert why(desk.operate, "setTerms", 11, (1, 1, 1)) == ("TermsTooFar", (11, 10))
    desk.operate("setTerms", 3, (1, 1, 1))
    assert why(desk.operate, "setTerms", 3, (1, 1, 1)) == ("TermsTooLate", (3, 4))
    # Thirty days before epoch 4 to the second, and one second less.
    start = int(desk.network.points.ask("epochStart", 4))
    desk.network.chain.at(start - 30 * 86_400 + 1)
    assert why(desk.operate, "setTerms", 4, (1, 1, 1)) == ("TermsTooLate", (4, 5))
    desk.network.chain.at(start - 30 * 86_400)
    desk.operate("setTerms", 4, (2, 2, 2))
    desk.operate("setTerms", 12, (3, 3, 3))
    terms = {epoch: desk.network.coalition.ask("termsOf", epoch) for epoch in range(14)}
    first, third = (10, 2, 5_000), (1, 1, 1)
    assert [terms[epoch] for epoch in range(5)] == [first, first, first, third, (2, 2, 2)]
    assert (terms[11], terms[12], terms[13]) == ((2, 2, 2), (3, 3, 3), (3, 3, 3))
    changes = [desk.network.coalition.ask("termsChangeAt", i)[0] for i in range(4)]
    assert changes == [1, 3, 4, 12]


def test_notice__with_epochs_shorter_than_it__reaches_over_several() -> None:
    """Epochs of seven days: thirty days from now lie in the fifth from the present one."""
    desk = Desk(deploy_network(Settings(epoch_length=7 * 86_400)))
    assert why(desk.operate, "setTerms", 5, (1, 1, 1)) == ("TermsTooLate", (5, 6))
    desk.network.chain.at(desk.now + 5 * 86_400)
    assert why(desk.operate, "setTerms", 5, (1, 1, 1)) == ("TermsTooLate", (5, 6))
    desk.network.chain.at(desk.now + 1)
    assert why(desk.operate, "setTerms", 6, (1, 1, 1)) == ("TermsTooLate", (6, 7))
    assert why(desk.operate, "setTerms", 16, (1, 1, 1)) == ("TermsTooFar", (16, 15))
    desk.operate("setTerms", 15, (1, 1, 1))


# ---- the end of an epoch


def test_close_and_claim__too_early_or_twice__are_refused(desk: Desk) -> None:
    coalition = desk.network.coalition
    desk.network.chain.at(desk.network.points.ask("epochEnd", 6))
    for epoch in (0, 1, 7):
        assert why(desk.anyone, "closeEpoch", epoch) == ("EpochNotExpired", (epoch,))
    assert coalition.ask("breakage") == 0
    desk.go_to_epoch(7)
    assert coalition.ask("breakage") == 10_000
    claim = ("claimBreakage", 1, BAKER)
    assert why(desk.anyone, *claim) == ("EpochNotClosed", (1,))
    for epoch in (0, 2):
        assert why(desk.anyone, "closeEpoch", epoch) == ("EpochNotExpired", (epoch,))
    desk.anyone("closeEpoch", 1)
    assert why(desk.anyone, "closeEpoch", 1) == ("EpochAlreadyClosed", (1,))
    assert why(desk.anyone, "claimBreakage", 1, NOBODY) == ("MerchantUnknown", (NOBODY,))
    desk.anyone(*claim)
    assert why(desk.anyone, *claim) == ("AlreadyClaimed", (1, BAKER))
    # One that issued nothing has its share of nothing, once.
    desk.anyone("claimBreakage", 1, FLORIST)
    assert why(desk.anyone, "claimBreakage", 1, FLORIST) == ("AlreadyClaimed", (1, FLORIST))
    assert (coalition.ask("breakage"), desk.position(FLORIST)) == (0, 1_000_000)


def test_close__in_any_order__counts_each_epoch_once(desk: Desk) -> None:
    coalition = desk.network.coalition
    for epoch in (2, 3):
        desk.go_to_epoch(epoch)
        desk.execute(issue(desk, (BOB, 10 * epoch)))
    desk.go_to_epoch(9)
    whole = coalition.ask("breakage")
    assert whole == (100 + 20 + 30) * 100
    earned = coalition.ask("income")[0]
    assert earned == (100 + 20 + 30) * 10
    for epoch, open_first in ((2, 1), (3, 1), (1, 4)):
        desk.anyone("closeEpoch", epoch)
        assert coalition.ask("ledger")[5] == open_first
        # What was not claimed is breakage still, the operator's part is income.
        assert coalition.ask("breakage") + coalition.ask("income")[0] == whole + earned
    assert coalition.ask("income")[0] == coalition.ask("income")[1]


def test_claim__of_an_epoch_in_which_nothing_was_issued__is_nothing(desk: Desk) -> None:
    desk.go_to_epoch(8)
    desk.anyone("closeEpoch", 2)
    (log,) = desk.anyone("claimBreakage", 2, BAKER)
    assert (log.name, log.values["amount"]) == ("BreakageClaimed", 0)


# ---- figures at the end of their width


def test_deposit__more_than_a_position_holds__is_refused() -> None:
    """An asset of 2^128 units: none has so many, but it is not ours."""
    desk = Desk.open(Settings(daily_limit=2**200))
    for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
        desk.register(number, name)
    asset = desk.network.asset
    desk.send(asset, ADMIN, "proposeMint", b"\2" * 32, TREASURY, 2**129)
    desk.send(asset, ATTESTOR, "confirmMint", b"\2" * 32)
    assert why(desk.anyone, "deposit", BAKER, 0) == ("ZeroAmount", ())
    assert why(desk.anyone, "deposit", NOBODY, 1) == ("MerchantUnknown", (NOBODY,))
    arrived = ("PositionOutOfRange", (2**128 - 1,))
    assert why(desk.anyone, "deposit", BAKER, 2**127) == arrived
    desk.anyone("deposit", BAKER, 2**127 - 1)
    assert desk.position(BAKER) == 2**127 - 1
    assert why(desk.anyone, "deposit", BAKER, 1) == ("PositionOutOfRange", (2**127,))
    desk.anyone("deposit", FLORIST, 5)
    assert (desk.position(BAKER), desk.position(FLORIST)) == (2**127 - 1, 5)
    desk.anyone("depositGuarantee", 2**96 + 5)
    limit = ("setCreditLimit", BAKER)
    assert why(desk.operate, *limit, 2**96) == ("LimitOutOfRange", (2**96,))
    desk.operate(*limit, 2**96 - 1)
    assert desk.network.coalition.ask("merchantOf", BAKER)[1:4] == (ACTIVE, 2**127 - 1, 2**96 - 1)


def test_epoch_zero__of_the_clock__has_expired_with_epoch_six(desk: Desk) -> None:
    points = desk.network.points
    assert [points.ask("isEpochExpired", epoch) for epoch in (0, 1)] == [False, False]
    desk.go_to_epoch(5)
    assert points.ask("isEpochExpired", 0) is False
    desk.go_to_epoch(6)
    assert [points.ask("isEpochExpired", epoch) for epoch in (0, 1)] == [True, False]


# ---- succession in Points


def test_successor__nobody_a_stranger_or_too_early__is_refused(desk: Desk) -> None:
    points, heir = desk.network.points, EVE.address
    assert why(points.send, heir, "acceptCoalition") == ("NoSuccessor", ())
    assert why(points.send, ADMIN, "vetoCoalition") == ("NoSuccessor", ())
    assert why(points.send, ADMIN, "proposeCoalition", ZERO) == ("NoSuccessor", ())
    points.send(ADMIN, "proposeCoalition", heir)
    at = desk.now + 30 * 86_400
    stranger = ("NotSuccessor", (BOB.address, heir))
    assert why(points.send, BOB.address, "acceptCoalition") == stranger
    desk.network.chain.at(at - 1)
    assert why(points.send, heir, "acceptCoalition") == ("SuccessionTooEarly", (at,))
    desk.network.chain.at(at)
    points.send(heir, "acceptCoalition")
    assert why(points.send, heir, "acceptCoalition") == ("NoSuccessor", ())


# ---- passes


def token(member: Key, programme: int = 0) -> int:
    return programme << 160 | int(member.address, 16)


def test_pass__that_is_not_there__has_no_owner_lock_approval_tier_or_card(desk: Desk) -> None:
    membership, none = desk.network.membership, token(EVE)
    missing = ("ERC721NonexistentToken", (none,))
    for read in ("ownerOf", "getApproved", "locked", "passOf", "tokenURI"):
        assert why(membership.ask, read, none) == missing
    assert why(membership.send, ADMIN, "setTier", none, 1) == missing
    nobody = ("ERC721InvalidOwner", (ZERO,))
    assert why(membership.ask, "balanceOf", ZERO) == nobody
    assert membership.ask("getApproved", token(ADA)) == ZERO
    assert membership.ask("isApprovedForAll", ADA.address, EVE.address) is False
    assert membership.ask("ownerOf", token(ADA)) == ADA.address


def test_enroll__twice_too_high_or_by_anothers_till__is_refused(desk: Desk) -> None:
    membership, till = desk.network.membership, desk.merchants[BAKER].tills[0].address
    enroll = (membership.send, till, "enroll")
    membership.send(till, "enroll", BAKER, ADA.address, 1)
    mine = token(ADA, BAKER)
    assert why(*enroll, BAKER, ADA.address, 1) == ("PassExists", (mine,))
    assert why(*enroll, FLORIST, ADA.address, 1) == ("NotIssuer", (FLORIST, till))
    high = ("TierTooHigh", (65_536,))
    assert why(membership.send, till, "setTier", mine, 65_536) == high
    assert why(*enroll, BAKER, BOB.address, 65_536) == high
    theirs = desk.merchants[FLORIST].tills[0].address
    assert why(membership.send, theirs, "setTier", mine, 1) == ("NotIssuer", (BAKER, theirs))


def test_programme__whose_number_ends_like_a_merchants__is_nobodys(desk: Desk) -> None:
    owner = desk.merchants[BAKER].owner.address
    programme = 2**32 + BAKER
    enroll = (desk.network.membership.send, owner, "enroll", programme, ADA.address, 1)
    assert why(*enroll) == ("NotIssuer", (programme, owner))
    last = (desk.network.membership.send, owner, "enroll", 2**32 - 1, ADA.address, 1)
    assert why(*last) == ("NotIssuer", (2**32 - 1, owner))
    desk.operate("registerMerchant", 2**32 - 1, owner, ZERO, REF)
    desk.network.membership.send(owner, *last[2:])


def test_follow_recovery__of_the_coalitions_pass_or_of_none__is_refused(desk: Desk) -> None:
    follow = (desk.network.membership.send, EVE.address, "followRecovery")
    assert why(*follow, 0, ADA.address) == ("ERC721NonexistentToken", (token(ADA),))
    assert why(*follow, BAKER, ADA.address) == ("ERC721NonexistentToken", (token(ADA, BAKER),))


def test_pass__for_nobody_or_one_too_many__is_not_minted(desk: Desk) -> None:
    obeying(desk)
    membership = desk.network.membership
    to_nobody = ("ERC721InvalidReceiver", (ZERO,))
    assert why(membership.send, CALLER, "mint", ZERO) == to_nobody
    assert why(membership.send, CALLER, "recover", ADA.address, ZERO) == to_nobody
    twice = ("PassExists", (token(ADA),))
    assert why(membership.send, CALLER, "mint", ADA.address) == twice
    slot = keccak(token(EVE).to_bytes(32, "big") + PASSES_SLOT.to_bytes(32, "big"))
    place = int.from_bytes(slot, "big")
    evm = desk.network.chain.evm
    # So many passes of programmes, from before Eve was a member.
    evm.insert_account_storage(membership.address, place, 65_535)
    too_many = ("ERC721InvalidReceiver", (EVE.address,))
    assert why(membership.send, CALLER, "mint", EVE.address) == too_many
    evm.insert_account_storage(membership.address, place, 65_534)
    membership.send(CALLER, "mint", EVE.address)
    assert membership.ask("balanceOf", EVE.address) == 65_535
    assert membership.ask("passOf", token(EVE)) == (EVE.address, 0, desk.now)
