"""Killed in any window, the mirror is right for the block it names, and goes on from there."""

from __future__ import annotations

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

from indexer import reorg, store, sync
from indexer.database import open_mirror
from indexer.digest import mirror_digest
from indexer.rebuild import verify
from indexer.sync import Indexer

WINDOWS: dict[str, tuple[Any, str, bool]] = {
    "before the rows": (store, "write", False),
    "between rows and cursor": (store, "write", True),
    "between cursor and commit": (store, "move_cursor", True),
    "after the commit": (sync.Indexer, "_store", True),
    "before undoing": (reorg, "undo", False),
    "between undoing and commit": (reorg, "undo", True),
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
    window: str, mirror: Engine, mirror_url: str, opened: Callable[[str], Engine], tmp_path: Path
) -> None:
    rng = random.Random(window)
    chain = ModelChain()
    found(chain)
    chain.final = 1
    grow(chain, rng, 8)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    chain.fork(3)
    grow(chain, rng, 6)
    mirror.dispose()
    owner, name, after = WINDOWS[window]
    times = 1 if owner is reorg else 2
    child = os.fork()
    if child == 0:
        kill_in(owner, name, after=after, times=times)
        Indexer(chain.rpc(), chain.deployment(), open_mirror(mirror_url)).run_once()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)

    # Right for the block it names ...
    assert verify(mirror).holds
    # ... and, gone on, the mirror that was never interrupted.
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once(wait_s=10)
    clean = opened(f"sqlite:///{tmp_path / 'clean.db'}")
    chain.final = None
    Indexer(chain.rpc(), chain.deployment(), clean).run_once()
    with mirror.connect() as mine, clean.connect() as theirs:
        assert mirror_digest(mine) == mirror_digest(theirs)
