"""What changes on the chain while an order is on its way: pauses, revoked keys and roles, points
that expire or that somebody else takes first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.codes import BatchState
from gateway.custody import Purpose
from gateway.model import Merchant, NewMerchant, NewOrder, OrderKind
from gateway.operator.calls import enqueue
from gateway.tables import batches, members, merchants, orders
from indexer import audit
from tests.faults.test_rpc import right, wish
from tests.gateway.helpers import fresh
from tests.gateway.node import EPOCH_S, NodeHouse, open_house
from wallet_sdk.contracts.functions import function
from wallet_sdk.deployment.roles import Role
from wallet_sdk.orders import Order, Redeem, SetTillKey
from wallet_sdk.types import Address, address_bytes, address_of, to_hex

REVOKE_ROLE = function("AccessManager", "revokeRole(uint64 roleId, address account)")

pytestmark = pytest.mark.soak


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


def send_call(house: NodeHouse, purpose: Purpose, to: Address, data: bytes, label: str) -> int:
    """A call of an office of the network's, into the node's pool. Returns its batch."""
    with house.database.write() as connection:
        sender = house.custody.network_addresses()[purpose]
        now = house.clock.now()
        number = enqueue(connection, sender=sender, to=to, data=data, label=label, now=now)
    house.gateway.relay.send()
    return number


def send_pause(house: NodeHouse, paused: bool) -> None:
    call = house.gateway.network.calls.pause_issuing(paused)
    send_call(house, Purpose.OPERATOR, call.to, call.data, call.label)


def relay_by_hand(house: NodeHouse, signer: bytes | int, order: Order) -> None:
    """Signed with a key of custody and relayed past the gateway: anybody may."""
    custody = house.custody
    key = custody.member_signer(signer) if isinstance(signer, int) else custody.signer(signer)
    call = house.gateway.network.calls.relay([order.encode(key.sign_order(order)[1])])
    treasurer = custody.network_addresses()[Purpose.TREASURER]
    raw, _ = custody.signer(address_bytes(treasurer)).sign_transaction(
        {
            "type": 2,
            "chainId": 777,
            "nonce": int(house.node.call("eth_getTransactionCount", [treasurer, "latest"]), 16),
            "gas": 3_000_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            "value": 0,
            "data": to_hex(call.data),
            "to": call.to,
        }
    )
    house.node.call("eth_sendRawTransaction", [to_hex(raw)])


def one_block(house: NodeHouse) -> None:
    """What is in the pool, in the order in which it came, and a look at what became of it."""
    house.mine(3)
    house.indexer.run_once()
    house.gateway.relay.settle()


def go_on(house: NodeHouse) -> None:
    """Long enough for a rejected order to be offered again."""
    house.gateway.relay._sender._offered.clear()
    house.clock.time += 130


def fails_alone(house: NodeHouse, supply: int) -> str:
    """One order fails in the end, with proof; all else is right. Returns why it did."""
    for _ in range(60):
        house.settle(1)
        house.clock.time += 400
        if "failed" in house.states():
            break
    states = house.states()
    assert states.pop("failed") == 1
    assert set(states) == {"final"}
    with house.database.read() as connection:
        query = select(orders.c.failure_detail).where(orders.c.failure.is_not(None))
        why = str(connection.execute(query).scalar_one())
        for table in (merchants, members):
            assert connection.execute(select(func.sum(table.c.held))).scalar_one() == 0
    assert house.gateway.network.total_supply() == supply
    house.indexer.run_once()
    assert audit.check(house.gateway.mirror, house.node, house.gateway.deployment).holds
    return why


# ---- pauses, keys, roles


def test_pause__mined_before_an_issue_under_way__is_waited_for(house: NodeHouse) -> None:
    send_pause(house, True)
    assert wish(house, OrderKind.ISSUE, 100)
    house.gateway.relay.send()
    one_block(house)
    assert house.gateway.network.total_supply() == 0
    send_pause(house, False)
    for _ in range(3):
        go_on(house)
        house.settle()
    right(house, 100)


def test_clock__was_a_day_ahead_at_a_rejection__the_order_does_not_wait_for_that_day(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_pause(house, True)
    monkeypatch.setattr(house.clock, "now", lambda: house.clock.time + 86_400)
    assert wish(house, OrderKind.ISSUE, 100)
    house.gateway.relay.send()
    one_block(house)
    monkeypatch.undo()
    began = house.clock.time
    send_pause(house, False)
    house.settle()
    for _ in range(5):
        go_on(house)
        house.settle()
    assert house.clock.time - began < 3_600
    right(house, 100)


def test_till_key__revoked_under_way__is_waited_for_until_it_is_back(house: NodeHouse) -> None:
    with house.database.read() as connection:
        row = connection.execute(select(merchants)).one()
    owner, till_key = bytes(row.owner), address_of(bytes(row.till_key))

    def set_key(active: bool, nonce: int) -> None:
        deadline = house.clock.now() + 900
        order = SetTillKey(house.baker.number, till_key, active, 2**63 + nonce, deadline)
        relay_by_hand(house, owner, order)

    # Nonces of the owner's that the book gives out much later.
    set_key(False, 1_000)
    assert wish(house, OrderKind.ISSUE, 100)
    house.gateway.relay.send()
    one_block(house)
    assert house.gateway.network.total_supply() == 0
    assert "failed" not in house.states()
    set_key(True, 1_001)
    house.mine()
    for _ in range(3):
        go_on(house)
        house.settle()
    right(house, 100)


def test_role__revoked_while_a_call_is_under_way__ends_the_call_and_no_order(
    house: NodeHouse,
) -> None:
    operator = house.custody.network_addresses()[Purpose.OPERATOR]
    manager = house.gateway.deployment.address("AccessManager")
    data = REVOKE_ROLE.encode(int(Role.OPERATOR), operator)
    send_call(house, Purpose.ADMIN, manager, data, "revoke the operator")
    call = house.gateway.network.calls.pause_issuing(True)
    paused = send_call(house, Purpose.OPERATOR, call.to, call.data, call.label)
    assert wish(house, OrderKind.ISSUE, 100)
    house.gateway.relay.send()
    one_block(house)
    with house.database.read() as connection:
        query = select(batches.c.state, batches.c.reason).where(batches.c.id == paused)
        assert tuple(connection.execute(query).one()) == (BatchState.VOID, "reverted")
    right(house, 100)


# ---- points that are gone when the order comes


def onboard_florist(house: NodeHouse) -> Merchant:
    florist = NewMerchant("Florist", "florist", deposit=1_000)
    return house.gateway.onboard_merchants([florist], mine=lambda: house.mine(3))[0]


def test_reorg__another_merchant_takes_the_points_first__the_order_fails_with_proof(
    house: NodeHouse,
) -> None:
    florist = onboard_florist(house)
    assert wish(house, OrderKind.ISSUE, 100)
    house.settle()
    assert wish(house, OrderKind.REDEEM, 100)
    house.gateway.relay.send()
    house.mine()
    house.scan()
    assert house.states()["included"] == 1
    house.node.call("anvil_reorg", [1, []])
    # Ada has signed for the florist too, with a key that is hers alone; that one is mined first.
    with house.database.read() as connection:
        address = address_bytes(house.ada.address)
        query = select(members.c.id, members.c.nonce_highest).where(members.c.address == address)
        number, highest = connection.execute(query).one()
    deadline = house.clock.now() + 900
    ref = to_hex(secrets.token_bytes(32))
    order = Redeem(house.ada.address, florist.number, 100, highest + 4, deadline, ref)
    relay_by_hand(house, number, order)
    house.mine()
    go_on(house)
    assert "balance" in fails_alone(house, 0)
    position = house.gateway.books.position(florist.number)
    assert position is not None
    assert position.position > 1_000


def test_redeem__mined_in_the_last_second_of_its_points__takes_effect(house: NodeHouse) -> None:
    expires_at = redeem_as_points_expire(house)
    mine_at(house, expires_at - 1)
    # Final, and the 40 that were left have expired by now.
    right(house, 0)


def test_redeem__mined_in_the_second_of_expiry__fails_with_proof(house: NodeHouse) -> None:
    expires_at = redeem_as_points_expire(house)
    mine_at(house, expires_at)
    # What is left of it is gone as well: all of the 100 have expired.
    assert fails_alone(house, 0)


def redeem_as_points_expire(house: NodeHouse) -> int:
    """A redemption in the node's pool, shortly before its points are gone. Returns when."""
    schedule = house.gateway.deployment.schedule
    expires_at = int(schedule.expires_at(schedule.epoch_at(house.clock.now())))
    assert expires_at - house.clock.now() > 5 * EPOCH_S
    assert wish(house, OrderKind.ISSUE, 100)
    house.settle()
    house.clock.time = expires_at - 60
    house.mine(3)
    house.indexer.run_once()
    line = NewOrder(OrderKind.REDEEM, house.ada.id, 60, fresh("r"), house.baker.id)
    house.gateway.accept_many([line], idempotency_key=fresh("k"))
    house.gateway.relay.send()
    return expires_at


def mine_at(house: NodeHouse, at: int) -> None:
    """The next block carries this second."""
    house.clock.time = at - 1
    house.mine()
    assert house.clock.time == at
    house.indexer.run_once()
    house.gateway.relay.settle()
    house.gateway.relay._sender._offered.clear()
