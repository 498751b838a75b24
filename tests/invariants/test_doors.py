"""The two doors: what they refuse and in which order, what they say, which gas they ask for."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import Refused, Settings, decode_error
from banyan_kit.wire import FIELDS, Key, merkle_levels, merkle_proof, redemption_leaf
from network_desk import TREASURY, Desk, refusal
from pyrevm import AccountInfo

ADA, BOB = Key.from_seed("ada"), Key.from_seed("bob")
BAKER = 1
WALLET = "0x" + "1271" * 10
# Approves whatever it is asked (test_signatures.py).
APPROVES = bytes.fromhex("7f1626ba7e" + "00" * 28 + "5f5260205ff3")


@pytest.fixture
def desk() -> Desk:
    """A baker, and Ada with 1,000 points."""
    desk = Desk.open()
    desk.register(BAKER, "baker")
    desk.anyone("deposit", BAKER, 1_000_000)
    for member in (ADA, BOB):
        desk.execute(desk.make("Join", member, member=member.address, nonce=1))
    desk.execute(issue(desk, [(ADA.address, 1_000)]))
    return desk


def issue(desk: Desk, entries: list[tuple[str, int]], **more: Any) -> bytes:
    values = {"merchant": BAKER, "nonce": desk.nonce(BAKER), "entries": entries} | more
    return desk.make("IssueBatch", desk.merchants[BAKER].tills[0], **values)


def fields(desk: Desk, nonce: int, **more: Any) -> dict[str, Any]:
    """Of a redemption."""
    values = {"member": ADA.address, "merchant": BAKER, "points": 10, "nonce": nonce}
    return values | {"deadline": desk.epoch_end(), "ref": bytes(32)} | more


def redemption(desk: Desk, nonce: int, **more: Any) -> bytes:
    return desk.network.wire.signed("Redeem", ADA, **fields(desk, nonce, **more))


def why(desk: Desk, order: bytes) -> tuple[str, tuple[Any, ...]]:
    with pytest.raises(Refused) as refused:
        desk.execute(order)
    return refused.value.name, refused.value.values


# ---- refusals


@pytest.mark.parametrize("kind", [0, 15, 255])
def test_order__of_no_kind__is_unknown_and_says_nothing(desk: Desk, kind: int) -> None:
    order = bytes([kind]) + b"\xff" * 120
    assert why(desk, order) == ("OrderKindUnknown", (kind,))
    assert refusal(desk.network.coalition.ask, "digestOf", order) == "OrderKindUnknown"
    assert desk.relay(order) == []


def test_order__of_nothing__is_malformed(desk: Desk) -> None:
    assert why(desk, b"") == ("OrderMalformed", (0,))


@pytest.mark.parametrize("kind", FIELDS)
def test_order__that_ends_with_its_fields__is_malformed_and_one_byte_more_is_read(
    desk: Desk, kind: str
) -> None:
    values: dict[str, Any] = {name: 0 for name, _, _ in FIELDS[kind][1]}
    values |= {"entries": [(ADA.address, 1)] * 2, "member_signature": b"\1" * 65}
    values["redemption"] = fields(desk, 2) | {"buckets": 1, "proof": [bytes(32)] * 3}
    order = desk.network.wire.encode(kind, b"", **values)
    for short in (order[:1], order[:-1], order):
        assert why(desk, short) == ("OrderMalformed", (len(short),))
        assert desk.relay(short) == []
    # Its deadline is 0.
    assert why(desk, order + b"\1") == ("OrderExpired", (0,))


def test_refund__with_a_proof_of_seventeen_nodes__is_malformed(desk: Desk) -> None:
    till = desk.merchants[BAKER].tills[0]
    for nodes, error in (
        (17, "OrderMalformed"),
        (255, "OrderMalformed"),
        (16, "RedemptionUnknown"),
    ):
        past = fields(desk, 2) | {"buckets": 1 << 240 | 10, "proof": [bytes(32)] * nodes}
        order = desk.make("Refund", till, merchant=BAKER, points=1, nonce=90, redemption=past)
        assert why(desk, order)[0] == error
        assert desk.relay(order) == []


def test_order__of_a_till_key_that_is_neither_on_nor_off__has_no_second_form(desk: Desk) -> None:
    values = {"merchant": BAKER, "key": BOB.address, "active": 2, "nonce": 2**63}
    order = desk.make("SetTillKey", desk.merchants[BAKER].owner, **values)
    assert why(desk, order) == ("OrderMalformed", (len(order),))
    assert desk.relay(order) == []


def test_order__in_its_last_second_and_one_later__takes_effect_and_is_expired(desk: Desk) -> None:
    orders = [redemption(desk, nonce, deadline=desk.now + 60) for nonce in (2, 3, 4)]
    deadline = desk.now + 60
    desk.network.chain.at(deadline)
    desk.execute(orders[0])
    assert "Redeemed" in {log.name for log in desk.relay(orders[1])}
    desk.network.chain.at(deadline + 1)
    assert why(desk, orders[2]) == ("OrderExpired", (deadline,))
    assert desk.relay(orders[2]) == []


def test_order__that_lives_beyond_the_epoch__is_refused_and_rejected(desk: Desk) -> None:
    end = desk.epoch_end()
    order = redemption(desk, 2, deadline=end + 1)
    beyond = ("DeadlineBeyondEpoch", (end + 1, end))
    assert why(desk, order) == beyond
    (log,) = desk.relay(order)
    assert (log.name, log.values["relayer"]) == ("Rejected", TREASURY)
    assert decode_error(log.values["reason"]) == beyond
    desk.execute(redemption(desk, 2, deadline=end))


def test_order__of_a_used_nonce_and_a_revoked_key__is_used_before_all_else(desk: Desk) -> None:
    till, owner = desk.merchants[BAKER].tills[0], desk.merchants[BAKER].owner
    order = issue(desk, [(ADA.address, 1)])
    desk.execute(order)
    revoke = {"merchant": BAKER, "key": till.address, "active": False, "nonce": 2**63}
    desk.execute(desk.make("SetTillKey", owner, **revoke))
    assert why(desk, order) == ("MerchantNonceUsed", (BAKER, 2))
    assert desk.relay(order) == []


def test_relay__of_orders_that_fail_between_others__counts_those_that_took_effect(
    desk: Desk,
) -> None:
    orders = [redemption(desk, 2), redemption(desk, 3, points=5_000), redemption(desk, 4), b""]
    assert desk.network.coalition.send(TREASURY, "relay", orders) == 2
    assert desk.network.coalition.send(TREASURY, "relay", []) == 0


def test_relay__a_reason_of_four_words__is_cut_after_three(desk: Desk) -> None:
    order = issue(desk, [(ADA.address, 10**9)])
    with pytest.raises(Refused) as refused:
        desk.execute(order)
    assert (refused.value.name, len(refused.value.data)) == ("CreditLimitExceeded", 132)
    (log,) = desk.relay(order)
    assert log.values["reason"] == refused.value.data[:100]


def test_relay__of_very_many_orders__costs_the_same_for_each(desk: Desk) -> None:
    """Memory of one order is of no use to the next; kept, its price would grow by the square."""
    dead = redemption(desk, 2, deadline=desk.now - 1)
    costs = {}
    for count in (100, 200, 600):
        desk.relay(*[dead] * count)
        costs[count] = desk.network.chain.gas_used
    assert (costs[600] - costs[200]) / 400 - (costs[200] - costs[100]) / 100 < 30


# ---- the gas that is asked for


def asked(desk: Desk, orders: list[bytes], gas: int) -> tuple[Any, ...]:
    """Place of the order, gas left and gas needed, as GasTooLow tells them."""
    with pytest.raises(Refused, match="GasTooLow") as refused:
        desk.network.coalition.send(TREASURY, "relay", orders, gas=gas)
    return refused.value.values


def test_relay__with_less_gas_than_the_worst_case__names_the_order_and_what_it_needs(
    desk: Desk,
) -> None:
    """Per entry 7,900, and 24,500 for new recipients; 1/63 more for the frame (EIP-150)."""
    for points in (1, 100):
        order = issue(desk, [(ADA.address, 1)] * points)
        needed = 250_000 + (points + 2) * (7_900 + 7_900 // 63)
        place, left, said = asked(desk, [redemption(desk, 3, points=0)[:9], order], needed)
        assert (place, said) == (1, needed)
        assert 0 < left < needed
    assert asked(desk, [redemption(desk, 2)], 270_000)[::2] == (0, 250_000)
    till = desk.merchants[BAKER].tills[0]
    past = fields(desk, 2) | {"buckets": 1 << 240 | 10, "proof": []}
    refund = desk.make("Refund", till, merchant=BAKER, points=1, nonce=90, redemption=past)
    assert asked(desk, [refund], 450_000)[2] == 450_000


def test_relay__of_new_recipients__asks_for_their_slots() -> None:
    desk = Desk.open(Settings(policy=0))
    desk.register(BAKER, "baker")
    order = issue(desk, [(ADA.address, 1)] * 10)
    assert asked(desk, [order], 400_000)[2] == 250_000 + 12 * (24_500 + 24_500 // 63)


def test_relay__of_a_contracts_signature__asks_for_all_the_gas_it_may_use(desk: Desk) -> None:
    """250,000, of which a call takes no more than 63/64, and 5,000 to go on with."""
    desk.network.chain.evm.insert_account_info(WALLET, AccountInfo(code=APPROVES))
    values = {"member": WALLET, "nonce": 1, "deadline": desk.epoch_end()}
    order = desk.network.wire.encode("Join", b"words", **values)
    place, left, needed = asked(desk, [b"\1", order], 280_000)
    assert (place, needed) == (1, 250_000 + 250_000 // 32 + 5_000)
    assert left < needed


# ---- roots of redemptions


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
def test_relay__of_some_redemptions__stores_one_root_by_which_each_is_refunded(
    desk: Desk, count: int
) -> None:
    made = [fields(desk, 2 + i, points=10 + i) for i in range(count)]
    orders = [desk.network.wire.signed("Redeem", ADA, **values) for values in made]
    if count > 4:
        # Others between them have no leaf, nor has what fails.
        orders[1:1] = [issue(desk, [(BOB.address, 1)]), redemption(desk, 9, points=0)]
    logs = desk.relay(*orders)
    told = [log for log in logs if log.name == "Redeemed"]
    leaves = [redemption_leaf(log.values["digest"], log.values["buckets"]) for log in told]
    (rooted,) = [log.values for log in logs if log.name == "RedemptionsRooted"]
    root = merkle_levels(leaves)[-1][0]
    assert rooted == {"root": root, "count": count}
    assert desk.network.coalition.ask("isRedemptionRoot", root) is True
    till = desk.merchants[BAKER].tills[0]
    for place, log in enumerate(told):
        past = desk.redemption(log, made[place], merkle_proof(leaves, place)).fields
        values = {"merchant": BAKER, "points": 10 + place, "nonce": desk.nonce(BAKER)}
        desk.execute(desk.make("Refund", till, redemption=past, **values))
    assert desk.network.points.ask("balanceOf", ADA.address) == 1_000


def test_execute__of_what_is_no_redemption__stores_no_root(desk: Desk) -> None:
    logs = desk.execute(issue(desk, [(ADA.address, 1)]))
    assert "RedemptionsRooted" not in {log.name for log in logs}
    assert "RedemptionsRooted" not in {
        log.name for log in desk.relay(issue(desk, [(ADA.address, 1)]))
    }
    assert desk.network.coalition.ask("isRedemptionRoot", bytes(32)) is False


def test_execute__of_a_redemption__roots_it_alone(desk: Desk) -> None:
    logs = desk.execute(redemption(desk, 2))
    (log,) = [log for log in logs if log.name == "Redeemed"]
    leaf = redemption_leaf(log.values["digest"], log.values["buckets"])
    (rooted,) = [log.values for log in logs if log.name == "RedemptionsRooted"]
    assert rooted == {"root": leaf, "count": 1}
