"""`banyan index`: the mirror from the command line; `banyan audit` is the auditor's own.

Answers go to standard output, progress and errors to standard error; `--json` makes the answer one
JSON object. Exit codes: 0 all is well, 1 a difference was found, 2 the command could not be done.
"""

from __future__ import annotations

import dataclasses
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from indexer import audit as checks
from indexer import queries
from indexer import rebuild as rebuilding
from indexer.auditor import cli as auditor
from indexer.auditor import commands as auditor_commands
from indexer.cli import statements
from indexer.cli.options import (
    DataOption,
    DeploymentOption,
    JsonOption,
    MirrorOption,
    RpcOption,
)
from indexer.cli.output import (
    EXIT_DIFFERENT,
    answer,
    audit_content,
    digest_content,
    failing,
    print_audit,
    progress_bar,
)
from indexer.cli.place import Place, finality
from indexer.database import grant_reader
from indexer.digest import mirror_digest
from indexer.heads import waking
from indexer.sync import Indexer

app = typer.Typer(
    name="index",
    no_args_is_help=True,
    help="The mirror: the chain in SQL. Fill it, look at it, make it anew, verify it.",
)


def register(root: typer.Typer) -> None:
    """Adds `index`, `audit`, `verify` and `publish-head` to the program's commands."""
    root.add_typer(app, name="index")
    auditor.find_place = _place_of
    root.add_typer(auditor.app, name="audit")
    root.command("verify")(auditor_commands.verify)
    root.command("publish-head")(auditor_commands.publish_head)


def _place_of(data: Path | None) -> tuple[str, Path, str]:
    """Node, deployment file and mirror (if there is one) of a data folder, for the auditor."""
    place = Place(data, None)
    mirror = place.settings.mirror()
    file = mirror.removeprefix("sqlite:///")
    if file != mirror and not Path(file).exists():
        mirror = ""
    return place.rpc(), place.settings.deployment(), mirror


@app.command()
def run(
    data: DataOption = None,
    mirror: MirrorOption = None,
    rpc: RpcOption = None,
    deployment: DeploymentOption = None,
    confirmations: Annotated[
        str | None,
        typer.Option(help="When a block is final: 'finalized' (the node's tag) or a number."),
    ] = None,
    ws: Annotated[
        str | None,
        typer.Option(
            "--ws",
            help="WebSocket URL of the node: new heads wake the mirror between polls.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Catch up with the head and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill the mirror from the chain and follow the head until Ctrl-C.

    A second one on the same mirror waits until the first has ended, and then goes on.
    """
    place = Place(data, mirror, rpc, deployment)
    with failing(as_json), place.open() as engine, progress_bar("blocks") as shown:
        indexer = Indexer(
            place.rpc(),
            place.deployment(),
            engine,
            confirmations=finality(confirmations or place.settings.finality),
            on_progress=lambda p: shown(p.block, p.head_block),
        )
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            if once:
                answer(dataclasses.asdict(indexer.run_once(stop=stop)), as_json)
            else:
                _follow(indexer, stop, ws or place.ws())
        finally:
            indexer.close()


def _follow(indexer: Indexer, stop: threading.Event, ws: str | None) -> None:
    if ws is None:
        indexer.run(stop)
        return
    wake = threading.Event()
    with waking(ws, wake):
        indexer.run(stop, wake)


@app.command()
def status(
    data: DataOption = None,
    mirror: MirrorOption = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Also hash every table (reads all of it).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Where the mirror stands: block, time, members, logs, the Coalition of the day and whether its
    code is known, and on request its digest.
    """
    place = Place(data, mirror)
    with failing(as_json), place.open(looking=True) as engine, engine.connect() as conn:
        content = dataclasses.asdict(queries.head(conn))
        content |= dataclasses.asdict(queries.coalition(conn))
        if digest:
            with progress_bar("rows") as shown:
                content |= digest_content(
                    mirror_digest(conn, on_progress=lambda name, rows: shown(rows, None, name))
                )
        answer(content, as_json)


@app.command()
def rebuild(
    data: DataOption = None,
    mirror: MirrorOption = None,
    from_chain: Annotated[
        bool,
        typer.Option("--from-chain", help="Empty the mirror and read the whole chain again."),
    ] = False,
    from_logs: Annotated[
        bool,
        typer.Option(
            "--from-logs",
            help="Run the whole fold over the mirrored logs again, whose points moved included.",
        ),
    ] = False,
    rpc: RpcOption = None,
    deployment: DeploymentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Derive every table anew from the mirrored facts, and print the digest (it must not change).

    Stop the indexer first; readers see the old rows until the new ones are whole.
    """
    place = Place(data, mirror, rpc, deployment)
    with failing(as_json), place.open() as engine, progress_bar("logs") as shown:
        if not from_chain:
            found = rebuilding.rebuild(engine, on_progress=shown, from_logs=from_logs)
            answer(digest_content(found), as_json)
            return
        node, contracts = place.rpc(), place.deployment()
        rebuilding.empty(engine)
        indexer = Indexer(
            node,
            contracts,
            engine,
            confirmations=finality(place.settings.finality),
            on_progress=lambda p: shown(p.block, p.head_block, "blocks"),
        )
        try:
            indexer.run_once()
        finally:
            indexer.close()
        with engine.connect() as conn:
            answer(digest_content(mirror_digest(conn)), as_json)


@app.command()
def verify(
    data: DataOption = None, mirror: MirrorOption = None, as_json: JsonOption = False
) -> None:
    """Derive every table beside the mirror from its own logs and compare digests; changes nothing.

    Exit code 1 when a table differs. Whether the logs are the chain's is for `banyan audit`.
    """
    place = Place(data, mirror)
    with failing(as_json), place.open(looking=True) as engine, progress_bar("logs") as shown:
        found = rebuilding.verify(engine, on_progress=shown)
        answer(
            {
                "as_of_block": found.block,
                "digest": found.digest,
                "holds": found.holds,
                "different_tables": [mine.table for mine, _ in found.differences],
            },
            as_json,
        )
    if not found.holds:
        raise typer.Exit(EXIT_DIFFERENT)


@app.command()
def reader(
    role: Annotated[str, typer.Argument(help="The role's name; it is made when there is none.")],
    mirror: MirrorOption = None,
    data: DataOption = None,
) -> None:
    """Let a PostgreSQL role read the mirror, and nothing else, with its own tools.

    It sees the schema `mirror` without naming it; a query of more than a minute is ended. What
    stands in the tables is told in docs/MIRROR.md.
    """
    place = Place(data, mirror)
    with failing(False), place.open() as engine, engine.begin() as conn:
        grant_reader(conn, role)
    typer.echo(f"{role} may read the mirror")


@app.command("check")
def check(
    data: DataOption = None,
    mirror: MirrorOption = None,
    rpc: RpcOption = None,
    deployment: DeploymentOption = None,
    as_json: JsonOption = False,
) -> None:
    """A first look: mirror and chain at one block, account by account, and laws 1 to 4.

    It believes the node's answers; `banyan audit` proves them.

    Exit code 1 when anything differs or a law does not hold.
    """
    place = Place(data, mirror, rpc, deployment)
    with failing(as_json), place.open(looking=True) as engine, progress_bar("accounts") as shown:
        found = checks.check(engine, place.rpc(), place.deployment(), on_progress=shown)
    if as_json:
        answer(audit_content(found), as_json)
    else:
        print_audit(found)
    if not found.holds:
        raise typer.Exit(EXIT_DIFFERENT)


app.command()(statements.statement)
app.command()(statements.settlement)
