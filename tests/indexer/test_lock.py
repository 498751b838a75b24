"""One writer a mirror."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from mirror_model import ModelChain, actor
from sqlalchemy import Engine

from indexer import queries
from indexer.database import open_mirror
from indexer.errors import MirrorBusy, MirrorEmpty
from indexer.lock import writer_lock
from indexer.sync import Indexer


def test_run_once__another_indexer_writes__waits_and_gives_up(
    chain: ModelChain, mirror: Engine
) -> None:
    with writer_lock(mirror), pytest.raises(MirrorBusy):
        Indexer(chain.rpc(), chain.deployment(), mirror).run_once(wait_s=0.1)


def test_run__another_indexer_writes__waits_and_then_goes_on(
    chain: ModelChain, mirror: Engine
) -> None:
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror)
    done = threading.Event()

    def second() -> None:
        indexer.run_once()
        done.set()

    thread = threading.Thread(target=second)
    with writer_lock(mirror):
        thread.start()
        assert not done.wait(0.5)
    thread.join(10)
    assert done.is_set()
    with mirror.connect() as conn:
        assert queries.head(conn).as_of_block == chain.head.number


def test_lock__the_holder_is_killed__is_free(mirror_url: str, mirror: Engine) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        with writer_lock(open_mirror(mirror_url, create=False)):
            os.write(told, b"x")
            time.sleep(60)
        os._exit(1)
    os.read(ready, 1)
    with pytest.raises(MirrorBusy), writer_lock(mirror, wait_s=0):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with writer_lock(mirror, wait_s=10):
        pass


def test_run__until_stopped__follows_new_blocks_when_woken(
    chain: ModelChain, tmp_path: Path
) -> None:
    engine = open_mirror(f"sqlite:///{tmp_path / 'mirror.db'}")
    indexer = Indexer(chain.rpc(), chain.deployment(), engine)
    stop, wake = threading.Event(), threading.Event()
    thread = threading.Thread(target=indexer.run, args=(stop, wake))
    thread.start()
    try:
        moment = chain.head.time + 10
        chain.issue(1, [(actor("ada"), 5)], moment)
        chain.mine(moment)
        deadline = time.monotonic() + 20
        while True:
            wake.set()
            with engine.connect() as conn:
                try:
                    if queries.head(conn).as_of_block == chain.head.number:
                        break
                except MirrorEmpty:
                    pass
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        stop.set()
        wake.set()
        thread.join(10)
        engine.dispose()
    assert not thread.is_alive()
