"""Who does which work: leases in the order book, each with a fencing number.

Several relay processes share one PostgreSQL. Each kind of work (sealing, settling, each relayer's
line of nonces) has one holder at a time; the work is divided evenly among the processes that live.
A holder renews; one that is silent for too long loses its leases to the others.

A process may be frozen for any time between looking at its lease and writing. So every write of
the relay checks, inside its own transaction, that all leases it works under still carry its name
and its fencing number, and keeps those rows locked to the commit: a thawed process writes nothing.
What it may still send are stored bytes, which is harmless by design.

Time is the database's alone: the clocks of the machines do not matter. On SQLite there is one
process, by a file lock, and nothing to lease.
"""

import fcntl
import logging
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, insert, or_, select, text, update

from gateway.database import Database
from gateway.errors import LeaseLost, NotReady
from gateway.tables import leases
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

SEALING = "sealing"
SETTLING = "settling"
CALLS = "calls"
"""The lines of the operator's keys, which carry calls."""

_WORKER = "worker "
# Workers that have been gone for so long are forgotten: one row a start of a process.
_FORGOTTEN_AFTER_MS = 3_600_000

_NOW_MS = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")


def line(relayer: bytes) -> str:
    """The name of the lease on a relayer's nonces."""
    return f"line {address_of(relayer)}"


