"""Refunds, returns, withdrawals and cancellations over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool

from gateway.answering import answer_once
from gateway.auth.dependencies import Key, MayCancel, MayReverse, MayWithdraw
from gateway.dependencies import TheGateway
from gateway.idempotency import Answer
from gateway.model import POINTS_MAX, NewReversal, NewWithdrawal, OrderKind, OrderState
from gateway.orders import repository
from gateway.orders.cancel import cancel
from gateway.orders.endpoints import accept_one, merchant_of
from gateway.orders.outcome import ACCEPTED, ended_if_wanted
from gateway.orders.reversals import ReturnQuote, Reversals
from gateway.orders.schemas import (
    ENDED,
    NewRefund,
    NewReturn,
    NewWithdrawalBody,
    OrderBody,
    QuoteBody,
)
from gateway.service import Gateway
from gateway.strict import StrictRoute
from gateway.tables import members

router = APIRouter(prefix="/v1", tags=["orders"], route_class=StrictRoute)


@router.post(
    "/refunds",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Refund points",
)
async def refund(
    body: NewRefund, request: Request, who: MayReverse, key: Key, gateway: TheGateway
) -> Response:
    """Gives points of a redemption back to the member, into the epochs they were taken from.

    The merchant gives back what it was paid for them. Points whose epoch has expired meanwhile are
    refused (`epoch_expired`, with how many can go back); the merchant may issue fresh ones instead.
    """
    merchant = await merchant_of(gateway, who)
    target = await run_in_threadpool(_order, gateway, body.redemption, who.tenant)
    line = NewReversal(
        OrderKind.REFUND,
        target["member"] or "",
        body.points,
        body.reference,
        merchant.id,
        of=body.redemption,
    )
    return await accept_one(gateway, who, key, request, line)


@router.post(
    "/returns",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Goods came back",
)
async def return_(
    body: NewReturn, request: Request, who: MayReverse, key: Key, gateway: TheGateway
) -> Response:
    """Takes back what a purchase earned, as far as the member still has it.

    Ask for the quote first: it names the shortfall, points that were spent or given away. The till
    takes their worth from the cash it pays. The answer's `points` are what is taken back, its
    `shortfall` what is missing; it is never more than the body's.
    """
    merchant = await merchant_of(gateway, who)
    target = await run_in_threadpool(_order, gateway, body.issue, who.tenant)
    line = NewReversal(
        OrderKind.RETURN,
        target["member"] or "",
        body.points_under(merchant.earn_rule),
        body.reference,
        merchant.id,
        of=body.issue,
        shortfall=body.shortfall,
    )
    return await accept_one(gateway, who, key, request, line)


@router.get("/orders/{order_id}/return-quote", summary="What a return would do")
async def quote(
    order_id: str,
    who: MayReverse,
    gateway: TheGateway,
    points: Annotated[int, Query(ge=1, le=POINTS_MAX)],
) -> QuoteBody:
    """What of the points that a purchase earned would come back now, and what is missing."""
    found = await run_in_threadpool(_quote, gateway, order_id, points, who.tenant)
    return QuoteBody(
        issue=order_id,
        points=found.points,
        returnable=found.returnable,
        shortfall=found.shortfall,
        spent=found.spent,
        over_cap=found.over_cap,
        shortfall_amount=found.shortfall * gateway.books.face_value,
        epoch=found.window.epoch,
        window_ends_at=found.window.ends_at,
    )


@router.post(
    "/orders/{order_id}/cancel",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Cancel",
)
async def cancel_order(
    order_id: str, request: Request, who: MayCancel, key: Key, gateway: TheGateway
) -> Response:
    """Takes an order back that has not taken effect.

    While it is not signed it fails at once (200). Later its nonce is used up on chain; until that
    is final the order may still win, so read it again (202, `cancel_asked_at` is set).
    """

    def act(connection: Connection, now: int) -> Answer:
        database = gateway.database
        cancel(database, connection, order_id, tenant=who.tenant, actor=who.key_id, now=now)
        found = repository.find(connection, order_id, who.tenant)
        return Answer(200 if found["state"] == OrderState.FAILED.value else ACCEPTED, found)

    answer = await answer_once(gateway, who, key, request, act, settles=True)
    if answer.status_code != ACCEPTED:
        return answer
    return await ended_if_wanted(gateway, order_id, who, request) or answer


@router.post(
    "/merchants/me/withdrawals",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Withdraw money",
)
async def withdraw(
    body: NewWithdrawalBody, request: Request, who: MayWithdraw, key: Key, gateway: TheGateway
) -> Response:
    """Pays out of the merchant's position to its owner's account; credit is never paid out."""
    merchant = await merchant_of(gateway, who)
    line = NewWithdrawal(OrderKind.WITHDRAW, "", 0, body.reference, merchant.id, amount=body.amount)
    return await accept_one(gateway, who, key, request, line)


def _order(gateway: Gateway, order_id: str, tenant: int) -> dict[str, Any]:
    with gateway.database.read() as connection:
        return repository.find(connection, order_id, tenant)


def _quote(gateway: Gateway, order_id: str, points: int, tenant: int) -> ReturnQuote:
    merchant = gateway.merchants_room.remembered(tenant) or gateway.merchants_room.by_number(tenant)
    line = NewReversal(OrderKind.RETURN, "", points, "quote", merchant.id, of=order_id)
    with gateway.database.read() as connection:
        reversals = Reversals(gateway.database, connection, gateway.books, gateway.clock.now())
        member_id = reversals.target(line, tenant, locked=False).member_id
        query = select(members.c.address, members.c.held).where(members.c.id == member_id)
        member = connection.execute(query).one()
        return reversals.quote(line, tenant, bytes(member.address), member.held)[0]
