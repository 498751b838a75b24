"""One writer a mirror: a second indexer waits until the first one is gone.

On SQLite an advisory lock on the file `<mirror>.lock`, which the kernel lets go of when the process
ends, however it ends; on PostgreSQL a session's advisory lock, gone with its connection.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import sqlalchemy as sa
from sqlalchemy import Engine

from indexer.database import is_postgres
from indexer.errors import MirrorBusy

_POLL_S: Final = 0.2
_NAME: Final = "banyan mirror writer"


@contextlib.contextmanager
def writer_lock(
    engine: Engine,
    *,
    wait_s: float | None = None,
    stop: threading.Event | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Iterator[Callable[[], None]]:
    """Holds the mirror's lock. Waits `wait_s` seconds for it (None: for ever, until `stop`).

    `waiting` is told once who holds it. Gives a function that raises MirrorBusy when the lock has
    been lost (PostgreSQL: the connection broke). Raises MirrorBusy when the wait is over.
    """
    attempt = _postgres(engine) if is_postgres(engine) else _file(engine)
    deadline = None if wait_s is None else time.monotonic() + wait_s
    with attempt as try_lock:
        told = False
        while (holder := try_lock()) is not None:
            if not told and waiting is not None:
                waiting(holder)
            told = True
            over = deadline is not None and time.monotonic() >= deadline
            if over or (stop is not None and stop.is_set()):
                raise MirrorBusy(holder)
            time.sleep(_POLL_S)
        yield lambda: None if try_lock() is None else _lost()


def _lost() -> None:
    raise MirrorBusy("this one lost its lock")


@contextlib.contextmanager
def _file(engine: Engine) -> Iterator[Callable[[], str | None]]:
    database = engine.url.database
    if not database or database == ":memory:":
        # A mirror in memory belongs to one process alone.
        yield lambda: None
        return
    path = Path(f"{database}.lock")
    with path.open("a+") as file:
        held = False

        def try_lock() -> str | None:
            nonlocal held
            if held:
                return None
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return _holder(file)
            file.seek(0)
            file.truncate()
            file.write(f"process {os.getpid()}")
            file.flush()
            held = True
            return None

        yield try_lock


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read(100) or "a process that is starting"


@contextlib.contextmanager
def _postgres(engine: Engine) -> Iterator[Callable[[], str | None]]:
    # Outside of any transaction: a lock held for days must not keep a snapshot open.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        held = False

        def try_lock() -> str | None:
            nonlocal held
            if held:
                try:
                    conn.execute(sa.text("SELECT 1"))
                except (sa.exc.DBAPIError, sa.exc.PendingRollbackError):
                    # The second of them: it was found broken before.
                    return "the connection broke"
                return None
            held = conn.execute(
                sa.text("SELECT pg_try_advisory_lock(hashtext(:name))"), {"name": _NAME}
            ).scalar_one()
            return None if held else "another session of this database"

        try:
            yield try_lock
        finally:
            # By itself the server lets go when it notices that the connection is gone: a moment
            # later, in which the next one would find the mirror busy.
            if held:
                with contextlib.suppress(sa.exc.DBAPIError):
                    conn.execute(
                        sa.text("SELECT pg_advisory_unlock(hashtext(:name))"), {"name": _NAME}
                    )
            # The connection goes back to a pool: what the session holds would stay with it.
            conn.invalidate()