class Leases:
    """The leases of one relay process. Not thread safe: the relay's turn guards it."""

    def __init__(self, database: Database, ttl_s: float) -> None:
        self._database = database
        self._ttl_s = ttl_s
        # Unlike for every start: a process that comes back is somebody else.
        self.holder = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"
        self._fences: dict[str, int] = {}
        self._wanted: tuple[str, ...] = ()
        self._renewed_at = -math.inf
        self._file = _FileLock(database)

    def hold(self, wanted: Sequence[str]) -> frozenset[str]:
        """What of `wanted` this process may work on now: renewed, and taken where it is free.

        Asks the database only when a quarter of the lease's life is over. Raises NotReady: on
        SQLite another process relays.
        """
        if not self._database.is_postgres:
            self._file.take()
            return frozenset(wanted)
        if self._is_due() or tuple(wanted) != self._wanted:
            self._wanted = tuple(wanted)
            self._fences = self._share_out(wanted)
            self._renewed_at = time.monotonic()
        return frozenset(self._fences)

    def fence(self, name: str) -> int:
        """The fencing number under which this process holds `name` (0: there are no leases)."""
        return self._fences.get(name, 0)

    def check(self, connection: Connection) -> None:
        """Inside a transaction that writes: raises LeaseLost unless all is still held.

        The rows stay locked to the commit, so nobody takes over in between.
        """
        if not self._database.is_postgres:
            return
        if not self._fences:
            raise LeaseLost("this process holds no lease; nothing was written")
        c = leases.c
        mine = or_(
            *(
                and_(c.name == name, c.holder == self.holder, c.fence == fence)
                for name, fence in self._fences.items()
            )
        )
        if self._is_due():
            # A scan may take longer than a lease lives; it is alive, and says so.
            until = self._now_ms(connection) + int(self._ttl_s * 1000)
            found = connection.execute(update(leases).where(mine).values(expires_at=until)).rowcount
            self._renewed_at = time.monotonic()
        else:
            query = select(c.name).where(mine).with_for_update(read=True)
            found = len(connection.execute(query).all())
        if found != len(self._fences):
            self._drop()
            raise LeaseLost("another process has taken over this work; nothing was written")

    def release(self) -> None:
        """Gives everything back at once: a graceful stop leaves nobody waiting."""
        self._file.give_back()
        if self._renewed_at == -math.inf:
            return
        c = leases.c
        with self._database.write() as connection:
            connection.execute(update(leases).where(c.holder == self.holder).values(expires_at=0))
        self._drop()

    # ---- inside

    def _drop(self) -> None:
        self._fences = {}
        self._renewed_at = -math.inf

    def _is_due(self) -> bool:
        return time.monotonic() - self._renewed_at >= self._ttl_s / 4

    def _share_out(self, wanted: Sequence[str]) -> dict[str, int]:
        """One short transaction: say that we live, keep up to our share, take what is free."""
        c = leases.c
        with self._database.write() as connection:
            self._database.lock_name(connection, "leases")
            now = self._now_ms(connection)
            until = now + int(self._ttl_s * 1000)
            self._say_alive(connection, now, until)
            workers = c.name.like(f"{_WORKER}%")
            rows = connection.execute(select(leases).where(or_(workers, c.name.in_(wanted)))).all()
            alive = sum(r.name.startswith(_WORKER) and r.expires_at > now for r in rows)
            there = {r.name: r for r in rows if not r.name.startswith(_WORKER)}
            share = math.ceil(len(wanted) / max(alive, 1))
            held = [
                name
                for name, fence in self._fences.items()
                if name in there and (there[name].holder, there[name].fence) == (self.holder, fence)
            ]
            lost = self._fences.keys() - held
            if lost:
                log.warning("lost the leases on %s", ", ".join(sorted(lost)))
            free = [n for n in wanted if n not in there or there[n].expires_at <= now]
            keep = held[:share]
            taken = [n for n in free if n not in keep][: share - len(keep)]
            if held[share:]:
                over = and_(c.name.in_(held[share:]), c.holder == self.holder)
                connection.execute(update(leases).where(over).values(expires_at=0))
            if keep:
                connection.execute(update(leases).where(c.name.in_(keep)).values(expires_at=until))
            return {name: there[name].fence for name in keep} | {
                name: self._take(connection, name, there.get(name), until) for name in taken
            }

    def _take(self, connection: Connection, name: str, before: Any, until: int) -> int:
        fence = 1 if before is None else int(before.fence) + 1
        values = {"holder": self.holder, "fence": fence, "expires_at": until}
        if before is None:
            connection.execute(insert(leases), {"name": name, **values})
        else:
            connection.execute(update(leases).where(leases.c.name == name).values(values))
            if before.holder != self.holder and before.expires_at:
                log.warning("took over %s from %s, which fell silent", name, before.holder)
        return fence

    def _say_alive(self, connection: Connection, now: int, until: int) -> None:
        c = leases.c
        name = _WORKER + self.holder
        found = connection.execute(
            update(leases).where(c.name == name).values(expires_at=until)
        ).rowcount
        if not found:
            row = {"name": name, "holder": self.holder, "fence": 0, "expires_at": until}
            connection.execute(insert(leases), row)
            gone = and_(c.name.like(f"{_WORKER}%"), c.expires_at < now - _FORGOTTEN_AFTER_MS)
            connection.execute(delete(leases).where(gone))

    def _now_ms(self, connection: Connection) -> int:
        return int(connection.execute(_NOW_MS).scalar_one())


class Fenced(Database):
    """The order book as the relay writes it: every transaction begins by checking the leases."""

    def __init__(self, database: Database, held: Leases) -> None:
        # Shares the engine of the other one; opens and closes nothing.
        self.engine = database.engine
        self.is_postgres = database.is_postgres
        self._database = database
        self._leases = held

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As Database.write. Raises LeaseLost."""
        with self._database.write() as connection:
            self._leases.check(connection)
            yield connection

    def lock_rows(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        return self._database.lock_rows(query)

    def close(self) -> None:
        """Nothing: the engine is its owner's."""


class _FileLock:
    """What makes a relay on SQLite the only one: the kernel lets go of it when the process ends,
    however it ends.
    """

    def __init__(self, database: Database) -> None:
        path = None if database.is_postgres else database.engine.url.database
        self._path = Path(f"{path}.lock") if path and path != ":memory:" else None
        self._handle: int | None = None

    def take(self) -> None:
        """Raises NotReady: another process relays on this file."""
        if self._path is None or self._handle is not None:
            return
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise NotReady(
                f"another process relays on {self._path.stem}; on SQLite there is one"
            ) from None
        self._handle = handle

    def give_back(self) -> None:
        """Lets the next process in."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
