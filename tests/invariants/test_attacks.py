"""The two farms of the domain, and what a thief of each key gets."""

from __future__ import annotations

import pytest
from banyan_kit.revm import ADMIN, Refused
from banyan_kit.wire import Key
from eth_hash.auto import keccak
from network_desk import ATTESTOR, TREASURY, Desk, refusal

ADA, MALLORY, RIP = (Key.from_seed(name) for name in ("ada", "mallory", "rip"))
BAKER, FARMER = 1, 2
ACTIVE, SUSPENDED, LEAVING, CLOSED = 1, 2, 3, 4
OPERATOR = "0x" + "0e" * 20
GUARDED = (
    "registerMerchant(uint32,address,address,bytes32)",
    "setMerchantStatus(uint32,uint8)",
    "setCreditLimit(uint32,uint256)",
    "setTerms(uint256,(uint32,uint32,uint16))",
    "pauseIssuing(bool)",
    "withdrawGuarantee(address,uint256)",
    "withdrawIncome(address,uint256)",
)


@pytest.fixture
def desk() -> Desk:
    """An honest baker and a farmer, both prefunded; Ada, Rip and Mallory are members."""
    desk = Desk.open()
    for number, name in ((BAKER, "baker"), (FARMER, "farmer")):
        desk.register(number, name)
        desk.anyone("deposit", number, 100_000_000)
    for member in (ADA, RIP, MALLORY):
        desk.execute(desk.make("Join", member, member=member.address, nonce=1))
    return desk


def issue(desk: Desk, merchant: int, to: Key, points: int) -> None:
    till = desk.merchants[merchant].tills[0]
    values = {"merchant": merchant, "nonce": desk.nonce(merchant)}
    desk.execute(desk.make("IssueBatch", till, entries=[(to.address, points)], **values))


def redeem(desk: Desk, merchant: int, member: Key, points: int, nonce: int) -> None:
    values = {"member": member.address, "merchant": merchant, "points": points}
    desk.execute(desk.make("Redeem", member, nonce=nonce, ref=bytes(32), **values))


def give_back(desk: Desk, member_key: Key, till: Key, points: int, epoch: int = 1) -> None:
    values = {"member": ADA.address, "merchant": BAKER, "points": points, "epoch": epoch}
    values |= {"nonce": desk.nonce(BAKER), "ref": bytes(32)}
    desk.execute(desk.make("Return", till, member_key=member_key, **values))


def guard(desk: Desk) -> None:
    """Gives the operator's functions to OPERATOR's role, as a deployment does."""
    selectors = [keccak(text.encode())[:4] for text in GUARDED]
    authority, coalition = desk.network.authority, desk.network.coalition.address
    desk.send(authority, ADMIN, "setTargetFunctionRole", coalition, selectors, 2)
    desk.send(authority, ADMIN, "grantRole", 2, OPERATOR, 0)


# ---- the farms


@pytest.mark.parametrize("expired", [30_000, 60_000, 300_000])
def test_wash_issuing__to_oneself_for_a_share_of_others_breakage__loses_money(
    desk: Desk, expired: int
) -> None:
    start = desk.position(FARMER)
    issue(desk, BAKER, RIP, expired)
    issue(desk, FARMER, MALLORY, 100_000)
    redeem(desk, FARMER, MALLORY, 100_000, 2)
    # 100,000 x (110 - 98): what the washing cost.
    assert start - desk.position(FARMER) == 1_200_000
    desk.go_to_epoch(7)
    desk.anyone("closeEpoch", 1)
    desk.anyone("claimBreakage", 1, FARMER)
    assert desk.position(FARMER) <= start


def test_returns_as_redemptions__by_the_member_alone_or_the_till_alone__are_refused(
    desk: Desk,
) -> None:
    issue(desk, BAKER, ADA, 1_000)
    till = desk.merchants[BAKER].tills[0]
    with pytest.raises(Refused, match="NotTillKey"):
        give_back(desk, ADA, ADA, 10)
    with pytest.raises(Refused, match="SignatureInvalid"):
        give_back(desk, till, till, 10)


