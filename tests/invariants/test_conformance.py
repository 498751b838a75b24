"""Points against the words of ERC-20, ERC-6093, ERC-2612 and ERC-7818; both edges of expiry to the
second.
"""

from __future__ import annotations

import pytest
from banyan_kit.revm import ADMIN, ZERO, Network, Settings, deploy_network
from banyan_kit.wire import Key, domain_separator, to_bytes
from eth_hash.auto import keccak
from network_desk import TREASURY, Desk, refusal

ADA, BOB, EVE = (Key.from_seed(name) for name in ("ada", "bob", "eve"))
BAKER = 1
FULL = 2**35 - 1


@pytest.fixture
def desk() -> Desk:
    """Ada and Bob are members, Eve is none; Ada holds 100 points of epoch 1."""
    desk = Desk.open()
    desk.register(BAKER, "baker")
    desk.anyone("deposit", BAKER, 10**13)
    for member in (ADA, BOB):
        desk.execute(desk.make("Join", member, member=member.address, nonce=1))
    issue(desk, 100)
    return desk


def issue(desk: Desk, points: int, to: Key = ADA) -> None:
    till = desk.merchants[BAKER].tills[0]
    values = {"merchant": BAKER, "nonce": desk.nonce(BAKER), "entries": [(to.address, points)]}
    desk.execute(desk.make("IssueBatch", till, **values))


def call(desk: Desk, caller: Key, function: str, *arguments: object) -> None:
    desk.send(desk.network.points, caller.address, function, *arguments)


def balance(desk: Desk, member: Key) -> int:
    return int(desk.network.points.ask("balanceOf", member.address))


def refused(desk: Desk, caller: Key, function: str, *arguments: object) -> str | None:
    return refusal(call, desk, caller, function, *arguments)


# ---- ERC-20 and ERC-6093


def test_transfer__of_more_than_the_balance__is_insufficient(desk: Desk) -> None:
    assert refused(desk, ADA, "transfer", BOB.address, 101) == "ERC20InsufficientBalance"
    assert refused(desk, ADA, "transfer", BOB.address, 2**256 - 1) == "ERC20InsufficientBalance"


def test_transfer__to_nobody_or_to_no_member__is_refused(desk: Desk) -> None:
    assert refused(desk, ADA, "transfer", ZERO, 1) == "ERC20InvalidReceiver"
    assert refused(desk, ADA, "transfer", EVE.address, 1) == "NotMember"


def test_transfer__of_nothing__emits_as_any_other(desk: Desk) -> None:
    call(desk, BOB, "transfer", ADA.address, 0)
    (log,) = desk.network.chain.logs
    assert (log.name, log.values["value"]) == ("Transfer", 0)


def test_transfer__to_oneself__changes_nothing_and_emits(desk: Desk) -> None:
    word = desk.network.points.ask("accountOf", ADA.address)
    call(desk, ADA, "transfer", ADA.address, 60)
    assert [log.name for log in desk.network.chain.logs] == ["Transfer"]
    assert desk.network.points.ask("accountOf", ADA.address) == word
    assert refused(desk, ADA, "transfer", ADA.address, 101) == "ERC20InsufficientBalance"


def test_transfer_from__without_allowance_or_from_nobody__is_refused(desk: Desk) -> None:
    spend = ("transferFrom", ADA.address, BOB.address, 1)
    assert refused(desk, EVE, *spend) == "ERC20InsufficientAllowance"
    assert refused(desk, EVE, "transferFrom", ZERO, BOB.address, 0) == "ERC20InvalidSender"
    assert refused(desk, ADA, "approve", ZERO, 1) == "ERC20InvalidSpender"


def test_transfer_from__within_the_allowance__uses_it_up_unless_it_is_endless(desk: Desk) -> None:
    points = desk.network.points
    call(desk, ADA, "approve", EVE.address, 30)
    call(desk, EVE, "transferFrom", ADA.address, BOB.address, 20)
    assert points.ask("allowance", ADA.address, EVE.address) == 10
    call(desk, ADA, "approve", EVE.address, 2**256 - 1)
    call(desk, EVE, "transferFrom", ADA.address, BOB.address, 20)
    assert points.ask("allowance", ADA.address, EVE.address) == 2**256 - 1
    assert (balance(desk, ADA), balance(desk, BOB)) == (60, 40)


