"""What to do with an answer, or with none: shared by the two doors.

`exchange` is a generator that says what it wants (send, or wait) and is told what came of it; the
doors do it, one by blocking and one by awaiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import httpx
import orjson

from wallet_sdk.client.operations import Operation
from wallet_sdk.client.outbox import Outbox
from wallet_sdk.errors import GatewayRefused, GatewayUnavailable

T = TypeVar("T")

TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 30.0
"""How long one call goes on repeating before it leaves the rest to the caller."""
POLL_S: Final = 0.25
"""Between two looks at an order; the embedded chain takes about so long for one."""
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 5.0

_STILL_RUNNING: Final = "idempotency_key_in_use"
# The API key was refused before the idempotency key was looked at: an earlier attempt, made while
# the API key was good, may have taken effect.
_UNAUTHENTICATED: Final = 401
_NO_CONTENT: Final = 204


@dataclass(frozen=True, slots=True)
class Send:
    """The door sends this and answers with a response or what httpx raised."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Wait:
    """The door waits so long."""

    seconds: float


Outcome: TypeAlias = httpx.Response | httpx.HTTPError | httpx.InvalidURL | None
Exchange: TypeAlias = Generator[Send | Wait, Outcome, T]


def exchange(operation: Operation[T], outbox: Outbox, patience_s: float) -> Exchange[T]:
    """Carries one operation out, repeating under the same key while the outcome is unknown.

    Raises GatewayRefused, or GatewayUnavailable when patience ended; then the request is still in
    the outbox.
    """
    if operation.pending is not None:
        outbox.keep(operation.pending)
    until = time.monotonic() + patience_s
    pause = _FIRST_WAIT_S
    while True:
        outcome = yield _request(operation)
        try:
            answer = _read(operation, outcome)
        except GatewayUnavailable as unknown:
            # Jitter keeps a row of tills from knocking in step after an outage.
            wait = unknown.retry_after_s or pause * random.uniform(0.5, 1.0)
            if time.monotonic() + wait > until:
                raise
            yield Wait(wait)
            pause = min(2 * pause, _LONGEST_WAIT_S)
            continue
        except GatewayRefused as refusal:
            if operation.key is not None and refusal.status != _UNAUTHENTICATED:
                outbox.let_go(operation.key)
            raise
        if operation.key is not None:
            outbox.let_go(operation.key)
        return answer


def _request(operation: Operation[Any]) -> Send:
    headers = {"accept": "application/json"}
    content = None
    if operation.pending is not None:
        headers["idempotency-key"] = operation.pending.key
        headers["content-type"] = "application/json"
        content = operation.pending.body
    elif operation.body is not None:
        headers["content-type"] = "application/json"
        content = operation.body
    return Send(operation.method, operation.path, dict(operation.query), headers, content)


def _read(operation: Operation[T], outcome: Outcome) -> T:
    def unknown(message: str, response: httpx.Response | None = None) -> GatewayUnavailable:
        return GatewayUnavailable(
            f"{operation.method} {operation.path}: {message}",
            idempotency_key=operation.key,
            status=None if response is None else response.status_code,
            retry_after_s=None if response is None else _retry_after_s(response),
        )

    if not isinstance(outcome, httpx.Response):
        raise unknown("no answer in time" if _timed_out(outcome) else "no connection") from outcome
    status = outcome.status_code
    body = _json(outcome)
    if status >= 500 or status in (408, 429):
        raise unknown(f"HTTP {status}", outcome)
    if status == _NO_CONTENT:
        return operation.read(None)
    if body is None:
        raise unknown(f"HTTP {status} without JSON", outcome)
    if 200 <= status < 300:
        try:
            return operation.read(body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise unknown(f"an answer that lacks {error}", outcome) from error
    code = body.get("code") if isinstance(body, dict) else None
    if status < 400 or not isinstance(body, dict) or not isinstance(code, str):
        # Somebody in between answered, not the gateway.
        raise unknown(f"HTTP {status} without a problem's code", outcome)
    if code == _STILL_RUNNING:
        raise unknown("the first request under this key is still running", outcome)
    detail = body.get("detail") or body.get("title") or code
    raise GatewayRefused(code, str(detail), status=status, problem=body)


def _timed_out(outcome: Outcome) -> bool:
    return isinstance(outcome, httpx.TimeoutException)


def _json(response: httpx.Response) -> object:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def _retry_after_s(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def client_options(base_url: str, api_key: str, timeout_s: float) -> dict[str, Any]:
    """What both doors give to httpx. No proxy is taken from the environment."""
    return {
        "base_url": base_url,
        "timeout": timeout_s,
        "trust_env": False,
        "headers": {"authorization": f"Bearer {api_key}"},
    }
