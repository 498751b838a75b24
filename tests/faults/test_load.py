"""A parallel load while processes are killed and frozen, the node's line lies and blocks are
replaced: in the end every order that was answered with 2xx is on the chain exactly once.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.tables import members, merchants, webhook_events
from gateway.webhooks import events
from indexer import audit
from tests.faults.town import FaultTown, open_town, shown
from tests.gateway.webhooks.receivers import Receiver, receiving
from wallet_sdk.client import GatewayClient
from wallet_sdk.events.points import Transfer
from wallet_sdk.types import ZERO_ADDRESS, from_hex

CLIENTS = 6
LOAD_S = 60.0
SETTLE_S = 600.0


@pytest.mark.soak
@pytest.mark.parametrize(("where", "gateways"), [("sqlite", 1), ("postgresql", 3)])
def test_load__killed_frozen_and_lied_to__every_2xx_is_on_chain_once(
    request: pytest.FixtureRequest, soak_seed: int, tmp_path: Path, where: str, gateways: int
) -> None:
    url = request.getfixturevalue("postgres_url") if where == "postgresql" else None
    sys.stderr.write(f"\n{where}, {gateways} gateways, seed {soak_seed}\n")
    with receiving() as receiver, open_town(tmp_path, soak_seed, gateways, url) as town:
        with town.living():
            listen(town, receiver)
            load(town, soak_seed)
            town.line.rate = 0.0
            settle(town)
            told = hear(town, receiver)
        on_chain = oracle(town)
    sys.stderr.write(
        f"{town.line.requests} requests to the node, {town.line.injected.total()} faults on the "
        f"line: {shown(town.line.injected)}\nstruck: {shown(town.events)}; starts of processes: "
        f"{[process.starts for process in town.processes]}\n"
        f"2xx: {len(town.told.issued)} issues, {len(town.told.redeemed)} redemptions; "
        f"{town.told.repeats} repeated, refused: {shown(town.told.refused)}\n"
        f"verdict: {on_chain} orders on chain, each once; laws hold; {told} webhooks, "
        f"{len(receiver.got) - told} of them repeated\n"
    )


@pytest.mark.soak
@pytest.mark.parametrize("gateways", [1, 3])
@pytest.mark.parametrize("window", ["accept.before_commit", "accept.before_reply"])
def test_load__killed_in_a_window_of_accepting__every_2xx_is_on_chain_once(
    tmp_path: Path, postgres_url: str, soak_seed: int, window: str, gateways: int
) -> None:
    with open_town(tmp_path, soak_seed, gateways, postgres_url) as town:
        struck = town.processes[0]
        struck.fault = f"{window}:3"
        with town.living():
            dice, number = random.Random(soak_seed), 0
            while number < 30 or struck.starts < 2:
                number += 1
                body = {"member": town.members[0], "reference": f"r{number}", "points": number}
                town.ask(dice, "/v1/issuances", "baker", body)
                assert number < 3_000, f"{window} was not passed"
            settle(town)
        oracle(town)


@pytest.mark.soak
def test_load__a_node_that_takes_up_to_a_minute__every_2xx_is_on_chain_once(
    tmp_path: Path, soak_seed: int
) -> None:
    # Half of the delays are longer than the gateway waits: sent, and no reply.
    with open_town(tmp_path, soak_seed, 1, None, delay_max_s=60.0, names=("delay",)) as town:
        with town.living():
            dice = random.Random(soak_seed)
            for number in range(1, 61):
                body = {"member": town.members[0], "reference": f"r{number}", "points": number}
                town.ask(dice, "/v1/issuances", "baker", body)
                town.line.rate = 0.1
                time.sleep(1)
            settle(town)
        town.line.rate = 0.0
        oracle(town)
        assert town.line.injected["delay"] > 5


def listen(town: FaultTown, receiver: Receiver) -> None:
    """The baker's server hears of its orders' ends."""
    process = town.processes[0]
    until = time.monotonic() + 180
    with GatewayClient(process.url, town.shops["baker"], patience_s=180) as client:
        while not process.is_up():
            assert time.monotonic() < until, "no gateway has started"
            time.sleep(0.05)
        client.webhooks.create(receiver.url, events=["order.final", "order.failed"])


def load(town: FaultTown, seed: int) -> None:
    """Clients ask side by side while the dice strike."""
    ended = threading.Event()
    numbers = iter(range(1, 10**9))
    counted = threading.Lock()

    def client(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        while not ended.is_set():
            with counted:
                points = next(numbers)
            shop = dice.choice(sorted(town.shops))
            member = dice.choice(town.members)
            redeems = dice.random() < 0.25
            path = "/v1/redemptions" if redeems else "/v1/issuances"
            body = {"member": member, "reference": f"wish-{points}", "points": points}
            town.ask(dice, path, shop, body)

    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(client, number) for number in range(CLIENTS)]
        dice, until = random.Random(seed), time.monotonic() + LOAD_S
        # The first seconds are for starting; from then on nothing is spared.
        time.sleep(8)
        town.line.rate = 0.1
        while time.monotonic() < until:
            time.sleep(dice.uniform(1.0, 4.0))
            town.strike(dice)
        ended.set()
        for found in running:
            found.result()


def settle(town: FaultTown) -> None:
    """Everything comes to its end by itself."""
    until = time.monotonic() + SETTLE_S
    while town.open_orders():
        assert time.monotonic() < until, town.gateway.orders_by_state()
        time.sleep(0.3)


def hear(town: FaultTown, receiver: Receiver) -> int:
    """Every event of the baker's arrived at least once. Returns how many there are."""
    with town.gateway.database.read() as connection:
        wanted = {
            events.word(row.event): row.count
            for row in connection.execute(
                select(webhook_events.c.event, func.count().label("count")).group_by(
                    webhook_events.c.event
                )
            )
        }
    until = time.monotonic() + SETTLE_S
    while len({got.id for got in receiver.got}) < sum(wanted.values()):
        assert time.monotonic() < until, (len(receiver.got), wanted)
        time.sleep(0.3)
    return len({got.id for got in receiver.got})


def oracle(town: FaultTown) -> int:
    """Each promise exactly once on the chain, read from its logs; nothing else there; nothing held;
    mirror = chain, and the laws. Returns how many orders that were.
    """
    states = town.gateway.orders_by_state()
    assert {s for s, n in states.items() if n} == {"final"}, states
    minted, burned = Counter[int](), Counter[int]()
    points = town.gateway.deployment.address("Points")
    logs = town.node.call(
        "eth_getLogs",
        [{"address": points, "fromBlock": "0x0", "topics": ["0x" + Transfer.LAYOUT.topic0.hex()]}],
    )
    nobody = "0x" + ZERO_ADDRESS[2:].rjust(64, "0").lower()
    for log in logs:
        amount = int.from_bytes(from_hex(log["data"]), "big")
        if log["topics"][1] == nobody:
            minted[amount] += 1
        if log["topics"][2] == nobody:
            burned[amount] += 1
    assert minted == Counter(town.told.issued.values())
    assert burned == Counter(town.told.redeemed.values())
    # What was promised is what the book has, to the order.
    promised = len(town.told.issued) + len(town.told.redeemed)
    assert states["final"] == promised + len(town.members)
    with town.gateway.database.read() as connection:
        for table in (merchants, members):
            assert connection.execute(select(func.sum(table.c.held))).scalar_one() == 0
    town.indexer.run_once()
    found = audit.check(town.gateway.mirror, town.node, town.gateway.deployment)
    assert found.holds, found
    return promised
