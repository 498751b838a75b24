"""Killed in any window, the mirror is right for the block it names, and goes on from there."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mirror_acts import found, grow
from mirror_model import ModelChain
from sqlalchemy import Engine

from indexer import carry, rebuild, reorg, store, sync, upkeep
from indexer.database import open_mirror
from indexer.digest import mirror_digest
from indexer.errors import SourceContradicts
from indexer.sync import Indexer

WINDOWS: dict[str, tuple[Any, str, bool]] = {
    "before the rows": (store, "write", False),
    "between many rows and few": (store, "write_many", True),
    "between rows and cursor": (store, "write", True),
    "between cursor and commit": (store, "move_cursor", True),
    "after the commit": (sync.Indexer, "_store", True),
    "before undoing": (reorg, "undo", False),
    "between undoing and commit": (reorg, "undo", True),
    "before balances are carried forward": (carry, "carry", False),
    "between carrying and commit": (carry, "carry", True),
    "before the log is moved into the file": (upkeep, "checkpoint", False),
}


def kill_in(owner: Any, name: str, *, after: bool, times: int) -> None:
    """Makes this process kill itself at the n-th call of `owner.name`."""
    original = getattr(owner, name)
    calls = 0

    def fatal(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == times and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, fatal)


@pytest.mark.parametrize("window", WINDOWS)
def test_run_once__killed__goes_on_to_the_clean_mirror(
    window: str,
    mirror: Engine,
    mirror_url: str,
    opened: Callable[[str], Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(window)
    chain = ModelChain()
    found(chain)
    chain.final = 1
    grow(chain, rng, 8)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    chain.fork(3)
    grow(chain, rng, 6)
    # Something has become final, and is to be carried forward.
    chain.final = 5
    monkeypatch.setattr(carry, "LOGS_MIN", 1)
    mirror.dispose()
    owner, name, after = WINDOWS[window]
    times = 2 if owner in (store, sync.Indexer) else 1
    monkeypatch.setattr(upkeep, "_LOGS_PER_CHECKPOINT", 1)
    child = os.fork()
    if child == 0:
        kill_in(owner, name, after=after, times=times)
        Indexer(chain.rpc(), chain.deployment(), open_mirror(mirror_url)).run_once()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)

    # Right for the block it names ...
    assert rebuild.verify(mirror).holds
    # ... and, gone on, the mirror that was never interrupted.
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once(wait_s=10)
    clean = opened(f"sqlite:///{tmp_path / 'clean.db'}")
    chain.final = None
    Indexer(chain.rpc(), chain.deployment(), clean).run_once()
    with mirror.connect() as mine, clean.connect() as theirs:
        assert mirror_digest(mine) == mirror_digest(theirs)


@pytest.mark.parametrize("from_logs", [False, True])
def test_rebuild__killed__changes_nothing_and_is_done_again(
    mirror: Engine, mirror_url: str, from_logs: bool
) -> None:
    chain = ModelChain()
    found(chain)
    grow(chain, random.Random(2), 20)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    with mirror.connect() as conn:
        before = mirror_digest(conn)
    mirror.dispose()
    child = os.fork()
    if child == 0:
        kill_in(rebuild, "_fold" if from_logs else "derive", after=True, times=1)
        rebuild.rebuild_rows(open_mirror(mirror_url), from_logs=from_logs)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    with mirror.connect() as conn:
        assert mirror_digest(conn) == before
    with mirror.begin() as conn:
        conn.exec_driver_sql("UPDATE supply SET issued = issued + 1")
    assert rebuild.rebuild(mirror, from_logs=from_logs) == before


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 16))]
)
def test_run_once__killed_again_and_again_while_the_chain_turns__is_the_clean_mirror(
    seed: int,
    mirror: Engine,
    mirror_url: str,
    opened: Callable[[str], Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any sequence of blocks, forks (below what was final, too), hand-overs, kills, restarts."""
    monkeypatch.setattr(carry, "LOGS_MIN", 1)
    monkeypatch.setattr(upkeep, "_LOGS_PER_CHECKPOINT", 1)
    rng = random.Random(seed)
    chain = ModelChain()
    found(chain)
    killed = turns = 0
    # Not every window is passed in every turn: seven turns, and more until one has killed.
    while turns < 7 or (not killed and turns < 30):
        turns += 1
        grow(chain, rng, rng.randint(1, 6))
        if rng.random() < 0.6:
            chain.fork(rng.randint(1, min(12, max(1, len(chain.blocks) - 3))))
            grow(chain, rng, rng.randint(1, 4))
        chain.final = rng.choice([None, max(1, chain.head.number - rng.randint(1, 6))])
        owner, name, after = rng.choice(list(WINDOWS.values()))
        times = rng.randint(1, 3)
        mirror.dispose()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(SourceContradicts):
                kill_in(owner, name, after=after, times=times)
                engine = open_mirror(mirror_url)
                Indexer(chain.rpc(), chain.deployment(), engine).run_once(wait_s=10)
            os._exit(0)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert killed
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once(wait_s=10)
    assert rebuild.verify(mirror).holds
    clean = opened(f"sqlite:///{tmp_path / 'clean.db'}")
    chain.final = None
    Indexer(chain.rpc(), chain.deployment(), clean).run_once()
    with mirror.connect() as mine, clean.connect() as theirs:
        assert mirror_digest(mine) == mirror_digest(theirs)
