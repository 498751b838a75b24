"""Each check of the passes: the error with its values, and what is allowed beside it."""

from __future__ import annotations

from banyan_kit.revm import ADMIN, ZERO
from eth_hash.auto import keccak
from network_desk import Desk
from network_refusals import ADA, BAKER, BOB, CALLER, EVE, FLORIST, REF, obeying, token, why

PASSES_SLOT = 3


def test_pass__that_is_not_there__has_no_owner_lock_approval_tier_or_card(desk: Desk) -> None:
    membership, none = desk.network.membership, token(EVE)
    missing = ("ERC721NonexistentToken", (none,))
    for read in ("ownerOf", "getApproved", "locked", "passOf", "tokenURI"):
        assert why(membership.ask, read, none) == missing
    assert why(membership.send, ADMIN, "setTier", none, 1) == missing
    nobody = ("ERC721InvalidOwner", (ZERO,))
    assert why(membership.ask, "balanceOf", ZERO) == nobody
    assert membership.ask("getApproved", token(ADA)) == ZERO
    assert membership.ask("isApprovedForAll", ADA.address, EVE.address) is False
    assert membership.ask("ownerOf", token(ADA)) == ADA.address


def test_enroll__twice_too_high_or_by_anothers_till__is_refused(desk: Desk) -> None:
    membership, till = desk.network.membership, desk.merchants[BAKER].tills[0].address
    enroll = (membership.send, till, "enroll")
    membership.send(till, "enroll", BAKER, ADA.address, 1)
    mine = token(ADA, BAKER)
    assert why(*enroll, BAKER, ADA.address, 1) == ("PassExists", (mine,))
    assert why(*enroll, FLORIST, ADA.address, 1) == ("NotIssuer", (FLORIST, till))
    high = ("TierTooHigh", (65_536,))
    assert why(membership.send, till, "setTier", mine, 65_536) == high
    assert why(*enroll, BAKER, BOB.address, 65_536) == high
    theirs = desk.merchants[FLORIST].tills[0].address
    assert why(membership.send, theirs, "setTier", mine, 1) == ("NotIssuer", (BAKER, theirs))


def test_programme__whose_number_ends_like_a_merchants__is_nobodys(desk: Desk) -> None:
    owner = desk.merchants[BAKER].owner.address
    programme = 2**32 + BAKER
    enroll = (desk.network.membership.send, owner, "enroll", programme, ADA.address, 1)
    assert why(*enroll) == ("NotIssuer", (programme, owner))
    last = (desk.network.membership.send, owner, "enroll", 2**32 - 1, ADA.address, 1)
    assert why(*last) == ("NotIssuer", (2**32 - 1, owner))
    desk.operate("registerMerchant", 2**32 - 1, owner, ZERO, REF)
    desk.network.membership.send(owner, *last[2:])


def test_follow_recovery__of_the_coalitions_pass_or_of_none__is_refused(desk: Desk) -> None:
    follow = (desk.network.membership.send, EVE.address, "followRecovery")
    assert why(*follow, 0, ADA.address) == ("ERC721NonexistentToken", (token(ADA),))
    assert why(*follow, BAKER, ADA.address) == ("ERC721NonexistentToken", (token(ADA, BAKER),))


def test_pass__for_nobody_or_one_too_many__is_not_minted(desk: Desk) -> None:
    obeying(desk)
    membership = desk.network.membership
    to_nobody = ("ERC721InvalidReceiver", (ZERO,))
    assert why(membership.send, CALLER, "mint", ZERO) == to_nobody
    assert why(membership.send, CALLER, "recover", ADA.address, ZERO) == to_nobody
    twice = ("PassExists", (token(ADA),))
    assert why(membership.send, CALLER, "mint", ADA.address) == twice
    slot = keccak(token(EVE).to_bytes(32, "big") + PASSES_SLOT.to_bytes(32, "big"))
    place = int.from_bytes(slot, "big")
    evm = desk.network.chain.evm
    # So many passes of programmes, from before Eve was a member.
    evm.insert_account_storage(membership.address, place, 65_535)
    too_many = ("ERC721InvalidReceiver", (EVE.address,))
    assert why(membership.send, CALLER, "mint", EVE.address) == too_many
    evm.insert_account_storage(membership.address, place, 65_534)
    membership.send(CALLER, "mint", EVE.address)
    assert membership.ask("balanceOf", EVE.address) == 65_535
    assert membership.ask("passOf", token(EVE)) == (EVE.address, 0, desk.now)
