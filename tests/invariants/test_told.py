"""What each act tells, event by event with every value, and what can be asked about it afterwards.

The mirror and the auditor know nothing else of the network.
"""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ADMIN, ZERO, Contract, decode_log
from banyan_kit.wire import Key, redemption_leaf
from network_desk import ATTESTOR, TREASURY, Desk

ADA, BOB, SAFE, NEXT = (Key.from_seed(name) for name in ("ada", "bob", "safe", "next owner"))
BAKER, FLORIST = 1, 2
REF, ROOT, PROFILE = b"\x11" * 32, b"\x22" * 32, b"\x33" * 32
# Lane 0 of epoch 1.
EPOCH_1 = 1 << 240


@pytest.fixture
def desk() -> Desk:
    """A baker with a position of 1,000,000, and Ada, a member."""
    desk = Desk.open()
    desk.register(BAKER, "baker")
    desk.anyone("deposit", BAKER, 1_000_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    return desk


def told(desk: Desk) -> list[tuple[Any, ...]]:
    """Events of the last transaction: name, indexed values, the others."""
    return [(log.name, *log.values.values()) for log in desk.network.chain.logs]


def carried_out(
    desk: Desk, kind: str, key: Key, /, **values: Any
) -> tuple[bytes, list[tuple[Any, ...]]]:
    """Executes an order; its digest, and what it told."""
    values.setdefault("deadline", desk.epoch_end())
    plain = {name: value for name, value in values.items() if name != "member_key"}
    digest = desk.network.wire.digest(kind, **dict(plain))
    desk.execute(desk.network.wire.signed(kind, key, **values))
    return digest, told(desk)


def issue(desk: Desk, points: int, to: Key = ADA) -> None:
    till = desk.merchants[BAKER].tills[0]
    values = {"merchant": BAKER, "nonce": desk.nonce(BAKER), "entries": [(to.address, points)]}
    desk.execute(desk.make("IssueBatch", till, **values))


def called(desk: Desk, contract: Contract, caller: str, *call: Any) -> list[tuple[Any, ...]]:
    """A transaction that is no order, and what it told."""
    desk.send(contract, caller, *call)
    return told(desk)


def operated(desk: Desk, *call: Any) -> list[tuple[Any, ...]]:
    return called(desk, desk.network.coalition, ADMIN, *call)


def token(member: Key, programme: int = 0) -> int:
    return programme << 160 | int(member.address, 16)


# ---- members


def test_join_and_leave__of_a_member__tell_the_bit_and_the_pass(desk: Desk) -> None:
    digest, events = carried_out(desk, "Join", BOB, member=BOB.address, nonce=1)
    assert events == [
        ("MemberSet", BOB.address, True),
        ("Transfer", ZERO, BOB.address, token(BOB)),
        ("Locked", token(BOB)),
        ("Joined", digest, BOB.address),
    ]
    digest, events = carried_out(desk, "Leave", BOB, member=BOB.address, nonce=2)
    assert events == [
        ("MemberSet", BOB.address, False),
        ("Transfer", BOB.address, ZERO, token(BOB)),
        ("Left", digest, BOB.address),
    ]


def test_transfer_and_cancel__of_a_member__tell_both_sides_and_the_nonce(desk: Desk) -> None:
    issue(desk, 100)
    desk.execute(desk.make("Join", BOB, member=BOB.address, nonce=1))
    move = {"from": ADA.address, "to": BOB.address, "points": 30, "nonce": 2}
    digest, events = carried_out(desk, "Transfer", ADA, **move)
    assert events == [
        ("Transfer", ADA.address, BOB.address, 30),
        ("Transferred", digest, ADA.address, BOB.address, 30),
    ]
    values = {"signer": ADA.address, "merchant": 0, "nonce": 4}
    digest, events = carried_out(desk, "Cancel", ADA, **values)
    assert events == [("Cancelled", digest, ADA.address, 0, 4)]
    used = [desk.network.points.ask("isNonceUsed", ADA.address, nonce) for nonce in range(7)]
    assert used == [True, True, True, False, True, False, False]


def test_recovery__named_started_and_finished__tells_each_step(desk: Desk) -> None:
    issue(desk, 100)
    coalition, names = desk.network.coalition, {"member": ADA.address, "recovery": SAFE.address}
    digest, events = carried_out(desk, "NameRecovery", ADA, nonce=2, **names)
    assert events == [("RecoveryNamed", digest, ADA.address, SAFE.address)]
    assert coalition.ask("recoveryOf", ADA.address) == (SAFE.address, 0)
    digest, events = carried_out(desk, "Recover", SAFE, nonce=1, **names)
    finishable = desk.now + coalition.ask("RECOVERY_DELAY")
    assert coalition.ask("RECOVERY_DELAY") == 7 * 86_400
    assert events == [("RecoveryStarted", digest, ADA.address, SAFE.address, finishable)]
    assert coalition.ask("recoveryOf", ADA.address) == (SAFE.address, finishable)
    assert desk.network.points.ask("isNonceUsed", SAFE.address, 1) is True
    desk.network.chain.at(finishable)
    assert called(desk, coalition, TREASURY, "finishRecovery", ADA.address) == [
        ("MemberSet", ADA.address, False),
        ("MemberSet", SAFE.address, True),
        ("Transfer", ADA.address, SAFE.address, 100),
        ("Transfer", ADA.address, ZERO, token(ADA)),
        ("Transfer", ZERO, SAFE.address, token(SAFE)),
        ("Locked", token(SAFE)),
        ("Recovered", ADA.address, SAFE.address),
    ]
    assert coalition.ask("recoveryOf", ADA.address) == (ZERO, 0)


def test_recovery__to_a_member__tells_no_second_membership(desk: Desk) -> None:
    desk.execute(desk.make("Join", SAFE, member=SAFE.address, nonce=1))
    names = {"member": ADA.address, "recovery": SAFE.address}
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **names))
    desk.execute(desk.make("Recover", SAFE, nonce=2, **names))
    desk.network.chain.at(desk.now + 7 * 86_400)
    assert called(desk, desk.network.coalition, TREASURY, "finishRecovery", ADA.address) == [
        ("MemberSet", ADA.address, False),
        ("Transfer", ADA.address, SAFE.address, 0),
        ("Transfer", ADA.address, ZERO, token(ADA)),
        ("Recovered", ADA.address, SAFE.address),
    ]


