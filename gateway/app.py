"""The web application: the API under /v1, health, and the pages where they are mounted."""

import time
from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.auth.dependencies import AsOperator, KeyRing
from gateway.dependencies import TheGateway
from gateway.errors import GatewayError
from gateway.express import Express
from gateway.members import endpoints as members
from gateway.merchants import endpoints as merchants
from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.orders import endpoints as orders
from gateway.orders import reversal_endpoints as reversals
from gateway.service import Gateway
from gateway.strict import BodyLimit

DESCRIPTION = """
Merchants issue and honour points; members hold them; everything ends up on a ledger that anybody
can check.

Every request carries an API key (`Authorization: Bearer bnk_...`). Every POST carries an
`Idempotency-Key` that you make and keep before sending: after a time-out repeat the request with
the same key. An order is *accepted* at once and carried out within moments; read it again until
its state is `final`.
"""

health = APIRouter(tags=["health"])


def make_app(gateway: Gateway, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The application over a running gateway."""
    app = FastAPI(
        title="Banyan",
        version="1",
        description=DESCRIPTION,
        # The stock viewer loads its script from elsewhere: gateway.web draws /docs itself.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.gateway = gateway
    app.state.key_ring = KeyRing(gateway.database)
    app.state.metrics = Metrics(gateway)
    app.add_middleware(BodyLimit)
    app.add_middleware(Measured, metrics=app.state.metrics)
    problems.install(app)
    for router in (
        health,
        orders.router,
        reversals.router,
        members.router,
        merchants.router,
        *pages,
    ):
        app.include_router(router)
    app.router.routes.insert(0, Express(orders.router.routes))
    return app


@health.get("/healthz", summary="Alive?")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@health.get("/readyz", summary="Ready?")
async def readyz(gateway: TheGateway, response: Response) -> dict[str, str]:
    """Whether orders can be accepted and carried out now, and if not, what is missing."""
    state = await run_in_threadpool(readiness, gateway)
    if any(value != "ok" for value in state.values()):
        response.status_code = 503
    return state


@health.get("/metrics", summary="For Prometheus")
async def metrics(_who: AsOperator, request: Request) -> Response:
    """Queue depth and age, slots, lag, requests; with an operator's key as bearer token."""
    text = await run_in_threadpool(request.app.state.metrics.text)
    return Response(text, media_type=CONTENT_TYPE)


class Measured:
    """Counts requests and times answers, by the route's pattern: ids never become labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.requests.labels(route, scope["method"], status).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)


def readiness(gateway: Gateway) -> dict[str, str]:
    """Each part that accepting and relaying need, with `ok` or what is wrong."""
    state = {}
    for part, ask in (
        ("orders", gateway.relay.open_work),
        ("mirror", gateway.books.head),
        ("chain", gateway.network.head),
    ):
        try:
            state[part] = "ok" if ask() is not None else "empty"
        except GatewayError as error:
            state[part] = error.message
        except Exception as error:
            state[part] = type(error).__name__
    state["relay"] = gateway.relay.stopped_by or "ok"
    return state
