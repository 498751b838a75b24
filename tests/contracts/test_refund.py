"""Refunding: a till gives points back out of a redemption, into the epochs they came from."""

from __future__ import annotations

from banyan_kit.wire import Key
from coalition_town import BAKER, FLORIST, Town, log_of, names_of, refused


def test_refund__signed_by_the_member__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    with refused("NotTillKey", FLORIST, ada.address):
        town.execute(town.refund_order(FLORIST, redemption, 10, key=ada))


def test_refund__by_another_merchant__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    with refused("RedemptionUnknown"):
        town.execute(town.refund_order(BAKER, redemption, 10))


def test_refund__of_a_redemption_that_never_was__is_refused(town: Town, ada: Key) -> None:
    values = town.redeem_values(ada, FLORIST, 10)
    invented = {name: values[name] for name in ("member", "points", "nonce", "deadline", "ref")}
    with refused("RedemptionUnknown"):
        town.execute(
            town.refund_order(FLORIST, invented | {"buckets": (1 << 240) | 10, "proof": []}, 10)
        )


def test_refund__with_other_buckets__is_refused(town: Town, ada: Key) -> None:
    """Whoever signs cannot choose a longer life for the points."""
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    town.go(town.epoch_start(2))
    with refused("RedemptionUnknown"):
        town.execute(town.refund_order(FLORIST, redemption | {"buckets": (2 << 240) | 10}, 10))


def test_refund__more_than_was_redeemed__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 20)
    redemption = town.redeem(ada, FLORIST, 10)
    leaf = "0x" + town.leaf(redemption, FLORIST).hex()
    with refused("RefundExceedsRedemption", leaf, 10, 11):
        town.execute(town.refund_order(FLORIST, redemption, 11))


def test_refund__twice_in_full__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 20)
    redemption = town.redeem(ada, FLORIST, 10)
    town.execute(town.refund_order(FLORIST, redemption, 10))
    with refused("RefundExceedsRedemption"):
        town.execute(town.refund_order(FLORIST, redemption, 1))
    assert town.balance(ada) == 20


def test_refund__of_nothing__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 20)
    with refused("ZeroAmount"):
        town.execute(town.refund_order(FLORIST, town.redeem(ada, FLORIST, 10), 0))


def test_refund__without_money__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 20)
    redemption = town.redeem(ada, FLORIST, 10)
    town.execute(town.withdraw_order(FLORIST, town.position(FLORIST)))
    with refused("CreditLimitExceeded", FLORIST, 0, 980, 0):
        town.execute(town.refund_order(FLORIST, redemption, 10))


def test_refund__into_an_expired_epoch__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    town.go(town.epoch_start(7))
    with refused("EpochExpired", 1):
        town.execute(town.refund_order(FLORIST, redemption, 10))


def test_refund__in_the_last_second_of_the_epochs_life__takes_effect(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    end = town.epoch_start(7) - 1
    order = town.refund_order(FLORIST, redemption, 10, deadline=end)
    town.go(end)
    town.execute(order)
    assert town.points.balanceOfAtEpoch(1, ada.address) == 10


def test_refund__partly_expired__gives_back_the_living_part_alone(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 6)
    town.go(town.epoch_start(2))
    town.issue(BAKER, ada, 4)
    redemption = town.redeem(ada, FLORIST, 10)
    town.go(town.epoch_start(7))
    with refused("EpochExpired", 1):
        town.execute(town.refund_order(FLORIST, redemption, 5))
    town.execute(town.refund_order(FLORIST, redemption, 4))
    assert town.points.balanceOfAtEpoch(2, ada.address) == 4


def test_refund__by_a_merchant_that_leaves__takes_effect(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    town.coalition.setMerchantStatus(FLORIST, 3, sender=town.operator)
    town.execute(town.refund_order(FLORIST, redemption, 10))
    assert (town.balance(ada), town.position(FLORIST)) == (10, 1_000_000)


def test_refund__in_parts__longest_life_first_at_the_epochs_prices(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 6)
    town.go(town.epoch_start(2))
    town.issue(BAKER, ada, 4)
    redemption = town.redeem(ada, FLORIST, 10)
    first = log_of(town.execute(town.refund_order(FLORIST, redemption, 3)), "Refunded")
    second = log_of(town.execute(town.refund_order(FLORIST, redemption, 3)), "Refunded")
    assert first["buckets"] == (2 << 240) | 3
    assert second["buckets"] == (2 << 240) | 1 | (2 << 35)
    assert (first["charged"], second["charged"]) == (294, 294)
    assert town.coalition.refundedOf(town.leaf(redemption, FLORIST)) == 6


def test_refund__a_garbage_proof_by_a_stranger__is_not_news(town: Town, ada: Key) -> None:
    """The proof is not under the signature: anybody could else make a live order look refused."""
    town.issue(BAKER, ada, 10)
    redemption = town.redeem(ada, FLORIST, 10)
    nonce = town.shop_nonce(FLORIST)
    spoiled = redemption | {"proof": [b"\x01" * 32]}
    assert names_of(town.relay(town.refund_order(FLORIST, spoiled, 10, nonce=nonce))) == []
    town.execute(town.refund_order(FLORIST, redemption, 10, nonce=nonce))
    assert town.balance(ada) == 10