def test_metadata__of_points__is_whole_points(desk: Desk) -> None:
    points = desk.network.points
    assert (points.ask("name"), points.ask("symbol")) == ("Banyan Points", "BNP")
    assert (points.ask("decimals"), points.ask("totalSupply")) == (0, 100)


# ---- policies


def network_with(policy: int) -> Network:
    return deploy_network(Settings(policy=policy))


def test_transfer__under_the_closed_policy__is_closed_to_everybody() -> None:
    points = network_with(2).points
    assert refusal(points.send, ADMIN, "transfer", TREASURY, 0) == "TransfersClosed"
    assert refusal(points.send, ADMIN, "transferAtEpoch", 1, TREASURY, 0) == "TransfersClosed"


def test_transfer__under_the_open_policy__needs_no_membership() -> None:
    network_with(0).points.send(ADMIN, "transfer", TREASURY, 0)


# ---- ERC-2612


def permit(desk: Desk, signer: Key, deadline: int, nonce: int = 0, value: int = 9) -> list[object]:
    points = desk.network.points
    kind = keccak(
        b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    )
    words = [to_bytes(ADA.address, 20), to_bytes(EVE.address, 20)]
    words += [number.to_bytes(32, "big") for number in (value, nonce, deadline)]
    struct = keccak(kind + b"".join(word.rjust(32, b"\0") for word in words))
    digest = keccak(b"\x19\x01" + points.ask("DOMAIN_SEPARATOR") + struct)
    signature = signer.sign(digest)
    parts = [signature[64], signature[:32], signature[32:64]]
    return [ADA.address, EVE.address, value, deadline, *parts]


def test_permit__late_or_by_another_or_twice__is_refused(desk: Desk) -> None:
    assert refused(desk, EVE, "permit", *permit(desk, ADA, desk.now - 1)) == "PermitExpired"
    assert refused(desk, EVE, "permit", *permit(desk, BOB, desk.now)) == "PermitSignerInvalid"
    once = permit(desk, ADA, desk.now)
    call(desk, EVE, "permit", *once)
    assert refused(desk, EVE, "permit", *once) == "PermitSignerInvalid"


def test_permit__in_its_last_second__allows_and_leaves_order_nonces_alone(desk: Desk) -> None:
    points = desk.network.points
    word = points.ask("accountOf", ADA.address)
    call(desk, EVE, "permit", *permit(desk, ADA, desk.now))
    assert points.ask("allowance", ADA.address, EVE.address) == 9
    assert points.ask("nonces", ADA.address) == 1
    assert points.ask("accountOf", ADA.address) == word


def test_domain__of_points_and_coalition__are_two(desk: Desk) -> None:
    network = desk.network
    coalition = network.coalition.address
    assert network.coalition.ask("domainSeparator") == domain_separator(31_337, coalition)
    assert network.points.ask("DOMAIN_SEPARATOR") != network.coalition.ask("domainSeparator")


# ---- ERC-7818


def test_balance_of__in_the_last_second_and_one_later__is_all_and_nothing(desk: Desk) -> None:
    points = desk.network.points
    # Earned in epoch 1: lives through it and the five that follow.
    end = points.ask("epochEnd", 6)
    desk.network.chain.at(end)
    assert (balance(desk, ADA), points.ask("totalSupply")) == (100, 100)
    assert points.ask("isEpochExpired", 1) is False
    call(desk, ADA, "transferAtEpoch", 1, BOB.address, 40)
    desk.network.chain.at(end + 1)
    assert (balance(desk, ADA), balance(desk, BOB), points.ask("totalSupply")) == (0, 0, 0)
    assert points.ask("isEpochExpired", 1) is True
    assert points.ask("balanceOfAtEpoch", 1, ADA.address) == 0
    move = ("transferAtEpoch", 1, BOB.address, 40)
    assert refused(desk, ADA, *move) == "ERC7818TransferredExpiredToken"
    assert refused(desk, ADA, "transfer", BOB.address, 1) == "ERC20InsufficientBalance"


