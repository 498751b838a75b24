"""Issuing: a till's batch mints to members and charges the merchant."""

from __future__ import annotations

import pytest
from banyan_kit.wire import Key
from coalition_town import BAKER, FLORIST, ZERO, Town, log_of, names_of, refused, rejections


def test_issue__signed_by_a_stranger__is_refused(town: Town, ada: Key, mallory: Key) -> None:
    order = town.issue_order(BAKER, [(ada.address, 5)], key=mallory)
    with refused("NotTillKey", BAKER, mallory.address):
        town.execute(order)


def test_issue__signed_by_the_owner__is_refused(town: Town, ada: Key) -> None:
    owner = town.shops[BAKER].owner
    with refused("NotTillKey", BAKER, owner.address):
        town.execute(town.issue_order(BAKER, [(ada.address, 5)], key=owner))


def test_issue__by_another_merchants_till__is_refused(town: Town, ada: Key) -> None:
    till = town.shops[FLORIST].till
    with refused("NotTillKey", BAKER, till.address):
        town.execute(town.issue_order(BAKER, [(ada.address, 5)], key=till))


def test_issue__of_zero_points__is_refused(town: Town, ada: Key) -> None:
    with refused("ZeroPoints"):
        town.execute(town.issue_order(BAKER, [(ada.address, 0)]))


def test_issue__of_nothing__is_refused(town: Town) -> None:
    with refused("ZeroAmount"):
        town.execute(town.issue_order(BAKER, []))


def test_issue__to_nobody__is_refused(town: Town) -> None:
    with refused("ERC20InvalidReceiver", ZERO):
        town.execute(town.issue_order(BAKER, [(ZERO, 1)]))


def test_issue__to_one_who_is_no_member__is_refused(town: Town, mallory: Key) -> None:
    with refused("NotMember", mallory.address):
        town.execute(town.issue_order(BAKER, [(mallory.address, 1)]))


def test_issue__one_bad_entry__nothing_of_the_batch(town: Town, ada: Key, mallory: Key) -> None:
    with refused("NotMember"):
        town.execute(town.issue_order(BAKER, [(ada.address, 1), (mallory.address, 1)]))
    assert town.balance(ada) == 0


def test_issue__one_point_over_the_deposit__is_refused(town: Town, ada: Key) -> None:
    with refused("CreditLimitExceeded", BAKER, 1_000_000, 9_091 * 110, 0):
        town.execute(town.issue_order(BAKER, [(ada.address, 9_091)]))


def test_issue__a_nonce_again__is_refused(town: Town, ada: Key) -> None:
    town.execute(town.issue_order(BAKER, [(ada.address, 1)], nonce=9))
    with refused("MerchantNonceUsed", BAKER, 9):
        town.execute(town.issue_order(BAKER, [(ada.address, 2)], nonce=9))


def test_issue__after_its_deadline__is_refused(town: Town, ada: Key) -> None:
    deadline = town.now + 60
    order = town.issue_order(BAKER, [(ada.address, 1)], deadline=deadline)
    town.go(deadline + 1)
    with refused("OrderExpired", deadline):
        town.execute(order)


def test_issue__in_its_last_second__takes_effect(town: Town, ada: Key) -> None:
    deadline = town.now + 60
    order = town.issue_order(BAKER, [(ada.address, 1)], deadline=deadline)
    town.go(deadline)
    town.execute(order)
    assert town.balance(ada) == 1


def test_issue__deadline_beyond_the_epoch__is_refused(town: Town, ada: Key) -> None:
    end = town.epoch_end()
    with refused("DeadlineBeyondEpoch", end + 1, end):
        town.execute(town.issue_order(BAKER, [(ada.address, 1)], deadline=end + 1))


def test_issue__while_paused__is_refused_and_redeeming_goes_on(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.coalition.pauseIssuing(True, sender=town.operator)
    with refused("IssuingIsPaused"):
        town.execute(town.issue_order(BAKER, [(ada.address, 1)]))
    town.redeem(ada, FLORIST, 10)
    assert town.balance(ada) == 0


@pytest.mark.parametrize("status", [2, 3])
def test_issue__by_a_merchant_not_active__is_refused(town: Town, ada: Key, status: int) -> None:
    town.coalition.setMerchantStatus(BAKER, status, sender=town.operator)
    with refused("MerchantNotActive", BAKER, status):
        town.execute(town.issue_order(BAKER, [(ada.address, 1)]))


def test_issue__over_six_hundred_entries__is_refused(town: Town, ada: Key) -> None:
    order = town.issue_order(BAKER, [(ada.address, 1)] * 601)
    with refused("TooManyEntries", 601):
        town.execute(order)


def test_issue__of_all_that_is_paid_for__mints_and_charges(town: Town, ada: Key, bob: Key) -> None:
    receipt = town.execute(town.issue_order(BAKER, [(ada.address, 9_000), (bob.address, 90)]))
    issued = log_of(receipt, "Issued")
    assert (issued["points"], issued["charged"], issued["epoch"]) == (9_090, 999_900, 1)
    assert (town.balance(ada), town.balance(bob), town.position(BAKER)) == (9_000, 90, 100)


def test_issue__one_member_twice_in_a_batch__gets_both(town: Town, ada: Key) -> None:
    receipt = town.execute(town.issue_order(BAKER, [(ada.address, 2), (ada.address, 3)]))
    assert names_of(receipt).count("Transfer") == 2
    assert town.balance(ada) == 5


def test_issue__on_credit__goes_to_the_limit_and_not_beyond(town: Town, ada: Key) -> None:
    town.coalition.depositGuarantee(220, sender=town.relayer)
    town.coalition.setCreditLimit(BAKER, 220, sender=town.operator)
    town.execute(town.issue_order(BAKER, [(ada.address, 9_092)]))
    assert town.position(BAKER) == 1_000_000 - 9_092 * 110 == -120
    with refused("CreditLimitExceeded"):
        town.execute(town.issue_order(BAKER, [(ada.address, 1)]))


def test_issue__nonces_out_of_order__each_once(town: Town, ada: Key) -> None:
    for nonce in (300, 2, 299, 1):
        town.execute(town.issue_order(BAKER, [(ada.address, 1)], nonce=nonce))
    assert town.balance(ada) == 4


def test_issue__a_bad_order_between_good_ones__alone_is_rejected(
    town: Town, ada: Key, mallory: Key
) -> None:
    receipt = town.relay(
        town.issue_order(BAKER, [(ada.address, 1)]),
        town.issue_order(BAKER, [(mallory.address, 1)]),
        town.issue_order(FLORIST, [(ada.address, 2)]),
    )
    assert rejections(receipt) == ["NotMember"]
    assert town.balance(ada) == 3