def test_returns_as_redemptions__over_the_cap_or_late__are_refused(desk: Desk) -> None:
    issue(desk, BAKER, ADA, 1_000)
    till = desk.merchants[BAKER].tills[0]
    with pytest.raises(Refused, match="ReturnExceedsIssued"):
        give_back(desk, ADA, till, 101)
    give_back(desk, ADA, till, 60)
    desk.go_to_epoch(2)
    give_back(desk, ADA, till, 40)
    with pytest.raises(Refused, match="ReturnExceedsIssued"):
        give_back(desk, ADA, till, 1)
    desk.go_to_epoch(3)
    with pytest.raises(Refused, match="ReturnWindowOver"):
        give_back(desk, ADA, till, 1)


def test_returns_as_redemptions__of_all_that_the_cap_lets__lose_money(desk: Desk) -> None:
    """A baker and a member in league: 110 instead of 98 for points that the farmer gave her."""
    issue(desk, BAKER, RIP, 10_000)
    issue(desk, FARMER, ADA, 1_000)
    honest = desk.position(BAKER) + 1_000 * 98
    give_back(desk, ADA, desk.merchants[BAKER].tills[0], 1_000)
    gained = desk.position(BAKER) - honest
    # 12 a point on a tenth of what the baker issued, for each of which it paid a fee of 10.
    assert gained == 12_000 < 10_000 * 10
    with pytest.raises(Refused, match="ReturnExceedsIssued"):
        give_back(desk, ADA, desk.merchants[BAKER].tills[0], 1)


def test_refreshing__old_points_by_redeem_and_refund__keeps_their_age(desk: Desk) -> None:
    issue(desk, BAKER, ADA, 100)
    desk.go_to_epoch(5)
    values = {"member": ADA.address, "merchant": BAKER, "points": 100, "nonce": 2}
    values |= {"deadline": desk.epoch_end(), "ref": bytes(32)}
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **values))
    log = next(log for log in logs if log.name == "Redeemed")
    fields = desk.redemption(log, values, []).fields
    desk.go_to_epoch(6)
    till = desk.merchants[BAKER].tills[0]
    refund = {"merchant": BAKER, "points": 60, "redemption": fields}
    desk.execute(desk.make("Refund", till, nonce=desk.nonce(BAKER), **refund))
    assert desk.network.points.ask("balanceOfAtEpoch", 1, ADA.address) == 60
    desk.go_to_epoch(7)
    assert desk.network.points.ask("balanceOf", ADA.address) == 0
    late = desk.make("Refund", till, nonce=desk.nonce(BAKER), **(refund | {"points": 40}))
    assert refusal(desk.execute, late) == "EpochExpired"


# ---- thieves


def test_stolen_relayer_key__it_alone__moves_nothing(desk: Desk) -> None:
    issue(desk, BAKER, ADA, 100)
    network, thief = desk.network, TREASURY
    for function, arguments in (
        ("mintBatch", [b"\0" * 25]),
        ("redeem", [ADA.address, 1, 2]),
        ("refund", [thief, (1 << 240) | 5]),
        ("returnPoints", [ADA.address, 1, 1]),
        ("transferByOrder", [ADA.address, thief, 1, 2]),
        ("recover", [ADA.address, thief]),
        ("join", [thief, 1]),
        ("useNonce", [ADA.address, 2]),
    ):
        assert refusal(desk.send, network.points, thief, function, *arguments) == "NotCoalition"
    assert refusal(desk.send, network.membership, thief, "mint", thief) == "NotCoalition"
    order = desk.make(
        "Redeem", ADA, member=ADA.address, merchant=1, points=1, nonce=2, ref=bytes(32)
    )
    parts = (network.coalition, thief, "carryOut", order, bytes(32))
    assert refusal(desk.send, *parts) == "NotSelf"
    office = network.chain.contract("Coalition", network.office.address)
    assert refusal(desk.send, office, thief, "carryOut", order, bytes(32)) == "NotSelf"
    assert refusal(desk.send, office, thief, "closeEpoch", 1) == "NotCurrentCoalition"


