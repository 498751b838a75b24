"""kill -9 of any part at any moment: nothing journalled is lost, nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.embedded import EmbeddedChain
from gateway.embedded.node import start_ticks

Open = Callable[..., EmbeddedChain]


def is_gone(pid: int) -> bool:
    """True once the process has ended; waits a little for the kernel."""
    deadline = time.monotonic() + 5
    while start_ticks(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    return start_ticks(pid) is None


def test_kill__before_anything_was_journalled__the_head_stands(
    victim: Any, open_chain: Open
) -> None:
    dead = victim("wait")
    dead.kill_group()
    assert is_gone(dead.node_pid)
    chain = open_chain()
    assert (chain.head.number, chain.head.hash) == (2, dead.head)


@pytest.mark.parametrize("point", ["die_journalled", "die_mined"])
def test_kill__between_journal_and_hash_commit__the_block_is_mined_once(
    victim: Any, open_chain: Open, ada: Any, point: str
) -> None:
    dead = victim(point)
    dead.process.wait(10)
    assert dead.process.returncode == -signal.SIGKILL
    assert is_gone(dead.node_pid)
    chain = open_chain()
    assert (chain.head.number, chain.head.time) == (3, 1_700_000_200)
    assert chain.head.transactions == 1
    head = chain.head
    chain.hold()
    chain.submit(ada.sign(77, 3))
    assert chain.mine() is not None
    chain.stop()
    again = open_chain()
    assert again.head.number == 4
    assert again.head.hash != head.hash


def test_leave__without_stop__no_process_stays(victim: Any, open_chain: Open, data: Path) -> None:
    left = victim("leave")
    assert left.process.wait(10) == 0
    assert is_gone(left.node_pid)
    assert open_chain().head.hash == left.head


def test_stop__home_stays_empty(victim: Any, tmp_path: Path) -> None:
    stopped = victim("stop")
    assert stopped.process.wait(10) == 0
    assert is_gone(stopped.node_pid)
    assert list((tmp_path / "home").iterdir()) == []


def test_start__a_leftover_anvil__is_ended(victim: Any, open_chain: Open, data: Path) -> None:
    # The record of a live process, as if the kernel had not ended it with its parent.
    running = victim("wait")
    record = next((data / "run").glob("*/anvil.json")).read_bytes()
    running.kill_group()
    import subprocess

    leftover = subprocess.Popen(["sleep", "60"])
    known = orjson.loads(record) | {"pid": leftover.pid, "start_ticks": start_ticks(leftover.pid)}
    place = data / "run" / "old"
    place.mkdir(parents=True)
    (place / "anvil.json").write_bytes(orjson.dumps(known))
    open_chain()
    assert leftover.wait(5) == -signal.SIGKILL


def test_start__a_stranger_with_the_recorded_pid__is_left_alone(
    victim: Any, open_chain: Open, data: Path
) -> None:
    running = victim("wait")
    record = next((data / "run").glob("*/anvil.json")).read_bytes()
    running.kill_group()
    # This process has the pid, but began at another moment.
    place = data / "run" / "old"
    place.mkdir(parents=True)
    (place / "anvil.json").write_bytes(orjson.dumps(orjson.loads(record) | {"pid": os.getpid()}))
    open_chain()
