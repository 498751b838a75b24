"""View models of the two pictures of the network's page, each with its table. No SQL, no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.web import charts, sankey
from gateway.web.facts import MerchantFacts, NetworkFacts, PeriodFacts
from gateway.web.formats import Formats, round_ticks

# A picture with more ribbons than this says nothing; the smallest merchants are drawn as one.
PICTURED_MERCHANTS_MAX = 10


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One issuer's line of the table of flows, honourers from left to right."""

    name: str
    cells: Sequence[str]
    total: str


@dataclass(frozen=True, slots=True)
class Flows:
    """The flows as two pictures (for a desk, for a phone) and as one table."""

    wide: Markup
    narrow: Markup
    honourers: Sequence[str]
    rows: Sequence[FlowRow]
    totals: Sequence[str]
    total: str
    across: str


@dataclass(frozen=True, slots=True)
class Trade:
    """Issued and redeemed by period, as two pictures and a table of (period, issued, redeemed)."""

    heading: str
    wide: Markup
    narrow: Markup
    rows: Sequence[tuple[str, str, str]]


def flows_between(
    facts: NetworkFacts, ranked: Sequence[MerchantFacts], formats: Formats
) -> Flows | None:
    total = sum(flow.points for flow in facts.flows)
    if total <= 0:
        return None
    pooled = len(ranked) > PICTURED_MERCHANTS_MAX
    drawn = ranked[: PICTURED_MERCHANTS_MAX - 1] if pooled else ranked
    place = {each.number: index for index, each in enumerate(drawn)}
    names = [each.name for each in drawn] + (
        [f"{len(ranked) - len(drawn)} others"] if pooled else []
    )
    size = len(names)
    matrix = [[0] * size for _ in range(size)]
    for flow in facts.flows:
        matrix[place.get(flow.issuer, size - 1)][place.get(flow.honourer, size - 1)] += flow.points
    out = [sum(row) for row in matrix]
    into = [sum(row[column] for row in matrix) for column in range(size)]
    across = total - sum(flow.points for flow in facts.flows if flow.issuer == flow.honourer)
    # Who issued or honoured nothing has no place in the picture; the table names everybody.
    left = [index for index in range(size) if out[index]]
    right = [index for index in range(size) if into[index]]
    ribbons = [
        sankey.Ribbon(
            left.index(source),
            right.index(target),
            matrix[source][target],
            f"{names[source]} to {names[target]}: {formats.points(matrix[source][target])}",
        )
        for source in left
        for target in right
        if matrix[source][target]
    ]
    sides = (_nodes(left, names, out, formats), _nodes(right, names, into, formats))
    description = (
        f"{formats.points(total)} points redeemed, by the merchant that issued them and the "
        "merchant that honoured them. The table under the picture has every figure."
    )
    title, headings = "Flows between merchants", ("Issued by", "Honoured by")
    return Flows(
        wide=sankey.sankey("flows-wide", title, description, sides, ribbons, headings, sankey.WIDE),
        narrow=sankey.sankey(
            "flows-narrow", title, description, sides, ribbons, headings, sankey.NARROW
        ),
        honourers=names,
        rows=[
            FlowRow(name, [formats.points(points) for points in row], formats.points(issued))
            for name, row, issued in zip(names, matrix, out, strict=True)
        ],
        totals=[formats.points(points) for points in into],
        total=formats.points(total),
        across=formats.share(across, total),
    )


def _nodes(
    shown: Sequence[int], names: Sequence[str], points: Sequence[int], formats: Formats
) -> list[sankey.Node]:
    """The merchants `shown`, each in the colour that it has everywhere on the page."""
    return [
        sankey.Node(names[index], formats.points(points[index]), points[index], index % 10)
        for index in shown
    ]


def trade_by(periods: Sequence[PeriodFacts], period: str, formats: Formats) -> Trade | None:
    if not periods:
        return None
    long, short = (
        (formats.day, formats.day_short)
        if period == "day"
        else (formats.month, formats.month_short)
    )
    series = [
        charts.Column(
            short(each.starts_at),
            each.issued,
            each.redeemed,
            f"{long(each.starts_at)}: {formats.points(each.issued)} issued, "
            f"{formats.points(each.redeemed)} redeemed",
        )
        for each in periods
    ]
    highest = max(each.issued for each in periods)
    lowest = -max(each.redeemed for each in periods)
    ticks = [(value, formats.compact(abs(value))) for value in round_ticks(highest, lowest)]
    heading = f"Issued and redeemed by {period}"
    description = f"Columns for each {period}: points issued above the line, redeemed below it."
    return Trade(
        heading=heading,
        wide=charts.columns("trade-wide", heading, description, series, ticks, charts.COLUMNS_WIDE),
        narrow=charts.columns(
            "trade-narrow", heading, description, series, ticks, charts.COLUMNS_NARROW
        ),
        rows=[
            (long(each.starts_at), formats.points(each.issued), formats.points(each.redeemed))
            for each in periods
        ],
    )
