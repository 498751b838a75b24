"""Goods come back: member and till both sign, and the issue is reversed as far as it is there."""

from __future__ import annotations

import pytest
from banyan_kit.wire import Key
from coalition_town import BAKER, FLORIST, Town, log_of, refused


@pytest.fixture
def bought(town: Town, ada: Key) -> Town:
    """Ada bought for 1,000 points at the baker: 100 of them may come back."""
    town.issue(BAKER, ada, 1_000)
    return town


def test_return__without_the_members_signature__is_refused(
    bought: Town, ada: Key, mallory: Key
) -> None:
    order = bought.return_order(ada, BAKER, 10, 1, member_key=mallory)
    with refused("SignatureInvalid", ada.address):
        bought.execute(order)


def test_return__without_the_tills_signature__is_refused(bought: Town, ada: Key) -> None:
    with refused("NotTillKey", BAKER, ada.address):
        bought.execute(bought.return_order(ada, BAKER, 10, 1, key=ada))


def test_return__over_the_cap__is_refused(bought: Town, ada: Key) -> None:
    bought.execute(bought.return_order(ada, BAKER, 60, 1))
    with refused("ReturnExceedsIssued", BAKER, 1, 40, 41):
        bought.execute(bought.return_order(ada, BAKER, 41, 1))


def test_return__to_a_merchant_that_issued_nothing__is_refused(bought: Town, ada: Key) -> None:
    with refused("ReturnExceedsIssued", FLORIST, 1, 0, 1):
        bought.execute(bought.return_order(ada, FLORIST, 1, 1))


def test_return__of_points_that_were_spent__is_a_shortfall(bought: Town, ada: Key) -> None:
    bought.redeem(ada, FLORIST, 995)
    with refused("BucketTooLow", ada.address, 1, 5, 10):
        bought.execute(bought.return_order(ada, BAKER, 10, 1))
    bought.execute(bought.return_order(ada, BAKER, 5, 1))


def test_return__of_nothing__is_refused(bought: Town, ada: Key) -> None:
    with refused("ZeroPoints"):
        bought.execute(bought.return_order(ada, BAKER, 0, 1))


def test_return__of_an_epoch_to_come__is_refused(bought: Town, ada: Key) -> None:
    with refused("ReturnWindowOver", 2, 1):
        bought.execute(bought.return_order(ada, BAKER, 1, 2))


def test_return__in_the_last_second_of_the_window__takes_effect(bought: Town, ada: Key) -> None:
    end = bought.epoch_start(3) - 1
    order = bought.return_order(ada, BAKER, 10, 1, deadline=end)
    bought.go(end)
    bought.execute(order)
    assert bought.balance(ada) == 990


def test_return__in_the_first_second_after_the_window__is_refused(bought: Town, ada: Key) -> None:
    bought.go(bought.epoch_start(3))
    with refused("ReturnWindowOver", 1, 3):
        bought.execute(bought.return_order(ada, BAKER, 10, 1))


def test_return__of_the_purchase__nets_to_zero_points_and_money(bought: Town, ada: Key) -> None:
    before = bought.position(BAKER)
    bought.issue(BAKER, ada, 50)
    returned = log_of(bought.execute(bought.return_order(ada, BAKER, 50, 1)), "Returned")
    assert returned["credited"] == 50 * 110
    assert (bought.balance(ada), bought.position(BAKER)) == (1_000, before)
    assert bought.coalition.issuedBy(1, BAKER) == (1_050, 50)


def test_return__when_the_fee_has_changed__credits_what_issuing_cost(
    bought: Town, ada: Key
) -> None:
    bought.coalition.setTerms(2, (50, 2, 5_000), sender=bought.operator)
    bought.go(bought.epoch_start(2))
    returned = log_of(bought.execute(bought.return_order(ada, BAKER, 50, 1)), "Returned")
    assert returned["credited"] == 50 * 110
