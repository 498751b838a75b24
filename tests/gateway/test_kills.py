"""kill -9 in every window of an order's life; the next start puts everything right."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import faults
from gateway.network import open_network
from tests.gateway import scenario

# Windows of the first minute: the network itself is being made.
FIRST = ("deploy.planned", "deploy.file_not_written", "onboard.stored")
# A day of trade tells nobody; these are struck in test_webhook_kills.
TOLD = ("webhooks.claimed_not_sent", "webhooks.delivered_not_marked")

# Windows that a network without fees never passes: test_relay_fees.py strikes there.
PAID = ("relay.bump_signed_not_stored", "relay.bump_stored_not_sent")

# Nor does a day of trade rotate master keys: custody/test_rotation.py strikes there.
ROTATED = ("rotate.activated", "rotate.before_commit", "rotate.rewrapped")

# Which pass of a window is struck: the first, or one in the middle of the day. In the default suite
# those after which most is undecided, each once; all of them, both passes, in the soak.
ALWAYS = {
    ("accept.before_reply", 3),
    ("seal.signed_not_stored", 1),
    ("seal.sealed", 3),
    ("relay.reserved", 1),
    ("relay.signed_not_stored", 3),
    ("relay.stored_not_sent", 1),
    ("relay.sent_reply_not_read", 3),
    ("settle.receipt_not_stored", 1),
    ("settle.before_release", 3),
}
STRUCK = [
    pytest.param(name, n, marks=[] if (name, n) in ALWAYS else [pytest.mark.soak])
    for name in faults.POINTS
    if name not in (*FIRST, *TOLD, *PAID, *ROTATED)
    for n in (1, 3)
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with merchants and members, at rest; every test takes a copy."""
    data = tmp_path_factory.mktemp("prepared") / "data"
    with open_network(data, background=False) as network:
        network.chain.hold()
        scenario.set_up(network)
    return data


class Forks:
    """Runs days in processes of their own that end themselves."""

    def __init__(self) -> None:
        root = Path(faults.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, scenario.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(root)},
        )

    def run(self, data: Path, fault: str) -> int:
        """How the day ended: 0, 1, or minus the signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{data}\t{fault}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the program."""
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks()
    yield found
    found.close()


def go_on(data: Path) -> None:
    """The next start: the same day again, then the oracle."""
    with open_network(data, background=False) as network:
        network.chain.hold()
        scenario.trade(network)
        scenario.check(network)


@pytest.mark.parametrize(("name", "n"), STRUCK)
def test_kill__in_a_window_of_trade__loses_and_doubles_nothing(
    forks: Forks, prepared: Path, tmp_path: Path, name: str, n: int
) -> None:
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    assert forks.run(data, f"{name}:{n}") == -signal.SIGKILL, f"{name} was not passed {n} times"
    go_on(data)


@pytest.mark.parametrize(
    "fault",
    ["deploy.file_not_written:1", pytest.param("deploy.planned:1", marks=pytest.mark.soak)],
)
def test_kill__while_the_network_is_made__makes_it_once(
    forks: Forks, tmp_path: Path, fault: str
) -> None:
    assert forks.run(tmp_path / "data", fault) == -signal.SIGKILL
    go_on(tmp_path / "data")


@pytest.mark.parametrize(
    "fault",
    [
        "relay.stored_not_sent:9",
        pytest.param("onboard.stored:1", marks=pytest.mark.soak),
        pytest.param("relay.sent_not_marked:3", marks=pytest.mark.soak),
    ],
)
def test_kill__while_merchants_are_onboarded__funds_them_once(
    forks: Forks, tmp_path: Path, fault: str
) -> None:
    assert forks.run(tmp_path / "data", fault) == -signal.SIGKILL
    go_on(tmp_path / "data")


def test_points__named_in_the_list__are_those_of_the_sources() -> None:
    sources = Path(faults.__file__).parent.rglob("*.py")
    used = {
        name
        for path in sources
        for name in re.findall(r'faults\.point\("(.+?)"\)', path.read_text())
    }
    assert used == set(faults.POINTS)
