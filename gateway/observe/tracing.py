"""Traces, where they are wanted (the extra `otel`, off by default): accept, seal, send, include.

An order's trace is named by the order: the 16 bytes of its public id are the trace id. So every
process finds the same trace without anything being handed on, and who has an order's id has its
trace. Requests and calls to the node have traces of their own, by OpenTelemetry's instruments.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from fastapi import FastAPI

from gateway.errors import SettingsWrong
from gateway.settings import Settings

# Spans a batch: a bulk of thousands is told by its first orders.
ORDERS_TRACED_MAX: Final = 50


class _Traces(Protocol):
    def span(self, raw_id: bytes, name: str, began: int, ended: int, values: Any) -> None:
        """One span of an order's trace; nanoseconds since 1970."""
        ...

    def instrument(self, app: FastAPI) -> None:
        """Traces the requests to `app`."""
        ...

    def close(self) -> None:
        """Sends what waits."""
        ...


_traces: _Traces | None = None


def is_on() -> bool:
    """Whether anybody wants traces: what only they need is not asked for otherwise."""
    return _traces is not None


@contextmanager
def step(name: str, orders: Callable[[], Sequence[bytes]], **values: Any) -> Iterator[None]:
    """A step in the life of `orders` (raw public ids; asked for afterwards, and only if traced)."""
    if _traces is None:
        yield
        return
    began = time.time_ns()
    yield
    ended = time.time_ns()
    for raw_id in orders()[:ORDERS_TRACED_MAX]:
        _traces.span(raw_id, name, began, ended, values)


def start(settings: Settings) -> Callable[[], None]:
    """Begins to trace where the settings name a collector; returns what ends it.

    Raises SettingsWrong: OpenTelemetry is not installed.
    """
    if settings.otel_endpoint is None:
        return lambda: None
    try:
        from gateway.observe.otel import exporting_to
    except ImportError as error:
        raise SettingsWrong(
            "BANYAN_OTEL_ENDPOINT needs OpenTelemetry: install banyan[otel]"
        ) from error
    return use(exporting_to(settings.otel_endpoint))


def instrument(app: FastAPI) -> None:
    """Traces the requests to `app`, where anybody wants traces."""
    if _traces is not None:
        _traces.instrument(app)


def use(traces: _Traces) -> Callable[[], None]:
    """Traces into `traces`; returns what ends it."""
    global _traces
    _traces = traces

    def end() -> None:
        global _traces
        _traces = None
        traces.close()

    return end
