"""Blocks that are replaced at the worst moment: while the mirror stands still, with a stranger's or
a reverted transaction inside, behind a node that lags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway import ids
from gateway.codes import BatchState, Kind, SlotState
from gateway.custody import Purpose
from gateway.errors import Conflict, NotReady, ReorgBelowFinality
from gateway.operator.calls import enqueue
from gateway.orders.cancel import cancel
from gateway.relay import blocks, incidents, status
from gateway.relay.chain import Chain
from gateway.relay.incidents import Incident
from gateway.relay.lines import Lines
from gateway.tables import batches, members, nonce_slots, orders
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.test_relay_faults import count, issue, redeem, right
from wallet_sdk.contracts import Call
from wallet_sdk.errors import RpcError
from wallet_sdk.types import address_bytes, to_hex


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


# ---- the mirror stands on another fork


def leave_the_mirror_behind(house: NodeHouse) -> None:
    """Ada has 500 points; the mirror stands in two blocks that are replaced."""
    issue(house, 500)
    house.settle()
    house.mine(2)
    house.indexer.run_once()
    house.node.call("anvil_rollback", [2])


def test_mirror__in_a_block_that_was_replaced__releases_no_hold(house: NodeHouse) -> None:
    leave_the_mirror_behind(house)
    redeem(house, 400)
    house.gateway.relay.send()
    house.mine(4)
    house.gateway.relay.settle()
    # The redemption is final on the chain by now, but the mirror, two blocks higher, has another
    # one in its place: 100 points are left, not 500.
    (balance,) = house.gateway.books.balances(
        [address_bytes(house.ada.address)], house.clock.now()
    ).values()
    with house.database.read() as connection:
        held = connection.execute(select(func.sum(members.c.held))).scalar_one()
    assert balance - held == 100
    house.settle()
    right(house, 100)


@pytest.mark.soak
def test_mirror__in_a_block_that_was_replaced__knows_nothing_of_a_nonces_use(
    house: NodeHouse,
) -> None:
    leave_the_mirror_behind(house)
    redeem(house, 400)
    house.gateway.relay._sealer.run_once()
    with house.database.settle() as connection:
        query = select(orders.c.public_id).where(orders.c.kind == Kind.REDEEM.value)
        order = ids.encode(ids.ORDER, bytes(connection.execute(query).scalar_one()))
        cancel(house.database, connection, order, tenant=0, actor="ada", now=house.clock.now())
    house.gateway.relay.send()
    house.mine(3)
    # The Cancel is final, and the mirror has not seen it: no reason to close the network.
    for _ in range(2):
        house.gateway.relay.settle()
    house.settle()
    assert house.states() == {"final": 3, "failed": 1}
    assert house.gateway.relay.trouble() is None


# ---- what stood in a block that goes


@pytest.mark.soak
def test_stranger__in_a_block_that_goes__leaves_no_gap_behind(house: NodeHouse) -> None:
    send_behind_a_stranger(house)
    with house.database.read() as connection:
        (found,) = incidents.open_ones(connection)
    assert found.kind == Incident.STRANGERS_NONCE
    # The stranger's transaction never comes back; what we sent stands one nonce behind it.
    house.node.call("anvil_rollback", [1])
    house.gateway.relay._sender._offered.clear()
    house.settle()
    # anvil forgets what it had behind the gap, and is handed it again.
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 200)
    assert count(house, nonce_slots, nonce_slots.c.state == SlotState.STRANGERS.value) == 0


@pytest.mark.soak
def test_stranger__in_a_block_that_stays__is_a_strangers_nonce_once_final(
    house: NodeHouse,
) -> None:
    send_behind_a_stranger(house)
    for _ in range(2):
        house.mine(3)
        house.scan()
    right(house, 200)
    assert count(house, nonce_slots, nonce_slots.c.state == SlotState.STRANGERS.value) == 1


def send_behind_a_stranger(house: NodeHouse) -> None:
    """One issue settled, a stranger's use of the relayer's nonce mined, one more issue sent."""
    issue(house)
    house.settle()
    use_relayers_nonce(house)
    house.mine()
    issue(house)
    house.gateway.relay.send()


def use_relayers_nonce(house: NodeHouse) -> None:
    use_nonce(house, Purpose.RELAYER)


def use_nonce(house: NodeHouse, purpose: Purpose) -> None:
    """Somebody who has the key sends nothing to nobody."""
    relayer = house.custody.network_addresses()[purpose]
    nonce = int(house.node.call("eth_getTransactionCount", [relayer, "latest"]), 16)
    raw, _ = house.custody.signer(address_bytes(relayer)).sign_transaction(
        {
            "type": 2,
            "chainId": 777,
            "nonce": nonce,
            # One more than our own no-op has, which would be the same bytes.
            "gas": 21_001,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            "value": 0,
            "data": "0x",
            "to": relayer,
        }
    )
    house.node.call("eth_sendRawTransaction", [to_hex(raw)])


def enqueued(house: NodeHouse, purpose: Purpose, call: Call, *, after: int | None = None) -> int:
    sender, now = house.custody.network_addresses()[purpose], house.clock.now()
    with house.database.write() as connection:
        return enqueue(
            connection,
            sender=sender,
            to=call.to,
            data=call.data,
            label=call.label,
            after=after,
            now=now,
        )


def state_of(house: NodeHouse, batch: int) -> tuple[int, str | None]:
    with house.database.read() as connection:
        query = select(batches.c.state, batches.c.reason).where(batches.c.id == batch)
        return tuple(connection.execute(query).one())


@pytest.mark.soak
def test_call__reverted_in_a_block_that_goes__takes_effect_in_another(house: NodeHouse) -> None:
    make, reference = house.gateway.network.calls, to_hex(bytes(31) + b"1")
    # Confirmed before it was proposed: that reverts.
    confirmed = enqueued(house, Purpose.ATTESTOR, make.confirm_mint(reference))
    house.gateway.relay.send()
    house.mine()
    house.indexer.run_once()
    house.gateway.relay.settle()
    assert state_of(house, confirmed) == (BatchState.SEALED, None)
    house.node.call("anvil_rollback", [1])
    operator = house.custody.network_addresses()[Purpose.OPERATOR]
    enqueued(house, Purpose.TREASURER, make.propose_mint(reference, operator, 5))
    house.gateway.relay.send()
    house.mine()
    house.gateway.relay._sender._offered.clear()
    house.settle()
    assert state_of(house, confirmed) == (BatchState.DONE, None)


@pytest.mark.soak
def test_call__that_follows_another_key__waits_until_no_reorg_can_put_it_first(
    house: NodeHouse,
) -> None:
    make, reference = house.gateway.network.calls, to_hex(bytes(31) + b"1")
    operator = house.custody.network_addresses()[Purpose.OPERATOR]
    proposed = enqueued(house, Purpose.TREASURER, make.propose_mint(reference, operator, 5))
    confirmed = enqueued(house, Purpose.ATTESTOR, make.confirm_mint(reference), after=proposed)
    for _ in range(2):
        house.scan()
        house.mine()
    house.scan()
    # One block is behind it, two make it final: a fork could still mine the confirmation first,
    # which reverts, and the bank reference would stay booked for money that is never minted.
    assert slots_of(house, proposed, confirmed) == [True, False]
    house.node.call("anvil_rollback", [2])
    house.gateway.relay._sender._offered.clear()
    house.settle()
    assert state_of(house, proposed) == state_of(house, confirmed) == (BatchState.DONE, None)


@pytest.mark.soak
def test_call__that_follows_one_of_the_same_key__goes_out_behind_it(house: NodeHouse) -> None:
    make = house.gateway.network.calls
    paused = enqueued(house, Purpose.OPERATOR, make.pause_issuing(True))
    goes_on = enqueued(house, Purpose.OPERATOR, make.pause_issuing(False), after=paused)
    house.scan()
    assert slots_of(house, paused, goes_on) == [True, False]
    house.mine()
    house.scan()
    house.scan()
    # Its nonce is the higher one: no fork takes it first.
    assert slots_of(house, paused, goes_on) == [True, True]
    house.settle()
    assert state_of(house, goes_on) == (BatchState.DONE, None)


def slots_of(house: NodeHouse, *numbers: int) -> list[bool]:
    """Whether each of these batches has a nonce to be sent with."""
    with house.database.read() as connection:
        query = select(batches.c.slot_id).where(batches.c.id.in_(numbers)).order_by(batches.c.id)
        return [slot is not None for slot in connection.execute(query).scalars()]


@pytest.mark.soak
def test_call__reverted_in_a_final_block__is_over(house: NodeHouse) -> None:
    call = house.gateway.network.calls.confirm_mint(to_hex(bytes(31) + b"1"))
    number = enqueued(house, Purpose.ATTESTOR, call)
    house.settle()
    assert state_of(house, number) == (BatchState.VOID, "reverted")


@pytest.mark.soak
def test_unstick__a_call__is_refused_or_it_would_be_carried_out_twice(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        number = enqueued(house, Purpose.OPERATOR, house.gateway.network.calls.pause_issuing(True))
        house.gateway.relay.send()
        (line,) = waiting(house)
        relayer, nonce = address_bytes(str(line["relayer"])), int(str(line["nonce"]))
        with house.database.settle() as connection, pytest.raises(Conflict, match="carried out"):
            status.unstick(connection, relayer, nonce, house.clock.now())
        house.settle()
        assert state_of(house, number) == (BatchState.DONE, None)


@pytest.mark.soak
@pytest.mark.parametrize("prunes_states", [False, True])
def test_call__without_a_receipt_in_a_final_block__is_not_sent_again(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch, prunes_states: bool
) -> None:
    chain, operator = house.gateway.relay._chain, network_address(house, Purpose.OPERATOR)
    number = enqueued(house, Purpose.OPERATOR, house.gateway.network.calls.pause_issuing(True))
    house.gateway.relay.send()
    nonce = chain.transaction_count(operator) + 1
    with monkeypatch.context() as node:
        # It began with a snapshot, or has pruned what it had.
        node.setattr(chain, "receipts", lambda hashes, of: [None] * len(hashes))
        if prunes_states:
            node.setattr(chain, "transaction_count", _newest_states_alone(chain))
        for _ in range(3):
            house.mine(3)
            house.scan()
        assert state_of(house, number) == (BatchState.SEALED, None)
        assert kinds_open(house) == [Incident.CALL_UNDECIDED]
    # Another node has it.
    house.settle()
    assert state_of(house, number) == (BatchState.DONE, None)
    assert chain.transaction_count(operator) == nonce
    house.scan()
    assert kinds_open(house) == []


@pytest.mark.soak
def test_call__whose_nonce_a_stranger_is_seen_to_have_used__goes_on_another(
    house: NodeHouse,
) -> None:
    # Blocks lie between the stranger's and the final one, and behind both.
    house.mine(5)
    number = enqueued(house, Purpose.OPERATOR, house.gateway.network.calls.pause_issuing(True))
    house.gateway.relay._slots.run_once(Lines.all_of(house.custody.relayers()))
    use_nonce(house, Purpose.OPERATOR)
    house.mine(7)
    house.settle()
    assert state_of(house, number) == (BatchState.DONE, None)
    assert kinds_open(house) == [Incident.STRANGERS_NONCE]


def network_address(house: NodeHouse, purpose: Purpose) -> bytes:
    return address_bytes(house.custody.network_addresses()[purpose])


def kinds_open(house: NodeHouse) -> list[str]:
    with house.database.read() as connection:
        return [found.kind for found in incidents.open_ones(connection)]


def _newest_states_alone(chain: Chain) -> Callable[..., int]:
    """A node that refuses to look back by number."""
    real = chain.transaction_count

    def count_of(address: bytes, at: int | str | bytes = "latest") -> int:
        if isinstance(at, int):
            raise RpcError(-32000, "missing trie node")
        return real(address, at)

    return count_of


def waiting(house: NodeHouse) -> list[dict[str, object]]:
    with house.database.read() as connection:
        return status.waiting_slots(connection, house.clock.now())


# ---- a node that lags


@pytest.mark.soak
def test_final_block__missing_on_a_node_that_lags__is_waited_for(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(house)
    house.settle()
    real = house.gateway.relay._chain.blocks
    monkeypatch.setattr(house.gateway.relay._chain, "blocks", lambda numbers: {})
    with pytest.raises(NotReady, match="which was final"):
        house.gateway.relay.settle()
    monkeypatch.setattr(house.gateway.relay._chain, "blocks", real)
    house.gateway.relay.settle()
    assert house.gateway.relay.trouble() is None
    # Where it never comes back, a person hears of it.
    monkeypatch.setattr(blocks, "PATIENCE_S", 0.0)
    monkeypatch.setattr(house.gateway.relay._chain, "blocks", lambda numbers: {})
    with pytest.raises(ReorgBelowFinality):
        house.gateway.relay.settle()
