"""Members over HTTP."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from gateway.answering import answer_once
from gateway.auth.dependencies import (
    Key,
    MayGiveMemberKeys,
    MayListMembers,
    MayMakeMembers,
    MayReadMembers,
)
from gateway.auth.keys import Role
from gateway.auth.schemas import ApiKeyBody, NewMemberKey
from gateway.cursors import Page
from gateway.dependencies import Cursor, TheGateway
from gateway.idempotency import Answer
from gateway.members.schemas import (
    BalanceBody,
    EpochBody,
    HistoryBody,
    HistoryLineBody,
    MemberBody,
    MemberPage,
    NewMember,
)
from gateway.members.service import EXTERNAL_ID_LENGTH_MAX
from gateway.model import Member
from gateway.strict import StrictRoute
from indexer.queries import HistoryPage

router = APIRouter(prefix="/v1/members", tags=["members"], route_class=StrictRoute)


@router.post("", status_code=201, response_model=MemberBody, summary="A member, made or found")
async def create(
    body: NewMember, request: Request, who: MayMakeMembers, key: Key, gateway: TheGateway
) -> Response:
    """The member with this external id; a new one gets a wallet and joins the network.

    An external id names one member of the whole network, so asking again is harmless.
    """

    room = gateway.members_room

    def opened(run: Callable[[], Answer]) -> Answer:
        room.open_wallets()
        return run()

    def act(connection: Connection, now: int) -> Answer:
        found = room.ensure_in(connection, [body.external_id], who.key_id, now)
        return Answer(201, _shown(found[body.external_id]).model_dump())

    return await answer_once(gateway, who, key, request, act, around=opened)


@router.get("", summary="Members, newest first")
async def list_members(
    request: Request,
    who: MayListMembers,
    gateway: TheGateway,
    external_id: Annotated[str | None, Query(max_length=EXTERNAL_ID_LENGTH_MAX)] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> MemberPage:
    """All members, or the one of an external id."""

    def read() -> MemberPage:
        found, next_cursor = gateway.cursors.turn(
            cursor,
            request.scope["path"],
            who.tenant,
            lambda from_: gateway.members_room.page(external_id, from_, limit),
        )
        return MemberPage(members=[_shown(member) for member in found], next_cursor=next_cursor)

    return await run_in_threadpool(read)


@router.post(
    "/{member_id}/api-keys",
    status_code=201,
    response_model=ApiKeyBody,
    summary="A short-lived key of a member",
)
async def new_key(
    member_id: str,
    body: NewMemberKey,
    request: Request,
    who: MayGiveMemberKeys,
    key: Key,
    gateway: TheGateway,
) -> Response:
    """For the operator's wallet service, once the member has shown who it is. The key sees and
    moves this member's points alone, and ends by itself.
    """

    def act(connection: Connection, now: int) -> Answer:
        key_id, text, ends = gateway.members_room.new_key_in(
            connection, member_id, body.lives_s, who.key_id, now
        )
        shown = ApiKeyBody(
            id=key_id, role="member", member=member_id, expires_at=ends, api_key=text
        )
        return Answer(201, shown.model_dump())

    return await answer_once(gateway, who, key, request, act)


@router.get("/{member_id}", summary="One member")
async def get(member_id: str, who: MayReadMembers, gateway: TheGateway) -> MemberBody:
    """The member with this id."""
    who.check_member(member_id)
    return _shown(await run_in_threadpool(gateway.member, member_id))


@router.get("/{member_id}/balance", summary="What a member holds")
async def balance(member_id: str, who: MayReadMembers, gateway: TheGateway) -> BalanceBody:
    """Live points, what of them is free, and when they expire."""
    who.check_member(member_id)
    found = await run_in_threadpool(gateway.members_room.balance, member_id, gateway.books)
    return BalanceBody(
        member=member_id,
        points=found.points,
        available=found.available,
        by_epoch=[
            EpochBody(epoch=e.epoch, points=e.points, expires_at=e.expires_at)
            for e in found.by_epoch
        ],
        as_of_block=found.as_of_block,
        as_of_time=found.as_of_time,
    )


@router.get("/{member_id}/history", summary="How it came to be")
async def history(
    member_id: str,
    request: Request,
    who: MayReadMembers,
    gateway: TheGateway,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> HistoryBody:
    """Movements, newest first. A merchant sees which of them were its own, of others only that
    they were.
    """
    who.check_member(member_id)
    sees_all = who.role in (Role.OPERATOR, Role.MEMBER)

    def read() -> HistoryBody:
        member = gateway.member(member_id)

        def page(from_: str | None) -> Page[HistoryPage]:
            history = gateway.books.history(member.address, from_, limit)
            return history, history.next_cursor

        path = request.scope["path"]
        found, next_cursor = gateway.cursors.turn(cursor, path, who.tenant, page)
        names = {m.number: m.id for m in gateway.merchants()}
        lines = [
            HistoryLineBody(
                kind=line.kind,
                points=line.points,
                merchant=names.get(line.merchant)
                if line.merchant is not None and (sees_all or line.merchant == who.tenant)
                else None,
                at=line.time,
                block=line.block,
            )
            for line in found.lines
        ]
        return HistoryBody(
            lines=lines,
            next_cursor=next_cursor,
            as_of_block=found.as_of_block,
        )

    return await run_in_threadpool(read)


def _shown(member: Member) -> MemberBody:
    return MemberBody(id=member.id, external_id=member.external_id, joined=member.joined)
