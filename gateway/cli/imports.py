"""`banyan import`: issues from a CSV file."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import DataOption, JsonOption
from gateway.cli.desk import desk_of
from indexer.cli.output import answer, failing, progress_bar


def import_(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with columns member, reference and points (or amount)."),
    ],
    merchant: Annotated[str, typer.Option(help="Short name of the merchant that issues.")],
    rejects: Annotated[
        Path | None, typer.Option(help="Where refused lines go (default: FILE.rejects.csv).")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Issues points for the lines of a file; unknown members are made on the way.

    Started again with the same file it goes on from where it was: no line is issued twice. What
    was not taken stands in the rejects file, each line with its reason.
    """
    out = rejects or file.with_name(file.name + ".rejects.csv")
    with failing(as_json), desk_of(data) as desk:
        with progress_bar("bytes read") as shown:
            result, open_orders = desk.import_file(merchant, file, out, shown)
        content = {
            "lines": result.lines,
            "accepted": result.accepted,
            "points": result.points,
            "refused": result.refused,
            "rejects_file": str(out),
            "open_orders": open_orders,
        }
        answer(content, as_json)
