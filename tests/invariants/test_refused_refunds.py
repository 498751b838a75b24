"""Each check of a refund or a return: the error with its values, and what is allowed beside it."""

from __future__ import annotations

import pytest
from network_desk import Desk
from network_refusals import (
    ADA,
    BAKER,
    CALLER,
    give_back,
    issue,
    leaf_of,
    obeying,
    owners,
    past,
    redeem,
    refund,
    why,
)


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


def test_refund__over_an_epoch_of_which_nothing_was_taken__does_not_name_it(desk: Desk) -> None:
    desk.go_to_epoch(3)
    desk.execute(issue(desk, (ADA, 100)))
    redemption = past(desk, 200, 2)
    desk.go_to_epoch(8)
    assert why(desk.execute, refund(desk, 200, redemption)) == ("EpochExpired", (1,))


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
