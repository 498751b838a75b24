"""Who can do what: roles, stolen keys, and what no role can ever stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from banyan_kit.wire import Key
from coalition_town import ADMIN, BAKER, FLORIST, Town, names_of, refused

EVERYONE = 2**64 - 1


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("registerMerchant", (9, "0x" + "11" * 20, "0x" + "00" * 20, bytes(32))),
        ("setMerchantStatus", (BAKER, 2)),
        ("setCreditLimit", (BAKER, 0)),
        ("setTerms", (3, (1, 1, 1))),
        ("pauseIssuing", (True,)),
        ("withdrawGuarantee", ("0x" + "11" * 20, 0)),
        ("withdrawIncome", ("0x" + "11" * 20, 0)),
    ],
)
def test_operator__function_called_by_a_stranger__is_refused(
    town: Town, function: str, arguments: tuple[Any, ...]
) -> None:
    with refused("AccessManagedUnauthorized"):
        getattr(town.coalition, function)(*arguments, sender=town.stranger)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("mintBatch", (bytes(25),)),
        ("redeem", ("0x" + "11" * 20, 1, 1)),
        ("refund", ("0x" + "11" * 20, 1)),
        ("returnPoints", ("0x" + "11" * 20, 1, 1)),
        ("transferByOrder", ("0x" + "11" * 20, "0x" + "12" * 20, 1, 1)),
        ("join", ("0x" + "11" * 20, 1)),
        ("leave", ("0x" + "11" * 20, 1)),
        ("recover", ("0x" + "11" * 20, "0x" + "12" * 20)),
        ("useNonce", ("0x" + "11" * 20, 1)),
    ],
)
def test_points__called_by_the_admin_of_all_roles__obey_the_coalition_alone(
    town: Town, function: str, arguments: tuple[Any, ...]
) -> None:
    with refused("NotCoalition"):
        getattr(town.points, function)(*arguments, sender=town.admin)


def test_carry_out__called_by_anyone__is_refused(town: Town) -> None:
    with refused("NotSelf"):
        town.coalition.carryOut(b"\1", bytes(32), sender=town.admin)


def test_admin__shuts_everything_there_is__members_and_owners_go_on(
    town: Town, ada: Key, selector_of: Callable[[str, str], bytes]
) -> None:
    """The worst that the access manager can do: every target closed, every role elsewhere."""
    town.issue(BAKER, ada, 30)
    redemption = town.redeem(ada, FLORIST, 10)
    for target in (town.coalition, town.points, town.membership, town.asset):
        town.authority.setTargetClosed(target, True, sender=town.admin)
    doors = ("relay", "execute", "deposit", "closeEpoch", "claimBreakage")
    selectors = [
        selector_of("Coalition" if name in doors[:3] else "CoalitionOffice", name) for name in doors
    ]
    town.authority.setTargetFunctionRole(town.coalition, selectors, ADMIN, sender=town.admin)
    town.coalition.deposit(FLORIST, 5, sender=town.relayer)
    town.execute(town.refund_order(FLORIST, redemption, 10))
    town.redeem(ada, FLORIST, 30)
    town.execute(town.withdraw_order(BAKER, town.position(BAKER)))
    assert (town.balance(ada), town.position(BAKER)) == (0, 0)


def test_admin__points_of_a_member__cannot_be_minted_or_burnt(town: Town, ada: Key) -> None:
    town.issue(BAKER, ada, 10)
    with refused("NotCoalition"):
        town.points.redeem(ada.address, 10, 5, sender=town.admin)
    assert town.balance(ada) == 10


def test_stolen_relayer_key__mints_moves_and_burns_nothing(
    town: Town, ada: Key, mallory: Key
) -> None:
    """All that the relayer has is the right to pay for gas."""
    town.issue(BAKER, ada, 10)
    forged = [
        town.issue_order(BAKER, [(ada.address, 5)], key=mallory),
        town.make("Redeem", mallory, **town.redeem_values(ada, BAKER, 10)),
        town.transfer_order(ada, mallory.address, 10, key=mallory),
        town.withdraw_order(BAKER, 1, key=mallory),
    ]
    before = (town.balance(ada), town.position(BAKER), town.cash())
    assert names_of(town.relay(*forged)) == []
    assert (town.balance(ada), town.position(BAKER), town.cash()) == before


def test_stolen_till_key__issues_to_the_deposit_and_takes_no_money(
    town: Town, ada: Key, mallory: Key
) -> None:
    town.join(mallory)
    till = town.shops[BAKER].till
    town.execute(town.issue_order(BAKER, [(mallory.address, 9_090)], key=till))
    with refused("CreditLimitExceeded"):
        town.execute(town.issue_order(BAKER, [(mallory.address, 1)], key=till))
    with refused("NotOwner"):
        town.execute(town.withdraw_order(BAKER, 1, key=till))
    with refused("NotTillKey"):
        town.execute(town.issue_order(FLORIST, [(mallory.address, 1)], key=till))
    assert town.position(FLORIST) == 1_000_000


def test_stolen_operator_key__stops_issuing_and_touches_no_money_of_others(
    town: Town, ada: Key
) -> None:
    town.issue(BAKER, ada, 10)
    town.coalition.pauseIssuing(True, sender=town.operator)
    with refused("GuaranteeTooLow"):
        town.coalition.setCreditLimit(BAKER, 1, sender=town.operator)
    with refused("IncomeTooLow"):
        town.coalition.withdrawIncome(town.operator, 1, sender=town.operator)
    with refused("AccessManagedUnauthorized"):
        town.points.proposeCoalition(town.operator, sender=town.operator)
    with refused("MerchantExists", BAKER):
        town.coalition.registerMerchant(
            BAKER, town.operator, town.operator, bytes(32), sender=town.operator
        )
    town.redeem(ada, FLORIST, 10)
    town.execute(town.withdraw_order(FLORIST, town.position(FLORIST)))


def test_succession__proposed_by_the_operator__is_refused(town: Town) -> None:
    with refused("AccessManagedUnauthorized"):
        town.points.proposeCoalition(town.stranger, sender=town.operator)


def test_succession__vetoed__is_over(town: Town) -> None:
    town.points.proposeCoalition(town.stranger, sender=town.admin)
    town.points.vetoCoalition(sender=town.guardian)
    town.go(town.now + 31 * 86_400)
    with refused("NoSuccessor"):
        town.points.acceptCoalition(sender=town.stranger)


def test_succession__by_another_than_the_successor__is_refused(town: Town) -> None:
    town.points.proposeCoalition(town.guardian, sender=town.admin)
    town.go(town.now + 31 * 86_400)
    with refused("NotSuccessor"):
        town.points.acceptCoalition(sender=town.stranger)
