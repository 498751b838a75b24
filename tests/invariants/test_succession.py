"""A successor Coalition takes over in the open: with live positions, redemptions and half-used
nonces, and nothing of the money or of the rights is lost or doubled.
"""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ADMIN, ZERO, Log, Refused
from banyan_kit.wire import Key
from network_desk import TREASURY, Desk, refusal
from network_heirs import DELAY, SETTINGS, hand_over, successor_of

ADA = Key.from_seed("ada")
BAKER, FLORIST = 1, 2


@pytest.fixture
def desk() -> Desk:
    """Two merchants, a member with points of epoch 1, one redemption, a till's nonce used."""
    desk = Desk.open(SETTINGS)
    desk.register(BAKER, "baker")
    desk.register(FLORIST, "florist")
    for merchant in (BAKER, FLORIST):
        desk.anyone("deposit", merchant, 1_000_000)
    desk.anyone("depositGuarantee", 50_000)
    desk.operate("setCreditLimit", FLORIST, 30_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    issue(desk, BAKER, 1_000)
    return desk


def issue(desk: Desk, merchant: int, points: int, nonce: int | None = None) -> None:
    till = desk.merchants[merchant].tills[0]
    nonce = desk.nonce(merchant) if nonce is None else nonce
    entries = [(ADA.address, points)]
    desk.execute(desk.make("IssueBatch", till, merchant=merchant, nonce=nonce, entries=entries))


def redeem(desk: Desk, merchant: int, points: int, nonce: int) -> tuple[Log, dict[str, Any]]:
    fields = {
        "member": ADA.address,
        "merchant": merchant,
        "points": points,
        "nonce": nonce,
        "deadline": desk.epoch_end(),
        "ref": bytes(32),
    }
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **fields))
    return next(log for log in logs if log.name == "Redeemed"), fields


def test_accept__before_the_delay__is_too_early(desk: Desk) -> None:
    successor = successor_of(desk, desk.network.coalition.address)
    desk.send(desk.network.points, ADMIN, "proposeCoalition", successor.address)
    desk.network.chain.at(desk.now + DELAY - 1)
    assert refusal(desk.send, successor, TREASURY, "accept") == "SuccessionTooEarly"


def test_accept__of_a_proposal_long_forgotten__takes_effect_until_it_is_vetoed(desk: Desk) -> None:
    """docs/CONTRACTS.md, weakness 15."""
    points, successor = desk.network.points, successor_of(desk, desk.network.coalition.address)
    desk.send(points, ADMIN, "proposeCoalition", successor.address)
    desk.network.chain.at(desk.now + 100 * DELAY)
    before = desk.network.chain.evm.snapshot()
    desk.send(successor, TREASURY, "accept")
    desk.network.chain.evm.revert(before)
    desk.send(points, ADMIN, "vetoCoalition")
    assert refusal(desk.send, successor, TREASURY, "accept") == "NoSuccessor"


def test_accept__after_a_veto__has_no_successor(desk: Desk) -> None:
    successor = successor_of(desk, desk.network.coalition.address)
    desk.send(desk.network.points, ADMIN, "proposeCoalition", successor.address)
    desk.send(desk.network.points, ADMIN, "vetoCoalition")
    desk.network.chain.at(desk.now + DELAY)
    assert refusal(desk.send, successor, TREASURY, "accept") == "NoSuccessor"


def test_accept__of_a_successor_of_an_older_coalition__is_refused(desk: Desk) -> None:
    first = desk.network.coalition.address
    late = successor_of(desk, first)
    hand_over(desk, successor_of(desk, first))
    desk.send(desk.network.points, ADMIN, "proposeCoalition", late.address)
    desk.network.chain.at(desk.now + DELAY)
    assert refusal(desk.send, late, TREASURY, "accept") == "PredecessorMismatch"


def test_accept__without_a_predecessor__is_refused(desk: Desk) -> None:
    stranger = successor_of(desk, ZERO)
    desk.send(desk.network.points, ADMIN, "proposeCoalition", stranger.address)
    desk.network.chain.at(desk.now + DELAY)
    assert refusal(desk.send, stranger, TREASURY, "accept") == "PredecessorMismatch"


def test_create__with_another_face_value__is_refused(desk: Desk) -> None:
    with pytest.raises(Refused) as refused:
        successor_of(desk, desk.network.coalition.address, face_value=99)
    assert refused.value.name == "PredecessorMismatch"


def test_create__with_other_passes__is_refused(desk: Desk) -> None:
    """Members of the day would hold no pass there: none of them could leave or be recovered."""
    network = desk.network
    names = network.points.address, network.authority.address, "Another pass", "OTHER"
    other = network.chain.deploy_artefact(ADMIN, "MembershipPass", *names)
    with pytest.raises(Refused) as refused:
        successor_of(desk, network.coalition.address, membership=other.address)
    assert refused.value.name == "PredecessorMismatch"


