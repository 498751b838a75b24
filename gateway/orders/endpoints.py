"""Orders over HTTP. Endpoints translate; what is accepted is decided in `decide`."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.auth.dependencies import (
    Key,
    KeyRing,
    MayIssue,
    MayReadOrders,
    MayReadRefusals,
    MayRedeem,
    MayTransfer,
    Principal,
)
from gateway.codes import STATE_CODES
from gateway.dependencies import Cursor, TheGateway
from gateway.errors import PurchaseInvalid
from gateway.model import (
    Accepted,
    Merchant,
    NewOrder,
    NewReversal,
    NewWithdrawal,
    OrderKind,
    OrderState,
    Refused,
)
from gateway.observe.requests import ORDERS
from gateway.orders import repository
from gateway.orders.answers import Answer
from gateway.orders.outcome import ACCEPTED, ended_if_wanted, json_answer
from gateway.orders.refusals import problem_of, refusal_line
from gateway.orders.schemas import (
    ENDED,
    BulkBody,
    NewIssuance,
    NewIssuances,
    NewRedemption,
    NewTransfer,
    OrderBody,
    OrderPage,
    RefusalPage,
)
from gateway.service import Gateway
from gateway.strict import StrictRoute, body_hash

router = APIRouter(prefix="/v1", tags=["orders"], route_class=StrictRoute)


@router.post(
    "/issuances",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Issue points",
)
async def issue(
    body: NewIssuance, request: Request, who: MayIssue, key: Key, gateway: TheGateway
) -> Response:
    """Accepts an issue of points to a member; it is carried out within moments.

    The merchant's position must cover it. Repeat a request whose answer you missed with the same
    `Idempotency-Key`: you get the same answer, and nothing happens twice. With `Prefer: wait=10`
    the answer comes when the order is final (200), or after ten seconds as usual (202).
    """
    merchant = await merchant_of(gateway, who)
    line = _issue_line(merchant, body, body.points_under(merchant.earn_rule))
    return await accept_one(gateway, who, key, request, line)


@router.post("/issuances/bulk", status_code=ACCEPTED, response_model=BulkBody, summary="Issue many")
async def issue_many(
    body: NewIssuances, request: Request, who: MayIssue, key: Key, gateway: TheGateway
) -> Response:
    """Up to 10,000 issues in one commit. Each line is accepted or refused for itself."""
    ring: KeyRing = request.app.state.key_ring
    await ring.count_lines(who, len(body.lines))
    merchant = await merchant_of(gateway, who)
    lines = [_bulk_line(merchant, asked) for asked in body.lines]
    given = await _accept(gateway, who, key, request, lines)
    shown = [
        accepted_body(line, answer) if isinstance(answer, Accepted) else refusal_line(answer)
        for line, answer in zip(lines, given, strict=True)
    ]
    accepted = sum(isinstance(answer, Accepted) for answer in given)
    return json_answer({"accepted": accepted, "refused": len(given) - accepted, "lines": shown})


@router.post(
    "/redemptions",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Redeem points",
)
async def redeem(
    body: NewRedemption, request: Request, who: MayRedeem, key: Key, gateway: TheGateway
) -> Response:
    """Accepts that a member spends points with the merchant; the member's balance must reach."""
    merchant = await merchant_of(gateway, who)
    line = NewOrder(OrderKind.REDEEM, body.member, body.points, body.reference, merchant.id)
    return await accept_one(gateway, who, key, request, line)


@router.post(
    "/transfers",
    status_code=ACCEPTED,
    response_model=OrderBody,
    responses=ENDED,
    summary="Transfer points",
)
async def transfer(
    body: NewTransfer, request: Request, who: MayTransfer, key: Key, gateway: TheGateway
) -> Response:
    """Accepts that a member gives points to another: asked by the member itself, or by the
    operator's wallet service. A merchant cannot speak for a member.
    """
    who.check_member(body.from_)
    line = NewOrder(OrderKind.TRANSFER, body.from_, body.points, body.reference, to_member=body.to)
    return await accept_one(gateway, who, key, request, line)


@router.get("/orders/{order_id}", response_model=OrderBody, summary="One order")
async def get_order(order_id: str, who: MayReadOrders, gateway: TheGateway) -> Response:
    """The order as it stands now."""

    def read() -> dict[str, Any]:
        with gateway.database.read() as connection:
            return repository.find(connection, order_id, who.tenant)

    return json_answer(await run_in_threadpool(read), 200)


