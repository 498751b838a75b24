"""Redeeming: the member's order burns the soonest to expire first and pays the merchant."""

from __future__ import annotations

import pytest
from banyan_kit.wire import Key, merkle_proof
from coalition_town import BAKER, FLORIST, Town, log_of, names_of, refused, rejections


def test_redeem__signed_by_a_thief__is_refused(town: Town, ada: Key, mallory: Key) -> None:
    town.issue(BAKER, ada, 10)
    order = town.make("Redeem", mallory, **town.redeem_values(ada, BAKER, 10))
    with refused("SignatureInvalid", ada.address):
        town.execute(order)


def test_redeem__signed_by_the_merchants_till__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    till = town.shops[BAKER].till
    with refused("SignatureInvalid"):
        town.execute(town.make("Redeem", till, **town.redeem_values(ada, BAKER, 10)))


def test_redeem__more_than_there_is__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    with refused("ERC20InsufficientBalance", ada.address, 10, 11):
        town.redeem(ada, BAKER, 11)


def test_redeem__nothing__is_refused(town: Town, ada: Key) -> None:
    with refused("ZeroPoints"):
        town.redeem(ada, BAKER, 0)


def test_redeem__at_nobody__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    with refused("MerchantUnknown", 77):
        town.redeem(ada, 77, 10)


def test_redeem__a_nonce_again__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    values = town.redeem_values(ada, BAKER, 4)
    town.execute(town.make("Redeem", ada, **values))
    with refused("NonceUsed", ada.address, values["nonce"]):
        town.execute(town.make("Redeem", ada, **values | {"points": 5}))


def test_redeem__a_nonce_seven_ahead__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    order = town.make("Redeem", ada, **town.redeem_values(ada, BAKER, 4, nonce=8))
    with refused("NonceTooHigh", ada.address, 8, 1):
        town.execute(order)


def test_redeem__nonces_six_ahead_and_back__all_take_effect(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    for nonce in (7, 2, 6, 3, 5, 4):
        town.execute(town.make("Redeem", ada, **town.redeem_values(ada, BAKER, 1, nonce=nonce)))
    assert town.balance(ada) == 4


@pytest.mark.parametrize("status", [3, 4])
def test_redeem__at_a_merchant_that_leaves__is_refused(town: Town, ada: Key, status: int) -> None:
    town.issue(BAKER, ada, 10)
    town.coalition.setMerchantStatus(FLORIST, 3, sender=town.operator)
    if status == 4:
        town.go(town.epoch_start(7))
        town.coalition.setMerchantStatus(FLORIST, 4, sender=town.operator)
        town.issue(BAKER, ada, 10)
    with refused("MerchantNotActive", FLORIST, status):
        town.redeem(ada, FLORIST, 10)


def test_redeem__of_a_merchant_that_left__is_honoured_elsewhere(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.coalition.setMerchantStatus(BAKER, 3, sender=town.operator)
    town.redeem(ada, FLORIST, 10)
    assert town.position(FLORIST) == 1_000_000 + 980


def test_redeem__at_a_suspended_merchant__takes_effect(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.coalition.setMerchantStatus(FLORIST, 2, sender=town.operator)
    town.redeem(ada, FLORIST, 10)
    assert town.balance(ada) == 0


def test_redeem__points_of_two_epochs__takes_the_older_first(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.go(town.epoch_start(2))
    town.issue(BAKER, ada, 10)
    values = town.redeem_values(ada, FLORIST, 12)
    redeemed = log_of(town.execute(town.make("Redeem", ada, **values)), "Redeemed")
    assert redeemed["buckets"] == (2 << 240) | 2 | (10 << 35)
    assert redeemed["paid"] == 12 * 98


def test_redeem__in_the_last_second_of_the_fifth_epoch_after__takes_effect(
    town: Town, ada: Key
) -> None:
    town.issue(BAKER, ada, 10)
    order = town.make(
        "Redeem", ada, **town.redeem_values(ada, BAKER, 10, deadline=town.epoch_start(7) - 1)
    )
    town.go(town.epoch_start(7) - 1)
    town.execute(order)
    assert town.position(BAKER) == 1_000_000 - 1_100 + 980


def test_redeem__in_the_first_second_of_the_sixth_epoch_after__finds_nothing(
    town: Town, ada: Key
) -> None:
    town.issue(BAKER, ada, 10)
    town.go(town.epoch_start(7))
    with refused("ERC20InsufficientBalance", ada.address, 0, 10):
        town.redeem(ada, BAKER, 10)
    assert town.points.totalSupply() == 0


def test_redeem__signed_before_the_epoch_rolled_over__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    order = town.make("Redeem", ada, **town.redeem_values(ada, BAKER, 10))
    town.go(town.epoch_start(2))
    assert names_of(town.relay(order)) == []
    with refused("OrderExpired"):
        town.execute(order)


def test_redeem__three_in_one_relay__are_rooted_and_each_refundable(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 30)
    wishes = [town.redeem_values(ada, BAKER, points) for points in (3, 4, 5)]
    receipt = town.relay(*[town.make("Redeem", ada, **values) for values in wishes])
    assert log_of(receipt, "RedemptionsRooted")["count"] == 3
    names = ("member", "points", "nonce", "deadline", "ref")
    redemptions = [
        {name: values[name] for name in names} | {"buckets": (1 << 240) | values["points"]}
        for values in wishes
    ]
    leaves = [town.leaf(redemption, BAKER) for redemption in redemptions]
    for index, redemption in enumerate(redemptions):
        redemption["proof"] = merkle_proof(leaves, index)
        town.execute(town.refund_order(BAKER, redemption, redemption["points"]))
    assert town.balance(ada) == 30


def test_redeem__more_than_is_left_in_one_relay__the_second_is_rejected(
    town: Town, ada: Key
) -> None:
    town.issue(BAKER, ada, 10)
    wishes = [town.redeem_values(ada, shop, 6) for shop in (BAKER, FLORIST)]
    receipt = town.relay(*[town.make("Redeem", ada, **values) for values in wishes])
    assert rejections(receipt) == ["ERC20InsufficientBalance"]
    assert town.balance(ada) == 4
