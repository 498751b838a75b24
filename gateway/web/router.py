"""The pages of one running network: the routes, answered from its mirror and its order book."""

from datetime import UTC, tzinfo

from fastapi import APIRouter

from gateway.service import Gateway
from gateway.web.book import BookOfOrders
from gateway.web.formats import Money
from gateway.web.source import NetworkSource
from gateway.web.views import web_router


def pages_router(
    gateway: Gateway, *, open_members: bool, money: Money | None = None, zone: tzinfo = UTC
) -> APIRouter:
    """`/`, `/members/{id}` and `/static/...` of the network that `gateway` serves.

    Args:
        open_members: whether members' pages are shown to whoever has the link; see `web_router`.
        money: label and decimals of the settlement asset.
        zone: the time zone that dates are written in.
    """
    book = BookOfOrders(gateway.database)
    return web_router(
        NetworkSource(gateway.mirror, book, gateway.deployment.schedule),
        now=gateway.clock.now,
        face_value=gateway.deployment.face_value,
        money=money,
        zone=zone,
        open_members=open_members,
    )
