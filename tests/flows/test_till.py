"""A till as a merchant would write it (examples/pos.py), against a running network, on a bad
line.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from gateway.model import NewMerchant
from gateway.network import Network, open_network
from wallet_sdk.client import GatewayClient, Member, Order, OrderState

ROOT = Path(__file__).parents[2]
POS = ROOT / "examples" / "pos.py"
ISSUE = b"POST /v1/issuances"


class Line:
    """A TCP line to the gateway.

    Once a request holds `cut_at`, every reply is lost and the caller left waiting, until `mend`.
    """

    def __init__(self, port: int) -> None:
        self._gateway = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut_at: bytes | None = None
        self.lost = threading.Event()
        self._deaf = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self) -> None:
        self.cut_at, self._deaf = None, False

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            gateway = socket.create_connection(("127.0.0.1", self._gateway))
            self._open += [caller, gateway]
            for source, target in ((caller, gateway), (gateway, caller)):
                threading.Thread(
                    target=self._pump, args=(source, target, target is caller), daemon=True
                ).start()

    def _pump(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        try:
            while data := source.recv(65_536):
                if self.cut_at is not None and self.cut_at in data:
                    self._deaf = True
                if is_reply and self._deaf:
                    self.lost.set()
                    continue
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        for one in (self._listener, *self._open):
            one.close()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with open_network(tmp_path_factory.mktemp("network") / "data") as network:
        yield network


@pytest.fixture(scope="module")
def gateway_port(network: Network) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(network.app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def api_key(network: Network) -> str:
    bakery = NewMerchant("The Bakery", "bakery", deposit=10_000_000)
    key = network.gateway.onboard_merchant(bakery).api_key
    assert key is not None
    return key


@pytest.fixture
def line(gateway_port: int) -> Iterator[Line]:
    line = Line(gateway_port)
    yield line
    line.close()


@pytest.fixture
def bakery(gateway_port: int, api_key: str) -> Iterator[GatewayClient]:
    with GatewayClient(f"http://127.0.0.1:{gateway_port}", api_key) as client:
        yield client


class Till:
    """Runs examples/pos.py, its outbox in one folder."""

    def __init__(self, line: Line, api_key: str, folder: Path) -> None:
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BANYAN_URL": line.url,
            "BANYAN_KEY": api_key,
            "BANYAN_OUTBOX": str(folder / "outbox"),
        }
        self._folder = folder

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(POS), *words],
            env=self._env,
            cwd=self._folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def sell(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        out, _ = process.communicate(timeout=30)
        return process.returncode, out


@pytest.fixture
def till(line: Line, api_key: str, tmp_path: Path) -> Till:
    return Till(line, api_key, tmp_path)


def orders_of(bakery: GatewayClient, member: Member) -> list[Order]:
    return [order for order in bakery.orders().items if order.member == member.id]


def test_till__spends_more_than_the_member_has__says_so_and_issues_all_the_same(
    till: Till, bakery: GatewayClient
) -> None:
    code, out = till.sell("card-poor", "5.00", "1000000")
    assert code == 1, out
    assert "not now (balance_too_low)" in out
    (order,) = orders_of(bakery, bakery.create_member("card-poor"))
    assert order.points == 500


def test_till__reply_lost__repeats_and_issues_once(
    till: Till, line: Line, bakery: GatewayClient
) -> None:
    member = bakery.create_member("card-ada")
    line.cut_at = ISSUE
    with till.start("card-ada", "12.34") as process:
        assert line.lost.wait(10)
        line.mend()
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert "issued 1234 points" in out
    (order,) = orders_of(bakery, member)
    assert order.points == 1_234


def test_till__killed_before_the_answer__next_run_finishes_it_once(
    till: Till, line: Line, bakery: GatewayClient
) -> None:
    member = bakery.create_member("card-ben")
    line.cut_at = ISSUE
    with till.start("card-ben", "1.00") as process:
        assert line.lost.wait(10)
        process.kill()
    line.mend()
    code, out = till.sell("card-cyd", "2.00")
    assert code == 0, out
    (order,) = orders_of(bakery, member)
    assert order.points == 100
    assert f"id='{order.id}'" in out.splitlines()[0]


def test_till__points_arrived__are_spent(till: Till, bakery: GatewayClient) -> None:
    code, out = till.sell("card-eve", "3.00")
    assert code == 0, out
    member = bakery.create_member("card-eve")
    (issued,) = orders_of(bakery, member)
    assert bakery.settled(issued.id, within_s=30).state is OrderState.FINAL
    deadline = time.monotonic() + 10
    while not bakery.balance(member.id).available and time.monotonic() < deadline:
        time.sleep(0.05)
    code, out = till.sell("card-eve", "0.50", "120")
    assert code == 0, out
    assert "redeemed 120 points" in out
