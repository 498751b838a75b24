"""Builds SVG as escaped markup: whatever text goes in comes out as text."""

from collections.abc import Mapping

from markupsafe import Markup, escape

Attribute = str | int | float


def number(value: float) -> str:
    """A coordinate with at most two decimals: a picture of 81 ribbons is read over a phone line."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def element(name: str, attributes: Mapping[str, Attribute], *children: str) -> Markup:
    """`<name a="b">children</name>`; a child that is not `Markup` is escaped.

    `name` and the attributes' keys are written by us, never by a user. There is no `style`
    attribute anywhere: the content security policy forbids it.
    """
    shown = (
        Markup(' {}="{}"').format(
            Markup(key), number(value) if not isinstance(value, str) else value
        )
        for key, value in attributes.items()
    )
    opening = Markup("<{}{}").format(Markup(name), Markup("").join(shown))
    if not children:
        return opening + Markup("/>")
    inner = Markup("").join(escape(child) for child in children)
    return Markup("{}>{}</{}>").format(opening, inner, Markup(name))


def picture(
    name: str, title: str, description: str, size: tuple[float, float], *children: str
) -> Markup:
    """A whole `<svg>` with the title and description that a screen reader says instead of it.

    `name` must be unique on the page; `size` is the width and height of the view box, and the
    style sheet decides how large that is drawn.
    """
    width, height = size
    return element(
        "svg",
        {
            "class": f"picture {name}",
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-description",
        },
        element("title", {"id": f"{name}-title"}, title),
        element("desc", {"id": f"{name}-description"}, description),
        *children,
    )