def test_recovery__of_one_who_has_left__moves_points_and_no_membership(desk: Desk) -> None:
    issue(desk, 100)
    names = {"member": ADA.address, "recovery": SAFE.address}
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **names))
    desk.execute(desk.make("Recover", SAFE, nonce=1, **names))
    desk.execute(desk.make("Leave", ADA, member=ADA.address, nonce=3))
    desk.network.chain.at(desk.now + 7 * 86_400)
    assert called(desk, desk.network.coalition, TREASURY, "finishRecovery", ADA.address) == [
        ("Transfer", ADA.address, SAFE.address, 100),
        ("Recovered", ADA.address, SAFE.address),
    ]
    assert desk.network.points.ask("isMember", SAFE.address) is False


# ---- trade


def test_issue__of_a_batch__tells_each_entry_and_the_charge(desk: Desk) -> None:
    values = {"merchant": BAKER, "nonce": 7, "entries": [(ADA.address, 100), (ADA.address, 11)]}
    till = desk.merchants[BAKER].tills[0]
    digest, events = carried_out(desk, "IssueBatch", till, referencesRoot=ROOT, **values)
    assert events == [
        ("Transfer", ZERO, ADA.address, 100),
        ("Transfer", ZERO, ADA.address, 11),
        ("Issued", digest, BAKER, 7, 1, 111, 111 * 110, ROOT),
    ]
    assert desk.network.coalition.ask("issuedBy", 1, BAKER) == (111, 0)
    assert desk.network.points.ask("supplyOfEpoch", 1) == (111, 111)


