"""The pages of one running network: the routes, answered from its mirror and its order book."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter

from gateway.service import Gateway
from gateway.web.book import BookOfOrders
from gateway.web.formats import Money
from gateway.web.source import NetworkSource
from gateway.web.views import web_router


def pages_router(gateway: Gateway, *, open_members: bool) -> APIRouter:
    """`/`, `/members/{id}` and `/static/...` of the network that `gateway` serves.

    Args:
        open_members: whether members' pages are shown to whoever has the link; see `web_router`.

    The currency's label and the time zone of dates are the settings'.
    """
    book = BookOfOrders(gateway.database)
    return web_router(
        NetworkSource(gateway.mirror, book, gateway.deployment.schedule),
        now=gateway.clock.now,
        face_value=gateway.deployment.face_value,
        money=Money(gateway.settings.currency_label),
        zone=ZoneInfo(gateway.settings.time_zone),
        open_members=open_members,
    )
