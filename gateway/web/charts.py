"""Bars, drawn on the server: points by epoch, a merchant's share, and trade by day or month."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.web.svg import Attribute, element, picture

# A bar without text is stretched to the width of its cell, so its unit is a thousandth of it.
_FULL = 1000.0


def stacked_bar(parts: Sequence[tuple[str, int]], whole: int) -> Markup:
    """One bar that fills its cell: `parts` are (class, amount) from the left, out of `whole`.

    It is decoration: the row of the table in which it stands says the same figures in words.
    """
    at = 0.0
    boxes = []
    for name, amount in parts:
        width = _FULL * amount / whole if whole > 0 else 0.0
        if width > 0:
            box: dict[str, Attribute] = {
                "class": name,
                "x": at,
                "y": 0,
                "width": width,
                "height": 10,
            }
            boxes.append(element("rect", box))
        at += width
    return element(
        "svg",
        {
            "class": "stacked",
            "viewBox": f"0 0 {_FULL:.0f} 10",
            "preserveAspectRatio": "none",
            "aria-hidden": "true",
        },
        *boxes,
    )


@dataclass(frozen=True, slots=True)
class Column:
    """One period: what was issued rises above the line, what was redeemed hangs below it."""

    label: str
    up: int
    down: int
    tooltip: str


@dataclass(frozen=True, slots=True)
class ColumnsLayout:
    """Sizes in units of the view box; `labels_max` is how many labels fit under the columns."""

    width: float
    height: float
    labels_max: int


COLUMNS_WIDE = ColumnsLayout(640, 300, 8)
COLUMNS_NARROW = ColumnsLayout(350, 250, 4)

_AXIS_WIDTH = 52.0
_LABEL_HEIGHT = 26.0


def columns(
    name: str,
    title: str,
    description: str,
    series: Sequence[Column],
    ticks: Sequence[tuple[int, str]],
    layout: ColumnsLayout,
) -> Markup:
    """Columns up and down from one line. `ticks` are values (negative below the line) with labels.

    The scale runs from the lowest to the highest of the ticks and the columns, one scale for both
    directions, so that heights above and below the line can be compared.
    """
    highest = max([0, *(column.up for column in series), *(value for value, _ in ticks)])
    lowest = min([0, *(-column.down for column in series), *(value for value, _ in ticks)])
    plot_height = layout.height - _LABEL_HEIGHT - 8
    scale = plot_height / max(highest - lowest, 1)

    def y_of(value: float) -> float:
        return 8 + (highest - value) * scale

    grid = [
        element(
            "g",
            {"class": "tick zero" if value == 0 else "tick"},
            element("line", {"x1": _AXIS_WIDTH, "x2": layout.width, "y1": y, "y2": y}),
            element("text", {"x": _AXIS_WIDTH - 8, "y": y + 4, "text-anchor": "end"}, label),
        )
        for value, y, label in ((value, y_of(value), label) for value, label in ticks)
    ]
    step = (layout.width - _AXIS_WIDTH) / max(len(series), 1)
    every = max(1, -(-len(series) // layout.labels_max))
    boxes = [
        _column(
            column,
            _AXIS_WIDTH + step * index,
            step,
            (y_of(0), scale, layout.height),
            labelled=index % every == 0,
        )
        for index, column in enumerate(series)
    ]
    return picture(name, title, description, (layout.width, layout.height), *grid, *boxes)


def _column(
    column: Column, left: float, step: float, plot: tuple[float, float, float], *, labelled: bool
) -> Markup:
    """One column in its strip of width `step`; `plot` is the zero line, the scale, the height."""
    zero, scale, height = plot
    # A lone month should not become a wall.
    thick = min(step * 0.68, 34.0)
    middle = left + step / 2
    # The invisible box makes the whole strip answer to the pointer.
    reach: dict[str, Attribute] = {"x": left, "y": 8, "width": step}
    reach |= {"class": "reach", "height": height - _LABEL_HEIGHT - 8}
    parts = [element("title", {}, column.tooltip), element("rect", reach)]
    for kind, amount, y in (
        ("issued", column.up, zero - column.up * scale),
        ("redeemed", column.down, zero),
    ):
        if amount > 0:
            box: dict[str, Attribute] = {"class": kind, "x": middle - thick / 2, "y": y}
            box |= {"width": thick, "height": amount * scale, "rx": min(2.0, thick / 4)}
            parts.append(element("rect", box))
    if labelled:
        at: dict[str, Attribute] = {"x": middle, "y": height - 6, "text-anchor": "middle"}
        parts.append(element("text", {"class": "label", **at}, column.label))
    return element("g", {"class": "column"}, *parts)
