"""What the demo shows on a terminal: progress on standard error, results on standard output."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gateway.demo.driver import Driver
from gateway.demo.plan import Plan
from gateway.demo.purchases import DAY_S, Day
from gateway.network import Network

# Without a terminal (a log of a build server) a line now and then is enough.
PLAIN_INTERVAL_S = 10.0


class Importing:
    """Tells how far the import is: day, lines, purchases a second, time left."""

    def __init__(self, plan: Plan, bar: Progress, task: TaskID) -> None:
        self._plan = plan
        self._bar = bar
        self._task = task
        self._began = self._told = time.monotonic()
        self._days = self._lines = self._purchases = 0

    def __call__(self, day: Day, imported: bool) -> None:
        self._days += 1
        self._lines += day.lines
        if imported:
            self._purchases += len(day.purchases)
        rate = self._purchases / max(time.monotonic() - self._began, 0.001)
        shown = time.strftime("%d %b %Y", time.gmtime(self._plan.network_time(day.last_time)))
        self._bar.update(self._task, completed=self._lines, day=shown, rate=f"{rate:,.0f}")
        now = time.monotonic()
        if self._bar.disable and now - self._told > PLAIN_INTERVAL_S:
            self._told = now
            typer.echo(
                f"{shown}: day {self._days} of {self._plan.days}, {self._lines:,} of "
                f"{self._plan.lines:,} lines, {rate:,.0f} purchases/s",
                err=True,
            )


@contextmanager
def importing(plan: Plan) -> Iterator[Importing]:
    """A bar while the purchases are carried in."""
    console = Console(stderr=True)
    # Fits a terminal of 80 columns.
    columns = (
        TextColumn("{task.fields[day]}"),
        BarColumn(bar_width=14),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} lines"),
        TextColumn("{task.fields[rate]} purchases/s"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        begin = time.strftime("%d %b %Y", time.gmtime(plan.first_time))
        yield Importing(plan, bar, bar.add_task("", total=plan.lines, day=begin, rate="0"))


@contextmanager
def planning() -> Iterator[Any]:
    """A word while the purchases are read for the first time; callback for `make_plan`."""
    console = Console(stderr=True)
    with console.status("reading the purchases") as status:

        def told(day: Day) -> None:
            shown = time.strftime("%d %b %Y", time.gmtime(day.day * DAY_S))
            status.update(f"reading the purchases: {shown}")

        yield told


def show_summary(content: dict[str, Any]) -> None:
    """The totals as a person reads them."""
    orders = ", ".join(f"{count:,} {state}" for state, count in content["orders"].items() if count)
    refused = f"{content['refused']:,} redemptions, {content['refused_points']:,} points"
    lines = {
        "merchants, members": f"{content['merchants']}, {content['members']:,}",
        "purchase lines": f"{content['purchase_lines']:,} in {content['baskets']:,} baskets",
        "purchases": f"{content['purchases']:,} (basket x merchant), "
        f"{content['purchases_of_zero_points']:,} of zero points",
        "issued": f"{content['issued']:,} points in {content['issues']:,} issues",
        "redeemed": f"{content['redeemed']:,} points in {content['redemptions']:,} redemptions",
        "refused": f"{refused} (more than the balance at the close of the day before)",
        "live points": f"{content['live_points']:,}",
        "orders": orders,
        "blocks": f"{content['blocks']:,}, at most {content['blocks_a_day_max']} a day",
    }
    if "seconds" in content:
        lines |= {
            "conservation": _verdict(content["conservation"], "laws 1 to 4 hold"),
            "mirror": _verdict(content["mirror_equals_chain"], "equals the chain"),
            "points": _verdict(content["equals_the_file"], "equal what the file says, recomputed"),
            "seconds": f"{content['seconds']:,.1f}: "
            + ", ".join(f"{part} {s:,.1f}" for part, s in content["seconds_by_part"].items()),
        }
    for name, value in lines.items():
        typer.echo(f"{name:<20}{value}")


def _verdict(holds: bool, what: str) -> str:
    return what if holds else f"NOT TRUE: {what}"


def show_places(network: Network, plan: Plan, driver: Driver, address: str) -> None:
    """Where to look, once everything runs."""
    regular = network.gateway.ensure_members([str(plan.regular)])[str(plan.regular)]
    places = {
        "the network": f"{address}/",
        "a member": f"{address}/members/{regular.id}",
        "the API": f"{address}/docs",
        "the chain": f"{network.chain.rpc_url} (JSON-RPC, chain id {network.chain.chain_id})",
    }
    typer.echo("")
    for name, place in places.items():
        typer.echo(f"{name:<20}{place}")
    for slug, key in driver.api_keys.items():
        typer.echo(f"{'API key of ' + slug:<34}{key}")
    if driver.api_keys:
        typer.echo("Keys are shown this once; `banyan merchant key SLUG` makes another.")
    typer.echo("Ctrl-C stops everything; the next start goes on from here.")