def test_redeem_and_refund__of_a_part__tell_buckets_leaf_and_charge(desk: Desk) -> None:
    issue(desk, 100)
    fields = {"member": ADA.address, "merchant": BAKER, "points": 60, "nonce": 2, "ref": REF}
    fields["deadline"] = desk.epoch_end()
    digest, events = carried_out(desk, "Redeem", ADA, **fields)
    leaf = redemption_leaf(digest, EPOCH_1 | 60)
    assert events == [
        ("Transfer", ADA.address, ZERO, 60),
        ("Redeemed", digest, ADA.address, BAKER, 60, 60 * 98, EPOCH_1 | 60, REF),
        ("RedemptionsRooted", leaf, 1),
    ]
    past = desk.redemption(desk.network.chain.logs[1], fields, []).fields
    till = desk.merchants[BAKER].tills[0]
    refund = {"merchant": BAKER, "points": 25, "nonce": 9, "redemption": past}
    digest, events = carried_out(desk, "Refund", till, **refund)
    assert events == [
        ("Transfer", ZERO, ADA.address, 25),
        ("BucketsMoved", ZERO, ADA.address, EPOCH_1 | 25),
        ("Refunded", digest, ADA.address, BAKER, leaf, 25, 25 * 98, EPOCH_1 | 25),
    ]
    assert desk.network.coalition.ask("refundedOf", leaf) == 25


def test_trade__over_epochs_of_different_terms__has_each_point_at_the_price_of_its_own(
    desk: Desk,
) -> None:
    """100 points of each of three epochs: redeemed at 98, 95 and 90, issued at 110, 107 and 120."""
    for epoch, terms in ((2, (7, 5, 5_000)), (3, (20, 10, 2_000))):
        desk.operate("setTerms", epoch, terms)
    charged = []
    for epoch in (1, 2, 3):
        desk.go_to_epoch(epoch)
        issue(desk, 100)
        charged.append(desk.network.chain.logs[-1].values["charged"])
    assert charged == [11_000, 10_700, 12_000]
    till = desk.merchants[BAKER].tills[0]
    back = {"member": ADA.address, "merchant": BAKER, "points": 10, "epoch": 2, "nonce": 90}
    carried_out(desk, "Return", till, member_key=ADA, ref=REF, **back)
    assert desk.network.chain.logs[-1].values["credited"] == 10 * 107
    fields = {"member": ADA.address, "merchant": BAKER, "points": 290, "nonce": 2, "ref": REF}
    fields["deadline"] = desk.epoch_end()
    _, events = carried_out(desk, "Redeem", ADA, **fields)
    assert events[1][5] == 100 * 98 + 90 * 95 + 100 * 90
    past = desk.redemption(desk.network.chain.logs[1], fields, []).fields
    refund = {"merchant": BAKER, "points": 195, "nonce": 91, "redemption": past}
    _, events = carried_out(desk, "Refund", till, **refund)
    assert events[-1][6] == 100 * 90 + 90 * 95 + 5 * 98
    coalition = desk.network.coalition
    fees = 100 * 10 + 90 * 7 + 100 * 20
    assert coalition.ask("income") == (fees + 95 * 2, 100 * 10)
    desk.go_to_epoch(8)
    assert called(desk, coalition, TREASURY, "closeEpoch", 2) == [
        ("EpochClosed", 2, 9_000, 90 * 12, 9_000 - 90 * 12)
    ]
    assert called(desk, coalition, TREASURY, "closeEpoch", 1) == [("EpochClosed", 1, 500, 250, 250)]
    assert coalition.ask("income") == (fees + 95 * 2 + 250 + 9_000 - 90 * 12,) * 2


def test_return__of_goods__tells_the_bucket_and_the_credit(desk: Desk) -> None:
    issue(desk, 100)
    values = {"member": ADA.address, "merchant": BAKER, "points": 9, "epoch": 1, "nonce": 8}
    till = desk.merchants[BAKER].tills[0]
    digest, events = carried_out(desk, "Return", till, member_key=ADA, ref=REF, **values)
    assert events == [
        ("Transfer", ADA.address, ZERO, 9),
        ("BucketsMoved", ADA.address, ZERO, EPOCH_1 | 9),
        ("Returned", digest, ADA.address, BAKER, 1, 9, 9 * 110, REF),
    ]
    assert desk.network.coalition.ask("issuedBy", 1, BAKER) == (100, 9)
    assert desk.network.points.ask("supplyOfEpoch", 1) == (91, 91)


