"""The OpenAPI document: what FastAPI finds in the routes, and what it cannot see there.

That is who may come in and how (a bearer key), the headers that a POST carries, and that every
refusal is a problem document with a code.
"""

import copy
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.problems import codes
from gateway.webhooks import messages

MEDIA_TYPE: Final = "application/problem+json"

_PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457. Go by `code`, never by `detail`; beside them stand the values that "
    "were wrong, by name.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:banyan:problem:balance_too_low"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {
            "type": "string",
            "examples": ["balance_too_low"],
        },
        "detail": {"type": "string"},
    },
    "additionalProperties": True,
}
_MEANINGS: Final = {
    "400": "The body is no JSON, or a POST names no `Idempotency-Key`, or something holds NUL.",
    "401": "No API key, or one that is not known.",
    "403": "The key's role or scopes do not reach this.",
    "404": "Not there, or not yours.",
    "409": "Refused as things stand.",
    "413": "The body is too large.",
    "415": "The body is compressed, or does not say that it is JSON.",
    "422": "The request can never be carried out as it stands.",
    "429": "Too many requests; `Retry-After` says when to come back.",
    "503": "Not now; repeat it under the same key. `Retry-After` says when to come back.",
}
_OF_BODIES: Final = ("413", "415")
_KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Yours, made and kept before sending; repeat the request with the same one.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[ -~]+$"},
    "example": "till-3-0042",
}
_PREFER_HEADER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N`: the answer comes when the order has ended (200), or after N seconds, "
    "at most 30, as usual (202). RFC 7240.",
    "schema": {"type": "string"},
    "example": "wait=10",
}


def install(app: FastAPI) -> None:
    """Makes `app.openapi()` give the whole document; it is put together once."""
    messages.describe(app.webhooks)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                webhooks=app.webhooks.routes,
            )
            app.openapi_schema = _completed(made)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = copy.deepcopy(_PROBLEM)
    told = f"Stable. Today: {', '.join(codes())}. There will be more."
    schemas["Problem"]["properties"]["code"]["description"] = told
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "bnk_..."}
    }
    for methods in document["webhooks"].values():
        messages.complete(methods["post"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            # Health, pages and the document itself are no part of the API proper.
            if path.startswith("/v1/"):
                _complete(operation, method)
    return document


def _complete(operation: dict[str, Any], method: str) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status, meaning in _MEANINGS.items():
        if method == "get" and status in _OF_BODIES:
            continue
        responses[status] = {
            "description": meaning,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    operation["security"] = [{"key": []}]
    if method == "post":
        operation.setdefault("parameters", []).append(_KEY_HEADER)
        if {"200", "202"} <= set(responses):
            operation["parameters"].append(_PREFER_HEADER)
