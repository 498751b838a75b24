"""Several relayers: the work is spread, a drained one is set aside and comes back, a stranger's use
of a key is noticed and acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from gateway.cli import app
from gateway.codes import Kind
from gateway.relay import gas, incidents
from gateway.relay.incidents import Incident
from gateway.tables import batches, nonce_slots
from tests.gateway.node import PLENTY, NodeHouse, open_house
from tests.gateway.test_relay_faults import issue, right
from wallet_sdk.types import address_of, to_hex

GWEI = 10**9


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path, base_fee=GWEI, relayers=3) as found:
        yield found


def banyan(house: NodeHouse, *arguments: str) -> dict[str, object]:
    data = str(house.gateway.settings.data_dir)
    result = CliRunner().invoke(app, [*arguments, "--data", data, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fund(house: NodeHouse, relayer: bytes, wei: int) -> None:
    house.node.call("anvil_setBalance", [address_of(relayer), hex(wei)])
    house.gateway.relay._funds.look_again()


def by_relayer(house: NodeHouse) -> dict[bytes, int]:
    """Slots that carried issues, by relayer."""
    with house.database.read() as connection:
        query = (
            select(nonce_slots.c.relayer, func.count())
            .where(
                nonce_slots.c.id.in_(
                    select(batches.c.slot_id).where(batches.c.kind == Kind.ISSUE.value)
                )
            )
            .group_by(nonce_slots.c.relayer)
        )
        return {bytes(row[0]): row[1] for row in connection.execute(query)}


def issue_in_turn(house: NodeHouse, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """So many batches of one issue each, of which a transaction has room for one."""
    monkeypatch.setattr(gas, "TRANSACTION_GAS_MAX", 500_000)
    for _ in range(count):
        issue(house)
        house.gateway.relay._sealer.run_once()


def test_pool__much_to_carry__is_spread_over_all_relayers(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue_in_turn(house, monkeypatch, 6)
    house.settle()
    right(house, 600)
    assert by_relayer(house) == dict.fromkeys(house.custody.relayers(), 2)


def test_pool__a_relayer_is_drained__is_set_aside_said_and_comes_back(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = house.custody.relayers()
    issue(house)
    house.gateway.relay.send()
    assert by_relayer(house) == {first: 1}
    # Its coin goes away while its transaction waits; the pool forgets the transaction.
    house.node.call("anvil_dropAllTransactions", [])
    fund(house, first, 0)
    house.gateway.relay.send()
    with house.database.read() as connection:
        (incident,) = incidents.open_ones(connection)
    assert (incident.kind, incident.subject) == (Incident.RELAYER_DRAINED, address_of(first))
    # What waited on its nonce went out with another.
    house.mine(3)
    house.scan()
    house.scan()
    assert house.states() == {"final": 3}
    assert house.gateway.relay.trouble() is None
    line = next(
        row
        for row in banyan(house, "relay", "status")["lines"]
        if row["relayer"] == address_of(first)
    )
    assert line["set_aside_at"] is not None
    for other in (second, third):
        fund(house, other, 0)
    house.gateway.relay.send()
    assert "no relayer can pay" in (house.gateway.relay.trouble() or "")
    for relayer in (first, second, third):
        fund(house, relayer, PLENTY)
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 100)
    assert banyan(house, "relay", "incidents")["incidents"] == []
    assert house.gateway.relay.trouble() is None
    # The nonce that was left behind is used up by nothing, so the line goes on.
    issue_in_turn(house, monkeypatch, 3)
    house.settle()
    right(house, 400)
    assert by_relayer(house)[first] >= 1


def test_stranger__used_a_relayers_key__is_told_and_acknowledged(house: NodeHouse) -> None:
    relayer = house.custody.relayers()[0]
    named = address_of(relayer)
    nonce = int(house.node.call("eth_getTransactionCount", [named, "latest"]), 16)
    raw, _ = house.custody.signer(relayer).sign_transaction(
        {
            "type": 2,
            "chainId": 777,
            "nonce": nonce,
            "gas": 21_000,
            "maxFeePerGas": 9 * GWEI,
            "maxPriorityFeePerGas": GWEI,
            "value": 0,
            "data": "0x",
            "to": named,
        }
    )
    house.node.call("eth_sendRawTransaction", [to_hex(raw)])
    house.mine(3)
    issue(house)
    house.settle()
    right(house, 100)
    (found,) = banyan(house, "relay", "incidents")["incidents"]
    assert (found["kind"], found["subject"]) == ("strangers_nonce", named)
    number = str(found["id"])
    assert "new relayers" in banyan(house, "relay", "show", number)["what_to_do"]
    banyan(house, "relay", "acknowledge", number)
    assert banyan(house, "relay", "incidents")["incidents"] == []
    assert banyan(house, "relay", "show", number)["acknowledged_by"]


def test_unstick__a_nonce_that_does_not_move__frees_what_it_carries(house: NodeHouse) -> None:
    issue(house)
    house.gateway.relay.send()
    house.node.call("anvil_dropAllTransactions", [])
    (waiting,) = banyan(house, "relay", "status")["waiting"]
    freed = banyan(house, "relay", "unstick", waiting["relayer"], str(waiting["nonce"]))
    assert freed["batches_freed"] == 1
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 100)


def test_unstick__and_the_stuck_one_is_mined_all_the_same__counts_once(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(house)
    house.gateway.relay.send()
    (waiting,) = banyan(house, "relay", "status")["waiting"]
    banyan(house, "relay", "unstick", waiting["relayer"], str(waiting["nonce"]))
    # The no-op does not reach the node in time: both transactions with the order are mined.
    monkeypatch.setattr(house.gateway.relay._sender._replacer, "run_once", lambda lines: 0)
    house.gateway.relay.send()
    house.mine(3)
    for _ in range(4):
        house.scan()
        house.mine(3)
        house.clock.time += 5
    right(house, 100)
