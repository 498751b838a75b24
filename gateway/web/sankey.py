"""The flows between merchants as a picture: issuers on the left, honourers on the right.

One ribbon per pair, as thick as the points that flowed. Both sides are in the same order, so that
points spent where they were earned run straight across, and colour says who issued them. Every node
has room for its label however thin it is, so names never overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.web.svg import element, picture


@dataclass(frozen=True, slots=True)
class Node:
    """One merchant on one side: its label, its figure as shown, and the points behind it."""

    label: str
    figure: str
    points: int
    colour: int


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A flow from the left node `source` to the right node `target`, both by index."""

    source: int
    target: int
    points: int
    label: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes in units of the view box. `above` puts a label over its bar instead of beside it."""

    width: float
    margin: float
    bar: float
    bars_height: float
    slot_height_min: float
    gap: float
    above: bool
    label_length_max: int


# On a desk there is room beside the bars; on a phone there is none, so labels stand over them.
WIDE = Layout(1120, 190, 10, 330, 38, 10, above=False, label_length_max=22)
NARROW = Layout(350, 0, 8, 300, 0, 26, above=True, label_length_max=16)

_TOP = 34.0
# A ribbon thinner than this could not be seen at all; it is drawn as a hairline.
_RIBBON_HEIGHT_MIN = 0.6


def sankey(
    name: str,
    title: str,
    description: str,
    sides: tuple[Sequence[Node], Sequence[Node]],
    ribbons: Sequence[Ribbon],
    headings: tuple[str, str],
    layout: Layout,
) -> Markup:
    """Draws the flows; `sides` are the nodes left and right, `headings` stand over them."""
    left, right = sides
    total = max(sum(node.points for node in left), sum(node.points for node in right), 1)
    scale = layout.bars_height / total
    slots = [_slots(side, scale, layout) for side in (left, right)]
    height = max(_bottom(side, layout) for side in slots)
    # The shorter side stands in the middle of the taller one.
    tops = [
        [(top + (height - _bottom(side, layout)) / 2, bar) for top, bar in side] for side in slots
    ]
    bands = _ribbons(ribbons, scale, tops[0], tops[1], layout)
    groups = (
        element(
            "g",
            {"class": f"issuer c{node.colour}"},
            *bands.get(index, []),
            _node(node, tops[0][index], layout, on_left=True),
        )
        for index, node in enumerate(left)
    )
    honourers = (
        _node(node, tops[1][index], layout, on_left=False) for index, node in enumerate(right)
    )
    return picture(
        name,
        title,
        description,
        (layout.width, height),
        _heading(headings[0], layout, on_left=True),
        _heading(headings[1], layout, on_left=False),
        element("g", {"class": "ribbons"}, *groups),
        element("g", {"class": "honourers"}, *honourers),
    )


def _slots(side: Sequence[Node], scale: float, layout: Layout) -> list[tuple[float, float]]:
    """For each node the top and the height of its bar."""
    placed: list[tuple[float, float]] = []
    at = _TOP + (layout.gap if layout.above else 0)
    for node in side:
        bar = max(node.points * scale, 1.0)
        slot = max(bar, layout.slot_height_min)
        placed.append((at + (slot - bar) / 2, bar))
        at += slot + layout.gap
    return placed


def _bottom(side: Sequence[tuple[float, float]], layout: Layout) -> float:
    if not side:
        return _TOP
    top, bar = side[-1]
    return top + bar + max(0.0, (layout.slot_height_min - bar) / 2) + 4


def _ribbons(
    ribbons: Sequence[Ribbon],
    scale: float,
    left: Sequence[tuple[float, float]],
    right: Sequence[tuple[float, float]],
    layout: Layout,
) -> dict[int, list[Markup]]:
    """The ribbons of each left node. At both ends they lie in the order of the other side."""
    leaves = [top for top, _ in left]
    arrives = [top for top, _ in right]
    ends: dict[tuple[int, int], float] = {}
    for ribbon in sorted(ribbons, key=lambda each: (each.target, each.source)):
        ends[ribbon.source, ribbon.target] = arrives[ribbon.target]
        arrives[ribbon.target] += ribbon.points * scale
    drawn: dict[int, list[Markup]] = {}
    for ribbon in sorted(ribbons, key=lambda each: (each.source, each.target)):
        thickness = ribbon.points * scale
        path = _band(
            layout.margin + layout.bar,
            leaves[ribbon.source],
            layout.width - layout.margin - layout.bar,
            ends[ribbon.source, ribbon.target],
            max(thickness, _RIBBON_HEIGHT_MIN),
        )
        leaves[ribbon.source] += thickness
        drawn.setdefault(ribbon.source, []).append(
            element("path", {"class": "ribbon", "d": path}, element("title", {}, ribbon.label))
        )
    return drawn


def _band(x0: float, y0: float, x1: float, y1: float, thickness: float) -> str:
    middle = (x0 + x1) / 2
    y2, y3 = y1 + thickness, y0 + thickness
    return (
        f"M{x0:.0f} {y0:.1f}C{middle:.0f} {y0:.1f} {middle:.0f} {y1:.1f} {x1:.0f} {y1:.1f}"
        f"V{y2:.1f}C{middle:.0f} {y2:.1f} {middle:.0f} {y3:.1f} {x0:.0f} {y3:.1f}Z"
    )


def _node(node: Node, place: tuple[float, float], layout: Layout, *, on_left: bool) -> Markup:
    top, bar = place
    x = layout.margin if on_left else layout.width - layout.margin - layout.bar
    box = element(
        "rect",
        {
            "class": "bar",
            "x": x,
            "y": top,
            "width": layout.bar,
            "height": bar,
            "rx": min(2, bar / 2),
        },
    )
    label = _shortened(node.label, layout.label_length_max)
    if layout.above:
        anchor, at = ("start", 0.0) if on_left else ("end", layout.width)
        words = element(
            "text",
            {"x": at, "y": top - 6, "text-anchor": anchor},
            element("tspan", {"class": "name"}, label),
            element("tspan", {"class": "figure", "dx": 5}, node.figure),
        )
    else:
        anchor, at = ("end", x - 14) if on_left else ("start", x + layout.bar + 14)
        middle = top + bar / 2
        words = element(
            "text",
            {"x": at, "y": middle - 3, "text-anchor": anchor},
            element("tspan", {"class": "name"}, label),
            element("tspan", {"class": "figure", "x": at, "dy": 17}, node.figure),
        )
    return element("g", {"class": "node"}, element("title", {}, node.label), box, words)


def _heading(words: str, layout: Layout, *, on_left: bool) -> Markup:
    if layout.above:
        anchor, at = ("start", 0.0) if on_left else ("end", layout.width)
    else:
        anchor = "end" if on_left else "start"
        at = layout.margin - 4 if on_left else layout.width - layout.margin + 4
    return element("text", {"class": "heading", "x": at, "y": 14, "text-anchor": anchor}, words)


def _shortened(label: str, length_max: int) -> str:
    return label if len(label) <= length_max else label[: length_max - 1].rstrip() + "…"
