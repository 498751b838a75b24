"""Leaving, recovery of a lost key, and what happens to the passes."""

from __future__ import annotations

import base64
import json

import pytest
from banyan_kit.revm import ADMIN
from banyan_kit.wire import Key
from network_desk import Desk, refusal

ADA, SAFE, EVE = Key.from_seed("ada"), Key.from_seed("safe"), Key.from_seed("eve")
BAKER = 1
WEEK = 7 * 86_400
NAMES = {"member": ADA.address, "recovery": SAFE.address}


@pytest.fixture
def desk() -> Desk:
    """A baker, and Ada with 100 points and a pass."""
    desk = Desk.open()
    desk.register(BAKER, "baker")
    desk.anyone("deposit", BAKER, 1_000_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    till = desk.merchants[BAKER].tills[0]
    entries = [(ADA.address, 100)]
    desk.execute(desk.make("IssueBatch", till, merchant=BAKER, nonce=1, entries=entries))
    return desk


def token(desk: Desk, programme: int, member: Key) -> int:
    return int(desk.network.membership.ask("tokenIdOf", programme, member.address))


def recover(desk: Desk) -> None:
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **NAMES))
    desk.execute(desk.make("Recover", SAFE, nonce=1, **NAMES))
    desk.network.chain.at(desk.now + WEEK)
    desk.anyone("finishRecovery", ADA.address)


def enroll(desk: Desk, member: Key, tier: int = 3) -> None:
    till = desk.merchants[BAKER].tills[0].address
    desk.send(desk.network.membership, till, "enroll", BAKER, member.address, tier)


def test_name_recovery__of_oneself__is_refused(desk: Desk) -> None:
    order = desk.make("NameRecovery", ADA, member=ADA.address, recovery=ADA.address, nonce=2)
    assert refusal(desk.execute, order) == "RecoveryUnknown"


def test_recover__by_an_address_that_was_not_named__is_refused(desk: Desk) -> None:
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **NAMES))
    order = desk.make("Recover", EVE, member=ADA.address, recovery=EVE.address, nonce=1)
    assert refusal(desk.execute, order) == "RecoveryUnknown"


def test_finish_recovery__a_second_early__is_too_early(desk: Desk) -> None:
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **NAMES))
    desk.execute(desk.make("Recover", SAFE, nonce=1, **NAMES))
    desk.network.chain.at(desk.now + WEEK - 1)
    assert refusal(desk.anyone, "finishRecovery", ADA.address) == "RecoveryTooEarly"


def test_finish_recovery__after_the_old_key_objected__is_unknown(desk: Desk) -> None:
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **NAMES))
    desk.execute(desk.make("Recover", SAFE, nonce=1, **NAMES))
    desk.execute(desk.make("NameRecovery", ADA, nonce=3, **NAMES))
    desk.network.chain.at(desk.now + WEEK)
    assert refusal(desk.anyone, "finishRecovery", ADA.address) == "RecoveryUnknown"


def test_finish_recovery__in_time__moves_points_membership_and_pass_with_its_date(
    desk: Desk,
) -> None:
    points, membership = desk.network.points, desk.network.membership
    joined_at = desk.now
    desk.send(membership, ADMIN, "setTier", token(desk, 0, ADA), 2)
    recover(desk)
    assert (points.ask("balanceOf", ADA.address), points.ask("isMember", ADA.address)) == (0, False)
    assert (points.ask("balanceOf", SAFE.address), points.ask("isMember", SAFE.address)) == (
        100,
        True,
    )
    assert membership.ask("passOf", token(desk, 0, SAFE)) == (SAFE.address, 2, joined_at)
    assert refusal(membership.ask, "ownerOf", token(desk, 0, ADA)) == "ERC721NonexistentToken"
    assert refusal(desk.anyone, "finishRecovery", ADA.address) == "RecoveryUnknown"


def test_finish_recovery__to_a_member__keeps_that_members_own_pass(desk: Desk) -> None:
    desk.execute(desk.make("Join", SAFE, member=SAFE.address, nonce=2))
    recover(desk)
    assert desk.network.membership.ask("balanceOf", SAFE.address) == 1
    assert desk.network.membership.ask("balanceOf", ADA.address) == 0
    assert desk.network.points.ask("balanceOf", SAFE.address) == 100