def test_stolen_till_key__issues_up_to_the_position_and_is_ended_by_the_owner(desk: Desk) -> None:
    merchant = desk.merchants[BAKER]
    issue(desk, BAKER, MALLORY, 100_000_000 // 110)
    with pytest.raises(Refused, match="CreditLimitExceeded"):
        issue(desk, BAKER, MALLORY, 1)
    revoke = {"merchant": BAKER, "key": merchant.tills[0].address, "active": False}
    desk.execute(desk.make("SetTillKey", merchant.owner, nonce=2**63, **revoke))
    with pytest.raises(Refused, match="NotTillKey"):
        issue(desk, BAKER, MALLORY, 1)


def test_stolen_operator_key__takes_no_points_and_no_positions(desk: Desk) -> None:
    guard(desk)
    issue(desk, BAKER, ADA, 1_000)
    desk.send(desk.network.coalition, OPERATOR, "pauseIssuing", True)
    desk.send(desk.network.coalition, OPERATOR, "setMerchantStatus", BAKER, SUSPENDED)
    redeem(desk, BAKER, ADA, 10, 2)
    theft = (desk.network.coalition, OPERATOR, "withdrawIncome", OPERATOR, 1)
    assert refusal(desk.send, *theft) == "IncomeTooLow"
    theft = (desk.network.coalition, OPERATOR, "withdrawGuarantee", OPERATOR, 1)
    assert refusal(desk.send, *theft) == "GuaranteeTooLow"
    terms = (desk.network.coalition, OPERATOR, "setTerms", 2, (0, 100, 10_000))
    desk.network.chain.at(desk.now + 61 * 86_400)
    assert refusal(desk.send, *terms) == "TermsTooLate"
    unbacked = (desk.network.coalition, OPERATOR, "setCreditLimit", BAKER, 1)
    assert refusal(desk.send, *unbacked) == "GuaranteeTooLow"
    closing = (desk.network.coalition, OPERATOR, "setMerchantStatus", BAKER, CLOSED)
    assert refusal(desk.send, *closing) == "MerchantNotActive"


def test_stolen_operator_key__cannot_make_redemptions_dear_by_terms_without_end(desk: Desk) -> None:
    """A movement walks over all changes of terms that are newer than its points."""
    issue(desk, BAKER, ADA, 1_000)
    for epoch in range(2, 11):
        desk.operate("setTerms", epoch, (epoch, 2, 5_000))
    assert refusal(desk.operate, "setTerms", 11, (1, 1, 1)) == "TermsTooFar"
    # The next may be set when the notice has moved on by an epoch, not a second earlier.
    start = int(desk.network.points.ask("epochStart", 3))
    desk.network.chain.at(start - 30 * 86_400)
    assert refusal(desk.operate, "setTerms", 12, (1, 1, 1)) == "TermsTooFar"
    desk.operate("setTerms", 11, (1, 1, 1))
    desk.network.chain.at(start - 30 * 86_400 + 1)
    desk.operate("setTerms", 12, (1, 1, 1))
    redeem(desk, FARMER, ADA, 10, 2)


def test_leaving__stops_redemptions_there_alone_and_nothing_else(desk: Desk) -> None:
    issue(desk, BAKER, ADA, 1_000)
    desk.operate("setMerchantStatus", BAKER, LEAVING)
    with pytest.raises(Refused, match="MerchantNotActive"):
        redeem(desk, BAKER, ADA, 10, 2)
    redeem(desk, FARMER, ADA, 10, 2)
    give_back(desk, ADA, desk.merchants[BAKER].tills[0], 10)
    owner = desk.merchants[BAKER].owner
    take = {"merchant": BAKER, "to": owner.address, "amount": 5, "nonce": 2**63}
    desk.execute(desk.make("Withdraw", owner, **take))
    desk.operate("setMerchantStatus", BAKER, ACTIVE)
    redeem(desk, BAKER, ADA, 10, 3)


@pytest.mark.parametrize(
    "attack",
    [
        ("setTargetClosed", "coalition", True),
        ("setTargetClosed", "points", True),
        ("setTargetClosed", "membership", True),
        ("setTargetClosed", "asset", True),
        ("updateAuthority", "coalition", ATTESTOR),
        ("updateAuthority", "points", ATTESTOR),
    ],
)
def test_access_manager__whatever_admin_does_with_it__redeem_refund_and_withdraw_go_on(
    desk: Desk, attack: tuple[str, str, object]
) -> None:
    issue(desk, BAKER, ADA, 100)
    values = {"member": ADA.address, "merchant": BAKER, "points": 40, "nonce": 3}
    values |= {"deadline": desk.epoch_end(), "ref": bytes(32)}
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **values))
    log = next(log for log in logs if log.name == "Redeemed")
    refund = {"merchant": BAKER, "points": 40, "nonce": 77}
    refund["redemption"] = desk.redemption(log, values, []).fields
    function, target, value = attack
    authority = desk.network.authority
    # An authority must have code; any contract will do for an attacker.
    value = desk.network.asset.address if function == "updateAuthority" else value
    address = getattr(desk.network, target).address
    desk.send(authority, ADMIN, function, address, value)
    for name in ("relay", "execute", "deposit", "closeEpoch", "claimBreakage"):
        selector = desk.network.coalition.encode_selector(name)
        desk.send(authority, ADMIN, "setTargetFunctionRole", address, [selector], 2**64 - 1)
    redeem(desk, FARMER, ADA, 10, 2)
    desk.execute(desk.make("Refund", desk.merchants[BAKER].tills[0], **refund))
    owner = desk.merchants[BAKER].owner
    take = {"merchant": BAKER, "to": owner.address, "amount": 5, "nonce": 2**63}
    desk.execute(desk.make("Withdraw", owner, **take))
    issue(desk, BAKER, ADA, 1)
    assert desk.network.points.ask("balanceOf", ADA.address) == 100 - 10 + 1