@router.get("/orders", response_model=OrderPage, summary="Orders, newest first")
async def list_orders(
    request: Request,
    who: MayReadOrders,
    gateway: TheGateway,
    state: OrderState | None = None,
    reference: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=repository.PAGE_MAX)] = 50,
) -> Response:
    """A merchant sees its own orders, a member those that it is charged for, the network all."""

    def read() -> dict[str, Any]:
        states = [] if state is None else [STATE_CODES[state].value]
        with gateway.database.read() as connection:
            found, next_cursor = gateway.cursors.turn(
                cursor,
                request.scope["path"],
                who.tenant,
                lambda from_: repository.page(
                    connection,
                    who.tenant,
                    states=states,
                    reference=reference,
                    cursor=from_,
                    limit=limit,
                ),
            )
        return {"orders": found, "next_cursor": next_cursor}

    return json_answer(await run_in_threadpool(read), 200)


@router.get("/refusals", response_model=RefusalPage, summary="Refused wishes, newest first")
async def list_refusals(
    request: Request,
    who: MayReadRefusals,
    gateway: TheGateway,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=repository.PAGE_MAX)] = 50,
) -> Response:
    """What was refused as things stood: too little balance, credit, or a merchant not active."""

    def read() -> dict[str, Any]:
        with gateway.database.read() as connection:
            found, next_cursor = gateway.cursors.turn(
                cursor,
                request.scope["path"],
                who.tenant,
                lambda from_: repository.refused_page(connection, who.tenant, from_, limit),
            )
        return {"refusals": found, "next_cursor": next_cursor}

    return json_answer(await run_in_threadpool(read), 200)


async def merchant_of(gateway: Gateway, who: Principal) -> Merchant:
    """The merchant that asks."""
    room = gateway.merchants_room
    known = room.remembered(who.tenant)
    return known if known is not None else await run_in_threadpool(room.by_number, who.tenant)


def _issue_line(merchant: Merchant, asked: NewIssuance, points: int) -> NewOrder:
    return NewOrder(OrderKind.ISSUE, asked.member, points, asked.reference, merchant.id)


def _bulk_line(merchant: Merchant, asked: NewIssuance) -> NewOrder:
    """A line of a bulk; one whose purchase earns nothing is refused in its place."""
    try:
        return _issue_line(merchant, asked, asked.points_under(merchant.earn_rule))
    except PurchaseInvalid as refusal:
        return replace(_issue_line(merchant, asked, 0), unearned=refusal.message)


async def _accept(
    gateway: Gateway, who: Principal, key: str, request: Request, lines: list[NewOrder]
) -> list[Answer]:
    given = await gateway.accept(
        lines,
        tenant=who.tenant,
        actor=who.key_id,
        idempotency_key=key,
        body_hash=body_hash(request.scope["path"], await request.json()),
    )
    request.scope[ORDERS] = [a.id for a in given if isinstance(a, Accepted)]
    return given


async def accept_one(
    gateway: Gateway, who: Principal, key: str, request: Request, line: NewOrder
) -> Response:
    """The answer to one wish: the order, or the problem why not."""
    (answer,) = await _accept(gateway, who, key, request, [line])
    if isinstance(answer, Refused):
        return problem_of(answer)
    ended = await ended_if_wanted(gateway, answer.id, who, request)
    return ended or json_answer(accepted_body(line, answer))


def accepted_body(line: NewOrder, answer: Accepted) -> dict[str, Any]:
    """The order as it was accepted: the same bytes however often the request is repeated."""
    special: dict[str, Any] = {}
    if isinstance(line, NewReversal):
        special = {"of": line.of}
        if line.kind is OrderKind.RETURN:
            special["shortfall"] = line.points - answer.points
    elif isinstance(line, NewWithdrawal):
        special = {"amount": line.amount}
    return {
        "id": answer.id,
        "kind": line.kind.value,
        "state": OrderState.ACCEPTED.value,
        "merchant": line.merchant,
        "member": line.member or None,
        "to_member": line.to_member,
        "points": answer.points,
        "reference": answer.reference,
        "accepted_at": answer.accepted_at,
        "failure": None,
        "transaction": None,
        "block": None,
        **special,
    }
