"""Slots that proofs rely on (docs/CONTRACTS.md): held against the deployed bytecode."""

from __future__ import annotations

import pytest
from banyan_kit.wire import Key, to_bytes
from eth_hash.auto import keccak
from network_desk import Desk

ADA = Key.from_seed("ada")
BAKER = 1


@pytest.fixture
def desk() -> Desk:
    desk = Desk.open()
    desk.register(BAKER, "baker")
    desk.anyone("deposit", BAKER, 1_000_000)
    desk.execute(desk.make("Join", ADA, member=ADA.address, nonce=1))
    till = desk.merchants[BAKER].tills[0]
    entries = [(ADA.address, 100)]
    desk.execute(desk.make("IssueBatch", till, merchant=BAKER, nonce=1, entries=entries))
    return desk


def word(desk: Desk, contract: str, slot: int, key: int | str | None = None) -> int:
    """What stands in a slot, or in a mapping's place for a key."""
    place = slot
    if key is not None:
        padded = to_bytes(key, 32).rjust(32, b"\0")
        place = int.from_bytes(keccak(padded + slot.to_bytes(32, "big")), "big")
    return int(desk.network.chain.evm.storage(contract, place))


def test_storage__of_an_account__is_the_word_that_account_of_answers(desk: Desk) -> None:
    points = desk.network.points
    assert word(desk, points.address, 0, ADA.address) == points.ask("accountOf", ADA.address) > 0


def test_storage__of_an_epochs_supply__is_live_above_issued(desk: Desk) -> None:
    issued, live = desk.network.points.ask("supplyOfEpoch", 1)
    assert word(desk, desk.network.points.address, 1, 1) == (live << 128) | issued > 0


def test_storage__of_the_coalition_in_points__is_slot_seven(desk: Desk) -> None:
    coalition = desk.network.coalition.address
    assert word(desk, desk.network.points.address, 7) == int(coalition, 16)


def test_storage__of_a_merchants_standing__holds_its_position(desk: Desk) -> None:
    standing = word(desk, desk.network.coalition.address, 1, BAKER)
    assert standing & (2**128 - 1) == desk.position(BAKER) == 1_000_000 - 100 * 110
    assert (standing >> 224) & 0xFF == 1  # ACTIVE
