"""What a successor knows of its predecessors, before it is touched and after."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ADMIN, ZERO, Log, Refused
from banyan_kit.wire import Key, merkle_proof, redemption_leaf
from network_desk import TREASURY, Desk, refusal
from network_heirs import DELAY, hand_over, successor_of

ADA, SAFE, EVE = (Key.from_seed(name) for name in ("ada", "safe", "eve"))
BAKER, FLORIST, GROCER, NOBODY = 1, 2, 3, 77
ACTIVE, LEAVING, CLOSED = 1, 3, 4
PROFILE, REF = b"\x33" * 32, bytes(32)
WEEK = 7 * 86_400


@pytest.fixture
def desk() -> Desk:
    """Three merchants; Ada has 1,000 points of the baker's and 500 of the florist's."""
    desk = Desk.open()
    for number, name in ((BAKER, "baker"), (FLORIST, "florist"), (GROCER, "grocer")):
        desk.register(number, name)
        desk.anyone("deposit", number, 1_000_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    issue(desk, BAKER, 1_000)
    issue(desk, FLORIST, 500)
    return desk


def issue(desk: Desk, merchant: int, points: int) -> None:
    values = {"merchant": merchant, "nonce": desk.nonce(merchant)}
    till = desk.merchants[merchant].tills[0]
    desk.execute(desk.make("IssueBatch", till, entries=[(ADA.address, points)], **values))


def owners(desk: Desk, kind: str, merchant: int = BAKER, **values: Any) -> bytes:
    values |= {"merchant": merchant, "nonce": 2**63 + desk.nonce(merchant)}
    return desk.make(kind, desk.merchants[merchant].owner, **values)


def give_back(desk: Desk, points: int, epoch: int = 1) -> bytes:
    values = {"member": ADA.address, "merchant": BAKER, "points": points, "epoch": epoch}
    values |= {"nonce": desk.nonce(BAKER), "ref": REF}
    return desk.make("Return", desk.merchants[BAKER].tills[0], member_key=ADA, **values)


def redemptions(desk: Desk, *amounts: int) -> list[tuple[Log, dict[str, Any], bytes]]:
    """Ada redeems at the florist, all in one relay: logs, orders and leaves."""
    made = [
        {"member": ADA.address, "merchant": FLORIST, "points": points, "nonce": 2 + place}
        | {"deadline": desk.epoch_end(), "ref": REF}
        for place, points in enumerate(amounts)
    ]
    logs = desk.relay(*[desk.network.wire.signed("Redeem", ADA, **values) for values in made])
    told = [log for log in logs if log.name == "Redeemed"]
    leaves = [redemption_leaf(log.values["digest"], log.values["buckets"]) for log in told]
    return list(zip(told, made, leaves, strict=True))


def ask(desk: Desk, function: str, *arguments: Any) -> Any:
    return desk.network.coalition.ask(function, *arguments)


# ---- creation and the hand-over itself


@pytest.mark.parametrize("other", ["points", "asset", "membership"])
def test_create__over_a_predecessor_with_other_contracts__is_refused(
    desk: Desk, other: str
) -> None:
    chain, authority = desk.network.chain, desk.network.authority.address
    if other == "points":
        figures = ("Points", "P", "P", desk.now, 86_400, 1, ADMIN, authority)
    elif other == "membership":
        figures = ("MembershipPass", desk.network.points.address, authority, "P", "P")
    else:
        figures = ("BankReceipt", "R", "R", 10**30, authority)
    elsewhere = chain.deploy_artefact(ADMIN, *figures).address
    with pytest.raises(Refused, match="PredecessorMismatch"):
        successor_of(desk, desk.network.coalition.address, **{other: elsewhere})


def test_accept__of_the_money_and_the_terms__is_told_line_by_line(desk: Desk) -> None:
    for epoch, terms in ((3, (11, 3, 1)), (4, (12, 4, 2)), (6, (13, 5, 3))):
        desk.operate("setTerms", epoch, terms)
    desk.operate("pauseIssuing", True)
    cash = desk.cash()
    old = hand_over(desk)
    new = desk.network.coalition
    assert [(log.name, *log.values.values()) for log in desk.network.chain.logs] == [
        ("CoalitionChanged", old.address, new.address),
        ("TermsSet", 1, 10, 2, 5_000),
        ("TermsSet", 3, 11, 3, 1),
        ("TermsSet", 4, 12, 4, 2),
        ("TermsSet", 6, 13, 5, 3),
        ("HandedOver", new.address, cash),
        ("Transfer", old.address, new.address, cash),
    ]
    assert new.ask("issuingPaused") is True
    assert new.ask("termsChanges") == 4
    for epoch in range(8):
        assert new.ask("termsOf", epoch) == old.ask("termsOf", epoch)
    for change in range(4):
        assert new.ask("termsChangeAt", change) == old.ask("termsChangeAt", change)
    # What comes to the old address later is passed on.
    asset = desk.network.asset
    desk.send(asset, TREASURY, "transfer", old.address, 5)
    (log, _) = desk.send(old, TREASURY, "handOver")
    assert (log.name, *log.values.values()) == ("HandedOver", new.address, 5)
    assert desk.cash() == cash + 5


def test_accept__twice_or_without_being_proposed__is_refused(desk: Desk) -> None:
    successor = successor_of(desk, desk.network.coalition.address)
    assert refusal(desk.send, successor, TREASURY, "accept") == "NoSuccessor"
    hand_over(desk, successor)
    assert refusal(desk.send, successor, TREASURY, "accept") == "PredecessorMismatch"


@pytest.mark.parametrize(
    "call",
    [
        ("relay", []),
        ("execute", b""),
        ("deposit", BAKER, 1),
        ("depositGuarantee", 1),
        ("withdrawGuarantee", ADMIN, 0),
        ("closeEpoch", 1),
        ("claimBreakage", 1, BAKER),
        ("withdrawIncome", ADMIN, 0),
        ("registerMerchant", NOBODY, ADMIN, ZERO, REF),
        ("setMerchantStatus", BAKER, 2),
        ("setCreditLimit", BAKER, 0),
        ("setTerms", 9, (1, 1, 1)),
        ("pauseIssuing", True),
        ("finishRecovery", ADA.address),
    ],
)
def test_old_coalition__asked_for_any_change__names_the_one_of_the_day(
    desk: Desk, call: tuple[Any, ...]
) -> None:
    old = hand_over(desk)
    with pytest.raises(Refused) as refused:
        desk.send(old, ADMIN, *call)
    assert refused.value.name == "NotCurrentCoalition"
    assert refused.value.values == (desk.network.coalition.address,)


def test_reads__of_a_coalition_without_predecessor__ask_nobody(desk: Desk) -> None:
    assert ask(desk, "predecessor") == ZERO
    assert ask(desk, "hasClaimed", 5, NOBODY) is False
    assert ask(desk, "issuedBy", 5, NOBODY) == (0, 0)
    assert ask(desk, "closingOf", 5) == (0, 0, 0, False)
    assert ask(desk, "recoveryOf", EVE.address) == (ZERO, 0)
    assert ask(desk, "refundedOf", REF) == 0
    assert ask(desk, "isRedemptionRoot", REF) is False
    assert ask(desk, "merchantOf", NOBODY) == (ZERO, 0, 0, 0, REF)
    assert ask(desk, "tillKeyMerchant", EVE.address) == 0


# ---- merchants


def test_successor__of_merchants__knows_those_of_the_predecessor_and_no_other(desk: Desk) -> None:
    desk.execute(owners(desk, "SetProfile", profileHash=PROFILE))
    known = {merchant: ask(desk, "merchantOf", merchant) for merchant in (BAKER, FLORIST, NOBODY)}
    old = hand_over(desk)
    for merchant, before in known.items():
        assert ask(desk, "merchantOf", merchant) == before
    assert refusal(desk.operate, "setMerchantStatus", NOBODY, 2) == "MerchantUnknown"
    register = ("registerMerchant", BAKER, EVE.address, ZERO, REF)
    assert refusal(desk.operate, *register) == "MerchantExists"
    desk.operate("setMerchantStatus", BAKER, 2)
    owner, status, *rest = known[BAKER]
    assert ask(desk, "merchantOf", BAKER) == (owner, 2, *rest)
    assert (status, old.ask("merchantOf", BAKER)) == (ACTIVE, known[BAKER])
    desk.operate("registerMerchant", NOBODY, EVE.address, ZERO, REF)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [("SetOwner", "owner", EVE.address), ("SetProfile", "profileHash", PROFILE)],
)
def test_owners_order__as_the_first_touch__is_not_undone_by_the_second(
    desk: Desk, kind: str, field: str, value: object
) -> None:
    hand_over(desk)
    before = list(ask(desk, "merchantOf", BAKER))
    desk.execute(owners(desk, kind, **{field: value}))
    before[0 if kind == "SetOwner" else 4] = value
    assert list(ask(desk, "merchantOf", BAKER)) == before
    desk.operate("setMerchantStatus", BAKER, ACTIVE)
    assert list(ask(desk, "merchantOf", BAKER)) == before


@pytest.mark.parametrize("touch", ["Cancel", "SetTillKey", "SetOwner", "SetProfile"])
def test_leaving__at_the_predecessor__counts_from_the_first_touch_of_any_order(
    desk: Desk, touch: str
) -> None:
    desk.operate("setMerchantStatus", BAKER, LEAVING)
    hand_over(desk)
    desk.go_to_epoch(3)
    owner = desk.merchants[BAKER].owner.address
    values = {
        "Cancel": {"signer": owner},
        "SetTillKey": {"key": EVE.address, "active": True},
        "SetOwner": {"owner": EVE.address},
        "SetProfile": {"profileHash": PROFILE},
    }
    desk.execute(owners(desk, touch, **values[touch]))
    assert ask(desk, "merchantOf", BAKER)[1] == LEAVING
    desk.go_to_epoch(8)
    assert refusal(desk.operate, "setMerchantStatus", BAKER, CLOSED) == "MerchantNotActive"
    desk.go_to_epoch(9)
    desk.operate("setMerchantStatus", BAKER, CLOSED)


def test_till_keys__given_and_taken_away__are_known_to_both_in_their_time(desk: Desk) -> None:
    first, second = (till.address for till in desk.merchants[BAKER].tills)
    desk.execute(owners(desk, "SetTillKey", key=second, active=True))
    desk.execute(owners(desk, "SetTillKey", key=first, active=False))
    hand_over(desk)
    assert [ask(desk, "tillKeyMerchant", key) for key in (first, second)] == [0, BAKER]
    theirs = owners(desk, "SetTillKey", FLORIST, key=second, active=True)
    assert refusal(desk.execute, theirs) == "TillKeyTaken"
    desk.execute(owners(desk, "SetTillKey", key=second, active=False))
    assert ask(desk, "tillKeyMerchant", second) == 0


def test_merchants_nonce__used_at_the_predecessor__is_free_in_the_new_domain(desk: Desk) -> None:
    hand_over(desk)
    assert ask(desk, "isMerchantNonceUsed", BAKER, 1) is False


# ---- points of the predecessor's epochs


def test_returns__before_and_after_the_hand_over__share_one_cap(desk: Desk) -> None:
    desk.execute(give_back(desk, 40))
    hand_over(desk)
    assert ask(desk, "issuedBy", 1, BAKER) == (1_000, 40)
    issue(desk, BAKER, 100)
    assert ask(desk, "issuedBy", 1, BAKER) == (1_100, 40)
    assert refusal(desk.execute, give_back(desk, 71)) == "ReturnExceedsIssued"
    desk.execute(give_back(desk, 70))
    assert ask(desk, "issuedBy", 1, BAKER) == (1_100, 110)
    desk.go_to_epoch(2)
    issue(desk, BAKER, 7)
    assert ask(desk, "issuedBy", 2, BAKER) == (7, 0)


def test_refund__at_the_third_coalition__of_a_redemption_at_the_first(desk: Desk) -> None:
    kept = redemptions(desk, 100, 50, 25)
    leaves = [leaf for _, _, leaf in kept]
    first = desk.network
    root = next(log for log in first.chain.logs if log.name == "RedemptionsRooted").values["root"]
    hand_over(desk)
    hand_over(desk)
    assert ask(desk, "isRedemptionRoot", root) is True
    assert ask(desk, "isRedemptionRoot", leaves[0]) is False
    till, wire = desk.merchants[FLORIST].tills[0], desk.network.wire
    for place, (log, fields, leaf) in enumerate(kept):
        past = desk.redemption(log, fields, merkle_proof(leaves, place)).fields
        values = {"merchant": FLORIST, "points": 20, "nonce": 100 + place, "redemption": past}
        values["deadline"] = desk.epoch_end()
        # The leaf was made in the first's domain, the refund is signed in the third's.
        digest = ask(desk, "digestOf", wire.encode("Refund", b"\1", **values))
        desk.execute(wire.encode("Refund", till.sign(digest), **values))
        assert ask(desk, "refundedOf", leaf) == 20
    assert desk.network.points.ask("balanceOf", ADA.address) == 1_500 - 175 + 60


# ---- the end of an epoch


def test_claims__of_an_epoch_closed_by_the_predecessor__go_on_where_they_stood(desk: Desk) -> None:
    desk.go_to_epoch(7)
    desk.anyone("closeEpoch", 1)
    desk.anyone("claimBreakage", 1, BAKER)
    old = hand_over(desk)
    closing = old.ask("closingOf", 1)
    assert ask(desk, "closingOf", 1) == closing == (18_000, 12_000, 1_000, True)
    claimed = [ask(desk, "hasClaimed", 1, merchant) for merchant in (BAKER, FLORIST, GROCER)]
    assert claimed == [True, False, False]
    (log,) = desk.anyone("claimBreakage", 1, FLORIST)
    assert log.values["amount"] == 6_000
    assert ask(desk, "closingOf", 1) == (18_000, 18_000, 1_500, True)
    assert ask(desk, "hasClaimed", 1, FLORIST) is True
    assert old.ask("hasClaimed", 1, FLORIST) is False
    assert refusal(desk.anyone, "claimBreakage", 1, FLORIST) == "AlreadyClaimed"
    assert refusal(desk.anyone, "claimBreakage", 1, BAKER) == "AlreadyClaimed"
    assert refusal(desk.anyone, "claimBreakage", 1, NOBODY) == "MerchantUnknown"


def test_closings__out_of_order_at_the_predecessor__are_counted_once(desk: Desk) -> None:
    desk.go_to_epoch(2)
    issue(desk, BAKER, 100)
    desk.go_to_epoch(9)
    desk.anyone("closeEpoch", 2)
    money = ("breakage", "income", "ledger")
    before = [ask(desk, name) for name in money]
    hand_over(desk)
    assert [ask(desk, name) for name in money] == before
    assert refusal(desk.anyone, "closeEpoch", 2) == "EpochAlreadyClosed"
    desk.anyone("closeEpoch", 1)
    assert ask(desk, "ledger")[5] == 3
    after = [ask(desk, name) for name in money]
    assert after[0] + after[1][0] == before[0] + before[1][0]


# ---- recoveries


def start_recovery(desk: Desk) -> None:
    names = {"member": ADA.address, "recovery": SAFE.address}
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **names))
    desk.execute(desk.make("Recover", SAFE, nonce=1, **names))


def recovering(desk: Desk, by: Key, nonce: int) -> bytes:
    values = {"member": ADA.address, "recovery": by.address, "nonce": nonce}
    return desk.make("Recover", by, **values)


def test_recovery__running_at_the_hand_over__is_finished_once(desk: Desk) -> None:
    start_recovery(desk)
    running = ask(desk, "recoveryOf", ADA.address)
    hand_over(desk)
    assert (
        ask(desk, "recoveryOf", ADA.address) == running == (SAFE.address, desk.now - DELAY + WEEK)
    )
    desk.anyone("finishRecovery", ADA.address)
    assert desk.network.points.ask("balanceOf", SAFE.address) == 1_500
    assert ask(desk, "recoveryOf", ADA.address) == (ZERO, 0)
    assert refusal(desk.anyone, "finishRecovery", ADA.address) == "RecoveryUnknown"
    assert refusal(desk.execute, recovering(desk, SAFE, 2)) == "RecoveryUnknown"


def test_recovery__named_anew_at_the_successor__forgets_the_predecessors(desk: Desk) -> None:
    start_recovery(desk)
    hand_over(desk)
    names = {"member": ADA.address, "recovery": EVE.address}
    desk.execute(desk.make("NameRecovery", ADA, nonce=3, **names))
    assert ask(desk, "recoveryOf", ADA.address) == (EVE.address, 0)
    assert refusal(desk.anyone, "finishRecovery", ADA.address) == "RecoveryUnknown"
    assert refusal(desk.execute, recovering(desk, SAFE, 2)) == "RecoveryUnknown"
    desk.execute(recovering(desk, EVE, 1))
    assert ask(desk, "recoveryOf", ADA.address) == (EVE.address, desk.now + WEEK)


def test_recovery__of_one_who_named_nobody__is_unknown_to_both(desk: Desk) -> None:
    hand_over(desk)
    assert refusal(desk.execute, recovering(desk, SAFE, 1)) == "RecoveryUnknown"
    assert refusal(desk.anyone, "finishRecovery", SAFE.address) == "RecoveryUnknown"
