"""Real anvils in scratch folders, people who sign, and processes that die on purpose."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from gateway.embedded import EmbeddedChain

ROOT = Path(__file__).parents[3]
GENESIS_TIME = 1_700_000_000


class Person:
    """Signs transactions with nonces of their own choice."""

    def __init__(self, name: str) -> None:
        self.account = Account.from_key(name.encode().rjust(32, b"\1"))
        self.address: str = self.account.address

    def sign(self, chain_id: int, nonce: int, *, gas: int = 21_000, **fields: Any) -> bytes:
        """A transaction that does nothing; gas is free."""
        transaction = {"type": 2, "chainId": chain_id, "nonce": nonce, "gas": gas, "value": 0}
        transaction |= {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "data": b""}
        if "data" not in fields:
            transaction["to"] = self.address
        signed = self.account.sign_transaction(transaction | fields)
        return bytes(signed.raw_transaction)

    def sign_burner(self, chain_id: int, nonce: int) -> bytes:
        """A transaction that loops until its 16,777,216 gas, the most there may be, are gone."""
        return self.sign(chain_id, nonce, gas=16_777_216, data=bytes.fromhex("5b600056"))


@pytest.fixture(scope="session")
def ada() -> Person:
    return Person("ada")


@pytest.fixture(scope="session")
def baker() -> Person:
    return Person("baker")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def open_chain(data: Path) -> Iterator[Callable[..., EmbeddedChain]]:
    """Starts chains on `data`; whatever still runs at the end is stopped."""
    chains: list[EmbeddedChain] = []

    def start(**options: Any) -> EmbeddedChain:
        chain = EmbeddedChain.start(data, **{"genesis_time": GENESIS_TIME} | options)
        chains.append(chain)
        return chain

    yield start
    for chain in chains:
        chain.stop()


@pytest.fixture
def chain(open_chain: Callable[..., EmbeddedChain]) -> EmbeddedChain:
    """A held chain: mined only by `mine()`."""
    chain = open_chain()
    chain.hold()
    return chain


@pytest.fixture(scope="module")
def idle_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedChain]:
    """One held chain for all tests of a module that change nothing."""
    with EmbeddedChain.start(tmp_path_factory.mktemp("idle"), genesis_time=GENESIS_TIME) as chain:
        chain.hold()
        yield chain


Rpc = Callable[..., Any]


def calls_to(chain: EmbeddedChain) -> Iterator[Rpc]:
    with httpx.Client(base_url=chain.rpc_url) as client:

        def call(method: str, *params: Any) -> Any:
            request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
            answer = client.post("/", json=request).json()
            assert answer["id"] == 7
            return answer

        yield call


@pytest.fixture
def rpc(chain: EmbeddedChain) -> Iterator[Rpc]:
    """Calls the public port; gives the whole JSON-RPC answer."""
    yield from calls_to(chain)


@pytest.fixture
def idle_rpc(idle_chain: EmbeddedChain) -> Iterator[Rpc]:
    yield from calls_to(idle_chain)


@pytest.fixture(scope="session")
def used_template(tmp_path_factory: pytest.TempPathFactory, ada: Person) -> Path:
    folder = tmp_path_factory.mktemp("used")
    with EmbeddedChain.start(folder, genesis_time=GENESIS_TIME) as chain:
        chain.hold()
        for nonce in range(3):
            chain.submit(ada.sign(chain.chain_id, nonce))
            chain.mine(GENESIS_TIME + 10 + nonce)
    return folder


@pytest.fixture
def used(used_template: Path, data: Path) -> Path:
    """A data folder with three mined blocks, not running."""
    shutil.copytree(used_template, data)
    return data


# Runs in a process of its own: mines two blocks, says where things are, then does what `deed` says.
VICTIM = """
import os, signal, sys, time
from pathlib import Path
from gateway.embedded import EmbeddedChain
from gateway.embedded.journal import Journal

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def after(method, deed):
    def wrapped(*arguments):
        method(*arguments)
        deed()
    return wrapped

chain = EmbeddedChain.start(Path(sys.argv[1]), chain_id=77, genesis_time=1_700_000_000)
chain.hold()
raws = [bytes.fromhex(text) for text in sys.argv[3:]]
for raw in raws[:-1]:
    chain.submit(raw)
    chain.mine(1_700_000_100)
chain.submit(raws[-1])
print(os.getpid(), chain.node_pid, chain.head.hash, flush=True)
{
    "wait": lambda: time.sleep(60),
    "leave": lambda: sys.exit(0),
    "stop": lambda: chain.stop(),
    "die_journalled": lambda: setattr(Journal, "append", after(Journal.append, die)),
    "die_mined": lambda: setattr(Journal, "commit_hash", die),
}[sys.argv[2]]()
if sys.argv[2].startswith("die"):
    chain.mine(1_700_000_200)
"""


class Victim:
    """A process with an embedded chain: `pid`, its anvil's `node_pid`, the `head` it had."""

    def __init__(self, data: Path, deed: str, raws: list[bytes], home: Path) -> None:
        command = [sys.executable, "-c", VICTIM, str(data), deed, *(raw.hex() for raw in raws)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        self.pid, self.node_pid, self.head = int(words[0]), int(words[1]), words[2]

    def kill_group(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def victim(data: Path, tmp_path: Path, ada: Person) -> Iterator[Callable[[str], Victim]]:
    """Starts a process that mines two of ada's blocks, holds a third transaction, does a deed."""
    victims: list[Victim] = []
    home = tmp_path / "home"
    home.mkdir()

    def start(deed: str) -> Victim:
        raws = [ada.sign(77, nonce) for nonce in range(3)]
        victims.append(Victim(data, deed, raws, home))
        return victims[-1]

    yield start
    for each in victims:
        each.end()
