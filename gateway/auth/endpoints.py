"""API keys over HTTP: an owner keeps its merchant's, the operator the network's."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from gateway.answering import answer_once
from gateway.auth import repository
from gateway.auth.dependencies import Key, MayKeepKeys
from gateway.auth.keys import OF_MERCHANT, OF_NETWORK, Role, check_scopes
from gateway.auth.rotation import rotate_key
from gateway.auth.schemas import ApiKeyBody, KeyLine, KeyPage, KeyRevoked, NewApiKey
from gateway.dependencies import Cursor, TheGateway
from gateway.errors import InvalidRequest
from gateway.idempotency import Answer
from gateway.strict import StrictRoute

PAGE_MAX = 500

router = APIRouter(prefix="/v1/api-keys", tags=["keys"], route_class=StrictRoute)


@router.get("", summary="API keys, newest first")
async def list_keys(
    request: Request,
    who: MayKeepKeys,
    gateway: TheGateway,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
) -> KeyPage:
    """Your merchant's keys (the operator's: all but members'), without their secrets."""

    def read() -> KeyPage:
        with gateway.database.read() as connection:
            found, next_cursor = gateway.cursors.turn(
                cursor,
                request.scope["path"],
                who.tenant,
                lambda from_: repository.page(connection, who.tenant, cursor=from_, limit=limit),
            )
        return KeyPage(api_keys=[KeyLine(**line) for line in found], next_cursor=next_cursor)

    return await run_in_threadpool(read)


@router.post("", status_code=201, response_model=ApiKeyBody, summary="A fresh API key")
async def make_key(
    body: NewApiKey, request: Request, who: MayKeepKeys, key: Key, gateway: TheGateway
) -> Response:
    """Shown this once. At most two keys of a role and label are alive: the oldest is revoked.

    An owner makes keys of its own and of its tills (`cashier`), the operator keys of operators and
    auditors. No key can do more than the one that made it: without `scopes` it may do what both its
    role and its maker may.
    """
    role = Role(body.role)
    allowed = OF_MERCHANT if who.tenant else OF_NETWORK
    if role not in allowed:
        raise InvalidRequest(f"a key of role {role.value} is not yours to make")
    scopes = check_scopes(role, body.scopes, who.scopes)

    def act(connection: Connection, now: int) -> Answer:
        merchant = who.tenant or None
        key_id, text = rotate_key(connection, role, merchant, now, label=body.label, scopes=scopes)
        repository.note_new(connection, key_id, who.key_id, role, now)
        shown = ApiKeyBody(id=key_id, role=role.value, label=body.label, api_key=text)
        return Answer(201, shown.model_dump())

    return await answer_once(gateway, who, key, request, act)


@router.post("/{key_id}/revoke", response_model=KeyRevoked, summary="Revoke an API key")
async def revoke_key(
    key_id: str, request: Request, who: MayKeepKeys, key: Key, gateway: TheGateway
) -> Response:
    """The key opens nothing any more, within five seconds in every process."""

    def act(connection: Connection, now: int) -> Answer:
        repository.revoke(connection, key_id, who.tenant, who.key_id, now)
        return Answer(200, {"id": key_id, "revoked": True})

    return await answer_once(gateway, who, key, request, act)
