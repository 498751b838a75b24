"""The whole demo on a tiny file, killed at one point after the other, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.demo.errors import FolderForeign
from gateway.demo.purchases import Purchases
from gateway.demo.run import Options, begin_anew, prepare
from gateway.embedded.errors import AlreadyRunning
from tests.gateway.demo.tiny import LINES, write

ROOT = Path(__file__).parents[3]

# Imports once, then runs the demo in a fork for each kill point; "end": until its end, "stay":
# until Ctrl-C.
RUNS = """
import os, signal, sys, traceback
from pathlib import Path
import typer

class NoPandas:
    # Where the demo runs it is not installed; where it is, pyarrow imports it at the first number.
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoPandas)
from gateway import faults
from gateway.demo.driver import Driver
from gateway.demo.purchases import Purchases
from gateway.demo.run import Options, run
from indexer.cli.output import failing

def interrupted(method):
    def wrapped(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return method(*arguments)
    return wrapped

data, transactions, products, port, *points = sys.argv[1:]
for point in points:
    child = os.fork()
    if not child:
        name, _, count = point.partition(":")
        if count:
            faults._name, faults._left = name, int(count)
        if point == "interrupt":
            # Ctrl-C while the first day that is left is being carried in.
            Driver._import = interrupted(Driver._import)
        out = Path(data).with_suffix(".json")
        options = Options(Path(data), None, False, point != "stay", out, int(port))
        try:
            with failing(False):
                code = run(options, Purchases(Path(transactions), Path(products)))
        except typer.Exit as failed:
            code = failed.exit_code
        except BaseException:
            traceback.print_exc()
            code = 99
        sys.stdout.flush()
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
"""


class Demo:
    """Runs of the demo on one data folder, in a process of their own; `said` is their output."""

    def __init__(self, data: Path, purchases: Purchases, port: int, *points: str) -> None:
        self.data, self.purchases, self.port = data, purchases, port
        arguments = [str(data), *map(str, purchases.paths), str(port), *points]
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", RUNS, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.said = ""

    @property
    def child(self) -> int:
        """The process of the run in hand."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def read_until(self, word: str) -> None:
        """Reads up to the line that holds `word`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if word in line:
                return
        raise AssertionError(self.said)

    def codes(self) -> list[int]:
        """The exit codes so far."""
        return [int(line.split()[1]) for line in self.said.splitlines() if line[:6] == "ended "]

    def wait(self) -> list[int]:
        """The exit codes of all runs."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        assert self.process.wait(20) == 0, self.said
        return self.codes()


def processes_of(data: Path) -> list[str]:
    """Command lines of programs that still work on the data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if str(data) in command:
            found.append(command)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


POINTS = ("onboard.stored:1", "accept.before_reply:1", "relay.sent_reply_not_read:1")
CODES = [*[-signal.SIGKILL] * 3, 130, -signal.SIGKILL, 0, 0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Killed and interrupted, carried to its end twice, and now staying up."""
    folder = tmp_path_factory.mktemp("demo")
    arguments = (*POINTS, "interrupt", "settle.included:1", "end", "end", "stay")
    with Demo(folder / "data", write(folder, LINES), free_port(), *arguments) as demo:
        demo.read_until("Ctrl-C stops")
        yield demo


def test_demo__killed_again_and_again__the_same_totals(demo: Demo) -> None:
    assert demo.codes() == CODES, demo.said
    assert "stopped with 1 of 3 days final" in demo.said
    shown: dict[str, Any] = json.loads(demo.data.with_suffix(".json").read_bytes())
    assert (shown["issued"], shown["redeemed"], shown["refused_points"]) == (4_354, 2_600, 1_500)
    assert (shown["live_points"], shown["issues"], shown["refused"]) == (1_754, 8, 2)
    assert (shown["merchants"], shown["members"], shown["purchase_lines"]) == (9, 4, 11)
    assert shown["orders"]["final"] == 4 + 8 + 2
    assert shown["orders_stuck"] == 0
    assert shown["purchases_of_zero_points"] == 2
    assert shown["conservation"]
    assert shown["mirror_equals_chain"]
    assert shown["equals_the_file"]
    assert shown["blocks_a_day_max"] <= 2
    # What was deposited is used up by the issues to the last unit; redemptions are what is left.
    positions = {slug: row["position"] for slug, row in shown["by_merchant"].items()}
    assert positions["grocery"] == 2_000 * 98
    assert positions["fuel"] == 600 * 98
    assert sum(positions.values()) == 2_600 * 98


def test_demo__beside_a_running_one__says_so_and_changes_nothing(demo: Demo) -> None:
    for fresh in (False, True):
        options = Options(demo.data, None, fresh, True, None, 0)
        with pytest.raises(AlreadyRunning, match=f"process {demo.child} is running on"):
            prepare(options, demo.purchases)
    assert (demo.data / "chain.db").exists()


def test_demo__staying_up__shows_network_and_member(demo: Demo) -> None:
    page = httpx.get(f"http://127.0.0.1:{demo.port}/")
    assert (page.status_code, "1,754" in page.text) == (200, True)
    member = re.search(r"http://127\.0\.0\.1:\d+/members/mem_\S+", demo.said)
    assert member is not None
    assert httpx.get(member[0]).is_success


def test_demo__ctrl_c__ends_and_leaves_no_process(demo: Demo) -> None:
    began = time.monotonic()
    os.kill(demo.child, signal.SIGINT)
    assert demo.wait() == [*CODES, 0]
    assert time.monotonic() - began < 10
    assert processes_of(demo.data) == []


def test_fresh__a_folder_of_somebody_else__untouched(tmp_path: Path) -> None:
    mine = tmp_path / "photo.jpg"
    mine.write_bytes(b"mine")
    with pytest.raises(FolderForeign, match="deletes nothing"):
        begin_anew(tmp_path)
    assert mine.exists()


def test_fresh__a_network_of_an_older_format__deleted_and_nothing_else(tmp_path: Path) -> None:
    for name in ("version", "mirror.db.lock", "orders.db-wal", "demo.json", "notes.txt"):
        (tmp_path / name).write_text("0")
    (tmp_path / "secrets").mkdir()
    begin_anew(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "lock"}
