"""Six days of real purchases under random kill -9, of the whole program or of its anvil alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KILLS_MIN = 12
STEP_S = 0.02
# Mean life of an anvil that is killed alone; five deaths a minute are more than the chain heals.
ANVIL_LIFE_S = 3.0
MAIN = "from gateway.cli import main; main()"


def anvil_of(pid: int) -> int | None:
    """The anvil that this process started, if there is one now."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for t in threads for child in (t / "children").read_text().split()]
    except OSError:
        return None
    return int(children[0]) if children else None


@pytest.mark.soak
def test_demo__killed_at_random__ends_as_the_file_says(soak_seed: int, tmp_path: Path) -> None:
    dice = random.Random(soak_seed)
    data, out = tmp_path / "data", tmp_path / "out.json"
    arguments = ["demo", "--days", "6", "--data", str(data), "--exit", "--json", str(out)]
    command = [sys.executable, "-c", MAIN, *arguments]
    kills = {"all": 0, "anvil": 0}
    while True:
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        spare = kills["all"] >= KILLS_MIN
        left_s = dice.uniform(0.0, 4.0)
        while process.poll() is None and (spare or left_s > 0):
            time.sleep(STEP_S)
            anvil = anvil_of(process.pid)
            if anvil is None or spare:
                continue
            # Only what runs can be interrupted: the clock starts with the node.
            left_s -= STEP_S
            if dice.random() < STEP_S / ANVIL_LIFE_S:
                os.kill(anvil, signal.SIGKILL)
                kills["anvil"] += 1
        if process.poll() is not None:
            assert process.returncode == 0, f"seed {soak_seed}, after {kills}"
            if spare:
                break
            continue
        os.killpg(process.pid, signal.SIGKILL)
        kills["all"] += 1
        process.wait()
    shown = json.loads(out.read_bytes())
    assert shown["equals_the_file"]
    assert shown["mirror_equals_chain"]
    assert shown["conservation"]
    assert shown["orders_stuck"] == 0
    sys.stderr.write(f"seed {soak_seed}: {kills}\n")
