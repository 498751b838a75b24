"""Merchants over HTTP: their own view, and the operator's."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from gateway.auth.dependencies import AsMerchant, AsOperator, Key
from gateway.dependencies import TheGateway
from gateway.merchants.schemas import (
    ApiKeyBody,
    DepositBody,
    MerchantBody,
    NewDeposit,
    NewMerchantBody,
    NewRule,
    PositionBody,
)
from gateway.model import EarnRule, Merchant, NewMerchant
from gateway.strict import StrictRoute

router = APIRouter(prefix="/v1/merchants", tags=["merchants"], route_class=StrictRoute)


@router.get("/me", summary="Your own entry")
async def me(who: AsMerchant, gateway: TheGateway) -> MerchantBody:
    """The merchant that the API key belongs to."""
    return _shown(await run_in_threadpool(gateway.merchants_room.by_number, who.tenant))


@router.get("/me/position", summary="What you have with the network")
async def position(who: AsMerchant, gateway: TheGateway) -> PositionBody:
    """Deposits and redemptions less issues, and how much of it open orders hold."""
    room = gateway.merchants_room
    merchant = await run_in_threadpool(room.by_number, who.tenant)
    found = await run_in_threadpool(room.position, who.tenant, gateway.books)
    return PositionBody(
        merchant=merchant.id,
        position=found.position,
        credit_limit=found.credit_limit,
        held=found.held,
        available=found.position + found.credit_limit - found.held,
        as_of_block=found.as_of_block,
    )


@router.post("", status_code=202, summary="Onboard a merchant")
async def onboard(
    body: NewMerchantBody, who: AsOperator, _key: Key, gateway: TheGateway
) -> MerchantBody:
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
    room = gateway.merchants_room
    (merchant,) = await run_in_threadpool(room.onboard, [wanted], who.key_id)
    gateway.relay.wake()
    return _shown(merchant)


@router.get("", summary="All merchants")
async def list_all(_who: AsOperator, gateway: TheGateway) -> list[MerchantBody]:
    """All merchants by number."""
    return [_shown(merchant) for merchant in await run_in_threadpool(gateway.merchants)]


@router.post("/{merchant_id}/deposits", status_code=202, summary="Book a deposit")
async def deposit(
    merchant_id: str, body: NewDeposit, who: AsOperator, _key: Key, gateway: TheGateway
) -> DepositBody:
    """Books money that arrived at the bank, once per bank reference."""
    booked = await run_in_threadpool(
        gateway.merchants_room.fund, merchant_id, body.amount, body.bank_reference, who.key_id
    )
    gateway.relay.wake()
    return DepositBody(
        merchant=merchant_id,
        amount=body.amount,
        bank_reference=body.bank_reference,
        booked=booked,
    )


@router.post("/{merchant_id}/api-keys", status_code=201, summary="A fresh API key")
async def new_api_key(
    merchant_id: str, who: AsOperator, _key: Key, gateway: TheGateway
) -> ApiKeyBody:
    """Shown this once. At most two keys of a merchant are alive: the older one is revoked."""
    key_id, text = await run_in_threadpool(
        gateway.merchants_room.new_api_key, merchant_id, who.key_id
    )
    return ApiKeyBody(id=key_id, merchant=merchant_id, role="merchant", api_key=text)


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
