"""The relay on a real node that misbehaves: back-pressure, reorgs, strangers, late blocks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from gateway.codes import BatchState, Kind, SlotState
from gateway.custody import Purpose
from gateway.errors import ReorgBelowFinality
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.relay.lines import Lines
from gateway.tables import attempts, batches, members, merchants, nonce_slots, orders
from indexer import audit
from tests.gateway.helpers import fresh
from tests.gateway.node import Line, NodeHouse, open_house
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.types import address_bytes, to_hex


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


@pytest.fixture
def own_house(tmp_path: Path) -> Iterator[NodeHouse]:
    """On a node of its own: what is reorganised below another test's beginning stays so."""
    with open_house(tmp_path, own=True) as found:
        yield found


def issue(house: NodeHouse, points: int = 100, *, member: str | None = None) -> str:
    """Accepts one issue; returns the order's id."""
    line = NewOrder(OrderKind.ISSUE, member or house.ada.id, points, fresh("r"), house.baker.id)
    (answer,) = house.gateway.accept_many([line], idempotency_key=fresh("k"))
    assert isinstance(answer, Accepted), answer
    return answer.id


def redeem(house: NodeHouse, points: int) -> None:
    line = NewOrder(OrderKind.REDEEM, house.ada.id, points, fresh("x"), house.baker.id)
    (answer,) = house.gateway.accept_many([line], idempotency_key=fresh("k"))
    assert isinstance(answer, Accepted), answer


def count(house: NodeHouse, table: object, *where: object) -> int:
    with house.database.read() as connection:
        query = select(func.count()).select_from(table).where(*where)
        return int(connection.execute(query).scalar_one())


def right(house: NodeHouse, points: int) -> None:
    """All final, nothing held, ada's points as expected, mirror = chain."""
    states = house.states()
    assert set(states) == {"final"}, states
    assert house.gateway.network.balance_of(house.ada.address) == points
    with house.database.read() as connection:
        assert connection.execute(select(func.sum(merchants.c.held))).scalar_one() == 0
        assert connection.execute(select(func.sum(members.c.held))).scalar_one() == 0
    house.indexer.run_once()
    found = audit.check(house.gateway.mirror, house.node, house.gateway.deployment)
    assert found.holds, found


# ---- back-pressure is never failure


def _silent(request: httpx.Request, line: Line) -> httpx.Response:
    raise httpx.ReadTimeout("no answer", request=request)


def _reply_lost(request: httpx.Request, line: Line) -> httpx.Response:
    line.carry(request)
    raise httpx.ReadTimeout("no answer", request=request)


def _doubled(request: httpx.Request, line: Line) -> httpx.Response:
    line.carry(request)
    return line.carry(request)


