"""What endpoints are handed: the gateway of this process."""

from typing import Annotated

from fastapi import Depends, Request

from gateway.service import Gateway


async def gateway_of(request: Request) -> Gateway:
    """The gateway that the application was made with (async: a plain function takes a thread)."""
    gateway: Gateway = request.app.state.gateway
    return gateway


TheGateway = Annotated[Gateway, Depends(gateway_of)]
