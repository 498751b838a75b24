"""A successor takes over in the open: thirty days, then the money, the books and the receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ape.contracts import ContractInstance
from banyan_kit.wire import Key, domain_separator
from coalition_town import BAKER, DAY, FLORIST, Town, container, names_of, refused
from eth_hash.auto import keccak


@dataclass
class Heir:
    """A new Coalition over the same points, and the day on which it may accept."""

    coalition: ContractInstance
    acceptable_at: int


@pytest.fixture
def heir(town: Town) -> Heir:
    parts = (town.points, town.asset, town.membership, 100, 1_000)
    past = town.coalition.address
    office = town.admin.deploy(container("CoalitionOffice"), *parts, past, town.authority)
    coalition = town.admin.deploy(
        container("Coalition"), *parts, (0, 0, 0), past, town.authority, office
    )
    town.points.proposeCoalition(coalition, sender=town.admin)
    return Heir(coalition, int(town.points.successor()[1]))


def take_over(town: Town, heir: Heir) -> Town:
    """The heir accepts; the town's people turn to it."""
    town.go(heir.acceptable_at)
    heir.coalition.accept(sender=town.stranger)
    return Town(**{**vars(town), "coalition": heir.coalition})


def test_accept__one_second_early__is_refused(town: Town, heir: Heir) -> None:
    town.go(heir.acceptable_at - 1)
    with refused("SuccessionTooEarly", heir.acceptable_at):
        heir.coalition.accept(sender=town.stranger)


def test_accept__before_it__the_heir_carries_nothing_out(town: Town, heir: Heir, ada: Key) -> None:
    order = town.make("Join", ada, member=ada.address, nonce=3)
    with refused("NotCurrentCoalition"):
        heir.coalition.execute(order, sender=town.relayer)
    town.issue(BAKER, ada, 1)


def test_accept__a_second_time__is_refused(town: Town, heir: Heir) -> None:
    take_over(town, heir)
    with refused("PredecessorMismatch"):
        heir.coalition.accept(sender=town.stranger)


def test_accept__a_year_of_history__goes_on_as_if_nothing_had_been(
    town: Town, heir: Heir, ada: Key
) -> None:
    """Live positions, a receipt half refunded, nonces half used, credit drawn."""
    town.coalition.depositGuarantee(1_000, sender=town.relayer)
    town.coalition.setCreditLimit(FLORIST, 1_000, sender=town.operator)
    town.issue(BAKER, ada, 100)
    redemption = town.redeem(ada, FLORIST, 40)
    town.execute(town.refund_order(FLORIST, redemption, 10))
    town.execute(town.make("Cancel", ada, signer=ada.address, merchant=0, nonce=5))
    positions = (town.position(BAKER), town.position(FLORIST))
    income, cash = town.coalition.income(), town.cash()
    old = town.coalition

    after = take_over(town, heir)

    assert (after.position(BAKER), after.position(FLORIST)) == positions
    assert (after.cash(), town.asset.balanceOf(old)) == (cash, 0)
    assert tuple(after.coalition.income()) == tuple(income)
    assert after.coalition.guarantee() == after.coalition.sumOfLimits() == 1_000
    assert after.coalition.issuedBy(1, BAKER) == (100, 0)
    assert after.balance(ada) == 70
    assert_nonces_and_receipts_go_on(town, after, ada, redemption)


def assert_nonces_and_receipts_go_on(
    town: Town, after: Town, ada: Key, redemption: dict[str, Any]
) -> None:
    """Orders are for the new Coalition; of old rights there is exactly what was left of them."""
    for shop in after.shops.values():
        shop.next_nonce = 100
    after.issue(BAKER, ada, 5)
    used = after.redeem_values(ada, FLORIST, 1, nonce=5)
    with refused("NonceUsed", ada.address, 5):
        after.execute(after.make("Redeem", ada, **used))
    after.execute(after.make("Redeem", ada, **after.redeem_values(ada, FLORIST, 75, nonce=4)))
    with refused("RefundExceedsRedemption"):
        after.execute(refund_of_old(town, after, redemption, 31))
    after.execute(refund_of_old(town, after, redemption, 30))
    after.execute(after.withdraw_order(BAKER, after.position(BAKER)))
    assert (after.balance(ada), after.position(BAKER)) == (30, 0)


def refund_of_old(town: Town, after: Town, redemption: dict[str, Any], points: int) -> bytes:
    """A refund by the new Coalition's order, of a redemption that was an order to the old one."""
    values = {"merchant": FLORIST, "points": points, "nonce": after.shop_nonce(FLORIST)}
    values |= {"deadline": after.epoch_end(), "redemption": redemption}
    leaf = town.leaf(redemption, FLORIST)
    domain = domain_separator(after.wire.chain_id, after.wire.coalition)
    struct_hash = after.wire.struct_hash("Refund", values | {"leaf": leaf})
    signature = after.shops[FLORIST].till.sign(keccak(b"\x19\x01" + domain + struct_hash))
    return after.wire.encode("Refund", signature, **values)


def test_accept__afterwards__the_old_one_refuses_orders_and_answers_reads(
    town: Town, heir: Heir, ada: Key
) -> None:
    town.issue(BAKER, ada, 10)
    values = town.redeem_values(ada, BAKER, 10)
    old = town.coalition
    order = town.make("Redeem", ada, **values)
    take_over(town, heir)
    with refused("NotCurrentCoalition"):
        old.execute(order, sender=town.relayer)
    with refused("NotCurrentCoalition"):
        old.deposit(BAKER, 1, sender=town.relayer)
    assert old.merchantOf(BAKER).position == 1_000_000 - 1_100


def test_accept__an_old_order__is_not_valid_at_the_heir(town: Town, heir: Heir, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    order = town.make("Redeem", ada, **town.redeem_values(ada, BAKER, 10))
    after = take_over(town, heir)
    assert names_of(after.relay(order)) == []
    assert after.balance(ada) == 10


def test_proposal__while_it_waits__redemption_and_withdrawal_go_on(
    town: Town, heir: Heir, ada: Key
) -> None:
    town.issue(BAKER, ada, 10)
    town.go(town.now + 29 * DAY)
    town.redeem(ada, FLORIST, 10)
    town.execute(town.withdraw_order(FLORIST, town.position(FLORIST)))
    assert town.position(FLORIST) == 0
