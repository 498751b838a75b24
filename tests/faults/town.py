"""A network of real processes: `banyan serve` one or more times, a node behind a line that lies.

Everything goes the way of production: HTTP to the gateways, JSON-RPC over the faulty line, SQL on
SQLite or PostgreSQL. What was answered with 2xx is written down here, and nowhere else.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from gateway.model import NewMerchant
from gateway.service import Gateway
from gateway.settings import Settings
from indexer.errors import MirrorBusy, SourceContradicts
from indexer.sync import Indexer
from tests.faults.proxy import FaultyLine, faulty_line
from tests.gateway.deployed import deployed, end_sessions
from tests.gateway.node import anvil
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.rpc import Rpc

ROOT = Path(__file__).parents[2]
MAIN = "from gateway.cli import main; main()"
CONFIRMATIONS = 4
MEMBERS = 12


@dataclass
class Told:
    """What the network has promised with a 2xx. Points are unlike in every order."""

    issued: dict[str, int] = field(default_factory=dict)
    redeemed: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    repeats: int = 0


@dataclass
class Process:
    """One `banyan serve` on a port of its own, started again when it dies."""

    command: list[str]
    env: dict[str, str]
    url: str
    log: Path
    fault: str = ""
    running: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        """Starts it, the first time with its fault; who asks too early finds nobody."""
        env = self.env | ({"FAULT": self.fault} if self.fault and not self.starts else {})
        with self.log.open("ab") as out:
            self.running = subprocess.Popen(self.command, env=env, stdout=out, stderr=out, cwd=ROOT)
        self.starts += 1

    def is_up(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.wait()


@dataclass
class FaultTown:
    """The whole of it. `node` is the test's own, honest line."""

    node: Rpc
    process: subprocess.Popen[str]
    line: FaultyLine
    gateway: Gateway
    indexer: Indexer
    processes: list[Process]
    shops: dict[str, str]
    members: list[str]
    told: Told = field(default_factory=Told)
    events: Counter[str] = field(default_factory=Counter)
    _chain: threading.Lock = field(default_factory=threading.Lock)

    # ---- the world goes on

    def mine(self) -> None:
        """One block, at the wall clock."""
        with self._chain:
            head = self.node.call("eth_getBlockByNumber", ["latest", False])
            at = max(int(head["timestamp"], 16), int(time.time()))
            self.node.call("evm_setNextBlockTimestamp", [at])
            self.node.call("evm_mine", [])

    @contextmanager
    def living(self) -> Iterator[None]:
        """Blocks come, the mirror follows, dead processes start again, in threads."""
        stopping = threading.Event()

        def mine() -> None:
            while not stopping.wait(0.4):
                self.mine()

        def follow() -> None:
            while not stopping.wait(0.2):
                try:
                    self.indexer.run_once()
                except (RpcUnavailable, SourceContradicts, MirrorBusy, SQLAlchemyError):
                    self.events["mirror asked again"] += 1

        def revive() -> None:
            while not stopping.wait(0.2):
                for process in self.processes:
                    if not process.is_up():
                        process.start()

        threads = [threading.Thread(target=t, daemon=True) for t in (mine, follow, revive)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()

    # ---- faults that are no answers

    def strike(self, dice: random.Random) -> None:
        """One fault by the dice: a kill, a freeze, a reorg, a forgetful pool."""
        weights = {"kill -9": 4, "freeze": 2, "node stopped": 1, "reorg": 4, "pool emptied": 2}
        if self.gateway.database.is_postgres:
            weights["sessions ended"] = 2
        kind = dice.choices(list(weights), list(weights.values()))[0]
        victim = dice.choice(self.processes)
        pause_s = dice.uniform(0.5, 2.0)
        self.events[kind] += 1
        if kind == "kill -9":
            victim.kill()
        elif kind == "freeze":
            self._freeze(victim.running, pause_s)
        elif kind == "node stopped":
            with self._chain:
                self._freeze(self.process, pause_s)
        elif kind == "reorg":
            with self._chain:
                self.node.call("anvil_reorg", [dice.randint(1, CONFIRMATIONS - 1), []])
        elif kind == "sessions ended":
            # Wherever they are: at BEGIN, before or during COMMIT.
            end_sessions(self.gateway.database.engine)
        else:
            with self._chain:
                self._empty_pool()

    def _freeze(self, process: subprocess.Popen[Any] | None, seconds: float) -> None:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            process.send_signal(signal.SIGCONT)

    def _empty_pool(self) -> None:
        content = self.node.call("txpool_content", [])
        for by_nonce in content["pending"].values():
            for transaction in by_nonce.values():
                self.node.call("anvil_dropTransaction", [transaction["hash"]])

    # ---- asking

    def ask(self, dice: random.Random, path: str, shop: str, body: dict[str, object]) -> None:
        """One wish, repeated under its key at any gateway until one of them has answered; now and
        then once more after that.
        """
        key = f"{body['reference']}"
        answer = self._until_answered(dice, path, shop, body, key)
        if dice.random() < 0.2:
            again = self._until_answered(dice, path, shop, body, key)
            assert again.json() == answer.json(), (answer.text, again.text)
            self.told.repeats += 1
        if answer.status_code == 202:
            kept = self.told.issued if path.endswith("issuances") else self.told.redeemed
            kept[answer.json()["id"]] = int(str(body["points"]))
        else:
            self.told.refused[answer.json()["code"]] += 1

    def _until_answered(
        self, dice: random.Random, path: str, shop: str, body: dict[str, object], key: str
    ) -> httpx.Response:
        until = time.monotonic() + 600
        headers = {"Authorization": f"Bearer {self.shops[shop]}", "Idempotency-Key": key}
        while True:
            assert time.monotonic() < until, f"no gateway answers {key}"
            url = dice.choice(self.processes).url
            try:
                answer = httpx.post(url + path, json=body, headers=headers, timeout=5)
            except httpx.HTTPError:
                time.sleep(dice.uniform(0.05, 0.3))
                continue
            running = answer.status_code == 409 and "in_use" in answer.text
            if answer.status_code < 500 and answer.status_code != 429 and not running:
                return answer
            time.sleep(dice.uniform(0.05, 0.3))

    def open_orders(self) -> int:
        """Orders that have not come to an end."""
        states = self.gateway.orders_by_state()
        return sum(n for state, n in states.items() if state not in ("final", "failed"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def open_town(
    folder: Path, seed: int, gateways: int, database_url: str | None, **how: object
) -> Iterator[FaultTown]:
    """A deployed network with two merchants and members, and `gateways` processes before it.

    `how`: what the line to the node does (`FaultyLine`).
    """
    secret = None if database_url is None else SecretStr(database_url)
    settings = Settings(
        data_dir=folder,
        orders_url=secret,
        mirror_url=secret,
        finality=CONFIRMATIONS,
        fee_cap_wei=0,
    )
    with ExitStack() as stack:
        url, process = stack.enter_context(anvil(int(time.time()) - 60))
        node = stack.enter_context(Rpc(url, timeout_s=30))
        line = stack.enter_context(faulty_line(url, seed, **({"delay_max_s": 3.0} | how)))
        over_the_line = stack.enter_context(Rpc(line.url, timeout_s=5))
        network = stack.enter_context(deployed(settings, node, over_the_line))
        gateway = network.gateway
        merchants = gateway.onboard_merchants(
            [NewMerchant(name.title(), name, deposit=10**11) for name in ("baker", "florist")],
            mine=network.mine,
        )
        found = gateway.ensure_members([f"card-{n}" for n in range(MEMBERS)])
        gateway.drain(mine=network.mine)
        # From here on others relay; this one reads.
        gateway.relay.stop()
        gateway.deliverer.stop()
        shops = {m.slug: str(m.api_key) for m in merchants}
        processes = [_process(folder, settings, line, n) for n in range(gateways)]
        people = [m.id for m in found.values()]
        town = FaultTown(node, process, line, gateway, network.indexer, processes, shops, people)
        try:
            yield town
        finally:
            for serving in processes:
                serving.kill()


def _process(folder: Path, settings: Settings, line: FaultyLine, number: int) -> Process:
    port = _free_port()
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "BANYAN_FINALITY": str(CONFIRMATIONS),
        "BANYAN_FEE_CAP_WEI": "0",
        "BANYAN_RELAY_INTERVAL_S": "0.1",
        "BANYAN_LEASE_S": "3",
        "BANYAN_WEBHOOK_TARGETS": "loopback",
    }
    if settings.orders_url is not None:
        env["BANYAN_ORDERS_URL"] = settings.orders_url.get_secret_value()
        env["BANYAN_MIRROR_URL"] = settings.orders_url.get_secret_value()
    command = [sys.executable, "-c", MAIN, "serve", "--rpc", line.url, "--port", str(port)]
    return Process(
        [*command, "--data", str(folder), "--json"],
        env,
        f"http://127.0.0.1:{port}",
        folder / f"serve-{number}.log",
    )


def shown(counter: Counter[str]) -> str:
    """A counter as a person reads it."""
    return json.dumps(dict(sorted(counter.items())))
