"""`banyan chain`: look at, run and verify the embedded chain of a data folder."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.embedded.chain import EmbeddedChain
from gateway.embedded.errors import JournalDamaged
from gateway.embedded.folder import read_status
from gateway.embedded.journal import Journal, describe
from wallet_sdk.errors import BanyanError

app = typer.Typer(
    help="The embedded chain: a node that Banyan starts, journals and cleans up by itself.",
    no_args_is_help=True,
)
console = Console(stderr=True)

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
    with _reported(as_json):
        running = read_status(data)
        facts: dict[str, Any] = {"running": running is not None, **(running or {})}
        facts["journal"] = describe(data / "chain.db")
        _show(facts, as_json)


@app.command()
def start(
    data: Data = DEFAULT_DATA,
    port: Annotated[int, typer.Option(help="Port of the RPC proxy; 0 takes a free one.")] = 0,
    anvil: Anvil = None,
    as_json: AsJson = False,
) -> None:
    """Run the chain alone, without a gateway, until Ctrl-C: its RPC port for wallets and tools."""
    with _reported(as_json), _started(data, port, anvil) as chain:
        _show({"rpc_url": chain.rpc_url, **_head(chain)}, as_json)
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
    with _reported(as_json):
        began = time.monotonic()
        if not (data / "chain.db").exists():
            raise JournalDamaged(f"there is no journal in {data}")
        if replay:
            with _started(data, 0, anvil) as chain:
                facts = _head(chain)
        else:
            journal = Journal(data / "chain.db")
            journal.genesis()
            facts = {"blocks": sum(1 for _ in journal.read())}
            journal.close()
        seconds = round(time.monotonic() - began, 2)
        _show({"verified": True, "hashes_compared": replay, **facts, "seconds": seconds}, as_json)


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
    with replay_progress() as progress:
        chain = EmbeddedChain.start(data, progress=progress, rpc_port=port, anvil=anvil)
    try:
        yield chain
    finally:
        chain.stop()


@contextmanager
def replay_progress() -> Iterator[Any]:
    """A progress bar on the terminal's error stream, as callback for `EmbeddedChain.start`."""
    columns = (
        TextColumn("replaying the chain"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blocks,"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("replay", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            for inner, fact in value.items():
                typer.echo(f"{name + ' ' + inner:22}{fact}")
        else:
            typer.echo(f"{name:22}{value}")


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """An error of ours is a sentence (or a JSON object) and exit code 1, never a traceback."""
    try:
        yield
    except BanyanError as error:
        if as_json:
            answer = {"error": {"code": error.code, "message": error.message}}
            typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))
        else:
            typer.echo(f"banyan: {error.message} ({error.code})", err=True)
        sys.exit(1)
