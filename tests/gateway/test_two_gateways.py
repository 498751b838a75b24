"""Two gateways with two relays on one PostgreSQL: nothing lost, nothing doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from gateway.codes import Kind, State
from gateway.model import Accepted, NewMerchant, NewOrder, OrderKind
from gateway.network import Network, open_network
from gateway.service import Gateway, open_custody
from gateway.settings import Settings
from gateway.tables import batches, members, merchants, orders
from indexer import audit
from tests.gateway.helpers import fresh
from wallet_sdk.rpc import Rpc

REQUESTS, LINES = 60, 5


@pytest.fixture
def network(postgres_url: str, tmp_path: Path) -> Iterator[Network]:
    url = SecretStr(postgres_url)
    settings = Settings(data_dir=tmp_path, orders_url=url, mirror_url=url, relay_interval_s=0.02)
    with open_network(tmp_path, settings=settings) as found:
        yield found


@pytest.fixture
def second(network: Network) -> Iterator[Gateway]:
    """Another process's gateway, as it were: its own connections, writer, keys and relay."""
    database, custody = open_custody(network.gateway.settings)
    rpc = Rpc(network.chain.rpc_url)
    gateway = Gateway(
        network.gateway.settings,
        clock=network.chain.clock,
        database=database,
        custody=custody,
        rpc=rpc,
        deployment=network.deployment,
        mirror=network.mirror,
        advance_mirror=network.advance_mirror,
    )
    gateway.start()
    yield gateway
    gateway.stop()
    rpc.close()


def test_two_relays__much_at_once__each_order_once(network: Network, second: Gateway) -> None:
    first = network.gateway
    baker = first.onboard_merchant(NewMerchant("Baker", "baker", deposit=10**12))
    found = first.ensure_members([f"card-{n}" for n in range(20)])
    ids = [member.id for member in found.values()]

    def accept(number: int) -> int:
        lines = [
            NewOrder(OrderKind.ISSUE, ids[(number + n) % 20], 10, fresh("r"), baker.id)
            for n in range(LINES)
        ]
        gateway = (first, second)[number % 2]
        answers = gateway.accept_many(lines, idempotency_key=f"key {number}")
        # The other gateway knows the key too.
        again = (second, first)[number % 2].accept_many(lines, idempotency_key=f"key {number}")
        assert again == answers
        return sum(isinstance(answer, Accepted) for answer in answers)

    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(accept, range(REQUESTS)))
    assert accepted == REQUESTS * LINES
    until = time.monotonic() + 60
    while first.orders_by_state()["final"] < accepted + len(ids):
        assert time.monotonic() < until, first.orders_by_state()
        time.sleep(0.05)

    with first.database.read() as connection:
        issued = connection.execute(
            select(func.sum(batches.c.order_count)).where(
                batches.c.kind == Kind.ISSUE.value, batches.c.block_number.is_not(None)
            )
        ).scalar_one()
        held = connection.execute(select(func.sum(merchants.c.held))).scalar_one()
        points = connection.execute(select(func.sum(members.c.held))).scalar_one()
        doubled = connection.execute(
            select(func.count()).select_from(orders).where(orders.c.state != State.FINAL.value)
        ).scalar_one()
    assert (int(issued), int(held), int(points), doubled) == (accepted, 0, 0, 0)
    assert network.gateway.network.total_supply() == accepted * 10
    assert audit.check(network.mirror, network.chain.rpc_url, network.deployment).holds


@pytest.mark.soak
def test_two_gateways__the_same_points_at_two_merchants_at_once__one_is_taken(
    network: Network, second: Gateway
) -> None:
    gateways = network.gateway, second
    shops = gateways[0].onboard_merchants(
        [NewMerchant(name, name.lower(), deposit=10**9) for name in ("Baker", "Florist")]
    )
    found = gateways[0].ensure_members([f"card-{n}" for n in range(20)])
    people = [member.id for member in found.values()]
    lines = [NewOrder(OrderKind.ISSUE, person, 100, fresh("r"), shops[0].id) for person in people]
    gateways[0].accept_many(lines, idempotency_key=fresh("k"))
    gateways[0].drain()

    def redeem(number: int) -> bool:
        person, shop = people[number // 2], shops[number % 2]
        line = NewOrder(OrderKind.REDEEM, person, 80, fresh("r"), shop.id)
        (answer,) = gateways[number % 2].accept_many([line], idempotency_key=fresh("k"))
        return isinstance(answer, Accepted)

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(redeem, range(2 * len(people))))
    assert [taken[n] + taken[n + 1] for n in range(0, len(taken), 2)] == [1] * len(people)
    gateways[0].drain()
    assert gateways[0].network.total_supply() == 20 * len(people)
    assert audit.check(network.mirror, network.chain.rpc_url, network.deployment).holds
