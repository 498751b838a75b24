"""What a command shows: answers on standard output, progress and errors on standard error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import SQLAlchemyError

from indexer.audit import AuditResult
from indexer.digest import MirrorDigest
from wallet_sdk.errors import BanyanError

EXIT_DIFFERENT: Final = 1
EXIT_FAILED: Final = 2


class Shown:
    """One progress bar; silent where standard error is no terminal."""

    def __init__(self, bar: Progress, unit: str) -> None:
        self._bar = bar
        self._task = bar.add_task(unit, total=None)

    def __call__(self, done: int, total: int | None, name: str | None = None) -> None:
        """How far it is; `name` replaces the bar's text."""
        if name is None:
            self._bar.update(self._task, completed=done, total=total)
        else:
            self._bar.update(self._task, completed=done, total=total, description=name)


@contextmanager
def progress_bar(unit: str) -> Iterator[Shown]:
    """A bar counting `unit` on standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        yield Shown(bar, unit)


@contextmanager
def failing(as_json: bool) -> Iterator[None]:
    """Errors of ours, of the database and of the system become a sentence and exit code 2.

    Exit code 1 is a finding ("a secret does not open"): what could not be looked at is none.
    """
    try:
        yield
    except BanyanError as error:
        _fail(error.code, error.message, as_json)
    except SQLAlchemyError as error:
        _fail("database_unusable", f"the database cannot be used: {_first_line(error)}", as_json)
    except OSError as error:
        _fail("system_refused", str(error), as_json)


def _fail(code: str, message: str, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps({"error": {"code": code, "message": message}}))
    else:
        typer.echo(f"banyan: {message}", err=True)
    raise typer.Exit(EXIT_FAILED)


def _first_line(error: SQLAlchemyError) -> str:
    """The driver's own words, without the statement and its values."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def answer(content: dict[str, Any], as_json: bool) -> None:
    """One JSON object, or a line a field."""
    if as_json:
        typer.echo(json.dumps(content))
        return
    width = max(len(name) for name in content)
    for name, value in content.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_shown(value)}")


def _shown(value: Any) -> str:
    """A list line by line, as a person reads it; everything else as it is."""
    if not isinstance(value, list | tuple):
        return str(value)
    if not value:
        return "none"
    return "".join(f"\n  {_line(each)}" for each in value)


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={inner}" for name, inner in value.items())
    return str(value)


def digest_content(found: MirrorDigest) -> dict[str, Any]:
    """A digest as an answer's content."""
    return {
        "as_of_block": found.block,
        "block_hash": found.block_hash,
        "digest": found.digest,
        "rows": {one.table: one.rows for one in found.tables},
    }


def audit_content(found: AuditResult) -> dict[str, Any]:
    """An audit as an answer's content; the laws' figures as numbers."""
    return {
        "as_of_block": found.as_of_block,
        "as_of_time": found.as_of_time,
        "block_hash": found.block_hash,
        "mirror_equals_chain": found.mirror_equals_chain,
        "conservation": found.conservation,
        "checks": [dataclasses.asdict(check) for check in found.checks],
        "laws": [{**dataclasses.asdict(law), "holds": law.holds} for law in found.laws],
        "findings": [dataclasses.asdict(finding) for finding in found.findings],
    }


def print_audit(found: AuditResult) -> None:
    """An audit for people."""
    typer.echo(f"block {found.as_of_block} ({found.block_hash})")
    for check in found.checks:
        verdict = "equal" if not check.different else f"{check.different} DIFFERENT"
        typer.echo(f"  {check.name}: {check.compared:,} compared, {verdict}")
    for law in found.laws:
        verdict = "holds" if law.holds else "DOES NOT HOLD"
        typer.echo(f"  law {law.number}, {law.name}: {law.left:,} = {law.right:,}, {verdict}")
    for finding in found.findings:
        typer.echo(f"  {finding.what}: the mirror says {finding.mirror}, the chain {finding.chain}")
    equal = found.mirror_equals_chain
    typer.echo("the mirror equals the chain" if equal else "THE MIRROR IS WRONG")
