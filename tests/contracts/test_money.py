"""Deposits, withdrawals, credit, keys, terms, the end of an epoch, and the two farms."""

from __future__ import annotations

import pytest
from banyan_kit.wire import Key
from coalition_town import BAKER, DAY, FLORIST, ZERO, Town, log_of, refused


def test_deposit__of_nothing__is_refused(town: Town) -> None:
    with refused("ZeroAmount"):
        town.coalition.deposit(BAKER, 0, sender=town.relayer)


def test_deposit__for_nobody__is_refused(town: Town) -> None:
    with refused("MerchantUnknown", 77):
        town.coalition.deposit(77, 1, sender=town.relayer)


def test_deposit__a_gift_beside_it__is_nobodys_position(town: Town) -> None:
    cash = town.cash()
    town.asset.transfer(town.coalition, 5, sender=town.relayer)
    assert (town.cash(), town.position(BAKER)) == (cash + 5, 1_000_000)


def test_withdraw__signed_by_the_till__is_refused(town: Town) -> None:
    till = town.shops[BAKER].till
    with refused("NotOwner", BAKER, till.address):
        town.execute(town.withdraw_order(BAKER, 1, key=till))


def test_withdraw__by_another_merchants_owner__is_refused(town: Town) -> None:
    other = town.shops[FLORIST].owner
    with refused("NotOwner", BAKER, other.address):
        town.execute(town.withdraw_order(BAKER, 1, key=other))


def test_withdraw__one_unit_too_much__is_refused(town: Town) -> None:
    with refused("CreditLimitExceeded", BAKER, 1_000_000, 1_000_001, 0):
        town.execute(town.withdraw_order(BAKER, 1_000_001))


def test_withdraw__on_credit__is_refused(town: Town) -> None:
    town.coalition.depositGuarantee(500, sender=town.relayer)
    town.coalition.setCreditLimit(BAKER, 500, sender=town.operator)
    with refused("CreditLimitExceeded", BAKER, 1_000_000, 1_000_001, 0):
        town.execute(town.withdraw_order(BAKER, 1_000_001))


def test_withdraw__to_nobody__is_refused(town: Town) -> None:
    with refused("ZeroAddress"):
        town.execute(town.withdraw_order(BAKER, 1, to=ZERO))


def test_withdraw__all__arrives(town: Town) -> None:
    town.execute(town.withdraw_order(BAKER, 1_000_000))
    assert town.asset.balanceOf(town.shops[BAKER].owner.address) == 1_000_000
    assert town.position(BAKER) == 0


def test_set_till_key__signed_by_the_till__is_refused(town: Town, mallory: Key) -> None:
    values = {"merchant": BAKER, "key": mallory.address, "active": True, "nonce": 5}
    with refused("NotOwner"):
        town.execute(town.make("SetTillKey", town.shops[BAKER].till, **values))


def test_set_till_key__of_another_merchant__is_refused(town: Town) -> None:
    taken = town.shops[FLORIST].till.address
    values = {"merchant": BAKER, "key": taken, "active": True, "nonce": 5}
    with refused("TillKeyTaken", taken, FLORIST):
        town.execute(town.make("SetTillKey", town.shops[BAKER].owner, **values))


def test_set_till_key__a_stolen_one_revoked__signs_no_more(town: Town, ada: Key) -> None:
    shop = town.shops[BAKER]
    values = {"merchant": BAKER, "key": shop.till.address, "active": False}
    town.execute(town.make("SetTillKey", shop.owner, **values, nonce=town.shop_nonce(BAKER)))
    with refused("NotTillKey", BAKER, shop.till.address):
        town.issue(BAKER, ada, 1)


def test_set_owner__the_old_one__can_no_more(town: Town, mallory: Key) -> None:
    shop = town.shops[BAKER]
    heir = Key.from_seed("the baker's heir")
    values = {"merchant": BAKER, "owner": heir.address, "nonce": town.shop_nonce(BAKER)}
    town.execute(town.make("SetOwner", shop.owner, **values))
    with refused("NotOwner"):
        town.execute(town.withdraw_order(BAKER, 1))
    town.execute(town.withdraw_order(BAKER, 1, key=heir))
    assert town.position(BAKER) == 999_999


def test_set_profile__by_the_owner__is_kept(town: Town) -> None:
    values = {"merchant": BAKER, "profileHash": b"\7" * 32, "nonce": town.shop_nonce(BAKER)}
    town.execute(town.make("SetProfile", town.shops[BAKER].owner, **values))
    assert bytes(town.coalition.merchantOf(BAKER).profileHash) == b"\7" * 32


def test_credit_limit__beyond_the_guarantee__is_refused(town: Town) -> None:
    town.coalition.depositGuarantee(100, sender=town.relayer)
    with refused("GuaranteeTooLow", 100, 101):
        town.coalition.setCreditLimit(BAKER, 101, sender=town.operator)


def test_credit_limit__under_what_is_drawn__is_refused(town: Town, ada: Key) -> None:
    town.coalition.depositGuarantee(220, sender=town.relayer)
    town.coalition.setCreditLimit(BAKER, 220, sender=town.operator)
    town.issue(BAKER, ada, 9_092)
    with refused("LimitUnderDrawn", BAKER, 120, 119):
        town.coalition.setCreditLimit(BAKER, 119, sender=town.operator)
    town.coalition.setCreditLimit(BAKER, 120, sender=town.operator)


