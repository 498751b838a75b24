"""The report as one HTML file: no script, no address, prints on paper as it looks on the screen."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from indexer.auditor.terminal import moment, sentence


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["moment"] = moment
    environment.filters["sentence"] = sentence
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["day"] = lambda seconds: moment(seconds)[:10]
    return environment


def page_of(report: dict[str, Any]) -> str:
    """The whole page."""
    source = resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    return (
        _environment()
        .from_string(source)
        .render(
            r=report, bars=_bars(report), columns=_columns(report), all_months=_all_months(report)
        )
    )


_ALWAYS: Final = ("issued", "redeemed", "charged", "paid")


def _columns(report: dict[str, Any]) -> list[str]:
    """The figures of a merchant that are not zero all over: a year without returns shows none."""
    totals = [merchant["total"] for merchant in report["merchants"]]
    names = list(totals[0]) if totals else []
    return [name for name in names if name in _ALWAYS or any(total[name] for total in totals)]


def _all_months(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The months of all merchants, added up."""
    sums: dict[str, dict[str, Any]] = {}
    for merchant in report["merchants"]:
        for flow in merchant["months"]:
            month = sums.setdefault(
                flow["month"], dict.fromkeys(flow, 0) | {"month": flow["month"]}
            )
            for name, value in flow.items():
                if name != "month":
                    month[name] += value
    return [sums[month] for month in sorted(sums)]


def _bars(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The two sides of law 3 as a picture: what is there, what is owed, in parts of the larger."""
    reserve = report["reserve"]
    if not reserve:
        return []
    held = reserve["stablecoin"] + reserve["bank_receipts"]
    there = [("assets held", held, "a"), ("credit drawn", reserve["credit_drawn"], "c")]
    owed = [("members' points", reserve["reserve"], "p")]
    owed.append(("positions, fees, breakage, guarantee", reserve["other_claims"], "o"))
    whole = max(sum(part[1] for part in there), sum(part[1] for part in owed), 1)
    return [
        {
            "name": name,
            "parts": [
                {"name": part, "amount": amount, "kind": kind, "width": 100 * amount / whole}
                for part, amount, kind in parts
            ],
        }
        for name, parts in (("There", there), ("Owed", owed))
    ]
