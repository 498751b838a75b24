"""End points over HTTP, for merchants and the operator. Endpoints translate; `service` decides."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from gateway.auth.dependencies import Key, MayListen, Principal
from gateway.dependencies import Cursor, TheGateway
from gateway.idempotency import Asked
from gateway.strict import StrictRoute, body_hash
from gateway.webhooks import events, repository
from gateway.webhooks.schemas import (
    DeliveryDetail,
    DeliveryPage,
    EndpointBody,
    EndpointChange,
    EndpointList,
    EndpointWithSecret,
    NewEndpoint,
    Replay,
    Replayed,
    TestSent,
)

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"], route_class=StrictRoute)

_STATES = {word: code.value for code, word in repository.DELIVERY_STATES.items()}


@router.post("", status_code=201, summary="Register an end point")
async def create(
    body: NewEndpoint, request: Request, who: MayListen, key: Key, gateway: TheGateway
) -> EndpointWithSecret:
    """From now on what happens to your orders is POSTed there, signed (Standard Webhooks); to the
    operator's end points, incidents of the network.

    The secret is in this answer; keep it. Messages come at least once and may come out of order:
    tell repetitions by `webhook-id`, and the order of an order's events by `data.sequence`.
    """
    mask = events.mask_of(body.events, who.tenant)
    made = await run_in_threadpool(
        gateway.webhooks.create, await _asked(request, who, key), body.url, mask, body.description
    )
    return EndpointWithSecret(**_shown(made))


@router.get("", summary="All your end points")
async def list_all(who: MayListen, gateway: TheGateway) -> EndpointList:
    """The oldest first; there are at most ten. Secrets are not shown again."""
    found = await run_in_threadpool(gateway.webhooks.all_of, who.tenant)
    return EndpointList(endpoints=[EndpointBody(**_shown(row)) for row in found])


@router.get("/{endpoint_id}", summary="One end point")
async def get(endpoint_id: str, who: MayListen, gateway: TheGateway) -> EndpointBody:
    """The end point as it stands now."""
    found = await run_in_threadpool(gateway.webhooks.get, who.tenant, endpoint_id)
    return EndpointBody(**_shown(found))


@router.patch("/{endpoint_id}", summary="Change an end point")
async def change(
    endpoint_id: str, body: EndpointChange, who: MayListen, gateway: TheGateway
) -> EndpointBody:
    """Changes what the body names. What waits for the end point goes to its new URL."""
    changed = await run_in_threadpool(
        lambda: gateway.webhooks.change(
            who.tenant,
            who.key_id,
            endpoint_id,
            url=body.url,
            mask=None if body.events is None else events.mask_of(body.events, who.tenant),
            description=body.description,
            active=body.active,
        )
    )
    return EndpointBody(**_shown(changed))


@router.delete("/{endpoint_id}", status_code=204, summary="Delete an end point")
async def delete(endpoint_id: str, who: MayListen, gateway: TheGateway) -> None:
    """Its secrets, its log and what waits for it go with it."""
    await run_in_threadpool(gateway.webhooks.delete, who.tenant, who.key_id, endpoint_id)


@router.post("/{endpoint_id}/rotate-secret", summary="A fresh secret")
async def rotate(
    endpoint_id: str, request: Request, who: MayListen, key: Key, gateway: TheGateway
) -> EndpointWithSecret:
    """For a day each message carries two signatures, by the fresh secret and by the one before."""
    asked = await _asked(request, who, key)
    made = await run_in_threadpool(gateway.webhooks.rotate, asked, endpoint_id)
    return EndpointWithSecret(**_shown(made))


@router.post("/{endpoint_id}/test", status_code=202, summary="Send a test event")
async def send_test(
    endpoint_id: str, request: Request, who: MayListen, key: Key, gateway: TheGateway
) -> TestSent:
    """A `webhook.test` event, delivered like any other; look at what became of it in the log."""
    asked = await _asked(request, who, key)
    return TestSent(**await run_in_threadpool(gateway.webhooks.again.send_test, asked, endpoint_id))


@router.post("/{endpoint_id}/replay", status_code=202, summary="Send events again")
async def replay(
    endpoint_id: str, body: Replay, request: Request, who: MayListen, key: Key, gateway: TheGateway
) -> Replayed:
    """The same payloads under the same `webhook-id`: a receiver that had one ignores it.

    Of a stretch of time: the `failed` ones, the `missing` (from before the end point was there), or
    `all`; at most 10,000 in one request.
    """
    asked = await _asked(request, who, key)
    room = gateway.webhooks.again

    def again() -> dict[str, Any]:
        if body.event is not None:
            return room.replay_event(asked, endpoint_id, body.event)
        assert body.since is not None
        return room.replay(asked, endpoint_id, since=body.since, until=body.until, wanted=body.only)

    return Replayed(**await run_in_threadpool(again))


@router.get("/{endpoint_id}/deliveries", summary="The log, newest first")
async def list_deliveries(
    endpoint_id: str,
    request: Request,
    who: MayListen,
    gateway: TheGateway,
    state: Literal["pending", "delivered", "failed"] | None = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=repository.PAGE_MAX)] = 50,
) -> DeliveryPage:
    """What was sent, what waits and what was given up, for 30 days."""

    def read() -> DeliveryPage:
        wanted = None if state is None else _STATES[state]
        found, next_cursor = gateway.cursors.turn(
            cursor,
            request.scope["path"],
            who.tenant,
            lambda from_: gateway.webhooks.deliveries(
                who.tenant, endpoint_id, state=wanted, cursor=from_, limit=limit
            ),
        )
        return DeliveryPage.model_validate(
            {"deliveries": [_typed(row) for row in found], "next_cursor": next_cursor}
        )

    return await run_in_threadpool(read)


@router.get("/{endpoint_id}/deliveries/{event_id}", summary="One delivery")
async def get_delivery(
    endpoint_id: str, event_id: str, who: MayListen, gateway: TheGateway
) -> DeliveryDetail:
    """The payload, and every attempt with what the receiver answered."""
    room = gateway.webhooks
    found = await run_in_threadpool(room.delivery, who.tenant, endpoint_id, event_id)
    return DeliveryDetail.model_validate(_typed(found))


async def _asked(request: Request, who: Principal, key: str) -> Asked:
    """The key is bound to the path and the body; a POST without a body is bound to the path."""
    parsed = await request.json() if await request.body() else None
    return Asked(who.tenant, who.key_id, key, body_hash(request.scope["path"], parsed))


def _shown(endpoint: dict[str, Any]) -> dict[str, Any]:
    return endpoint | {"events": events.words(endpoint["events"])}


def _typed(delivery: dict[str, Any]) -> dict[str, Any]:
    return delivery | {"type": events.word(delivery["type"])}
