"""The summary that a person reads in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

_MARKS: Final = {
    "held": ("green", "held"),
    "broken": ("bold red", "BROKEN"),
    "partly": ("yellow", "in part"),
    "not checked": ("yellow", "not checked"),
    "not asked": ("dim", "not asked"),
}
_BANNERS: Final = {0: "green", 1: "bold red", 2: "yellow"}


def moment(seconds: int) -> str:
    """UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def print_report(console: Console, report: dict[str, Any]) -> None:
    """Verdict, findings, checks, laws, reserve, and what was trusted."""
    span, network = report["range"], report["network"]
    style = _BANNERS[report["exit_code"]]
    console.print(Text(f"\n{report['verdict'].capitalize()}", style=style))
    until = "" if span["time"] is None else f", the last of {moment(span['time'])}"
    console.print(f"Chain {network['chain_id']}, blocks {span['first']} to {span['last']}{until}")
    if span["hash"]:
        console.print(f"[dim]{span['hash']}[/dim]")
    for finding in report["findings"][:20]:
        console.print(Text(f"  ✗ {sentence(finding)}", style="red"))
    _print_checks(console, report)
    if report["laws"]:
        _print_laws(console, report["laws"])
    if report["reserve"]:
        console.print("\n[bold]Reserve[/bold]")
        for word in report["reserve"]["words"]:
            console.print(Text(f"  {word}"))
    console.print("\n[bold]Trusted, not checked[/bold]")
    for trusted in report["trusted"]:
        console.print(Text(f"  {trusted}"))
    speed = report["speed"]
    if speed["seconds"] and speed["events"]:
        rate = speed["events"] / speed["seconds"]
        console.print(f"\n{speed['events']:,} events in {speed['seconds']:.1f} s: {rate:,.0f}/s")


def sentence(finding: dict[str, Any]) -> str:
    """One finding in a line: block, fact, both sides."""
    where = "" if finding["block"] is None else f"Block {finding['block']}: "
    sides = ""
    if finding["expected"] or finding["got"]:
        sides = f" (expected {finding['expected'] or 'nothing'}, got {finding['got'] or 'nothing'})"
    return f"{where}{finding['fact']}{sides} [{finding['check']}]"


def _print_checks(console: Console, report: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "Check", "Looked at", "Seconds"):
        table.add_column(name, justify="right" if name in ("Looked at", "Seconds") else "left")
    for check in report["checks"]:
        style, mark = _MARKS[check["verdict"]]
        about = Text(check["about"])
        if check["note"]:
            about.append(f"\n{check['note']}", style="dim")
        count = f"{check['count']:,} {check['unit']}" if check["unit"] else ""
        table.add_row(Text(mark, style=style), about, count, f"{check['seconds']:.2f}")
    console.print(table)


def _print_laws(console: Console, laws: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    for name in ("", "Law", "Left", "Right"):
        table.add_column(name, justify="right" if name in ("Left", "Right") else "left")
    for law in laws:
        mark = {True: ("green", "holds"), False: ("bold red", "BROKEN"), None: ("yellow", "open")}
        style, word = mark[law["holds"]]
        about = Text(f"{law['number']}. {law['name']}")
        about.append(f"\n   {law['left_name']} = {law['right_name']}", style="dim")
        table.add_row(Text(word, style=style), about, f"{law['left']:,}", f"{law['right']:,}")
    console.print(table)
