"""The web application: the API under /v1, health, and the pages where they are mounted."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response
from starlette.concurrency import run_in_threadpool

from gateway import problems
from gateway.auth.dependencies import KeyRing
from gateway.dependencies import TheGateway
from gateway.errors import GatewayError
from gateway.members import endpoints as members
from gateway.merchants import endpoints as merchants
from gateway.orders import endpoints as orders
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
        docs_url="/docs",
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.state.gateway = gateway
    app.state.key_ring = KeyRing(gateway.database)
    app.add_middleware(BodyLimit)
    problems.install(app)
    for router in (health, orders.router, members.router, merchants.router, *pages):
        app.include_router(router)
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
