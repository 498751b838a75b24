"""Requests that were sent, or are about to be, and whose outcome is not known yet.

A request is kept here before it is sent and let go once the gateway has decided. After a crash or a
cut line the same request goes out again under the same key, and the gateway answers as it did, or
would have done, the first time.
"""

from __future__ import annotations

import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import orjson

from wallet_sdk.errors import InputInvalid, OutboxUnavailable

KEY_LENGTH_MAX: Final = 64


def new_key() -> str:
    """A fresh idempotency key: 128 random bits."""
    return f"idk_{secrets.token_hex(16)}"


def check_key(key: str) -> str:
    """The key itself. Raises InputInvalid: it must be a header's value and a file's name."""
    plain = key.isascii() and all(c.isalnum() or c in "-_" for c in key)
    if not plain or not 1 <= len(key) <= KEY_LENGTH_MAX:
        raise InputInvalid(
            f"an idempotency key has 1 to {KEY_LENGTH_MAX} letters, digits, - or _, got {key!r:.80}"
        )
    return key


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A POST as it goes over the line: the same bytes every time."""

    key: str
    path: str
    body: bytes


class Outbox(Protocol):
    """Where pending requests are kept."""

    def keep(self, request: PendingRequest) -> None:
        """Stores the request; returns once it would survive what this outbox survives."""
        ...

    def let_go(self, key: str) -> None:
        """Forgets the request; harmless when it is not there."""
        ...

    def pending(self) -> list[PendingRequest]:
        """All requests kept, oldest first."""
        ...


class MemoryOutbox:
    """Survives a cut line, not the end of the process."""

    def __init__(self) -> None:
        self._kept: dict[str, PendingRequest] = {}
        self._lock = threading.Lock()

    def keep(self, request: PendingRequest) -> None:
        """Stores the request under its key."""
        with self._lock:
            self._kept[request.key] = request

    def let_go(self, key: str) -> None:
        """Forgets the request."""
        with self._lock:
            self._kept.pop(key, None)

    def pending(self) -> list[PendingRequest]:
        """All requests kept, oldest first."""
        with self._lock:
            return list(self._kept.values())


class FolderOutbox:
    """One file a request, on disk before it is sent: survives the end of the process and of the
    machine.

    Holds no API key. A till gives each of its processes a folder of its own.
    """

    _SUFFIX: Final = ".request.json"

    def __init__(self, folder: Path) -> None:
        """Makes the folder where there is none. Raises OutboxUnavailable."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutboxUnavailable(f"{folder}: {error.strerror}") from error
        self._folder = folder

    def keep(self, request: PendingRequest) -> None:
        """Writes the request whole or not at all, and returns when it is on disk.

        Raises OutboxUnavailable: a full disk, a folder that is gone.
        """
        content = {"key": request.key, "path": request.path, "body": request.body.decode()}
        target = self._file(request.key)
        try:
            _write_whole(target, orjson.dumps(content))
        except OSError as error:
            raise OutboxUnavailable(f"{target}: {error.strerror}") from error

    def let_go(self, key: str) -> None:
        """Removes the request's file. A file that comes back after a crash is sent once more,
        harmlessly.
        """
        self._file(key).unlink(missing_ok=True)

    def pending(self) -> list[PendingRequest]:
        """All requests kept, oldest first. Raises OutboxUnavailable when one cannot be read."""
        files = sorted(self._folder.glob(f"*{self._SUFFIX}"), key=lambda f: f.stat().st_mtime_ns)
        return [_read(file) for file in files]

    def _file(self, key: str) -> Path:
        return self._folder / f"{check_key(key)}{self._SUFFIX}"


def _read(file: Path) -> PendingRequest:
    try:
        content = orjson.loads(file.read_bytes())
        return PendingRequest(content["key"], content["path"], content["body"].encode())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutboxUnavailable(f"{file} is no kept request: {error}") from error


def _write_whole(target: Path, content: bytes) -> None:
    beside = target.with_suffix(".part")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(target)
    # The rename itself must be on disk, too.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
