"""What endpoints are handed: the gateway of this process, the cursor of a page."""

from typing import Annotated

from fastapi import Depends, Query, Request

from gateway.service import Gateway


async def gateway_of(request: Request) -> Gateway:
    """The gateway that the application was made with (async: a plain function takes a thread)."""
    gateway: Gateway = request.app.state.gateway
    return gateway


TheGateway = Annotated[Gateway, Depends(gateway_of)]

Cursor = Annotated[
    str | None,
    Query(max_length=200, description="`next_cursor` of the page before; none: the first page."),
]
