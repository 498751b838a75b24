"""One thing that does not go on keeps nothing else waiting: a key that does not sign, a day's cap,
a transaction that a node does not answer to, a chain that carries nothing for hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gateway.codes import Kind
from gateway.custody.guard import GuardedSigner
from gateway.custody.purposes import merchant_tenant
from gateway.errors import GatewayError, NotReady, SigningCapReached
from gateway.model import Accepted, Merchant, NewMerchant, NewOrder, OrderKind
from gateway.relay import causes
from gateway.relay.chain import Chain, Sent
from gateway.tables import batches, orders, secrets
from tests.gateway.helpers import fresh
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.test_relay_faults import count, issue, right
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.orders import Order
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import address_bytes

GWEI = 10**9


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


def onboard_florist(house: NodeHouse) -> Merchant:
    florist = NewMerchant("Florist", "florist", deposit=1_100_000)
    return house.gateway.onboard_merchants([florist], mine=lambda: house.mine(3))[0]


def issue_at(house: NodeHouse, *merchants: Merchant) -> None:
    """One order of a hundred points for ada at each, in this order."""
    for merchant in merchants:
        line = NewOrder(OrderKind.ISSUE, house.ada.id, 100, fresh("r"), merchant.id)
        (answer,) = house.gateway.accept_many([line], idempotency_key=fresh("k"))
        assert isinstance(answer, Accepted), answer


def scan_on(house: NodeHouse, times: int) -> None:
    """As the relay's thread does: whatever one pass meets, there is another."""
    for _ in range(times):
        with suppress(GatewayError, RpcUnavailable):
            house.gateway.relay.scan()
        house.mine()
        house.indexer.run_once()


def test_key__of_one_merchant_is_damaged__the_others_issues_go_on(house: NodeHouse) -> None:
    florist = onboard_florist(house)
    damaged = (
        update(secrets)
        .where(secrets.c.tenant == merchant_tenant(florist.number))
        .values(sealed=b"\x02" + bytes((0, 1)) + bytes(99))
    )
    with house.database.write() as connection:
        connection.execute(damaged)
    house.custody._keys.clear()
    issue_at(house, florist, house.baker)
    scan_on(house, 5)
    assert house.states() == {"final": 3, "batched": 1}
    with house.database.read() as connection:
        reasons = connection.execute(select(batches.c.reason).where(batches.c.reason.is_not(None)))
        assert "secret_damaged" in str(reasons.scalar_one())


@pytest.mark.soak
def test_kms__throttles_all_but_a_few_requests__what_is_signed_is_kept(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    florist = onboard_florist(house)
    real, asked = GuardedSigner.sign_order, [0]

    def every_fourth(signer: GuardedSigner, order: Order) -> tuple[bytes, bytes]:
        asked[0] += 1
        if asked[0] % 4:
            raise NotReady("the key cannot be asked: ThrottlingException")
        return real(signer, order)

    monkeypatch.setattr(GuardedSigner, "sign_order", every_fourth)
    for _ in range(6):
        issue_at(house, florist, house.baker)
        house.gateway.relay._sealer._open()
    for _ in range(20):
        scan_on(house, 1)
        house.clock.time += 5
    assert set(house.states()) == {"final"}


def test_node__does_not_answer_to_one_transaction__all_others_are_sent_and_settled(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, refused = house.gateway.relay._chain, list[bytes]()
    send = chain.send

    def no_answer_to_the_first(raw: bytes) -> tuple[Sent, str]:
        if not refused or raw in refused:
            refused[:] = [raw]
            raise RpcUnavailable("eth_sendRawTransaction", "no answer")
        return send(raw)

    issue(house)
    house.gateway.relay.send()
    house.mine()
    monkeypatch.setattr(chain, "send", no_answer_to_the_first)
    for _ in range(3):
        issue(house)
        scan_on(house, 1)
    scan_on(house, 2)
    assert house.states() == {"final": 3, "submitted": 3}
    # Those behind it have reached the node, which keeps them until the gap is closed.
    assert int(house.node.call("txpool_status", [])["queued"], 16) == 2
    monkeypatch.undo()
    house.gateway.relay._sender._offered.clear()
    house.settle()
    right(house, 400)


@pytest.mark.soak
def test_cap__of_one_relayer_is_reached__its_work_goes_to_the_others(tmp_path: Path) -> None:
    with open_house(tmp_path, base_fee=GWEI, relayers=2) as house:
        real = GuardedSigner.sign_transaction
        first, asked = house.custody.relayers()[0], list[object]()

        def capped(signer: GuardedSigner, transaction: dict[str, object]) -> object:
            if address_bytes(signer.address) == first:
                asked.append(transaction["nonce"])
                raise SigningCapReached("the day is over", signer._place)
            return real(signer, transaction)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GuardedSigner, "sign_transaction", capped)
            issue(house)
            for _ in range(6):
                scan_on(house, 1)
            assert set(house.states()) == {"final"}
        # It is not asked again with every scan.
        assert len(asked) == 1
        # The next day: the nonces that were left behind are used up by no-ops.
        house.gateway.relay._sender._unsigned._until.clear()
        house.settle()
        issue(house)
        house.settle()
        right(house, 200)


@pytest.mark.soak
def test_chain__carries_nothing_for_hours__no_order_fails(house: NodeHouse) -> None:
    issue(house)
    # Joining, too: who cannot join could never be issued to.
    house.gateway.ensure_members(["cleo"])
    for late in range(8):
        house.gateway.relay.send()
        if late % 2:
            # Mined when it is too late: that says nothing against the orders either.
            house.clock.time += 1_000
            house.mine(3)
        house.node.call("anvil_dropAllTransactions", [])
        house.clock.time += 1_000
        house.mine(3)
        house.scan()
        house.node.call("anvil_dropAllTransactions", [])
        house.gateway.relay._sender._offered.clear()
    assert "failed" not in house.states()
    assert count(house, orders, orders.c.voids > 0) == 0
    house.settle()
    right(house, 100)


@pytest.mark.soak
def test_chain__carries_nothing_for_days__orders_fail_with_proof_and_joining_waits(
    house: NodeHouse,
) -> None:
    issue(house)
    house.gateway.ensure_members(["cleo"])
    house.gateway.relay.send()
    house.node.call("anvil_dropAllTransactions", [])
    house.clock.time += causes.PASSING_MAX_S + 1
    house.mine(3)
    house.scan()
    assert house.states()["failed"] == 1
    house.gateway.relay._sender._offered.clear()
    house.settle()
    assert house.states() == {"final": 3, "failed": 1}
    assert count(house, orders, orders.c.failure.is_not(None), orders.c.kind == Kind.JOIN) == 0


def test_joining__between_two_batches__is_still_on_its_way(house: NodeHouse) -> None:
    cleo = house.gateway.ensure_members(["cleo"])["cleo"]
    with house.database.read() as connection:
        assert causes._is_joining(connection, address_bytes(cleo.address))
        assert not causes._is_joining(connection, address_bytes(house.ada.address))


def test_final__told_by_an_error__is_none(house: NodeHouse) -> None:
    class Young(Rpc):
        def call(
            self, method: str, params: object = (), *, timeout_s: float | None = None
        ) -> object:
            raise RpcError(-39001, "finalized block not found")

    assert Chain(Young("http://node"), finality="finalized").final_block() is None
