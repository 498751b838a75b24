"""Requests that an outbox has kept: sent once more, their answers read by their paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wallet_sdk.client import hooks
from wallet_sdk.client.models import ApiKey, Json, Member, Merchant, Order
from wallet_sdk.client.operations import Operation, answered_lines, booked
from wallet_sdk.client.outbox import PendingRequest


def resent(request: PendingRequest) -> Operation[Any]:
    """A kept request once more."""
    readers: dict[str, Callable[[Json], Any]] = {
        "/v1/members": Member.parse,
        "/v1/issuances/bulk": answered_lines,
        "/v1/merchants": Merchant.parse,
    }
    read = readers.get(request.path, Order.parse)
    if request.path.startswith(hooks.ROOT):
        read = hooks.reader(request.path)
    elif request.path.endswith("/api-keys"):
        read = ApiKey.parse
    elif request.path.endswith("/deposits"):
        read = booked
    return Operation(request.path, read, pending=request)