def _busy(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": "0"})


def _broken(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(502, text="<html>Bad Gateway</html>")


def _empty(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(200, text="")


SOAK = pytest.mark.soak


@pytest.mark.parametrize(
    "fault",
    [
        _silent,
        _reply_lost,
        _doubled,
        pytest.param(_busy, marks=SOAK),
        pytest.param(_broken, marks=SOAK),
        pytest.param(_empty, marks=SOAK),
    ],
)
def test_relay__every_request_goes_wrong_once__loses_and_doubles_nothing(
    house: NodeHouse, fault: object
) -> None:
    issue(house)
    failures = 0
    # Each pass strikes one request later, until a pass meets none.
    for good in range(40):
        house.line.faults = [lambda request, line: line.carry(request)] * good + [fault]
        try:
            house.scan()
        except RpcUnavailable:
            failures += 1
        house.line.faults = []
        house.mine()
    house.settle()
    right(house, 100)
    assert failures > 0 or fault is _doubled
    assert count(house, batches, batches.c.kind == Kind.ISSUE.value) == 1


def test_relay__node_stopped__goes_on_when_it_answers(house: NodeHouse) -> None:
    issue(house)
    # Thirty seconds in earnest; the way is the same.
    house.gateway.network.rpc._http.timeout = 0.3
    house.process.send_signal(signal.SIGSTOP)
    with pytest.raises(RpcUnavailable):
        house.gateway.relay.send()
    house.process.send_signal(signal.SIGCONT)
    house.gateway.network.rpc._http.timeout = 3
    house.settle()
    right(house, 100)


def test_relay__transaction_dropped_from_the_pool__is_offered_again(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(house)
    house.gateway.relay.send()
    with house.database.read() as connection:
        query = select(attempts.c.hash).order_by(attempts.c.id.desc()).limit(1)
        tx_hash = bytes(connection.execute(query).scalar_one())
    house.node.call("anvil_dropTransaction", [to_hex(tx_hash)])
    monkeypatch.setattr("gateway.relay.send.OFFER_AGAIN_S", 0)
    house.settle()
    right(house, 100)


# ---- reorgs


def test_reorg__below_nothing_final__takes_the_order_back_and_in_again(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay.send()
    house.mine()
    house.scan()
    assert house.states()["included"] == 1
    house.node.call("anvil_reorg", [1, []])
    house.scan()
    assert house.states()["submitted"] == 1
    assert count(house, attempts, attempts.c.block_number.is_not(None)) == count(
        house, nonce_slots, nonce_slots.c.state == SlotState.OURS.value
    )
    # anvil drops what stood in the block it took back: only our stored bytes can bring it in.
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 100)


def test_chain__its_height_goes_down__takes_the_order_back_and_in_again(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay.send()
    house.mine()
    house.scan()
    assert house.states()["included"] == 1
    house.node.call("anvil_rollback", [1])
    house.scan()
    assert house.states()["submitted"] == 1
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 100)


def test_reorg__below_finality__stops_the_relay(own_house: NodeHouse) -> None:
    house = own_house
    issue(house)
    house.settle()
    house.node.call("anvil_reorg", [6, []])
    issue(house)
    with pytest.raises(ReorgBelowFinality):
        house.gateway.relay.settle()


# ---- strangers


def test_stranger__uses_the_relayers_nonce__orders_move_to_another(house: NodeHouse) -> None:
    relayer = house.custody.network_addresses()[Purpose.RELAYER]
    issue(house)
    house.gateway.relay._sealer.run_once()
    house.gateway.relay._slots.run_once(Lines.all_of(house.custody.relayers()))
    with house.database.read() as connection:
        query = select(nonce_slots.c.nonce).order_by(nonce_slots.c.id.desc()).limit(1)
        nonce = connection.execute(query).scalar_one()
    raw, _ = house.custody.signer(address_bytes(relayer)).sign_transaction(
        {
            "type": 2,
            "chainId": 777,
            "nonce": nonce,
            "gas": 21_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            "value": 0,
            "data": "0x",
            "to": relayer,
        }
    )
    house.node.call("eth_sendRawTransaction", [to_hex(raw)])
    house.mine(3)
    house.settle()
    right(house, 100)
    assert count(house, nonce_slots, nonce_slots.c.state == SlotState.STRANGERS.value) == 1


def test_stranger__relays_our_order_first__counts_once(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay._sealer.run_once()
    with house.database.read() as connection:
        wire = bytes(
            connection.execute(
                select(batches.c.wire).where(batches.c.kind == Kind.ISSUE.value)
            ).scalar_one()
        )
    call = house.gateway.network.calls.relay([wire])
    # Anyone may relay: here the treasurer's key does.
    treasurer = house.custody.network_addresses()[Purpose.TREASURER]
    nonce = int(house.node.call("eth_getTransactionCount", [treasurer, "latest"]), 16)
    raw, tx_hash = house.custody.signer(address_bytes(treasurer)).sign_transaction(
        {
            "type": 2,
            "chainId": 777,
            "nonce": nonce,
            "gas": 3_000_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            "value": 0,
            "data": to_hex(call.data),
            "to": call.to,
        }
    )
    house.node.call("eth_sendRawTransaction", [to_hex(raw)])
    house.mine()
    house.settle()
    right(house, 100)
    with house.database.read() as connection:
        stored = connection.execute(
            select(batches.c.tx_hash).where(batches.c.kind == Kind.ISSUE.value)
        ).scalar_one()
    assert to_hex(bytes(stored)) == tx_hash


# ---- failure only with proof


def test_order__deadline_passes_unmined__is_sealed_anew(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay.send()
    with house.database.read() as connection:
        query = select(attempts.c.hash).order_by(attempts.c.id.desc()).limit(1)
        tx_hash = bytes(connection.execute(query).scalar_one())
    house.node.call("anvil_dropTransaction", [to_hex(tx_hash)])
    house.clock.time += 1_000
    house.mine(3)
    house.scan()
    assert count(house, batches, batches.c.state == BatchState.VOID.value) == 1
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 100)
    assert count(house, batches, batches.c.kind == Kind.ISSUE.value) == 2
    # Nobody had refused it: that it came too late is not held against it.
    assert count(house, orders, orders.c.voids > 0) == 0


def test_order__rejected_on_chain_for_a_while__takes_effect_later(house: NodeHouse) -> None:
    issue(house, 500)
    house.settle()
    # Behind the gateway's back the points go away, as if the mirror had been behind.
    redeem(house, 400)
    line = NewOrder(OrderKind.REDEEM, house.ada.id, 300, fresh("x"), house.baker.id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            house.gateway.books, "balances", lambda addresses, at: dict.fromkeys(addresses, 1_000)
        )
        house.gateway.accept_many([line], idempotency_key=fresh("k"))
    house.gateway.relay.send()
    house.mine(3)
    house.scan()
    assert house.states()["final"] == 4
    issue(house, 1_000)
    house.clock.time += 30
    house.settle()
    house.clock.time += 30
    house.settle()
    right(house, 500 - 400 + 1_000 - 300)


def test_order__that_can_never_be__fails_with_the_reason(house: NodeHouse) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            house.gateway.books, "balances", lambda addresses, at: dict.fromkeys(addresses, 1_000)
        )
        redeem(house, 300)
    for _ in range(30):
        # What dies is sealed anew by the next scan: nothing has to come to rest in between.
        house.scan()
        house.mine(3)
        house.scan()
        house.gateway.relay._sender._offered.clear()
        house.clock.time += 1_000
        if "failed" in house.states():
            break
    assert house.states()["failed"] == 1
    with house.database.read() as connection:
        row = connection.execute(select(orders).where(orders.c.failure.is_not(None))).one()
        held = connection.execute(select(func.sum(members.c.held))).scalar_one()
    assert row.failure == "rejected_on_chain"
    assert "balance" in row.failure_detail
    assert held == 0
