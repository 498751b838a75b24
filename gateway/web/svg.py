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
    # Plain strings, each escaped once: `Markup.format` and `join` would take ten times as long.
    shown = "".join(
        f' {key}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
    )
    if not children:
        return Markup(f"<{name}{shown}/>")
    inner = "".join([escape(child) for child in children])
    return Markup(f"<{name}{shown}>{inner}</{name}>")


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