def test_guarantee__withdrawn_from_under_the_limits__is_refused(town: Town) -> None:
    town.coalition.depositGuarantee(100, sender=town.relayer)
    town.coalition.setCreditLimit(BAKER, 60, sender=town.operator)
    with refused("GuaranteeTooLow", 100, 60):
        town.coalition.withdrawGuarantee(town.stranger, 41, sender=town.operator)
    town.coalition.withdrawGuarantee(town.stranger, 40, sender=town.operator)
    assert town.asset.balanceOf(town.stranger) == 40


def test_terms__one_second_under_thirty_days__is_refused(town: Town) -> None:
    town.go(town.epoch_start(2) - 30 * DAY + 1)
    with refused("TermsTooLate", 2, 3):
        town.coalition.setTerms(2, (10, 2, 0), sender=town.operator)


def test_terms__thirty_days_before__hold_for_new_points_alone(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.go(town.epoch_start(2) - 30 * DAY)
    town.coalition.setTerms(2, (20, 7, 0), sender=town.operator)
    town.go(town.epoch_start(2))
    issued = log_of(town.issue(BAKER, ada, 10), "Issued")
    values = town.redeem_values(ada, FLORIST, 20)
    redeemed = log_of(town.execute(town.make("Redeem", ada, **values)), "Redeemed")
    assert (issued["charged"], redeemed["paid"]) == (10 * 120, 10 * 98 + 10 * 93)


@pytest.mark.parametrize("terms", [(10, 101, 0), (10, 2, 10_001)])
def test_terms__unsound__are_refused(town: Town, terms: tuple[int, int, int]) -> None:
    with refused("TermsUnsound", *terms):
        town.coalition.setTerms(3, terms, sender=town.operator)


def test_close_epoch__in_its_last_second__is_refused(town: Town) -> None:
    town.go(town.epoch_start(7) - 1)
    with refused("EpochNotExpired", 1):
        town.coalition.closeEpoch(1, sender=town.stranger)


def test_close_epoch__twice__is_refused(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    town.go(town.epoch_start(7))
    town.coalition.closeEpoch(1, sender=town.stranger)
    with refused("EpochAlreadyClosed", 1):
        town.coalition.closeEpoch(1, sender=town.stranger)


def test_claim__before_the_epoch_is_closed__is_refused(town: Town) -> None:
    town.go(town.epoch_start(7))
    with refused("EpochNotClosed", 1):
        town.coalition.claimBreakage(1, BAKER, sender=town.stranger)


def test_claim__three_sevenths_in_any_order__is_exact_in_sum(town: Town, ada: Key) -> None:
    """11 points expire: the pool is floor(1,100 x 50 %) but at most 12 a point, 132."""
    town.issue(BAKER, ada, 4)
    town.issue(FLORIST, ada, 7)
    town.go(town.epoch_start(7))
    closed = log_of(town.coalition.closeEpoch(1, sender=town.stranger), "EpochClosed")
    assert (closed["unspent"], closed["issuersPool"], closed["operatorsPart"]) == (1_100, 132, 968)
    paid = [
        log_of(town.coalition.claimBreakage(1, shop, sender=town.stranger), "BreakageClaimed")
        for shop in (FLORIST, BAKER)
    ]
    assert [claim["amount"] for claim in paid] == [84, 48]
    with refused("AlreadyClaimed", 1, BAKER):
        town.coalition.claimBreakage(1, BAKER, sender=town.stranger)


def test_income__more_than_may_be_taken__is_refused(town: Town, ada: Key) -> None:
    """An issue fee may be taken when the goods can come back no more."""
    town.issue(BAKER, ada, 100)
    assert tuple(town.coalition.income()) == (1_000, 0)
    town.go(town.epoch_start(3))
    town.coalition.pauseIssuing(False, sender=town.operator)
    with refused("IncomeTooLow", 1_000, 1_001):
        town.coalition.withdrawIncome(town.operator, 1_001, sender=town.operator)
    town.coalition.withdrawIncome(town.operator, 1_000, sender=town.operator)


def test_farm__wash_issuing__loses_money(town: Town, ada: Key, bob: Key) -> None:
    """The florist issues to himself and redeems at himself for a share of the baker's breakage."""
    before = town.position(FLORIST)
    town.issue(FLORIST, bob, 1_000)
    town.redeem(bob, FLORIST, 1_000)
    town.issue(BAKER, ada, 2_000)
    cost = before - town.position(FLORIST)
    town.go(town.epoch_start(7))
    town.coalition.closeEpoch(1, sender=town.stranger)
    claim = town.coalition.claimBreakage(1, FLORIST, sender=town.stranger)
    gain = log_of(claim, "BreakageClaimed")["amount"]
    assert cost == 12_000
    assert gain <= cost
    assert town.position(FLORIST) <= before


def test_farm__returns_as_redemptions__stops_at_the_cap(town: Town, ada: Key) -> None:
    """110 back instead of 98 would pay, but for two signatures, the window and the cap."""
    town.issue(BAKER, ada, 1_000)
    town.execute(town.return_order(ada, BAKER, 100, 1))
    with refused("ReturnExceedsIssued", BAKER, 1, 0, 1):
        town.execute(town.return_order(ada, BAKER, 1, 1))
    town.redeem(ada, BAKER, 900)
    assert town.position(BAKER) < 1_000_000


def test_farm__refreshing_old_points__costs_as_much_as_fresh_ones(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 100)
    town.go(town.epoch_start(6))
    before = town.position(BAKER)
    town.redeem(ada, BAKER, 100)
    town.issue(BAKER, ada, 100)
    assert before - town.position(BAKER) == 100 * 12
