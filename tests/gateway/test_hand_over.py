"""Another Coalition takes over: the relay closes, and the gateway started anew goes on with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import encode

from gateway.errors import Closed
from gateway.model import Accepted, NewOrder, NewReversal, OrderKind
from gateway.relay import incidents
from gateway.relay.incidents import Incident
from gateway.service import Gateway
from gateway.settings import Settings
from indexer import audit
from tests.gateway.helpers import fresh
from tests.gateway.node import NodeHouse, open_house
from wallet_sdk import abi
from wallet_sdk.contracts import Deployment
from wallet_sdk.contracts.calls import PROPOSE_COALITION
from wallet_sdk.types import keccak256, to_hex

DAY = 86_400
ACCEPT = keccak256(b"accept()")[:4]


def sent(house: NodeHouse, sender: str, to: str | None, data: bytes) -> str:
    """A transaction of an account that the node lends, not mined yet."""
    call = {"from": sender, "data": to_hex(data)}
    call |= {"gas": hex(16_000_000), "gasPrice": "0x0"} | ({"to": to} if to else {})
    house.node.call("anvil_impersonateAccount", [sender])
    found: str = house.node.call("eth_sendTransaction", [call])
    return found


def made(house: NodeHouse, sender: str, name: str, types: list[str], values: list[object]) -> str:
    """Deploys a contract; its address."""
    digest = sent(house, sender, None, abi.bytecode(name) + encode(types, values))
    house.mine()
    receipt = house.node.call("eth_getTransactionReceipt", [digest])
    assert receipt["status"] == "0x1"
    return str(receipt["contractAddress"])


def proposed(house: NodeHouse, deployment: Deployment) -> str:
    """A successor that may accept by now; its address."""
    admin = house.custody.network_addresses()["admin"]
    at = deployment.addresses
    head = [at["Points"], at["BankReceipt"], at["MembershipPass"], 100, 1_000]
    tail = [at["Coalition"], at["AccessManager"]]
    types = ["address", "address", "address", "uint256", "uint256"]
    office = made(house, admin, "CoalitionOffice", [*types, "address", "address"], [*head, *tail])
    successor = made(
        house,
        admin,
        "Coalition",
        [*types, "(uint32,uint32,uint16)", "address", "address", "address"],
        [*head, (0, 0, 0), *tail, office],
    )
    sent(house, admin, at["Points"], PROPOSE_COALITION.encode(successor))
    house.mine()
    house.clock.time += 31 * DAY
    house.mine()
    return successor


def started_anew(house: NodeHouse, settings: Settings, deployment: Deployment) -> Gateway:
    """As after a restart of the process: the same book, mirror and deployment file."""
    before = house.gateway
    before.relay.stop()
    before.writer.stop()
    return Gateway(
        settings,
        clock=house.clock,
        database=house.database,
        custody=house.custody,
        rpc=before.network.rpc,
        deployment=deployment,
        mirror=before.mirror,
        advance_mirror=house.indexer.run_once,
    )


def issue(house: NodeHouse, points: int) -> NewOrder:
    return NewOrder(OrderKind.ISSUE, house.ada.id, points, fresh("r"), house.baker.id)


def accept(house: NodeHouse, order: NewOrder) -> str:
    (answer,) = house.gateway.accept_many([order], idempotency_key=fresh("k"))
    assert isinstance(answer, Accepted), answer
    return answer.id


def test_relay__another_coalition_took_over__closes_and_goes_on_with_it_when_started_anew(
    tmp_path: Path,
) -> None:
    with open_house(tmp_path) as house:
        file = house.gateway.deployment
        accept(house, issue(house, 100))
        house.settle()
        spent = accept(
            house, NewOrder(OrderKind.REDEEM, house.ada.id, 40, fresh("r"), house.baker.id)
        )
        house.settle()
        successor = proposed(house, file)
        # Signed for the old one, and mined in the very block of the hand-over, after it.
        accept(house, issue(house, 7))
        sent(house, house.custody.network_addresses()["treasurer"], successor, ACCEPT)
        house.gateway.relay.send()
        house.mine(3)
        house.indexer.run_once()
        with pytest.raises(Closed, match="(?i)" + successor):
            house.gateway.relay.settle()
        # What is accepted now waits; nothing is lost.
        accept(house, issue(house, 5))
        with pytest.raises(Closed, match="coalition_succeeded"):
            house.gateway.relay.send()

        house.gateway = started_anew(house, house.gateway.settings, file)
        assert house.gateway.deployment.address("Coalition").lower() == successor.lower()
        house.gateway.match()
        with pytest.raises(Closed):
            accept(house, issue(house, 1))
        house.gateway.reconciler.run("the operator")
        house.gateway.match()
        refund = NewReversal(
            OrderKind.REFUND, house.ada.id, 15, fresh("r"), house.baker.id, of=spent
        )
        accept(house, refund)
        for _ in range(3):
            house.settle()
            # What was signed for the old one ends at its deadline, and is signed anew.
            house.clock.time += house.gateway.settings.order_ttl_s
        assert set(house.states()) == {"final"}, house.states()
        assert house.gateway.network.total_supply() == 100 - 40 + 7 + 5 + 15
        with house.database.read() as connection:
            assert incidents.counts(connection)[Incident.COALITION_SUCCEEDED.value] == 0
        assert audit.check(house.gateway.mirror, house.gateway.network.rpc, file).holds