def test_return__over_a_successors_lower_cap__says_that_nothing_is_left(desk: Desk) -> None:
    def give_back(points: int) -> None:
        values = {"member": ADA.address, "merchant": BAKER, "points": points, "epoch": 1}
        till = desk.merchants[BAKER].tills[0]
        values |= {"nonce": desk.nonce(BAKER), "ref": bytes(32)}
        desk.execute(desk.make("Return", till, member_key=ADA, **values))

    give_back(100)  # ten percent of 1,000
    hand_over(desk, successor_of(desk, desk.network.coalition.address, return_cap_bps=500))
    assert refusal(give_back, 1) == "ReturnExceedsIssued"
    # The cap is of all that was issued: half of it came back before.
    issue(desk, BAKER, 1_020)
    assert refusal(give_back, 2) == "ReturnExceedsIssued"
    give_back(1)


def test_hand_over__while_it_is_the_coalition__is_refused(desk: Desk) -> None:
    assert refusal(desk.anyone, "handOver") == "NotCurrentCoalition"


def test_old_coalition__after_the_hand_over__refuses_every_change_and_answers_reads(
    desk: Desk,
) -> None:
    order = desk.make(
        "Redeem", ADA, member=ADA.address, merchant=1, points=1, nonce=2, ref=bytes(32)
    )
    position = desk.position(BAKER)
    old = hand_over(desk)
    assert refusal(desk.send, old, TREASURY, "relay", [order]) == "NotCurrentCoalition"
    assert refusal(desk.send, old, TREASURY, "execute", order) == "NotCurrentCoalition"
    assert refusal(desk.send, old, TREASURY, "deposit", BAKER, 1) == "NotCurrentCoalition"
    assert refusal(desk.send, old, ADMIN, "pauseIssuing", True) == "NotCurrentCoalition"
    assert refusal(desk.send, old, TREASURY, "closeEpoch", 1) == "NotCurrentCoalition"
    assert refusal(desk.send, old, TREASURY, "accept") == "PredecessorMismatch"
    assert old.ask("positionOf", BAKER) == position


def test_successor__from_its_first_block__holds_money_positions_limits_terms_and_keys(
    desk: Desk,
) -> None:
    cash, positions = desk.cash(), {m: desk.position(m) for m in (BAKER, FLORIST)}
    income = desk.network.coalition.ask("income")
    old = hand_over(desk)
    new = desk.network.coalition
    assert (desk.cash(), desk.network.asset.ask("balanceOf", old.address)) == (cash, 0)
    assert {m: desk.position(m) for m in (BAKER, FLORIST)} == positions
    assert new.ask("income") == income
    assert (new.ask("guarantee"), new.ask("sumOfLimits")) == (50_000, 30_000)
    assert new.ask("merchantOf", FLORIST)[3] == 30_000
    assert new.ask("termsOf", 1) == SETTINGS.terms
    till = desk.merchants[BAKER].tills[0]
    assert new.ask("tillKeyMerchant", till.address) == BAKER
    assert new.ask("issuedBy", 1, BAKER) == (1_000, 0)


def test_successor__orders_of_the_old_domain__are_not_authentic(desk: Desk) -> None:
    fields = {"member": ADA.address, "merchant": BAKER, "points": 1, "nonce": 2, "ref": bytes(32)}
    order = desk.make("Redeem", ADA, **fields)
    hand_over(desk)
    assert refusal(desk.execute, order) == "SignatureInvalid"
    assert desk.relay(order) == []


def test_successor__a_members_used_nonce__stays_used_and_the_next_goes_on(desk: Desk) -> None:
    redeem(desk, FLORIST, 10, 3)
    hand_over(desk)
    assert refusal(redeem, desk, FLORIST, 10, 3) == "NonceUsed"
    redeem(desk, FLORIST, 10, 2)
    redeem(desk, FLORIST, 10, 4)
    assert desk.network.points.ask("balanceOf", ADA.address) == 970


def test_successor__trade_goes_on__positions_and_issues_are_added_to(desk: Desk) -> None:
    before = desk.position(BAKER)
    hand_over(desk)
    issue(desk, BAKER, 500)
    assert desk.position(BAKER) == before - 500 * 110
    assert desk.network.coalition.ask("issuedBy", 1, BAKER) == (1_500, 0)
    desk.send(desk.network.asset, TREASURY, "approve", desk.network.coalition.address, 7)
    desk.anyone("deposit", FLORIST, 7)
    assert desk.position(FLORIST) == 1_000_007


