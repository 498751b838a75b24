"""`banyan demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer.cli.output import EXIT_FAILED, failing

DEFAULT_DATA = Path(".banyan/demo")


def demo(
    weeks: Annotated[
        int | None,
        typer.Option(min=1, max=53, help="Weeks of purchases (53: the whole year); default 4."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Only so many days, for a quick look.")
    ] = None,
    data: Annotated[
        Path, typer.Option(envvar="BANYAN_DATA_DIR", help="Folder that keeps everything.")
    ] = DEFAULT_DATA,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the network in the folder and begin anew.")
    ] = False,
    exit_: Annotated[
        bool, typer.Option("--exit", help="End after the import; exit code 0 if all is right.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the totals to this file.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of API and pages.")] = 8000,
) -> None:
    """A whole network on real purchases: chain, contracts, nine merchants, a year of baskets.

    Starts everything in this one process, issues and redeems points for the purchases of real
    households (2017, dates shifted to end yesterday), shows the totals beside what the file says,
    and serves the pages until Ctrl-C. Started again it goes on from where it was.
    """
    try:
        # Here, because it reads parquet: no other command should need that, or wait for it.
        from gateway.demo.purchases import Extent
        from gateway.demo.run import Options, run
    except ModuleNotFoundError as missing:
        typer.echo(f"banyan: the demo needs {missing.name}: run `make install`", err=True)
        raise typer.Exit(EXIT_FAILED) from missing
    extent = None if weeks is None and days is None else Extent(weeks or 53, days)
    with failing(False):
        raise typer.Exit(run(Options(data, extent, fresh, exit_, json_file, port)))
