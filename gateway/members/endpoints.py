"""Members over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from gateway.auth.dependencies import AsAnyone, Key
from gateway.dependencies import TheGateway
from gateway.members.schemas import (
    BalanceBody,
    EpochBody,
    HistoryBody,
    HistoryLineBody,
    MemberBody,
    NewMember,
)
from gateway.model import Member
from gateway.strict import StrictRoute

router = APIRouter(prefix="/v1/members", tags=["members"], route_class=StrictRoute)


@router.post("", status_code=201, summary="A member, made or found")
async def create(body: NewMember, who: AsAnyone, _key: Key, gateway: TheGateway) -> MemberBody:
    """The member with this external id; a new one gets a wallet and joins the network.

    An external id names one member of the whole network, so asking again is harmless.
    """

    def ensure() -> Member:
        found = gateway.members_room.ensure([body.external_id], who.key_id)
        gateway.relay.wake()
        return found[body.external_id]

    return _shown(await run_in_threadpool(ensure))


@router.get("/{member_id}", summary="One member")
async def get(member_id: str, _who: AsAnyone, gateway: TheGateway) -> MemberBody:
    """The member with this id."""
    return _shown(await run_in_threadpool(gateway.member, member_id))


@router.get("/{member_id}/balance", summary="What a member holds")
async def balance(member_id: str, _who: AsAnyone, gateway: TheGateway) -> BalanceBody:
    """Live points, what of them is free, and when they expire."""
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
    who: AsAnyone,
    gateway: TheGateway,
    cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> HistoryBody:
    """Movements, newest first. A merchant sees which of them were its own, of others only that
    they were.
    """

    def read() -> HistoryBody:
        member = gateway.member(member_id)
        found = gateway.books.history(member.address, cursor, limit)
        names = {m.number: m.id for m in gateway.merchants()}
        lines = [
            HistoryLineBody(
                kind=line.kind,
                points=line.points,
                merchant=names.get(line.merchant)
                if line.merchant is not None and who.tenant in (0, line.merchant)
                else None,
                at=line.time,
                block=line.block,
            )
            for line in found.lines
        ]
        return HistoryBody(
            lines=lines, next_cursor=found.next_cursor, as_of_block=found.as_of_block
        )

    return await run_in_threadpool(read)


def _shown(member: Member) -> MemberBody:
    return MemberBody(id=member.id, external_id=member.external_id, joined=member.joined)
