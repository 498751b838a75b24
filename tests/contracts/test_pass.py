"""The pass: bound to its member, one a programme, drawn on chain."""

from __future__ import annotations

import base64
import json

import pytest
from banyan_kit.wire import Key
from coalition_town import BAKER, Town, refused


def token(town: Town, member: Key, programme: int = 0) -> int:
    return (programme << 160) | int(member.address, 16)


def test_pass__transferred_by_its_holder__is_refused(town: Town, clerk: Key, bob: Key) -> None:
    town.join(clerk)
    number = token(town, clerk)
    with refused("Soulbound", number):
        town.membership.transferFrom(clerk.address, bob.address, number, sender=town.stranger)
    with refused("Soulbound", number):
        town.membership.safeTransferFrom(clerk.address, bob.address, number, sender=town.stranger)


def test_pass__approved__is_refused(town: Town, ada: Key) -> None:
    with refused("Soulbound"):
        town.membership.approve(town.stranger, token(town, ada), sender=town.stranger)


def test_pass__minted_by_the_admin__is_refused(town: Town, mallory: Key) -> None:
    with refused("NotCoalition"):
        town.membership.mint(mallory.address, sender=town.admin)


def test_enroll__in_the_coalition_itself__is_refused(town: Town, mallory: Key) -> None:
    with refused("NotIssuer", 0, str(town.admin.address)):
        town.membership.enroll(0, mallory.address, 1, sender=town.admin)


def test_enroll__by_a_stranger__is_refused(town: Town, ada: Key) -> None:
    with refused("NotIssuer", BAKER, str(town.stranger.address)):
        town.membership.enroll(BAKER, ada.address, 1, sender=town.stranger)


def test_set_tier__of_the_coalition_by_a_stranger__is_refused(town: Town, ada: Key) -> None:
    with refused("AccessManagedUnauthorized"):
        town.membership.setTier(token(town, ada), 2, sender=town.stranger)


def test_set_tier__by_the_operator__is_on_the_card(town: Town, ada: Key) -> None:
    town.membership.setTier(token(town, ada), 3, sender=town.operator)
    holder, tier, _ = town.membership.passOf(token(town, ada))
    assert (str(holder).lower(), tier) == (ada.address, 3)
    card = json.loads(base64.b64decode(town.membership.tokenURI(token(town, ada)).split(",")[1]))
    assert base64.b64decode(card["image"].split(",")[1]).startswith(b"<svg")


@pytest.mark.parametrize("interface", ["01ffc9a7", "80ac58cd", "5b5e139f", "b45a3c0e", "49064906"])
def test_pass__asked_for_its_interfaces__says_yes(town: Town, interface: str) -> None:
    assert town.membership.supportsInterface(bytes.fromhex(interface))
    assert not town.membership.supportsInterface(bytes.fromhex("ffffffff"))
