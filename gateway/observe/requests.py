"""Each request: its id, its line in the log, its place in the metrics."""

import itertools
import logging
import re
import secrets
import time
from typing import Any, Final

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.metrics import Metrics

log = logging.getLogger("gateway.requests")

REQUEST_ID_HEADER: Final = "X-Request-ID"
# Of a caller's own id only what is safe in a log and a header.
_OWN_ID: Final = re.compile(r"[0-9A-Za-z._-]{8,64}")

# Asked every few seconds by machines: a line each would say nothing.
_UNTOLD: Final = ("/healthz", "/readyz", "/metrics")

_NO_STORE: Final = (b"cache-control", b"no-store")

GONE: Final = 499
"""In the log and the metrics alone: the caller went away before it was answered."""

_STRETCH: Final = secrets.token_hex(10)
_NUMBERS: Final = itertools.count(1)

ORDERS: Final = "banyan.orders"
"""Where an endpoint leaves the ids of the orders that a request made, in its scope."""


class Measured:
    """Counts requests, times answers and logs a line, by the route's pattern: ids never become
    labels.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Nothing was answered: whoever asked went away before that.
        status, began = GONE, time.perf_counter()
        is_api = scope["path"].startswith("/v1/")

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if is_api and all(name != b"cache-control" for name, _ in message["headers"]):
                    # Balances, keys and secrets are for who asked, and for nobody's cache.
                    message["headers"] = [*message["headers"], _NO_STORE]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            # In the middle of a body; nobody hears an answer, and nothing is broken here.
            pass
        except Exception:
            status = 500
            raise
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            took_s = time.perf_counter() - began
            self._metrics.requests.labels(route, scope["method"], status).inc()
            self._metrics.request_seconds.labels(route).observe(took_s)
            if route not in _UNTOLD and log.isEnabledFor(logging.INFO):
                log.info("request", extra=_told(scope, route, status, took_s))


def _told(scope: Scope, route: str, status: int, took_s: float) -> dict[str, Any]:
    told = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "ms": round(took_s * 1000, 1),
    }
    # The id of the API key, never the key.
    key = scope.get("state", {}).get("key_id")
    if key is not None:
        told["key"] = key
    made = scope.get(ORDERS)
    if made:
        told |= {"orders": made[:50], "order_count": len(made)}
    return told


def install(app: FastAPI, metrics: Metrics) -> None:
    """Puts both around `app`; the id outermost, so that everything inside knows it."""
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(
        CorrelationIdMiddleware,
        header_name=REQUEST_ID_HEADER,
        generator=_new_id,
        validator=_is_id,
        update_request_header=False,
    )


def _new_id() -> str:
    """Unlike any other, not secret: a stretch of this process's own and a count, so that a request
    asks the system for nothing.
    """
    return f"{_STRETCH}{next(_NUMBERS):012x}"


def _is_id(text: str) -> bool:
    return _OWN_ID.fullmatch(text) is not None
