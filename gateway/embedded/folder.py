"""The data folder: one process at a time, one data format, and a scratch place for each run.

DATA/version   names the data format
DATA/lock      held by flock(2) while a process runs; says who and where as JSON
DATA/run/ID    anvil's cache, genesis file and home of one run; gone when it ends
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from gateway.embedded.errors import AlreadyRunning, DataFormatOther
from gateway.settings import DATA_FORMAT

FORMAT = str(DATA_FORMAT)
# Everything that any part of Banyan writes into a data folder; the lock itself stays.
OURS = (
    *("version", "deployment.json", "secrets", "run", "demo.json*", "demo-days.jsonl"),
    *("*.db", "*.db-wal", "*.db-shm", "*.db.lock"),
)


def read_status(path: Path) -> dict[str, Any] | None:
    """What the running process wrote about itself: {pid, rpc_url, ...}; None when none is running.

    Takes no lock, so it may be asked at any time.
    """
    lock = path / "lock"
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        try:
            # A shared lock is refused while the exclusive one is held, and hinders nobody for long.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return _parse(lock)
    finally:
        os.close(handle)


def _parse(lock: Path) -> dict[str, Any]:
    try:
        status = orjson.loads(lock.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return status if isinstance(status, dict) else {}


def _lock(path: Path) -> int:
    """A handle that holds the folder's lock until it is closed. Raises AlreadyRunning."""
    handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        status = _parse(path / "lock")
        raise AlreadyRunning(path, status.get("pid"), status.get("rpc_url")) from None
    return handle


def erase(path: Path) -> bool:
    """Delete what Banyan keeps in the folder, of any data format, and nothing else that is there.

    False: there was nothing. Raises AlreadyRunning.
    """
    if not any(path.glob("*")):
        return False
    handle = _lock(path)
    try:
        for kept in [found for pattern in OURS for found in path.glob(pattern)]:
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    finally:
        os.close(handle)
    return True


class DataFolder:
    """The exclusively held data folder of one running network.

    Raises AlreadyRunning and DataFormatOther; then nothing was changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        # Keys live below it: for nobody else's eyes.
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_format(write=False)
        self._handle = _lock(self.path)
        self._check_format(write=True)
        self._status: dict[str, Any] = {"pid": os.getpid()}
        self._write_status()

    @property
    def journal_path(self) -> Path:
        return self.path / "chain.db"

    @property
    def runs(self) -> Path:
        return self.path / "run"

    def new_run(self) -> Path:
        """A fresh scratch folder."""
        run = self.runs / secrets.token_hex(6)
        run.mkdir(mode=0o700, parents=True)
        return run

    def delete_runs(self) -> None:
        """Delete what earlier runs left: a killed anvil leaves up to gigabytes of block states."""
        shutil.rmtree(self.runs, ignore_errors=True)

    def publish(self, **facts: Any) -> None:
        """Tell other processes more about this one (they read it with `read_status`)."""
        self._status.update(facts)
        self._write_status()

    def release(self) -> None:
        """Let go of the folder. Idempotent."""
        if self._handle >= 0:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> DataFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _write_status(self) -> None:
        text = orjson.dumps(self._status)
        os.pwrite(self._handle, text, 0)
        os.ftruncate(self._handle, len(text))

    def _check_format(self, *, write: bool) -> None:
        marker = self.path / "version"
        try:
            found = marker.read_text().strip()
        except FileNotFoundError:
            # A folder with a journal but no version is not ours to guess about.
            found = "none" if self.journal_path.exists() else ""
        if found == "" and write:
            marker.write_text(FORMAT + "\n")
        elif found not in ("", FORMAT):
            raise DataFormatOther(self.path, found, FORMAT)