def test_epochs__of_the_schedule__are_one_second_apart(desk: Desk) -> None:
    points = desk.network.points
    length = points.ask("epochLength")
    assert (points.ask("epochType"), points.ask("validityDuration")) == (1, 6)
    assert points.ask("epochStart", 2) == points.ask("epochEnd", 1) + 1 == desk.now + length
    desk.network.chain.at(points.ask("epochEnd", 1))
    assert points.ask("currentEpoch") == 1
    desk.network.chain.at(points.ask("epochStart", 2))
    assert points.ask("currentEpoch") == 2
    assert points.ask("isEpochExpired", 2**256 - 1) is False


def test_transfer_at_epoch__from_a_bucket__moves_that_epoch_alone_and_tells_it(desk: Desk) -> None:
    points = desk.network.points
    desk.go_to_epoch(3)
    issue(desk, 50)
    call(desk, ADA, "transferAtEpoch", 3, BOB.address, 30)
    names = [log.name for log in desk.network.chain.logs]
    assert names == ["Transfer", "BucketsMoved"]
    assert desk.network.chain.logs[1].values["buckets"] == (3 << 240) | 30
    held = [points.ask("balanceOfAtEpoch", epoch, BOB.address) for epoch in (1, 2, 3, 4)]
    assert held == [0, 0, 30, 0]
    assert refused(desk, ADA, "transferAtEpoch", 3, BOB.address, 21) == "BucketTooLow"
    assert refused(desk, ADA, "transferAtEpoch", 4, BOB.address, 1) == "BucketTooLow"


def test_transfer_from_at_epoch__with_an_allowance__spends_it(desk: Desk) -> None:
    move = ("transferFromAtEpoch", 1, ADA.address, BOB.address, 10)
    assert refused(desk, EVE, *move) == "ERC20InsufficientAllowance"
    call(desk, ADA, "approve", EVE.address, 10)
    call(desk, EVE, *move)
    assert balance(desk, BOB) == 10
    assert refused(desk, EVE, *move) == "ERC20InsufficientAllowance"


def test_transfer__over_two_epochs__takes_the_soonest_and_refreshes_no_age(desk: Desk) -> None:
    desk.go_to_epoch(4)
    issue(desk, 100)
    call(desk, ADA, "transfer", BOB.address, 130)
    points = desk.network.points
    assert [points.ask("balanceOfAtEpoch", e, BOB.address) for e in (1, 4)] == [100, 30]
    desk.go_to_epoch(7)
    assert (balance(desk, ADA), balance(desk, BOB)) == (70, 30)


def test_issue_and_transfer__into_a_full_bucket__are_refused_whole(desk: Desk) -> None:
    issue(desk, FULL - 100)
    assert refusal(issue, desk, 1) == "BucketFull"
    issue(desk, 1, BOB)
    assert refused(desk, BOB, "transfer", ADA.address, 1) == "BucketFull"
    assert (balance(desk, ADA), balance(desk, BOB)) == (FULL, 1)


# ---- order nonces


def test_nonce__window_and_reach__five_behind_six_ahead(desk: Desk) -> None:
    def cancel(nonce: int) -> str | None:
        values = {"signer": ADA.address, "merchant": 0, "nonce": nonce}
        return refusal(desk.execute, desk.make("Cancel", ADA, **values))

    assert cancel(0) == "NonceUsed"
    assert cancel(1) == "NonceUsed"
    assert cancel(8) == "NonceTooHigh"
    assert cancel(7) is None
    assert [cancel(nonce) for nonce in (2, 3, 4, 5, 6)] == [None] * 5
    assert [cancel(nonce) for nonce in (1, 2, 6, 7)] == ["NonceUsed"] * 4
    assert cancel(13) is None
    # 7 was used, 8 to 12 are the five behind 13.
    assert cancel(8) is None
    assert cancel(14) is None
    assert cancel(2**24) == "NoncesExhausted"
