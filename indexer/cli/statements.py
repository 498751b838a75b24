"""`banyan index statement` and `banyan index settlement`."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from indexer import statements
from indexer.cli.options import DataOption, JsonOption, MirrorOption
from indexer.cli.output import answer, failing
from indexer.cli.place import Place
from indexer.statements.as_csv import decimal_text

MonthOption = Annotated[int, typer.Option("--month", help="The month, yyyymm.")]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone",
        help="IANA time zone in which the month begins and times are told, such as Asia/Bangkok "
        "(default: BANYAN_TIME_ZONE, else UTC).",
    ),
]


class Format(StrEnum):
    """How a statement is written."""

    JSON = "json"
    CSV = "csv"
    PDF = "pdf"


def statement(
    merchant: Annotated[int, typer.Argument(help="The merchant's number on chain.")],
    month: MonthOption,
    form: Annotated[Format, typer.Option("--format", help="json, csv or pdf.")] = Format.CSV,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write (default: standard output).")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The merchant's name, for the title of a PDF.")
    ] = None,
    zone: ZoneOption = None,
    currency: Annotated[
        str | None,
        typer.Option("--currency", help="Label of the amounts (default: BANYAN_CURRENCY_LABEL)."),
    ] = None,
    data: DataOption = None,
    mirror: MirrorOption = None,
) -> None:
    """Write a merchant's statement of one month: opening, every line, closing.

    The closing of one month is the opening of the next, in every zone. Amounts in JSON are integers
    in units of the settlement asset, in CSV and PDF exact decimals.
    """
    place = Place(data, mirror)
    with failing(form is Format.JSON), place.open(looking=True) as engine, engine.connect() as conn:
        clock = zone or place.settings.time_zone
        label = currency or place.settings.currency_label
        bounds = statements.month_bounds(month, clock)
        found = statements.statement(conn, merchant, *bounds, zone=clock, currency=label)
        if form is Format.JSON:
            content = json.dumps(statements.statement_json(found)).encode() + b"\n"
        elif form is Format.CSV:
            content = statements.statement_csv(found).encode()
        else:
            content = statements.statement_pdf(found, name or f"Merchant {merchant}")
    if out is None:
        typer.echo(content, nl=False)
    else:
        out.write_bytes(content)


def settlement(
    from_month: Annotated[
        int | None, typer.Option("--from", help="First month, yyyymm in UTC (default: all).")
    ] = None,
    to_month: Annotated[
        int | None, typer.Option("--to", help="Last month, yyyymm in UTC (default: all).")
    ] = None,
    data: DataOption = None,
    mirror: MirrorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who honoured whose points, and what was paid for them, merchant by merchant."""
    place = Place(data, mirror)
    with failing(as_json), place.open(looking=True) as engine, engine.connect() as conn:
        found = statements.settlement(conn, from_month, to_month)
    if as_json:
        content: dict[str, Any] = dataclasses.asdict(found)
        content["paid"] = {str(merchant): paid for merchant, paid in found.paid.items()}
        answer({**content, "agrees": found.agrees}, as_json)
        return
    typer.echo(f"{'issuer':>10}{'honoured by':>14}{'points':>16}{'paid':>22}")
    for cell in found.cells:
        paid = decimal_text(cell.paid, 6)
        typer.echo(f"{cell.issuer:>10}{cell.merchant:>14}{cell.points:>16,}{paid:>22}")
