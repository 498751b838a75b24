"""What the standards ask for beyond what tokens do every day: docs/CONFORMANCE.md, line by line."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ZERO, Contract, Refused, functions
from banyan_kit.wire import Key, domain_separator, to_bytes
from eth_hash.auto import keccak
from network_desk import Desk

ADA, BOB, EVE = (Key.from_seed(name) for name in ("ada", "bob", "eve"))
BAKER = 1
SUPPORTS_GAS_MAX = 30_000  # ERC-165


@pytest.fixture
def desk() -> Desk:
    """Ada and Bob are members, Eve is none; Ada holds 100 points of epoch 1."""
    desk = Desk.open()
    desk.register(BAKER, "baker")
    desk.anyone("deposit", BAKER, 10**6)
    for member in (ADA, BOB):
        desk.execute(desk.make("Join", member, member=member.address, nonce=1))
    till = desk.merchants[BAKER].tills[0]
    entries = [(ADA.address, 100)]
    desk.execute(desk.make("IssueBatch", till, merchant=BAKER, nonce=1, entries=entries))
    return desk


def why(contract: Contract, caller: str, function: str, *arguments: Any) -> tuple[Any, ...]:
    """The error of a call with its values."""
    with pytest.raises(Refused) as refused:
        contract.send(caller, function, *arguments)
    return refused.value.name, *refused.value.values


def permit(
    desk: Desk, key: Key, separator: bytes | None = None, owner: str = ADA.address
) -> list[Any]:
    """Arguments of a permit for Eve over 9 points, to the present second."""
    kind = b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    words = [to_bytes(owner, 20), to_bytes(EVE.address, 20), b"\x09", b"", to_bytes(desk.now, 32)]
    struct = keccak(keccak(kind) + b"".join(word.rjust(32, b"\0") for word in words))
    separator = separator or desk.network.points.ask("DOMAIN_SEPARATOR")
    signature = key.sign(keccak(b"\x19\x01" + separator + struct))
    return [owner, EVE.address, 9, desk.now, signature[64], signature[:32], signature[32:64]]


# ---- points


def test_interface__of_points__has_every_function_of_the_standards() -> None:
    erc20 = {"totalSupply", "balanceOf", "transfer", "transferFrom", "approve", "allowance"}
    erc2612 = {"permit", "nonces", "DOMAIN_SEPARATOR"}
    erc7818 = {"currentEpoch", "epochLength", "epochType", "validityDuration", "isEpochExpired"}
    erc7818 |= {"balanceOfAtEpoch", "transferAtEpoch", "transferFromAtEpoch"}
    assert (erc20 | erc2612 | erc7818) - functions("Points").keys() == set()


def test_refusals__of_the_token_standards__carry_who_and_how_much(desk: Desk) -> None:
    ada, bob, eve = ADA.address, BOB.address, EVE.address
    points, receipts = desk.network.points, desk.network.asset
    points.send(ada, "approve", eve, 7)
    low, allowed = "ERC20InsufficientBalance", "ERC20InsufficientAllowance"
    assert why(points, ada, "transfer", bob, 101) == (low, ada, 100, 101)
    assert why(points, ada, "transfer", ZERO, 1) == ("ERC20InvalidReceiver", ZERO)
    assert why(points, ada, "transferAtEpoch", 1, ZERO, 1) == ("ERC20InvalidReceiver", ZERO)
    assert why(points, ada, "approve", ZERO, 1) == ("ERC20InvalidSpender", ZERO)
    assert why(points, eve, "transferFrom", ZERO, bob, 0) == ("ERC20InvalidSender", ZERO)
    # More than is allowed and more than is there: the allowance comes first.
    assert why(points, eve, "transferFrom", ada, bob, 500) == (allowed, eve, 7, 500)
    assert why(receipts, ada, "transfer", bob, 5) == (low, ada, 0, 5)
    assert why(receipts, eve, "transferFrom", ada, bob, 5) == (allowed, eve, 0, 5)


def test_token__each_change__answers_true(desk: Desk) -> None:
    ada, bob, eve, points = ADA.address, BOB.address, EVE.address, desk.network.points
    assert points.send(ada, "approve", eve, 50) is True
    assert points.send(ada, "transfer", bob, 1) is True
    assert points.send(eve, "transferFrom", ada, bob, 1) is True
    assert points.send(ada, "transferAtEpoch", 1, bob, 1) is True
    assert points.send(eve, "transferFromAtEpoch", 1, ada, bob, 1) is True
    assert points.ask("balanceOf", bob) == 4


def test_approve__again__overwrites_and_tells(desk: Desk) -> None:
    points = desk.network.points
    for value in (50, 7, 0):
        (log,) = desk.send(points, ADA.address, "approve", EVE.address, value)
        assert (log.name, log.values["value"]) == ("Approval", value)
        assert points.ask("allowance", ADA.address, EVE.address) == value


def test_transfer_from__what_has_expired__is_refused_in_both_forms(desk: Desk) -> None:
    ada, bob, eve, points = ADA.address, BOB.address, EVE.address, desk.network.points
    points.send(ada, "approve", eve, 100)
    desk.network.chain.at(points.ask("epochEnd", 6))
    points.send(eve, "transferFrom", ada, bob, 1)
    desk.go_to_epoch(7)
    low = ("ERC20InsufficientBalance", ada, 0, 1)
    assert why(points, eve, "transferFrom", ada, bob, 1) == low
    expired = ("ERC7818TransferredExpiredToken",)
    assert why(points, eve, "transferFromAtEpoch", 1, ada, bob, 1) == expired
    assert points.ask("allowance", ada, eve) == 99


def test_permit__good__emits_one_approval(desk: Desk) -> None:
    (log,) = desk.send(desk.network.points, EVE.address, "permit", *permit(desk, ADA))
    told = log.values["owner"].lower(), log.values["spender"].lower(), log.values["value"]
    assert (log.name, *told) == ("Approval", ADA.address.lower(), EVE.address.lower(), 9)


def test_permit__of_owner_zero__is_refused(desk: Desk) -> None:
    points = desk.network.points
    signed = permit(desk, ADA, owner=ZERO)
    assert why(points, EVE.address, "permit", *signed)[0] == "PermitSignerInvalid"
    # What no key signed is recovered to address 0, the owner that it names.
    nothing = [*signed[:4], 27, bytes(32), bytes(32)]
    assert why(points, EVE.address, "permit", *nothing) == ("PermitSignerInvalid", ZERO, ZERO)


def test_permit__signed_for_another_chain_or_contract__is_refused(desk: Desk) -> None:
    points = desk.network.points

    def domain(chain_id: int, contract: str) -> bytes:
        kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        name = points.ask("name").encode()
        parts = keccak(kind.encode()), keccak(name), keccak(b"1"), to_bytes(chain_id, 32)
        return keccak(b"".join(parts) + to_bytes(contract, 20).rjust(32, b"\0"))

    here = domain(31_337, points.address)
    assert here == points.ask("DOMAIN_SEPARATOR")
    for other in (domain(31_338, points.address), domain(31_337, EVE.address)):
        assert why(points, EVE.address, "permit", *permit(desk, ADA, other))[0] == (
            "PermitSignerInvalid"
        )
    coalitions = domain_separator(31_337, desk.network.coalition.address)
    refused = why(points, EVE.address, "permit", *permit(desk, ADA, coalitions))
    assert refused[0] == "PermitSignerInvalid"
    points.send(EVE.address, "permit", *permit(desk, ADA, here))


# ---- passes


def test_refusals__of_a_pass__carry_the_token_or_the_owner(desk: Desk) -> None:
    membership = desk.network.membership
    none = membership.ask("tokenIdOf", 0, EVE.address)
    for question in ("ownerOf", "getApproved", "locked", "tokenURI", "passOf"):
        assert why(membership, EVE.address, question, none) == ("ERC721NonexistentToken", none)
    assert why(membership, EVE.address, "balanceOf", ZERO) == ("ERC721InvalidOwner", ZERO)


def test_pass__every_way_to_move_or_approve_it__is_soulbound(desk: Desk) -> None:
    membership, chain = desk.network.membership, desk.network.chain
    pass_ = membership.ask("tokenIdOf", 0, ADA.address)
    owner, to = (to_bytes(who.address, 20).rjust(32, b"\0") for who in (ADA, BOB))
    move = owner + to + to_bytes(pass_, 32)
    with_data = move + to_bytes(128, 32) + to_bytes(1, 32) + b"x".ljust(32, b"\0")
    calls = {
        "transferFrom(address,address,uint256)": move,
        "safeTransferFrom(address,address,uint256)": move,
        "safeTransferFrom(address,address,uint256,bytes)": with_data,
        "approve(address,uint256)": to + to_bytes(pass_, 32),
        "setApprovalForAll(address,bool)": to + to_bytes(1, 32),
    }
    for signature, arguments in calls.items():
        data = keccak(signature.encode())[:4] + arguments
        with pytest.raises(Refused, match="Soulbound"):
            chain.transact(ADA.address, membership.address, data)
    assert membership.ask("ownerOf", pass_).lower() == ADA.address.lower()
    assert membership.ask("getApproved", pass_) == ZERO
    assert membership.ask("isApprovedForAll", ADA.address, BOB.address) is False


@pytest.mark.parametrize("interface", ["01ffc9a7", "80ac58cd", "49064906", "ffffffff"])
def test_supports_interface__asked_for_any__costs_less_than_the_standard_allows(
    desk: Desk, interface: str
) -> None:
    membership = desk.network.membership
    membership.send(ADA.address, "supportsInterface", bytes.fromhex(interface))
    assert desk.network.chain.gas_used - 21_000 < SUPPORTS_GAS_MAX
