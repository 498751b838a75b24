"""A small day of trade that may be killed anywhere and is simply run again; and its oracle.

Run as a program it forks a process for each line `DATA FAULT` that it reads, and answers with how
that process ended: the modules are loaded once.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from sqlalchemy import func, select

from gateway import faults
from gateway.model import Accepted, NewMerchant, NewOrder, OrderKind
from gateway.network import Network, open_network
from gateway.tables import members, merchants, orders
from indexer import audit, queries

DEPOSIT = 1_000_000_000
MEMBERS = [f"card-{n}" for n in range(8)]
ISSUES = 40
POINTS = [(n % 7 + 1) * 100 for n in range(ISSUES)]
REDEEMED, GIVEN = 30, 20


def kill_after(data: str, fault: str) -> None:
    """The day in a process of its own, with a kill armed."""
    faults.arm(fault)
    with open_network(Path(data), background=False) as network:
        network.chain.hold()
        trade(network)


def set_up(network: Network) -> None:
    """Merchants, funded once, and members."""
    network.gateway.onboard_merchants(
        [
            NewMerchant("Baker", "baker", deposit=DEPOSIT),
            NewMerchant("Florist", "florist", deposit=DEPOSIT),
        ],
        mine=lambda: mine(network),
    )
    network.gateway.ensure_members(MEMBERS)
    network.gateway.drain(mine=lambda: mine(network))


def mine(network: Network) -> None:
    network.chain.mine()


def trade(network: Network) -> None:
    """Issues for everybody, then redemptions, then transfers; each group drained."""
    set_up(network)
    gateway = network.gateway
    baker, florist = gateway.merchants()
    ids = [gateway.ensure_members([name])[name].id for name in MEMBERS]
    shops = (baker.id, florist.id)
    issues = [
        NewOrder(OrderKind.ISSUE, ids[n % len(ids)], points, f"issue {n}", shops[n % 2])
        for n, points in enumerate(POINTS)
    ]
    redemptions = [
        NewOrder(OrderKind.REDEEM, member, REDEEMED, f"redeem {n}", shops[n % 2])
        for n, member in enumerate(ids * 2)
    ]
    transfers = [
        NewOrder(OrderKind.TRANSFER, member, GIVEN, f"give {n}", to_member=ids[n - 1])
        for n, member in enumerate(ids)
    ]
    for key, wishes in (("issues", issues), ("redeem", redemptions), ("give", transfers)):
        answers = gateway.accept_many(wishes, idempotency_key=key)
        assert all(isinstance(answer, Accepted) for answer in answers), answers
        result = gateway.drain(mine=lambda: mine(network))
        assert result.open_orders == 0, result


def check(network: Network) -> None:
    """The oracle: every wish exactly once, nothing held, nothing open, mirror = chain."""
    gateway = network.gateway
    wishes = ISSUES + 3 * len(MEMBERS) + len(MEMBERS)
    states = gateway.orders_by_state()
    assert states.pop("final") == wishes
    assert set(states.values()) == {0}, states
    network.advance_mirror()
    with network.mirror.connect() as connection, connection.begin():
        overview = queries.network_overview(connection)
    assert overview.issued == sum(POINTS)
    assert overview.redeemed == 2 * len(MEMBERS) * REDEEMED
    assert overview.transfers == len(MEMBERS)
    assert overview.redemptions == 2 * len(MEMBERS)
    assert overview.members == len(MEMBERS)
    assert overview.merchants == 2
    charged, paid = 110 * sum(POINTS), 98 * overview.redeemed
    positions = [gateway.books.position(m.number) for m in gateway.merchants()]
    assert sum(p.position for p in positions if p) == 2 * DEPOSIT - charged + paid
    with gateway.database.read() as connection:
        assert connection.execute(select(func.sum(merchants.c.held))).scalar_one() == 0
        assert connection.execute(select(func.sum(members.c.held))).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(orders)).scalar_one() == wishes
    found = audit.check(network.mirror, network.chain.rpc_url, network.deployment)
    assert found.holds, found


def serve_forks() -> None:
    """Reads `DATA FAULT`, forks, answers with the exit status as `subprocess` counts it."""
    for line in sys.stdin:
        data, fault = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            try:
                kill_after(data, fault)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    serve_forks()