# ---- merchants


def test_register__with_and_without_a_till__tells_owner_profile_and_key(desk: Desk) -> None:
    till = Key.from_seed("a till").address
    call = ("registerMerchant", FLORIST, NEXT.address, till, PROFILE)
    assert operated(desk, *call) == [
        ("MerchantRegistered", FLORIST, NEXT.address, PROFILE),
        ("TillKeySet", bytes(32), FLORIST, till, True),
    ]
    merchant = desk.network.coalition.ask("merchantOf", FLORIST)
    assert merchant == (NEXT.address, 1, 0, 0, PROFILE)
    assert operated(desk, "registerMerchant", 3, NEXT.address, ZERO, PROFILE) == [
        ("MerchantRegistered", 3, NEXT.address, PROFILE)
    ]


def test_owners_orders__each__tell_what_is_changed_and_change_it(desk: Desk) -> None:
    coalition, owner = desk.network.coalition, desk.merchants[BAKER].owner
    key = Key.from_seed("another till").address
    for active in (True, False):
        values = {"merchant": BAKER, "key": key, "active": active, "nonce": 2**63 + active}
        digest, events = carried_out(desk, "SetTillKey", owner, **values)
        assert events == [("TillKeySet", digest, BAKER, key, active)]
        assert coalition.ask("tillKeyMerchant", key) == (BAKER if active else 0)
    values = {"merchant": BAKER, "profileHash": PROFILE, "nonce": 2**63 + 2}
    digest, events = carried_out(desk, "SetProfile", owner, **values)
    assert events == [("ProfileSet", digest, BAKER, PROFILE)]
    values = {"merchant": BAKER, "to": SAFE.address, "amount": 77, "nonce": 2**63 + 3}
    digest, events = carried_out(desk, "Withdraw", owner, **values)
    assert events == [
        ("Withdrawn", digest, BAKER, SAFE.address, 77),
        ("Transfer", coalition.address, SAFE.address, 77),
    ]
    values = {"merchant": BAKER, "owner": NEXT.address, "nonce": 2**63 + 4}
    digest, events = carried_out(desk, "SetOwner", owner, **values)
    assert events == [("OwnerSet", digest, BAKER, NEXT.address)]
    assert coalition.ask("merchantOf", BAKER) == (NEXT.address, 1, 999_923, 0, PROFILE)
    used = [coalition.ask("isMerchantNonceUsed", BAKER, 2**63 + nonce) for nonce in range(-1, 6)]
    assert used == [False, True, True, True, True, True, False]


@pytest.mark.parametrize("signer", ["owner", "till"])
def test_cancel__of_a_merchants_nonce__by_owner_or_till_uses_it(desk: Desk, signer: str) -> None:
    merchant = desk.merchants[BAKER]
    key = merchant.owner if signer == "owner" else merchant.tills[0]
    values = {"signer": key.address, "merchant": BAKER, "nonce": 258}
    digest, events = carried_out(desk, "Cancel", key, **values)
    assert events == [("Cancelled", digest, key.address, BAKER, 258)]
    used = [desk.network.coalition.ask("isMerchantNonceUsed", BAKER, n) for n in (2, 257, 258, 514)]
    assert used == [False, False, True, False]


def test_deposit__by_anybody__tells_from_whom(desk: Desk) -> None:
    coalition = desk.network.coalition
    assert called(desk, coalition, TREASURY, "deposit", BAKER, 5) == [
        ("Transfer", TREASURY, coalition.address, 5),
        ("Deposited", BAKER, TREASURY, 5),
    ]


# ---- the operator


