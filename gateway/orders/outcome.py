"""The outcome of an order for who waits for it: `Prefer: wait=N`."""

import asyncio
import time
from typing import Any, Final

import orjson
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.auth.dependencies import Principal
from gateway.model import OrderState
from gateway.orders import repository
from gateway.service import Gateway

ACCEPTED: Final = 202

WAIT_MAX_S: Final = 30.0
"""A till does not wait longer, and a connection is not kept open for nothing."""
WAIT_POLL_S: Final = 0.1


async def ended_if_wanted(
    gateway: Gateway, order_id: str, who: Principal, request: Request
) -> Response | None:
    """The order once it has ended, where `Prefer: wait` asks for that and it does in time."""
    if "prefer" not in request.headers:
        return None
    wait_s = wanted_wait_s(",".join(request.headers.getlist("prefer")))
    ended = await _ended(gateway, order_id, who, wait_s) if wait_s else None
    return None if ended is None else json_answer(ended, 200)


def wanted_wait_s(prefer: str) -> float:
    """Seconds that `Prefer: wait=N` asks for (RFC 7240), at most WAIT_MAX_S; 0: none."""
    for part in prefer.split(","):
        name, _, value = part.partition(";")[0].partition("=")
        digits = value.strip(' \t"')
        if name.strip().lower() == "wait" and digits.isascii() and digits.isdecimal():
            return min(float(digits[:6]), WAIT_MAX_S)
    return 0.0


async def _ended(
    gateway: Gateway, order_id: str, who: Principal, wait_s: float
) -> dict[str, Any] | None:
    """The order once it is final or failed; None when the wait is over before that."""

    def read() -> dict[str, Any]:
        with gateway.database.read() as connection:
            return repository.find(connection, order_id, who.tenant)

    until = time.monotonic() + wait_s
    while time.monotonic() < until and not gateway.stopping.is_set():
        found = await run_in_threadpool(read)
        if found["state"] in (OrderState.FINAL.value, OrderState.FAILED.value):
            return found
        await asyncio.sleep(WAIT_POLL_S)
    return None


def json_answer(content: Any, status: int = ACCEPTED) -> Response:
    """The content as it is, unchecked: it was made here."""
    return Response(orjson.dumps(content), status, media_type="application/json")
