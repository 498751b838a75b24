"""Whether this process can accept orders and have them carried out, part by part."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gateway import soundness
from gateway.database import UNUSABLE
from gateway.errors import NotReady
from gateway.observe.patience import Patience, Silent
from gateway.service import Gateway
from wallet_sdk.errors import BanyanError

OK = "ok"
MEGABYTE = 2**20


def readiness(gateway: Gateway, patience: Patience[str] | None = None) -> dict[str, str]:
    """Each part with `ok` or what is wrong with it, in a sentence without secrets.

    They are asked side by side: what hangs keeps nobody waiting for what does not.
    """
    parts: dict[str, Callable[[], str]] = {
        "orders": lambda: _orders(gateway),
        "chain": lambda: _chain(gateway),
        "mirror": lambda: _mirror(gateway),
        "relay": lambda: gateway.relay.trouble() or OK,
        "keys": lambda: _keys(gateway),
        "disk": lambda: _disk(gateway),
        "files": _files,
    }
    found = (patience or Patience()).ask(parts)
    return {name: _told(said) for name, said in found.items()}


def _told(said: str | Exception) -> str:
    if isinstance(said, str):
        return said
    if isinstance(said, BanyanError):
        return said.message
    if isinstance(said, Silent):
        return str(said)
    if soundness.is_damage(said):
        return "book_damaged: restore it"
    if isinstance(said, UNUSABLE):
        # Not the driver's words: they name hosts and roles.
        return "the database does not answer"
    # Whatever it was: it is not ready, and the log has the rest.
    return type(said).__name__


def _orders(gateway: Gateway) -> str:
    gateway.relay.open_work()
    return OK


def _chain(gateway: Gateway) -> str:
    head = gateway.network.head()
    age_max_s = gateway.settings.ready_head_age_max_s
    age_s = gateway.clock.now() - head.timestamp
    if age_max_s is not None and age_s > age_max_s:
        return f"the newest block is {age_s} s old, more than {age_max_s}"
    return OK


def _mirror(gateway: Gateway) -> str:
    mirror = gateway.books.head()
    if mirror is None:
        return "the mirror holds no block yet"
    behind = gateway.network.head().number - mirror.number
    if behind > gateway.settings.ready_mirror_lag_max_blocks:
        return f"the mirror is {behind} blocks behind"
    return OK


def _keys(gateway: Gateway) -> str:
    gateway.custody.check()
    return OK


def _disk(gateway: Gateway) -> str:
    """Room where the databases of this process lie; with PostgreSQL, where deployment.json does."""
    folder: Path = gateway.settings.data_dir
    free_mb = shutil.disk_usage(folder).free // MEGABYTE
    least = gateway.settings.ready_disk_free_min_mb
    if free_mb < least:
        raise NotReady(f"{free_mb} MB are free at {folder}, fewer than {least}")
    return OK


def _files() -> str:
    """Whether another file or connection can be opened at all."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return f"no file can be opened: {error.strerror}"
    return OK


class Kept:
    """The last look, kept for a moment: many who ask cost no more than one."""

    def __init__(self, gateway: Gateway, for_s: float = 1.0) -> None:
        self._gateway = gateway
        self._for_s = for_s
        self._patience: Patience[str] = Patience()
        self._looking = threading.Lock()
        self._seen: tuple[float, dict[str, str]] | None = None

    def __call__(self) -> dict[str, str]:
        """The parts as of a second ago at most."""
        with self._looking:
            seen = self._seen
            if seen is None or time.monotonic() - seen[0] > self._for_s:
                state = readiness(self._gateway, self._patience)
                seen = self._seen = (time.monotonic(), state)
            return seen[1]
