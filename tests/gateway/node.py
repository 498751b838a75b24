"""A plain anvil whose chain a test bends: reorgs, dropped transactions, a node that is silent."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.custody import Custody
from gateway.database import Database
from gateway.embedded.node import find_anvil
from gateway.model import DrainResult, Member, Merchant, NewMerchant
from gateway.operator.deploy import ensure_deployment
from gateway.relay.chain import Chain
from gateway.relay.fees import FeePolicy
from gateway.service import Gateway, open_custody
from gateway.settings import Settings
from indexer.database import open_mirror
from indexer.sync import Indexer
from tests.gateway.helpers import NOON, SetClock
from tests.gateway.watch_states import changes_that_nobody_named, watch
from wallet_sdk.deployment import Actors, DeploymentParams
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import address_of

EPOCH_S = 7_776_000
FLAGS = "--port 0 --no-mining --order fifo --accounts 0 --hardfork osaka --gas-limit 60000000"
PLENTY = 10**21


class Line(httpx.HTTPTransport):
    """The line to the node. `faults` are used up one a request: each answers for the node, or
    passes the request on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Callable[[httpx.Request, Line], httpx.Response]] = []
        # Another place to carry requests to: a proxy in front of the node.
        self.to: str | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, bent if a fault is waiting."""
        if self.faults:
            return self.faults.pop(0)(request, self)
        return self.carry(request)

    def carry(self, request: httpx.Request) -> httpx.Response:
        """The request as it is, to the node and back."""
        if self.to is not None:
            request.url = httpx.URL(self.to)
        response = super().handle_request(request)
        response.read()
        return response


@dataclass
class NodeHouse:
    """A gateway on a plain node that mines only when it is told to. Two confirmations are final."""

    node: Rpc
    line: Line
    process: subprocess.Popen[str]
    clock: SetClock
    database: Database
    custody: Custody
    gateway: Gateway
    indexer: Indexer
    baker: Merchant = field(init=False)
    ada: Member = field(init=False)
    ben: Member = field(init=False)

    def mine(self, blocks: int = 1) -> None:
        """Mines what waits; every block comes a second later."""
        for _ in range(blocks):
            self.clock.time += 1
            self.node.call("evm_setNextBlockTimestamp", [self.clock.time])
            self.node.call("evm_mine", [])

    def settle(self, blocks: int = 3) -> DrainResult:
        """Mines and settles until nothing is open."""
        return self.gateway.drain(mine=lambda: self.mine(blocks))

    def scan(self) -> None:
        """One pass of the relay, and the mirror brought along, without mining."""
        self.gateway.relay.send()
        self.indexer.run_once()
        self.gateway.relay.settle()

    def states(self) -> dict[str, int]:
        """Orders by state, those that there are."""
        return {s: n for s, n in self.gateway.orders_by_state().items() if n}


@contextmanager
def anvil(
    at: int = NOON, *, base_fee: int = 0, chain_id: int = 777
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """anvil on a free port, mining by hand; its first block's time is `at`."""
    with tempfile.TemporaryDirectory() as home, (Path(home) / "log").open("w") as log:
        process = subprocess.Popen(
            [
                str(find_anvil()),
                *FLAGS.split(),
                *("--base-fee", str(base_fee), "--chain-id", str(chain_id), "--timestamp", str(at)),
            ],
            stdout=log,
            text=True,
            env={"HOME": home},
        )
        try:
            yield _url(process, Path(log.name)), process
        finally:
            process.kill()
            process.wait()


def _url(process: subprocess.Popen[str], log: Path) -> str:
    until = time.monotonic() + 20
    while (found := re.search(r"Listening on (\S+)", log.read_text())) is None:
        assert process.poll() is None, "anvil ended at once"
        assert time.monotonic() < until, "anvil does not listen"
        time.sleep(0.02)
    return f"http://{found[1]}"


@dataclass
class Town:
    """A node with a deployed network at rest, which houses take turns on: each begins where it was
    left, on a copy of its folder.
    """

    url: str
    process: subprocess.Popen[str]
    folder: Path
    snapshot: str
    time: int
    base_fee: int
    in_use: bool = False

    def reset(self, node: Rpc, folder: Path) -> None:
        """The chain as it was, and the folder's copy."""
        node.call("anvil_dropAllTransactions", [])
        assert node.call("evm_revert", [self.snapshot])
        self.snapshot = node.call("evm_snapshot", [])
        if self.base_fee:
            node.call("anvil_setNextBlockBaseFeePerGas", [hex(self.base_fee)])
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