def test_refund__of_a_redemption_before_the_recovery__goes_to_the_old_address(desk: Desk) -> None:
    """The redemption names it, and the recovery is over: docs/CONTRACTS.md, weakness 12."""
    values = {"member": ADA.address, "merchant": BAKER, "points": 40, "nonce": 3}
    values |= {"deadline": desk.epoch_end(), "ref": bytes(32)}
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **values))
    log = next(log for log in logs if log.name == "Redeemed")
    recover(desk)
    till, redemption = desk.merchants[BAKER].tills[0], desk.redemption(log, values, []).fields
    refund = {"merchant": BAKER, "points": 40, "nonce": 9, "redemption": redemption}
    desk.execute(desk.make("Refund", till, **refund))
    held = [desk.network.points.ask("balanceOf", who.address) for who in (ADA, SAFE)]
    assert held == [40, 60]
    assert refusal(desk.anyone, "finishRecovery", ADA.address) == "RecoveryUnknown"


def test_follow_recovery__of_a_programmes_pass__keeps_its_tier(desk: Desk) -> None:
    membership = desk.network.membership
    enroll(desk, ADA)
    recover(desk)
    desk.send(membership, EVE.address, "followRecovery", BAKER, ADA.address)
    assert membership.ask("passOf", token(desk, BAKER, SAFE))[1] == 3
    assert membership.ask("balanceOf", SAFE.address) == 2


def test_follow_recovery__after_the_old_address_joined_anew__is_refused(desk: Desk) -> None:
    recover(desk)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=3))
    enroll(desk, ADA)
    follow = (desk.network.membership, EVE.address, "followRecovery", BAKER, ADA.address)
    assert refusal(desk.send, *follow) == "ERC721NonexistentToken"


def test_leave__with_points__burns_the_pass_and_the_points_can_still_be_spent(desk: Desk) -> None:
    desk.execute(desk.make("Leave", ADA, member=ADA.address, nonce=2))
    assert desk.network.membership.ask("balanceOf", ADA.address) == 0
    till = desk.merchants[BAKER].tills[0]
    more = desk.make("IssueBatch", till, merchant=BAKER, nonce=2, entries=[(ADA.address, 1)])
    assert refusal(desk.execute, more) == "NotMember"
    spend = {"member": ADA.address, "merchant": BAKER, "points": 60, "ref": bytes(32)}
    desk.execute(desk.make("Redeem", ADA, nonce=3, **spend))
    assert desk.network.points.ask("balanceOf", ADA.address) == 40
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=4))


@pytest.mark.parametrize("caller", [ADMIN, EVE.address])
def test_enroll__in_the_coalition_itself__is_refused_to_everybody(desk: Desk, caller: str) -> None:
    enrolling = (desk.network.membership, caller, "enroll", 0, EVE.address, 1)
    assert refusal(desk.send, *enrolling) == "NotIssuer"


def test_enroll__by_a_stranger_or_of_a_non_member__is_refused(desk: Desk) -> None:
    membership = desk.network.membership
    stranger = (membership, EVE.address, "enroll", BAKER, ADA.address, 1)
    assert refusal(desk.send, *stranger) == "NotIssuer"
    assert refusal(enroll, desk, EVE) == "ERC721NonexistentToken"
    assert refusal(enroll, desk, ADA, 65_536) == "TierTooHigh"


def test_discard__by_the_holder__burns_a_programmes_pass_alone(desk: Desk) -> None:
    membership = desk.network.membership
    enroll(desk, ADA)
    assert refusal(desk.send, membership, ADA.address, "discard", 0) == "NotIssuer"
    desk.send(membership, ADA.address, "discard", BAKER)
    assert membership.ask("balanceOf", ADA.address) == 1


def test_pass__any_transfer_or_approval__is_soulbound(desk: Desk) -> None:
    membership, pass_ = desk.network.membership, token(desk, 0, ADA)
    move = (membership, ADA.address, "transferFrom", ADA.address, EVE.address, pass_)
    assert refusal(desk.send, *move) == "Soulbound"
    assert refusal(desk.send, membership, ADA.address, "approve", EVE.address, pass_) == "Soulbound"
    everything = (membership, ADA.address, "setApprovalForAll", EVE.address, True)
    assert refusal(desk.send, *everything) == "Soulbound"
    assert membership.ask("locked", pass_) is True
    interfaces = ("01ffc9a7", "80ac58cd", "5b5e139f", "b45a3c0e", "49064906")
    assert all(membership.ask("supportsInterface", bytes.fromhex(i)) for i in interfaces)
    assert membership.ask("supportsInterface", b"\xff" * 4) is False


def test_token_uri__of_a_pass__is_a_card_drawn_on_chain(desk: Desk) -> None:
    uri = desk.network.membership.ask("tokenURI", token(desk, 0, ADA))
    kind, _, body = uri.partition(",")
    card = json.loads(base64.b64decode(body))
    assert kind == "data:application/json;base64"
    assert (card["name"], card["attributes"][1]["value"]) == ("Banyan", "2026-01-01")
    picture = base64.b64decode(card["image"].partition(",")[2]).decode()
    assert picture.startswith("<svg xmlns=")
    assert "2026-01-01" in picture