def test_operators_acts__each__tell_what_is_changed_and_change_it(desk: Desk) -> None:
    coalition = desk.network.coalition
    assert called(desk, coalition, TREASURY, "depositGuarantee", 500) == [
        ("Transfer", TREASURY, coalition.address, 500),
        ("GuaranteeDeposited", TREASURY, 500),
    ]
    assert operated(desk, "setCreditLimit", BAKER, 300) == [("CreditLimitSet", BAKER, 300)]
    assert operated(desk, "withdrawGuarantee", SAFE.address, 200) == [
        ("GuaranteeWithdrawn", SAFE.address, 200),
        ("Transfer", coalition.address, SAFE.address, 200),
    ]
    assert (coalition.ask("guarantee"), coalition.ask("sumOfLimits")) == (300, 300)
    for status in (2, 3, 1):
        told_status = operated(desk, "setMerchantStatus", BAKER, status)
        assert told_status == [("MerchantStatusSet", BAKER, status)]
        assert coalition.ask("merchantOf", BAKER)[1] == status
    for paused in (True, False):
        assert operated(desk, "pauseIssuing", paused) == [("IssuingPaused", paused)]
        assert coalition.ask("issuingPaused") is paused
    assert operated(desk, "setTerms", 3, (11, 3, 4_000)) == [("TermsSet", 3, 11, 3, 4_000)]
    assert coalition.ask("termsChanges") == 2
    assert [coalition.ask("termsChangeAt", i) for i in (0, 1)] == [
        (1, (10, 2, 5_000)),
        (3, (11, 3, 4_000)),
    ]


def test_an_epochs_end__closed_claimed_and_withdrawn__tells_every_part(desk: Desk) -> None:
    issue(desk, 1_000)
    spend = {"member": ADA.address, "merchant": BAKER, "points": 900, "nonce": 2, "ref": REF}
    desk.execute(desk.make("Redeem", ADA, **spend))
    desk.go_to_epoch(7)
    coalition = desk.network.coalition
    # 100 points unspent: 10,000, of which half goes to those who issued; fees 10,000 and 1,800.
    assert called(desk, coalition, TREASURY, "closeEpoch", 1) == [
        ("EpochClosed", 1, 10_000, 5_000, 5_000)
    ]
    assert coalition.ask("closingOf", 1) == (5_000, 0, 0, True)
    assert coalition.ask("ledger") == (0, 0, 16_800, 0, 5_000, 2)
    assert called(desk, coalition, TREASURY, "claimBreakage", 1, BAKER) == [
        ("BreakageClaimed", 1, BAKER, 5_000)
    ]
    assert coalition.ask("closingOf", 1) == (5_000, 5_000, 1_000, True)
    assert coalition.ask("hasClaimed", 1, BAKER) is True
    assert operated(desk, "withdrawIncome", SAFE.address, 800) == [
        ("IncomeWithdrawn", SAFE.address, 800),
        ("Transfer", coalition.address, SAFE.address, 800),
    ]
    assert coalition.ask("ledger") == (0, 0, 16_800, 800, 0, 2)
    assert coalition.ask("income") == (16_000, 16_000)


# ---- points as a token


def test_token__approvals_and_moves__tell_owner_spender_and_buckets(desk: Desk) -> None:
    issue(desk, 100)
    desk.execute(desk.make("Join", BOB, member=BOB.address, nonce=1))
    points = desk.network.points
    assert called(desk, points, ADA.address, "approve", SAFE.address, 50) == [
        ("Approval", ADA.address, SAFE.address, 50)
    ]
    move = ("transferFrom", ADA.address, BOB.address, 20)
    assert called(desk, points, SAFE.address, *move) == [("Transfer", ADA.address, BOB.address, 20)]
    at_epoch = ("transferFromAtEpoch", 1, ADA.address, BOB.address, 30)
    assert called(desk, points, SAFE.address, *at_epoch) == [
        ("Transfer", ADA.address, BOB.address, 30),
        ("BucketsMoved", ADA.address, BOB.address, EPOCH_1 | 30),
    ]
    assert points.ask("allowance", ADA.address, SAFE.address) == 0
    assert points.ask("policy") == 1


def test_points__at_creation__tell_whom_they_obey(desk: Desk) -> None:
    chain, authority = desk.network.chain, desk.network.authority.address
    made = chain.deploy_artefact(ADMIN, "Points", "P", "P", desk.now, 1, 1, SAFE.address, authority)
    logs = [decode_log(x.address, x.topics, bytes(x.data[1])) for x in chain.evm.result.logs]
    changed = next(log for log in logs if log.name == "CoalitionChanged")
    assert (changed.address, *changed.values.values()) == (made.address, ZERO, SAFE.address)


