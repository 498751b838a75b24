"""`banyan chain`: look at, run and verify the embedded chain of a data folder."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.embedded.chain import EmbeddedChain
from gateway.embedded.errors import JournalDamaged, NoJournal, ReplayDiffers
from gateway.embedded.folder import read_status
from gateway.embedded.journal import Journal, describe
from indexer.cli.output import EXIT_DIFFERENT, answer, failing, progress_bar

app = typer.Typer(
    help="The embedded chain: a node that Banyan starts, journals and cleans up by itself.",
    no_args_is_help=True,
)

Data = Annotated[
    Path, typer.Option("--data", envvar="BANYAN_DATA_DIR", help="The network's data folder.")
]
Anvil = Annotated[
    Path | None,
    typer.Option(envvar="BANYAN_ANVIL", help="The anvil to run; default: the one npm installed."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
DEFAULT_DATA = Path(".banyan/demo")


@app.command()
def status(data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say whether the chain runs, where, and what its journal holds. Changes nothing."""
    with failing(as_json):
        running = read_status(data)
        facts: dict[str, Any] = {"running": running is not None, **(running or {})}
        journal = describe(data / "chain.db")
        answer(facts | {f"journal_{name}": fact for name, fact in journal.items()}, as_json)


@app.command()
def start(
    data: Data = DEFAULT_DATA,
    port: Annotated[int, typer.Option(help="Port of the RPC proxy; 0 takes a free one.")] = 0,
    anvil: Anvil = None,
    as_json: AsJson = False,
) -> None:
    """Run the chain alone, without a gateway, until Ctrl-C: its RPC port for wallets and tools."""
    with failing(as_json), _started(data, port, anvil) as chain:
        answer({"rpc_url": chain.rpc_url, **_head(chain)}, as_json)
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()


@app.command()
def verify(
    data: Data = DEFAULT_DATA,
    replay: Annotated[
        bool, typer.Option(help="Also compute every block again; only while nothing runs on it.")
    ] = True,
    anvil: Anvil = None,
    as_json: AsJson = False,
) -> None:
    """Check the journal: every seal, and by default every block hash. Exit 1 if one is wrong."""
    with failing(as_json):
        began = time.monotonic()
        verdict: dict[str, Any] = {"verified": True, "hashes_compared": replay}
        try:
            verdict |= _replayed(data, anvil) if replay else _read(data)
        except (JournalDamaged, ReplayDiffers) as found:
            verdict |= {"verified": False, "code": found.code, "message": found.message}
        answer(verdict | {"seconds": round(time.monotonic() - began, 2)}, as_json)
        if not verdict["verified"]:
            raise typer.Exit(EXIT_DIFFERENT)


def _replayed(data: Path, anvil: Path | None) -> dict[str, Any]:
    if not (data / "chain.db").exists():
        raise NoJournal(data)
    with _started(data, 0, anvil) as chain:
        return _head(chain)


def _read(data: Path) -> dict[str, Any]:
    if not (data / "chain.db").exists():
        raise NoJournal(data)
    journal = Journal(data / "chain.db")
    try:
        journal.genesis()
        return {"blocks": sum(1 for _ in journal.read())}
    finally:
        journal.close()


def _head(chain: EmbeddedChain) -> dict[str, Any]:
    head = chain.head
    return {
        "chain_id": chain.chain_id,
        "genesis_hash": chain.genesis_hash,
        "blocks": head.number,
        "head_time": head.time,
        "head_hash": head.hash,
    }


@contextmanager
def _started(data: Path, port: int, anvil: Path | None) -> Iterator[EmbeddedChain]:
    with progress_bar("blocks replayed") as shown:
        chain = EmbeddedChain.start(data, progress=shown, rpc_port=port, anvil=anvil)
    try:
        yield chain
    finally:
        chain.stop()
