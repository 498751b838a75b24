"""What a request says of itself: the kind of its body, and the parameters in its address."""

from collections.abc import Iterator
from typing import Final, get_args

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError

from gateway.errors import InvalidRequest, MediaTypeUnsupported

DIGITS_MAX: Final = 20
"""Of a number in an address; Python reads thousands of them slowly."""


def check_media_type(request: Request) -> None:
    """Raises MediaTypeUnsupported: there is a body, and it does not say that it is JSON."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    media, *parameters = headers.get("content-type", "").lower().split(";")
    kind, _, of = media.strip().partition("/")
    charsets = [p.partition("=")[2].strip(' "') for p in parameters if "charset" in p]
    is_json = kind == "application" and (of == "json" or of.endswith("+json"))
    if not is_json or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise MediaTypeUnsupported(
            "a body is JSON in UTF-8, and says `Content-Type: application/json`",
            content_type=media[:100],
        )


def check_query(request: Request, names: dict[str, bool]) -> None:
    """Each parameter is one of the route's (`names`: whether it is a whole number), given once.

    A filter whose name is mistyped would be a filter that lets everything through. Raises
    InvalidRequest, RequestValidationError.
    """
    if not request.url.query:
        return
    seen = set()
    for name, value in request.query_params.multi_items():
        if name not in names or name in seen:
            wrong = "is given twice" if name in seen else "is none of this route's"
            raise InvalidRequest(f"the parameter {name[:40]!r} {wrong}", parameters=sorted(names))
        seen.add(name)
        # The framework would read 5.0, 1_0 and +5, too.
        if names[name] and not (value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX):
            wrong = "a whole number is written in digits alone"
            raise RequestValidationError(
                [{"type": "int_parsing", "loc": ("query", name), "msg": wrong, "input": value}]
            )


def query_names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The parameters of a route and of all that it depends on, and which are whole numbers."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        yield field.alias, int in (get_args(annotation) or (annotation,))
    for inner in dependant.dependencies:
        yield from query_names(inner)
