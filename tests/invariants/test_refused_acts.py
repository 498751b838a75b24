"""Each check of an act that is no order: its error with values, and what is allowed beside it."""

from __future__ import annotations

from banyan_kit.revm import ADMIN, ZERO, Settings, deploy_network
from network_desk import ATTESTOR, TREASURY, Desk
from network_refusals import (
    ACTIVE,
    BAKER,
    BOB,
    CLOSED,
    EVE,
    FLORIST,
    LEAVING,
    NOBODY,
    REF,
    SUSPENDED,
    give_back,
    issue,
    owners,
    past,
    redeem,
    refund,
    why,
)

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
    for merchant in (BAKER, FLORIST):
        desk.operate("setCreditLimit", merchant, 0)
    desk.operate(*withdraw, 90)
    assert desk.network.coalition.ask("guarantee") == 0
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
    desk.operate("setTerms", 12, (3, 3, 0))
    terms = {epoch: desk.network.coalition.ask("termsOf", epoch) for epoch in range(14)}
    first, third = (10, 2, 5_000), (1, 1, 1)
    assert [terms[epoch] for epoch in range(5)] == [first, first, first, third, (2, 2, 2)]
    assert (terms[11], terms[12], terms[13]) == ((2, 2, 2), (3, 3, 0), (3, 3, 0))
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