def test_succession__proposed_vetoed_and_accepted__is_in_the_open(desk: Desk) -> None:
    points, heir = desk.network.points, SAFE.address
    at = desk.now + points.ask("SUCCESSION_DELAY")
    assert called(desk, points, ADMIN, "proposeCoalition", heir) == [
        ("CoalitionProposed", heir, at)
    ]
    assert points.ask("successor") == (heir, at)
    assert called(desk, points, ADMIN, "vetoCoalition") == [("CoalitionVetoed", heir)]
    assert points.ask("successor") == (ZERO, 0)
    desk.send(points, ADMIN, "proposeCoalition", heir)
    desk.network.chain.at(at)
    assert called(desk, points, heir, "acceptCoalition") == [
        ("CoalitionChanged", desk.network.coalition.address, heir)
    ]
    assert (points.ask("coalition"), points.ask("successor")) == (heir, (ZERO, 0))


# ---- passes


def test_passes__enrolled_raised_and_discarded__tell_the_tier_and_the_token(desk: Desk) -> None:
    membership, till = desk.network.membership, desk.merchants[BAKER].tills[0].address
    mine = token(ADA, BAKER)
    assert called(desk, membership, till, "enroll", BAKER, ADA.address, 0) == [
        ("Transfer", ZERO, ADA.address, mine),
        ("Locked", mine),
    ]
    assert called(desk, membership, till, "setTier", mine, 65_535) == [
        ("TierSet", mine, 65_535),
        ("MetadataUpdate", mine),
    ]
    assert membership.ask("passOf", mine) == (ADA.address, 65_535, desk.now)
    assert called(desk, membership, till, "setTier", mine, 2)[0] == ("TierSet", mine, 2)
    assert membership.ask("passOf", mine) == (ADA.address, 2, desk.now)
    assert called(desk, membership, ADA.address, "discard", BAKER) == [
        ("Transfer", ADA.address, ZERO, mine)
    ]
    owner = desk.merchants[BAKER].owner.address
    assert called(desk, membership, owner, "enroll", BAKER, ADA.address, 4) == [
        ("Transfer", ZERO, ADA.address, mine),
        ("Locked", mine),
        ("TierSet", mine, 4),
    ]
    assert (membership.ask("name"), membership.ask("symbol")) == ("Banyan", "BNY")
    assert membership.ask("points") == desk.network.points.address


# ---- receipts


def test_receipts__minted_rejected_and_paid_out__tell_who_and_by_which_reference(
    desk: Desk,
) -> None:
    asset, holder = desk.network.asset, SAFE.address
    assert called(desk, asset, ADMIN, "proposeMint", REF, holder, 70) == [
        ("MintProposed", REF, holder, 70, ADMIN)
    ]
    assert called(desk, asset, ATTESTOR, "rejectMint", REF) == [("MintRejected", REF, ATTESTOR)]
    desk.send(asset, ADMIN, "proposeMint", REF, holder, 70)
    assert called(desk, asset, ATTESTOR, "confirmMint", REF) == [
        ("MintConfirmed", REF, holder, 70, ATTESTOR),
        ("Transfer", ZERO, holder, 70),
    ]
    assert called(desk, asset, holder, "requestPayout", 30, PROFILE) == [
        ("PayoutRequested", 1, holder, 30, PROFILE),
        ("Transfer", holder, asset.address, 30),
    ]
    assert called(desk, asset, holder, "cancelPayout", 1) == [
        ("PayoutCancelled", 1),
        ("Transfer", asset.address, holder, 30),
    ]
    desk.send(asset, holder, "requestPayout", 20, PROFILE)
    assert called(desk, asset, ADMIN, "settlePayout", 2, ROOT) == [
        ("PayoutSettled", 2, ROOT),
        ("Transfer", asset.address, ZERO, 20),
    ]
    assert called(desk, asset, ATTESTOR, "attestBalance", 20_261_122, 5, PROFILE) == [
        ("BalanceAttested", 20_261_122, 5, PROFILE, ATTESTOR)
    ]
