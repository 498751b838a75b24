"""The web application: the API under /v1, health, and the pages where they are mounted."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway import openapi, problems
from gateway.auth import endpoints as keys
from gateway.auth.dependencies import KeyRing, MayReadMetrics
from gateway.auth.limits import Rate, RateLimits
from gateway.express import Express
from gateway.gate import Gated
from gateway.members import endpoints as members
from gateway.merchants import endpoints as merchants
from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.model import LINES_MAX
from gateway.observe import requests
from gateway.observe.readiness import OK, Kept
from gateway.orders import endpoints as orders
from gateway.orders import reversal_endpoints as reversals
from gateway.service import Gateway
from gateway.strict import BodyLimit
from gateway.webhooks import endpoints as webhooks

DESCRIPTION = """
Merchants issue and honour points; members hold them; everything ends up on a ledger that anybody
can check.

Every request carries an API key (`Authorization: Bearer bnk_...`). Every POST carries an
`Idempotency-Key` that you make and keep before sending: after a time-out repeat the request with
the same key. An order is *accepted* at once and carried out within moments; read it again until
its state is `final`, or ask with `Prefer: wait=10`.

Bodies are JSON in UTF-8 and strict: no unknown fields, `1.0` and `true` are no whole numbers. Money
(positions, deposits, withdrawals, `shortfall_amount`) is in whole units of the settlement asset,
which has six decimals: 1500.00 is 1500000000. What a customer pays is a decimal as text. Times are
unix seconds. Every refusal is a problem document (RFC 9457): go by its `code`. Every answer carries
an `X-Request-ID`; tell the operator that one when something is wrong.
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
        # A path has one spelling. The other would be answered with a redirect to wherever the Host
        # header says, and a POST sent there.
        redirect_slashes=False,
    )
    app.state.gateway = gateway
    app.state.key_ring = KeyRing(gateway.database, *_limits_of(gateway))
    app.state.metrics = Metrics(gateway)
    app.state.readiness = Kept(gateway)
    app.add_middleware(BodyLimit)
    app.add_middleware(Gated, gate=gateway.gate)
    requests.install(app, app.state.metrics)
    problems.install(app)
    openapi.install(app)
    for router in (
        health,
        orders.router,
        reversals.router,
        members.router,
        merchants.router,
        webhooks.router,
        keys.router,
        *pages,
    ):
        app.include_router(router)
    app.router.routes.insert(0, Express(orders.router.routes))
    return app


def _limits_of(gateway: Gateway) -> tuple[RateLimits, RateLimits]:
    """Of requests, and of lines of bulk requests."""

    def rate(per_s: float, least: float = 1) -> Rate:
        return Rate(per_s, max(2 * per_s, least))

    settings, database = gateway.settings, gateway.database
    # The largest bulk passes a key that has rested, however few lines a second it may send.
    lines = rate(settings.bulk_lines_per_s, LINES_MAX)
    return (
        RateLimits(database, rate(settings.requests_per_s), rate(settings.member_requests_per_s)),
        RateLimits(database, lines, lines),
    )


@health.head("/healthz", include_in_schema=False)
@health.get("/healthz", summary="Alive?")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@health.head("/readyz", include_in_schema=False)
@health.get(
    "/readyz",
    summary="Ready?",
    responses={503: {"description": "A part does not say `ok`; its sentence says why."}},
)
async def readyz(request: Request, response: Response) -> dict[str, str]:
    """Whether orders can be accepted and carried out now, and if not, what is missing."""
    state: dict[str, str] = await run_in_threadpool(request.app.state.readiness)
    if any(value != OK for value in state.values()):
        response.status_code = 503
    return state


@health.get("/metrics", summary="For Prometheus")
async def metrics(_who: MayReadMetrics, request: Request) -> Response:
    """Queue depth and age, slots, lag, requests; with an operator's key as bearer token."""
    text = await run_in_threadpool(request.app.state.metrics.text)
    return Response(text, media_type=CONTENT_TYPE)
