"""Answers to POSTs that are carried out once, and to their repetitions."""

from collections.abc import Callable
from functools import partial

import orjson
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from gateway.auth.dependencies import Principal
from gateway.idempotency import Act, Answer, Asked
from gateway.problems import problem
from gateway.service import Gateway
from gateway.strict import body_hash


async def answer_once(
    gateway: Gateway,
    who: Principal,
    key: str,
    request: Request,
    act: Act,
    *,
    settles: bool = False,
    around: Callable[[Callable[[], Answer]], Answer] = lambda run: run(),
) -> Response:
    """What `act` answers, or answered when the key was first used; the relay is woken.

    The key is bound to the path and the body; a POST without a body is bound to the path.
    `around` is handed what opens the transaction, and may call it again.
    """
    parsed = await request.json() if await request.body() else None
    asked = Asked(who.tenant, who.key_id, key, body_hash(request.scope["path"], parsed))
    run = partial(gateway.once.run, asked, act, settles=settles)
    answer = await run_in_threadpool(around, run)
    gateway.relay.wake()
    return response_of(answer)


def response_of(answer: Answer) -> Response:
    """The answer on its way out."""
    if answer.status >= 400:
        body = answer.body
        return problem(answer.status, body["code"], body["detail"], body["values"])
    headers = {"cache-control": "no-store"}
    content = orjson.dumps(answer.body)
    return Response(content, answer.status, headers, media_type="application/json")