def test_refund__of_a_redemption_at_the_predecessor__takes_effect_once(desk: Desk) -> None:
    log, fields = redeem(desk, FLORIST, 100, 2)
    redemption = desk.redemption(log, fields, [])
    till = desk.merchants[FLORIST].tills[0]
    first = {"merchant": FLORIST, "points": 40, "redemption": redemption.fields}
    desk.execute(desk.make("Refund", till, nonce=desk.nonce(FLORIST), **first))
    old_wire = desk.network.wire
    hand_over(desk)

    def refund(points: int) -> None:
        nonce, deadline = desk.nonce(FLORIST), desk.epoch_end()
        # The leaf was made in the old domain, the refund is signed in the new one.
        wire = desk.network.wire
        leaf = old_wire.leaf_of(redemption.fields, FLORIST)
        values = {"merchant": FLORIST, "leaf": leaf, "points": points}
        values |= {"nonce": nonce, "deadline": deadline}
        digest = desk.network.coalition.ask(
            "digestOf", wire.encode("Refund", b"\1", redemption=redemption.fields, **values)
        )
        order = wire.encode("Refund", till.sign(digest), redemption=redemption.fields, **values)
        desk.execute(order)

    assert refusal(refund, 61) == "RefundExceedsRedemption"
    refund(60)
    assert refusal(refund, 1) == "RefundExceedsRedemption"
    assert desk.network.coalition.ask("refundedOf", redemption.leaf) == 100
    assert desk.network.points.ask("balanceOf", ADA.address) == 1_000


def test_close_and_claim__an_epoch_of_the_predecessor__pays_once(desk: Desk) -> None:
    hand_over(desk)
    desk.go_to_epoch(7)
    before = desk.position(BAKER)
    desk.anyone("closeEpoch", 1)
    assert refusal(desk.anyone, "closeEpoch", 1) == "EpochAlreadyClosed"
    desk.anyone("claimBreakage", 1, BAKER)
    # 1,000 points unspent: half the face value is 50,000, but never over both fees, 12 a point.
    assert desk.position(BAKER) - before == 12_000
    assert refusal(desk.anyone, "claimBreakage", 1, BAKER) == "AlreadyClaimed"


def test_claim__taken_at_the_predecessor__is_not_paid_again(desk: Desk) -> None:
    desk.go_to_epoch(7)
    desk.anyone("closeEpoch", 1)
    desk.anyone("claimBreakage", 1, BAKER)
    hand_over(desk)
    assert refusal(desk.anyone, "closeEpoch", 1) == "EpochAlreadyClosed"
    assert refusal(desk.anyone, "claimBreakage", 1, BAKER) == "AlreadyClaimed"


def test_recovery__named_at_the_predecessor__is_finished_at_the_successor(desk: Desk) -> None:
    safe = Key.from_seed("safe place")
    names = {"member": ADA.address, "recovery": safe.address}
    desk.execute(desk.make("NameRecovery", ADA, nonce=2, **names))
    hand_over(desk)
    desk.execute(desk.make("Recover", safe, nonce=1, **names))
    desk.network.chain.at(desk.now + 7 * 86_400)
    desk.anyone("finishRecovery", ADA.address)
    assert desk.network.points.ask("balanceOf", safe.address) == 1_000
    assert desk.network.membership.ask("balanceOf", safe.address) == 1


def test_third_coalition__after_two_hand_overs__still_knows_the_first_ones_merchant(
    desk: Desk,
) -> None:
    position = desk.position(BAKER)
    hand_over(desk)
    hand_over(desk)
    assert desk.position(BAKER) == position
    issue(desk, BAKER, 5)
    assert desk.position(BAKER) == position - 550


def garbage_refund(desk: Desk, nodes: int) -> bytes:
    """A refund that a till signed, with a stranger's proof of so many nodes."""
    redemption = {"member": ADA.address, "points": 10, "nonce": 2, "deadline": desk.epoch_end()}
    redemption |= {"ref": bytes(32), "buckets": (1 << 240) | 10, "proof": [b"\7" * 32] * nodes}
    till = desk.merchants[BAKER].tills[0]
    return desk.make("Refund", till, merchant=BAKER, points=5, nonce=99, redemption=redemption)


def test_execute__a_proof_longer_than_any_relay_needs__is_malformed(desk: Desk) -> None:
    for nodes in (17, 255):
        assert refusal(desk.execute, garbage_refund(desk, nodes)) == "OrderMalformed"
        assert desk.relay(garbage_refund(desk, nodes)) == []
    assert refusal(desk.execute, garbage_refund(desk, 16)) == "RedemptionUnknown"


def test_relay__a_strangers_longest_proof_after_thirteen_successions__says_nothing_at_any_gas(
    desk: Desk,
) -> None:
    """Each predecessor is asked with all of it; docs/CONTRACTS.md says what one more means."""
    for _ in range(13):
        hand_over(desk)
    coalition, chain = desk.network.coalition, desk.network.chain
    order = garbage_refund(desk, 16)
    said = set()
    for gas in range(500_000, 1_200_000, 10_000):
        before = chain.evm.snapshot()
        refused = refusal(lambda g=gas: coalition.send(TREASURY, "relay", [order], gas=g))
        said |= {log.name for log in chain.logs} if refused is None else {refused}
        chain.evm.revert(before)
    assert said <= {"GasTooLow", ""}
