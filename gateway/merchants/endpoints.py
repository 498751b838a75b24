"""Merchants over HTTP: their own view, and the operator's."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from gateway.answering import answer_once
from gateway.auth.dependencies import (
    Key,
    MayBookDeposits,
    MayGiveMerchantKeys,
    MayOnboard,
    MayReadItself,
    MayReadMerchants,
    MayReadOwnPosition,
    MayReadPositions,
)
from gateway.auth.keys import OF_MERCHANT, Role, check_scopes
from gateway.auth.schemas import ApiKeyBody, NewApiKey
from gateway.dependencies import Cursor, TheGateway
from gateway.errors import InvalidRequest
from gateway.idempotency import Answer
from gateway.merchants.schemas import (
    DepositBody,
    MerchantBody,
    MerchantPage,
    Month,
    NewDeposit,
    NewMerchantBody,
    NewRule,
    PositionBody,
    SettlementBody,
)
from gateway.merchants.settlement import settlement_of
from gateway.model import EarnRule, Merchant, NewMerchant
from gateway.service import Gateway
from gateway.strict import StrictRoute

PAGE_MAX = 500

router = APIRouter(prefix="/v1/merchants", tags=["merchants"], route_class=StrictRoute)


@router.get("/me", summary="Your own entry")
async def me(who: MayReadItself, gateway: TheGateway) -> MerchantBody:
    """The merchant that the API key belongs to."""
    return _shown(await run_in_threadpool(gateway.merchants_room.by_number, who.tenant))


@router.get("/me/position", summary="What you have with the network")
async def position(who: MayReadOwnPosition, gateway: TheGateway) -> PositionBody:
    """Deposits and redemptions less issues, and how much of it open orders hold."""
    merchant = await run_in_threadpool(gateway.merchants_room.by_number, who.tenant)
    return await run_in_threadpool(_position, gateway, merchant)


@router.get("/me/settlement", summary="Whose points you honoured, and who honoured yours")
async def settlement(
    who: MayReadOwnPosition,
    gateway: TheGateway,
    from_month: Month = None,
    to_month: Month = None,
) -> SettlementBody:
    """Points and money by the other merchant, for the months named (all, where none is)."""
    if from_month is not None and to_month is not None and from_month > to_month:
        raise InvalidRequest(f"{from_month} comes after {to_month}")
    return await run_in_threadpool(settlement_of, gateway, who.tenant, from_month, to_month)


@router.post("", status_code=202, response_model=MerchantBody, summary="Onboard a merchant")
async def onboard(
    body: NewMerchantBody, request: Request, who: MayOnboard, key: Key, gateway: TheGateway
) -> Response:
    """Registers, keys and funds a merchant; it may issue as soon as its state is `active`.

    A slug names one merchant: asking again gives the one that is there, without an API key.
    """
    rule = body.earn_rule
    wanted = NewMerchant(
        name=body.name,
        slug=body.slug,
        deposit=body.deposit,
        earn_rule=EarnRule(rule.points, rule.per_minor, rule.currency, rule.minor_digits),
        credit_limit=body.credit_limit,
    )

    onboarding = gateway.merchants_room.onboarding([wanted])

    def act(connection: Connection, now: int) -> Answer:
        (merchant,) = onboarding.act(connection, who.key_id, now)
        return Answer(202, _shown(merchant).model_dump())

    return await answer_once(gateway, who, key, request, act, around=onboarding.carried_out)


@router.get("", summary="All merchants")
async def list_all(
    request: Request,
    who: MayReadMerchants,
    gateway: TheGateway,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
) -> MerchantPage:
    """Merchants by number."""

    def read() -> MerchantPage:
        found, next_cursor = gateway.cursors.turn(
            cursor,
            request.scope["path"],
            who.tenant,
            lambda from_: gateway.merchants_room.page(from_, limit),
        )
        return MerchantPage(merchants=[_shown(one) for one in found], next_cursor=next_cursor)

    return await run_in_threadpool(read)


@router.get("/{merchant_id}", summary="One merchant")
async def get(merchant_id: str, _who: MayReadMerchants, gateway: TheGateway) -> MerchantBody:
    """The merchant with this id."""
    return _shown(await run_in_threadpool(gateway.merchants_room.get, merchant_id))


@router.get("/{merchant_id}/position", summary="What a merchant has with the network")
async def position_of(
    merchant_id: str, _who: MayReadPositions, gateway: TheGateway
) -> PositionBody:
    """Deposits and redemptions less issues, and how much of it open orders hold."""
    merchant = await run_in_threadpool(gateway.merchants_room.get, merchant_id)
    return await run_in_threadpool(_position, gateway, merchant)


@router.post(
    "/{merchant_id}/deposits",
    status_code=202,
    response_model=DepositBody,
    summary="Book a deposit",
)
async def deposit(
    merchant_id: str,
    body: NewDeposit,
    request: Request,
    who: MayBookDeposits,
    key: Key,
    gateway: TheGateway,
) -> Response:
    """Books money that arrived at the bank, once per bank reference."""

    def act(connection: Connection, now: int) -> Answer:
        booked = gateway.merchants_room.fund_in(
            connection, merchant_id, body.amount, body.bank_reference, who.key_id, now
        )
        shown = DepositBody(
            merchant=merchant_id,
            amount=body.amount,
            bank_reference=body.bank_reference,
            booked=booked,
        )
        return Answer(202, shown.model_dump())

    return await answer_once(gateway, who, key, request, act)


@router.post(
    "/{merchant_id}/api-keys",
    status_code=201,
    response_model=ApiKeyBody,
    summary="A fresh API key of a merchant",
)
async def new_api_key(
    merchant_id: str,
    request: Request,
    who: MayGiveMerchantKeys,
    key: Key,
    gateway: TheGateway,
    body: NewApiKey | None = None,
) -> Response:
    """Shown this once. At most two keys of a role and label are alive: the oldest is revoked."""
    wanted = body or NewApiKey(role=Role.MERCHANT.value)
    role = Role(wanted.role)
    if role not in OF_MERCHANT:
        raise InvalidRequest(f"a merchant has no key of role {role.value}")
    scopes = check_scopes(role, wanted.scopes, None)

    def act(connection: Connection, now: int) -> Answer:
        key_id, text = gateway.merchants_room.new_api_key_in(
            connection,
            merchant_id,
            who.key_id,
            now,
            role=role,
            label=wanted.label,
            scopes=scopes,
        )
        shown = ApiKeyBody(
            id=key_id, merchant=merchant_id, role=role.value, label=wanted.label, api_key=text
        )
        return Answer(201, shown.model_dump())

    return await answer_once(gateway, who, key, request, act)


def _position(gateway: Gateway, merchant: Merchant) -> PositionBody:
    found = gateway.merchants_room.position(merchant.number, gateway.books)
    return PositionBody(
        merchant=merchant.id,
        position=found.position,
        credit_limit=found.credit_limit,
        held=found.held,
        available=found.position + found.credit_limit - found.held,
        as_of_block=found.as_of_block,
    )


def _shown(merchant: Merchant) -> MerchantBody:
    rule = merchant.earn_rule
    return MerchantBody(
        id=merchant.id,
        number=merchant.number,
        slug=merchant.slug,
        name=merchant.name,
        state=merchant.state.value,
        earn_rule=NewRule(
            points=rule.points,
            per_minor=rule.per_minor,
            currency=rule.currency,
            minor_digits=rule.minor_digits,
        ),
        api_key=merchant.api_key,
    )
