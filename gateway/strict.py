"""Bodies read strictly: bounded, plain JSON, no key twice, no NaN, no depth without end."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import requested
from gateway.auth.dependencies import known
from gateway.errors import InvalidRequest
from gateway.problems import problem

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""10,000 bulk lines of 400 bytes; what is larger is a file and belongs into `banyan import`."""
DEPTH_MAX: Final = 8
"""No body of ours nests deeper than five."""
OBJECTS_MAX: Final = 100_000
"""10,000 bulk lines with a purchase each are a fifth of this; millions of them in 4 MB would keep
the event loop for seconds.
"""


class BodyInvalid(InvalidRequest):
    """The body is no JSON, or holds what JSON should not."""

    code = "body_invalid"
    status = 400


class StrictRequest(Request):
    """A request whose `json()` refuses what other readers would quietly mend."""

    _parsed: Any = None

    async def body(self) -> bytes:
        """The whole body. Nearly always it comes in one piece, for which the framework's way of
        streaming is long.
        """
        if not hasattr(self, "_body"):
            pieces, more = [], True
            while more:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._stream_consumed = True
            self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._body

    async def json(self) -> Any:
        """The body, read once. Raises BodyInvalid."""
        if self._parsed is None:
            self._parsed = parse(await self.body())
        return self._parsed


class StrictRoute(APIRoute):
    """Routes that read bodies and addresses strictly."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler, with a strict request in its hand."""
        handler = super().get_route_handler()
        names = dict(requested.query_names(self.dependant))

        async def strict(request: Request) -> Response:
            # Before a byte of the body is read: who is nobody costs nothing more.
            await known(request)
            requested.check_media_type(request)
            requested.check_query(request, names)
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def parse(body: bytes) -> Any:
    """JSON without NaN, doubled keys, deep nesting or NUL. Raises BodyInvalid."""
    try:
        text = body.decode()
        inside = text.count("[") + text.count("{")
        if inside > OBJECTS_MAX:
            raise BodyInvalid(f"the body holds more than {OBJECTS_MAX} lists and objects")
        parsed = _DECODER.decode(text)
        if inside > DEPTH_MAX and type(parsed) in (dict, list) and _deeper(parsed, DEPTH_MAX):
            raise BodyInvalid(f"the body nests deeper than {DEPTH_MAX}")
    except UnicodeDecodeError as error:
        raise BodyInvalid("the body is not UTF-8") from error
    except BodyInvalid:
        raise
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BodyInvalid(f"the body is not JSON: {error.msg} at {where}") from error
    except (ValueError, RecursionError) as error:
        raise BodyInvalid("the body is not JSON") from error
    if "\\u0000" in text or "\\ud" in text.lower():
        _no_odd_text(parsed)
    return parsed


def body_hash(path: str, parsed: Any) -> bytes:
    """What an idempotency key is bound to: the path and the content, whatever its spacing."""
    try:
        content = orjson.dumps(parsed, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # A number of more than 64 bits, where a body was sent that nobody reads.
        content = json.dumps(parsed, sort_keys=True).encode()
    return hashlib.sha256(path.encode() + b"\0" + content).digest()


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyInvalid("the body names a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise BodyInvalid(f"{name} is no number in JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_no_key_twice, parse_constant=_no_constant)


def _deeper(value: Any, left: int) -> bool:
    """Whether lists and objects stand deeper in one another than `left`."""
    inner = value.values() if type(value) is dict else value
    for each in inner:
        if type(each) in (dict, list) and (left == 1 or _deeper(each, left - 1)):
            return True
    return False


def _no_odd_text(value: Any) -> None:
    """NUL and lone surrogates cannot be stored as text everywhere; no name needs them."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise BodyInvalid("the body holds a character that is no text")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _no_odd_text(key)
            _no_odd_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _no_odd_text(inner)


class BodyLimit:
    """Stops a body at its limit, whatever its length header says; refuses compressed ones."""

    def __init__(self, app: ASGIApp, most: int = BODY_BYTES_MAX) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            # PostgreSQL keeps no NUL in text, and nothing of ours is named with one.
            response = problem(400, "body_invalid", "NUL is no text")
            await response(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"").lower() not in (b"", b"identity"):
            # A gzip bomb is refused before the first byte of it is unpacked.
            response = problem(
                415,
                "body_encoded",
                "send the body as it is, not compressed",
                headers={"accept-encoding": "identity"},
            )
            await response(scope, receive, send)
            return
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self._most):
            await self._too_large()(scope, receive, send)
            return
        # Of a body with a length the server reads no byte more; without one it is counted.
        chunked = b"transfer-encoding" in headers or length is None
        await self._app(scope, self._counting(receive) if chunked else receive, send)

    def _too_large(self) -> Response:
        detail = f"a body has at most {self._most} bytes"
        return problem(413, "body_too_large", detail, headers={"connection": "close"})

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise BodyTooLarge(f"a body has at most {self._most} bytes")
            return message

        return counted


class BodyTooLarge(InvalidRequest):
    """A chunked body went over the limit."""

    code = "body_too_large"
    status = 413