def test_gift__of_the_settlement_asset__is_nobodys_position(desk: Desk) -> None:
    before = {m: desk.position(m) for m in (BAKER, FARMER)}
    income = desk.network.coalition.ask("income")
    asset = desk.network.asset
    desk.send(asset, TREASURY, "transfer", desk.network.coalition.address, 12_345)
    assert {m: desk.position(m) for m in (BAKER, FARMER)} == before
    assert desk.network.coalition.ask("income") == income


def test_receipts__a_waiting_proposal__cannot_be_changed_under_the_attestors_hand(
    desk: Desk,
) -> None:
    asset, reference = desk.network.asset, b"\2" * 32
    desk.send(asset, ADMIN, "proposeMint", reference, TREASURY, 100)
    swap = (asset, ADMIN, "proposeMint", reference, MALLORY.address, 10**12)
    assert refusal(desk.send, *swap) == "BankReferenceUsed"
    assert refusal(desk.send, asset, ADMIN, "confirmMint", reference) == "SamePerson"
    desk.send(asset, ATTESTOR, "rejectMint", reference)
    assert refusal(desk.send, asset, ATTESTOR, "confirmMint", reference) == "MintUnknown"
    desk.send(asset, *swap[1:])
    desk.send(asset, ATTESTOR, "rejectMint", reference)


def test_credit_limit__lowered_under_what_is_drawn__is_refused(desk: Desk) -> None:
    desk.anyone("depositGuarantee", 1_000_000)
    desk.operate("setCreditLimit", BAKER, 500_000)
    issue(desk, BAKER, ADA, 913_636)
    drawn = -desk.position(BAKER)
    assert 0 < drawn <= 500_000
    assert refusal(desk.operate, "setCreditLimit", BAKER, drawn - 1) == "LimitUnderDrawn"
    desk.operate("setCreditLimit", BAKER, drawn)
    owner = desk.merchants[BAKER].owner
    take = {"merchant": BAKER, "to": owner.address, "amount": 1, "nonce": 2**63}
    assert refusal(desk.execute, desk.make("Withdraw", owner, **take)) == "CreditLimitExceeded"