class Towns:
    """Towns by what they are made with; made when they are first needed, ended with the tests."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._made: dict[tuple[int, int], Town] = {}

    @contextmanager
    def take(self, confirmations: int, base_fee: int) -> Iterator[Town]:
        """A town that nobody else uses meanwhile."""
        key = (confirmations, base_fee)
        if key not in self._made:
            self._made[key] = self._stack.enter_context(make_town(confirmations, base_fee))
        town = self._made[key]
        assert not town.in_use, "one house at a time on a node"
        town.in_use = True
        try:
            yield town
        finally:
            town.in_use = False

    def close(self) -> None:
        """Ends the nodes."""
        self._stack.close()
        self._made.clear()


TOWNS = Towns()


@contextmanager
def make_town(confirmations: int, base_fee: int) -> Iterator[Town]:
    """A deployed network with a funded baker, ada and ben, at rest."""
    with anvil(base_fee=base_fee) as (url, process), tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        with _house(url, process, folder, NOON + 1, confirmations, base_fee, {}) as house:
            house.gateway.onboard_merchants(
                [NewMerchant("Baker", "baker", deposit=1_100_000)], mine=lambda: house.mine(3)
            )
            house.gateway.ensure_members(["ada", "ben"])
            house.settle()
        with Rpc(url) as node:
            snapshot = node.call("evm_snapshot", [])
            block = node.call("eth_getBlockByNumber", ["latest", False])
            fee = int(block.get("baseFeePerGas") or "0x0", 16)
        yield Town(url, process, folder, snapshot, house.clock.time, fee)


@contextmanager
def open_house(
    folder: Path, confirmations: int = 2, *, base_fee: int = 0, own: bool = False, **given: Any
) -> Iterator[NodeHouse]:
    """A deployed network with a funded baker, ada and ben; `given` are settings.

    With a base fee (wei) every account of the network has plenty of coin. `own`: on a node of its
    own, for tests that change what lies far back.
    """
    with ExitStack() as stack:
        make = make_town if own else TOWNS.take
        town = stack.enter_context(make(confirmations, base_fee))
        with Rpc(town.url) as node:
            town.reset(node, folder)
        house = stack.enter_context(
            _house(town.url, town.process, folder, town.time, confirmations, base_fee, given)
        )
        (house.baker,) = house.gateway.merchants()
        found = house.gateway.ensure_members(["ada", "ben"])
        house.ada, house.ben = found["ada"], found["ben"]
        yield house
        # A gateway may have been started anew, on a database that was restored.
        assert changes_that_nobody_named(house.database) == []


@contextmanager
def _house(
    url: str,
    process: subprocess.Popen[str],
    folder: Path,
    now: int,
    confirmations: int,
    base_fee: int,
    given: dict[str, Any],
) -> Iterator[NodeHouse]:
    """The gateway of the folder on this node; makes the contracts where there are none."""
    node, line = Rpc(url), Line()
    # Waiting requests to a stopped node must not outlive the test's patience.
    rpc = Rpc(url, transport=line, timeout_s=3)
    standard = {"fee_cap_wei": None if base_fee else 0, "relay_interval_s": 0.05}
    settings = Settings(data_dir=folder, finality=confirmations, **(standard | given))
    clock = SetClock(now)
    database, custody = open_custody(settings)
    watch(database)
    if base_fee:
        custody.ensure_network_keys(clock.now())
        custody.ensure_relayers(settings.relayers, clock.now())
        for account in (*custody.network_addresses().values(), *custody.relayers()):
            named = account if isinstance(account, str) else address_of(account)
            node.call("anvil_setBalance", [named, hex(PLENTY)])

    def mine() -> None:
        for _ in range(confirmations + 1):
            clock.time += 1
            node.call("evm_setNextBlockTimestamp", [clock.time])
            node.call("evm_mine", [])

    deployment = ensure_deployment(
        database,
        custody,
        rpc,
        Chain(rpc, finality=confirmations),
        clock,
        settings.deployment_path,
        _params,
        FeePolicy(settings.fee_cap_wei, settings.tip_wei),
        mine,
    )
    mirror = open_mirror(settings.mirror_dsn)
    indexer = Indexer(rpc, deployment, mirror, confirmations=confirmations)
    gateway = Gateway(
        settings,
        clock=clock,
        database=database,
        custody=custody,
        rpc=rpc,
        deployment=deployment,
        mirror=mirror,
        advance_mirror=indexer.run_once,
    )
    house = NodeHouse(node, line, process, clock, database, custody, gateway, indexer)
    try:
        yield house
    finally:
        house.gateway.stop()
        mirror.dispose()
        rpc.close()
        node.close()


def _params(actors: Actors) -> DeploymentParams:
    return DeploymentParams(actors=actors, epoch_first_start=NOON, epoch_length=EPOCH_S)
