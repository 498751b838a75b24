"""RFC 9457: every refusal leaves as problem+json with a stable `code`, whoever raised it."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from gateway.database import UNUSABLE
from gateway.errors import GatewayError, LeaseLost, NotReady
from wallet_sdk.errors import BanyanError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

# Codes of refusals that the framework itself makes.
FRAMEWORK_CODES = {
    404: ("not_found", "Not there, or not yours: the two look alike on purpose."),
    405: ("method_not_allowed", "The path has other methods; `Allow` names them."),
}
OTHER_CODES = {
    "head_too_large": (431, "Address and headers have at most 32 KB and 100 fields."),
    "request_too_slow": (408, "A head has 20 seconds to come, a body 60."),
    "body_encoded": (415, "Bodies are read as they are, not compressed."),
    "http_error": (400, "The request is no HTTP that can be answered."),
    "internal": (500, "Something here is broken; it is being noted."),
}

# Fields whose mistakes have a code of their own, since clients want to tell them apart.
_FIELD_CODES = {"points": "points_invalid", "purchase": "purchase_invalid"}


def codes() -> list[str]:
    """Every code that a client of the API can meet."""
    found = {code for code, _ in FRAMEWORK_CODES.values()} | set(OTHER_CODES)
    kinds: list[type[GatewayError]] = [GatewayError]
    for kind in kinds:
        kinds += kind.__subclasses__()
        told = kind.status < 500 or (issubclass(kind, NotReady) and kind is not LeaseLost)
        # Elsewhere are refusals of commands.
        if told and kind.__module__ in ("gateway.errors", "gateway.strict"):
            found.add(kind.code)
    return sorted(found)


def problem(
    status: int,
    code: str,
    detail: str,
    values: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem document. `type` is a URN of the code, `values` its extension members."""
    body = {
        **(values or {}),
        "type": f"urn:banyan:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return Response(
        orjson.dumps(body, default=str),
        status,
        {"cache-control": "no-store", **(headers or {})},
        MEDIA_TYPE,
    )


def of_error(error: GatewayError) -> Response:
    """The problem document of a refusal."""
    headers = {}
    if error.status == 413:
        # Else the server would read the rest of the body to its end, only to throw it away.
        headers["connection"] = "close"
    if error.status == 415:
        headers["accept"] = "application/json"
    if error.status == 429:
        headers["retry-after"] = str(error.values["retry_after_s"])
    if error.status == 503 or error.code == "idempotency_key_in_use":
        headers["retry-after"] = str(RETRY_AFTER_S)
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="banyan"'
    return problem(error.status, error.code, error.message, error.values, headers)


def install(app: FastAPI) -> None:
    """Makes `app` answer with problems only."""

    @app.exception_handler(GatewayError)
    async def _refused(_request: Request, error: GatewayError) -> Response:
        if error.status >= 500 and not isinstance(error, NotReady):
            log.error("%s: %s", error.code, error.message)
            return problem(error.status, error.code, "something here is broken; it is being noted")
        return of_error(error)

    @app.exception_handler(BanyanError)
    async def _broken(_request: Request, error: BanyanError) -> Response:
        log.error("%s: %s", error.code, error.message)
        return problem(500, "internal", "something here is broken; it is being noted")

    async def _unusable(_request: Request, error: Exception) -> Response:
        # The driver's own words: the statement's parameters are nothing for a log.
        log.error("the order book cannot be used now: %s", getattr(error, "orig", error))
        return of_error(NotReady("the order book cannot be used now; send it again"))

    for kind in UNUSABLE:
        app.add_exception_handler(kind, _unusable)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        return _of_validation(error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        # The framework wraps what reading the body raised.
        if isinstance(error.__cause__, GatewayError):
            return of_error(error.__cause__)
        code = FRAMEWORK_CODES.get(error.status_code, ("http_error", ""))[0]
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if error.status_code == 405:
            headers["allow"] = ", ".join(_methods(request))
        return problem(error.status_code, code, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, error: Exception) -> Response:
        log.exception("unexpected", exc_info=error)
        return problem(500, "internal", "something here is broken; it is being noted")


def _methods(request: Request) -> list[str]:
    """The methods of the request's path; the framework names those of one of its routes alone."""
    routes = request.app.routes
    asked = {m: {**request.scope, "method": m} for m in ("DELETE", "GET", "PATCH", "POST", "PUT")}
    return [m for m, s in asked.items() if any(r.matches(s)[0] is Match.FULL for r in routes)]


def _of_validation(error: RequestValidationError) -> Response:
    """All mistakes of a body at once; the code is that of the first with a code of its own."""
    errors = [
        {
            "field": ".".join(str(part) for part in found["loc"][1:]),
            # What our own checks say comes with a word of the library's in front.
            "message": found["msg"].removeprefix("Value error, "),
        }
        for found in error.errors()[:20]
    ]
    fields = [
        part
        for found in error.errors()
        # A field that nobody knows is no mistake in its value.
        if found["type"] != "extra_forbidden"
        for part in found["loc"]
        if isinstance(part, str)
    ]
    code = next((_FIELD_CODES[f] for f in fields if f in _FIELD_CODES), "invalid_request")
    detail = "; ".join(f"{e['field'] or 'body'}: {e['message']}" for e in errors[:3])
    return problem(422, code, detail[:500], {"errors": errors})
