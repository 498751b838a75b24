"""What a contract refuses to be created with: figures that its arithmetic does not bear."""

from __future__ import annotations

import dataclasses

import pytest
from banyan_kit.revm import ADMIN, DAY, ZERO, Chain, Refused, Settings, deploy_network
from banyan_kit.wire import Key
from network_desk import Desk

START = Settings().start
EPOCHS_MAX = 2**16 - 1


def why_not(settings: Settings, now: int | None = None) -> tuple[str, tuple[object, ...]]:
    """Error with which a deployment of such settings ends."""
    with pytest.raises(Refused) as refused:
        deploy_network(settings) if now is None else deploy_points(settings, now)
    return refused.value.name, refused.value.values


def deploy_points(settings: Settings, now: int) -> None:
    """Points alone, at another time than their first epoch's beginning."""
    chain = Chain(now)
    authority = chain.deploy_artefact(ADMIN, "AccessManager", ADMIN).address
    times = (settings.start, settings.epoch_length)
    points = chain.deploy_artefact(ADMIN, "Points", "P", "P", *times, 1, ADMIN, authority)
    points.ask("currentEpoch")


@pytest.mark.parametrize("face_value", [0, 2**64, 2**256 - 1])
def test_create__with_a_face_value_out_of_range__is_refused(face_value: int) -> None:
    settings = Settings(face_value=face_value, terms=(0, 0, 0))
    assert why_not(settings) == ("FaceValueOutOfRange", (face_value,))


@pytest.mark.parametrize("face_value", [1, 2**64 - 1])
def test_create__with_a_face_value_at_the_edge__stands(face_value: int) -> None:
    network = deploy_network(Settings(face_value=face_value, terms=(0, 0, 0)))
    assert network.coalition.ask("faceValue") == face_value


def test_create__with_a_return_cap_over_everything__is_refused() -> None:
    assert why_not(Settings(return_cap_bps=10_001)) == ("ReturnCapOutOfRange", (10_001,))
    network = deploy_network(Settings(return_cap_bps=10_000))
    assert network.coalition.ask("returnCapBps") == 10_000


@pytest.mark.parametrize("terms", [(10, 101, 0), (10, 2, 10_001)])
def test_create__with_terms_that_cannot_be_paid__is_refused(terms: tuple[int, int, int]) -> None:
    assert why_not(Settings(terms=terms)) == ("TermsUnsound", terms)


def test_create__with_terms_at_the_edge__stands() -> None:
    network = deploy_network(Settings(terms=(2**32 - 1, 100, 10_000)))
    assert network.coalition.ask("termsOf", 1) == (2**32 - 1, 100, 10_000)


@pytest.mark.parametrize(
    ("changed", "value"),
    [("face value", 99), ("return cap", 999), ("asset", ADMIN), ("predecessor", ADMIN)],
)
def test_create__with_an_office_of_another_configuration__is_refused(
    changed: str, value: object
) -> None:
    network = deploy_network()
    authority = network.authority.address
    parts = {
        "points": network.points.address,
        "asset": network.asset.address,
        "pass": network.membership.address,
        "face value": 100,
        "return cap": 1_000,
        "predecessor": ZERO,
    }
    other = (parts | {changed: value}).values()
    office = network.chain.deploy_artefact(ADMIN, "CoalitionOffice", *other, authority)
    *common, predecessor = parts.values()
    creation = (*common, (10, 2, 5_000), predecessor, authority, office.address)
    with pytest.raises(Refused, match="OfficeMismatch"):
        network.chain.deploy_artefact(ADMIN, "Coalition", *creation)


def test_create__before_the_first_epoch_or_without_length__panics() -> None:
    assert why_not(Settings(), now=START - 1) == ("Panic", (0x11,))
    assert why_not(dataclasses.replace(Settings(), epoch_length=0), now=START) == ("Panic", (0x12,))


def test_create__in_the_last_epoch_that_can_be_counted__stands_and_one_later_does_not() -> None:
    settings = Settings(epoch_length=DAY)
    last = START + EPOCHS_MAX * DAY - 1
    deploy_points(settings, now=last)
    assert why_not(settings, now=last + 1) == ("EpochTooHigh", (EPOCHS_MAX,))


def test_epochs__beyond_what_can_be_counted__stop_everything_and_nothing_wraps() -> None:
    network = deploy_network(Settings(epoch_length=DAY))
    network.chain.at(START + EPOCHS_MAX * DAY - 1)
    assert network.points.ask("currentEpoch") == EPOCHS_MAX
    network.chain.at(START + EPOCHS_MAX * DAY)
    with pytest.raises(Refused, match="EpochTooHigh"):
        network.points.ask("currentEpoch")


def test_last_epoch__that_can_be_counted__is_one_like_any_other() -> None:
    desk = Desk.open(Settings(epoch_length=DAY))
    desk.go_to_epoch(EPOCHS_MAX - 1)
    merchant = desk.register(1, "baker")
    desk.anyone("deposit", 1, 1_000_000)
    ada = Key.from_seed("ada")
    desk.execute(desk.make("Join", ada, member=ada.address, nonce=1))
    values = {"merchant": 1, "nonce": 1, "entries": [(ada.address, 100)]}
    desk.execute(desk.make("IssueBatch", merchant.tills[0], **values))
    desk.go_to_epoch(EPOCHS_MAX)
    assert desk.network.points.ask("balanceOf", ada.address) == 100
    spend = {"member": ada.address, "merchant": 1, "points": 60, "nonce": 2, "ref": bytes(32)}
    desk.execute(desk.make("Redeem", ada, **spend))
    held = desk.network.points.ask("balanceOfAtEpoch", EPOCHS_MAX - 1, ada.address)
    assert held == 40
    with pytest.raises(Refused) as refused:
        desk.operate("setTerms", EPOCHS_MAX + 31, (1, 1, 1))
    assert refused.value.values == (EPOCHS_MAX + 31, EPOCHS_MAX)
