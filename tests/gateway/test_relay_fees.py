"""A chain with fees: what is too cheap is outbid on its own slot, what has no use is replaced by
nothing, and whichever of a slot's transactions is mined, every order counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway import faults
from gateway.codes import AttemptState, Kind, Purpose
from gateway.relay.fees import FeePolicy
from gateway.relay.transactions import Fees
from gateway.tables import attempts, batches
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.test_relay_faults import count, issue, right
from wallet_sdk.types import to_hex

GWEI = 10**9
SOAK = pytest.mark.soak


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path, base_fee=GWEI, tip_wei=GWEI // 10) as found:
        yield found


def spike(house: NodeHouse, base_fee: int) -> None:
    """The next block's base fee."""
    house.node.call("anvil_setNextBlockBaseFeePerGas", [hex(base_fee)])


def attempts_of_last_slot(house: NodeHouse) -> list[object]:
    with house.database.read() as connection:
        last = select(attempts.c.slot_id).order_by(attempts.c.slot_id.desc()).limit(1)
        query = select(attempts).where(attempts.c.slot_id == last.scalar_subquery())
        return list(connection.execute(query.order_by(attempts.c.id)))


def drop(house: NodeHouse) -> None:
    """The pool forgets the newest transaction, as one under the base fee."""
    newest = attempts_of_last_slot(house)[-1]
    house.node.call("anvil_dropTransaction", [to_hex(bytes(newest.hash))])


def forget_offers(house: NodeHouse) -> None:
    """As if the pause before offering again had passed."""
    house.gateway.relay._sender._offered.clear()


def test_fees__under_the_cap__never_offer_more() -> None:
    policy = FeePolicy(cap_wei=3 * GWEI, tip_wei=GWEI)
    assert policy.market(GWEI // 2) == Fees(2 * GWEI, GWEI)
    assert policy.market(9 * GWEI) == Fees(3 * GWEI, GWEI)
    assert policy.replacement(Fees(2 * GWEI, GWEI), 9 * GWEI) == Fees(3 * GWEI, 113 * GWEI // 100)
    # No room for the step that nodes ask for.
    assert policy.replacement(Fees(2_900_000_000, GWEI), 9 * GWEI) is None
    assert FeePolicy(0, 0).is_free


def test_fees__without_a_cap__a_replacement_stays_near_the_market() -> None:
    policy = FeePolicy(cap_wei=None, tip_wei=0)
    fees, steps = Fees(2 * GWEI, 0), 0
    while (higher := policy.replacement(fees, GWEI)) is not None:
        assert higher.cap > fees.cap
        assert higher.tip > fees.tip
        fees, steps = higher, steps + 1
    assert fees.cap <= 20 * GWEI
    assert steps > 10


def test_relay__base_fee_spikes__outbids_and_is_mined(house: NodeHouse) -> None:
    issue(house)
    spike(house, 40 * GWEI)
    house.mine()
    house.gateway.relay.send()
    spike(house, 400 * GWEI)
    # Under the base fee it vanishes from the pool, without an error.
    house.mine()
    drop(house)
    house.gateway.relay.send()
    found = attempts_of_last_slot(house)
    assert [a.purpose for a in found] == [Purpose.PAYLOAD, Purpose.BUMP]
    assert found[1].fee_cap >= 400 * GWEI
    house.settle()
    right(house, 100)
    states = [a.state for a in attempts_of_last_slot(house)]
    assert states == [AttemptState.SUPERSEDED, AttemptState.FINAL]


def test_relay__two_hashes_alive_and_the_old_one_mines__counts_once(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay.send()
    old = attempts_of_last_slot(house)[0]
    # It waits for long: a second one is stored, but reaches no node before the first is mined.
    house.clock.time += 60
    house.line.faults = []
    house.gateway.relay._sender._replacer.run_once(
        house.gateway.relay._lines(house.gateway.relay._hold())
    )
    assert len(attempts_of_last_slot(house)) == 2
    house.mine(3)
    house.settle()
    right(house, 100)
    found = attempts_of_last_slot(house)
    assert [a.state for a in found] == [AttemptState.FINAL, AttemptState.SUPERSEDED]
    assert found[0].hash == old.hash


def test_relay__above_the_cap__keeps_and_goes_on_when_the_fee_falls(tmp_path: Path) -> None:
    with open_house(tmp_path, base_fee=GWEI, fee_cap_wei=5 * GWEI) as house:
        issue(house)
        house.gateway.relay.send()
        drop(house)
        spike(house, 50 * GWEI)
        house.mine()
        forget_offers(house)
        house.scan()
        house.clock.time += 60
        house.scan()
        found = attempts_of_last_slot(house)
        assert all(a.fee_cap <= 5 * GWEI for a in found)
        assert house.states()["submitted"] == 1
        spike(house, GWEI)
        house.mine()
        forget_offers(house)
        house.settle()
        right(house, 100)


def test_slot__whose_batch_died__is_used_up_by_a_no_op(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay.send()
    drop(house)
    # The deadline passes in a final block while nothing is mined: the batch is proven dead.
    house.clock.time += 1_000
    house.mine(3)
    house.scan()
    house.gateway.relay.send()
    assert count(house, attempts, attempts.c.purpose == Purpose.NOOP.value) == 1
    forget_offers(house)
    house.settle()
    right(house, 100)
    with house.database.read() as connection:
        noop = connection.execute(
            select(attempts.c.state).where(attempts.c.purpose == Purpose.NOOP.value)
        ).scalar_one()
    assert noop == AttemptState.FINAL
    # And the line moved on: the order went out on a later nonce.
    assert count(house, batches, batches.c.kind == Kind.ISSUE.value) == 2


@pytest.mark.parametrize("window", ["relay.bump_signed_not_stored", "relay.bump_stored_not_sent"])
def test_kill__around_a_fee_bump__loses_and_doubles_nothing(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch, window: str
) -> None:
    class Killed(Exception):
        """Stands for SIGKILL: nothing after this point of the scan happens."""

    def die(name: str) -> None:
        if name == window:
            raise Killed

    issue(house)
    house.gateway.relay.send()
    house.clock.time += 60
    monkeypatch.setattr(faults, "point", die)
    with pytest.raises(Killed):
        house.gateway.relay.send()
    monkeypatch.undo()
    expected = 1 if window == "relay.bump_signed_not_stored" else 2
    assert len(attempts_of_last_slot(house)) == expected
    # A new process has offered nothing: it begins with everything that is stored.
    forget_offers(house)
    house.settle()
    right(house, 100)
