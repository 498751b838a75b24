"""A stored refusal on its way out: a problem document, or a line of a bulk answer."""

from typing import Any

from starlette.responses import Response

from gateway import errors
from gateway.model import Refused
from gateway.problems import problem

_STATUS = {
    kind.code: kind.status
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.GatewayError)
}
"""HTTP status by code, of every refusal there is."""


def problem_of(refused: Refused) -> Response:
    """The problem document of a refused single request, the same whenever it is repeated."""
    values: dict[str, Any] = {**refused.values, "reference": refused.reference}
    if refused.order is not None:
        values["order"] = refused.order
    return problem(_STATUS.get(refused.code, 422), refused.code, refused.detail, values)


def refusal_line(refused: Refused) -> dict[str, Any]:
    """A refused line of a bulk answer."""
    return {
        "reference": refused.reference,
        "refused": {
            "code": refused.code,
            "detail": refused.detail,
            "order": refused.order,
            **refused.values,
        },
    }
