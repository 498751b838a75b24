"""`banyan-audit`: checks a network against the chain, and nothing else.

Answers go to standard output, progress to standard error. Exit codes: 0 all that was asked for
held; 1 a fact did not hold; 2 the audit could not be done, or not wholly.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from indexer.auditor.checks import CHECKS
from indexer.auditor.errors import AuditError, Broken, CannotRun
from indexer.auditor.network import read_network
from indexer.auditor.outcome import Options
from indexer.auditor.page import page_of
from indexer.auditor.pdf import print_pdf
from indexer.auditor.report import report_of
from indexer.auditor.run import Audit
from indexer.auditor.source import Rpc
from indexer.auditor.terminal import print_report
from indexer.auditor.verdict import EXIT_BROKEN, EXIT_INCOMPLETE
from wallet_sdk.errors import BanyanError

app = typer.Typer(
    name="audit",
    help="Check a network against the chain: blocks, signatures, balances, laws. Trusts nobody.",
    rich_markup_mode="rich",
)

_READINGS_MAX: Final = 3
"""Readings of a chain that is reorganised meanwhile."""

find_place: Callable[[Path | None], tuple[str, Path, str]] | None = None
"""Given a data folder: node, deployment file, mirror. Set where the auditor is part of a program
that has such folders; by itself it is told everything.
"""

RpcOption = Annotated[str, typer.Option("--rpc", help="JSON-RPC URL of a node of the chain.")]
DeploymentOption = Annotated[
    Path, typer.Option("--deployment", help="deployment.json of the network.")
]
LastOption = Annotated[
    str, typer.Option("--to", help="Last block: a number, 'finalized' or 'latest'.")
]


@contextmanager
def failing() -> Iterator[None]:
    """What cannot be done ends with a sentence and exit code 2, a broken fact with 1."""
    try:
        yield
    except Broken as broken:
        typer.echo(f"A fact did not hold: {broken}", err=True)
        raise typer.Exit(EXIT_BROKEN) from broken
    except (AuditError, BanyanError, OSError) as error:
        typer.echo(f"The audit cannot be done: {error}", err=True)
        raise typer.Exit(EXIT_INCOMPLETE) from error


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Any]:
    """A callable (what, done, total) that draws on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=quiet or not console.is_terminal
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done)

        yield show


def last_block(text: str) -> int | str:
    """A block number, or a tag. Raises typer.BadParameter."""
    if text.isdigit():
        return int(text)
    if text in ("finalized", "safe", "latest"):
        return text
    raise typer.BadParameter(f"a number, 'finalized', 'safe' or 'latest', not {text!r}")


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    rpc: Annotated[str | None, typer.Option(help="JSON-RPC URL of a node of the chain.")] = None,
    deployment: Annotated[Path | None, typer.Option(help="deployment.json of the network.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a network on this machine, instead of both.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="SQL URL of a mirror to compare row by row.")
    ] = None,
    first: Annotated[
        int | None,
        typer.Option("--from", help="First block to report on; those before are only replayed."),
    ] = None,
    last: LastOption = "finalized",
    report: Annotated[Path | None, typer.Option(help="Write the report as one HTML page.")] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="Write the same as PDF, by an installed Chromium or Chrome.")
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write the report as JSON ('-': standard output).")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Keep the replayed state here: the next audit reads only what is new."),
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option("--anchor", help="Published heads that the chain must agree with."),
    ] = None,
    signer: Annotated[
        str | None, typer.Option("--anchor-signer", help="Address that must have signed them.")
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(help="A merchant's own list of references (JSON) against the roots on chain."),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-unchecked",
            help="Name a check that may stay open without exit code 2; it is said all the same.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that check blocks.")] = 2,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
) -> None:
    """Check a network against the chain, from its first block to the last final one."""
    # Long because typer reads the options off the signature.
    if context.invoked_subcommand is not None:
        return
    if find_place is not None and (rpc is None or deployment is None):
        with failing():
            found = find_place(data)
        rpc, deployment, mirror = (
            rpc or found[0],
            deployment or found[1],
            mirror or found[2] or None,
        )
    if rpc is None or deployment is None:
        raise typer.BadParameter("--rpc and --deployment are needed")
    _refuse_unknown(accept or ())
    options = Options(
        first=first,
        last=last_block(last),
        state=state,
        heads=heads,
        heads_signer=signer,
        mirror=mirror,
        references=references,
        workers=workers,
    )
    with failing():
        content = run_audit(rpc, deployment, options, frozenset(accept or ()), quiet)
        write_report(content, report, as_json, quiet, pdf)
    raise typer.Exit(content["exit_code"])


def _refuse_unknown(accepted: Sequence[str]) -> None:
    unknown = sorted(set(accepted) - set(CHECKS))
    if unknown:
        names = ", ".join(CHECKS)
        raise typer.BadParameter(f"no check is called {unknown[0]!r}; there are {names}")


def write_report(
    content: dict[str, Any],
    page: Path | None,
    as_json: Path | None,
    quiet: bool,
    pdf: Path | None = None,
) -> None:
    """To the files that were asked for ('-': standard output), and for people to the terminal."""
    if page is not None:
        page.write_text(page_of(content), "utf-8")
    if pdf is not None:
        print_pdf(page_of(content), pdf)
    to_stdout = as_json is not None and str(as_json) == "-"
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    if to_stdout:
        sys.stdout.write(text.decode() + "\n")
    elif as_json is not None:
        as_json.write_bytes(text)
    if not quiet:
        print_report(Console(stderr=to_stdout), content)


def run_audit(
    rpc_url: str,
    deployment: Path,
    options: Options,
    accepted: frozenset[str] = frozenset(),
    quiet: bool = True,
) -> dict[str, Any]:
    """The whole audit as its report. Raises CannotRun."""
    network = read_network(deployment)
    rpc = Rpc(rpc_url)
    try:
        with progress_bar(quiet) as progress:
            for _ in range(_READINGS_MAX):
                outcome = Audit(rpc, network, options, progress).run()
                if not outcome.moved:
                    break
            else:
                raise CannotRun("the chain changes while it is read: audit it --to finalized")
        return report_of(outcome, options, accepted, _repeat(rpc_url, deployment, options))
    finally:
        rpc.close()


def _repeat(rpc_url: str, deployment: Path, options: Options) -> str:
    words = ["banyan-audit", "--rpc", rpc_url, "--deployment", deployment.name]
    if options.first is not None:
        words += ["--from", str(options.first)]
    words += ["--to", str(options.last)]
    return shlex.join(words)


def main() -> None:
    """The entry point `banyan-audit`."""
    # The smaller commands add themselves to `app`.
    from indexer.auditor import commands  # noqa: F401

    app()
