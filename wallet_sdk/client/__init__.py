"""The gateway's client: two doors, `GatewayClient` and `AsyncGatewayClient`, over one core.

The client makes the idempotency key and keeps the request before it is sent; repeating is harmless.
"""

from wallet_sdk.client.aio import AsyncGatewayClient
from wallet_sdk.client.hooks import WebhookDelivery, WebhookEndpoint
from wallet_sdk.client.models import (
    ApiKey,
    Balance,
    EarnRule,
    EpochPoints,
    Failure,
    HistoryLine,
    IssueLine,
    KeyLine,
    Member,
    Merchant,
    Order,
    OrderState,
    Page,
    Position,
    Purchase,
    Refusal,
    RefusedLine,
    ReturnQuote,
    Settlement,
    SettlementLine,
)
from wallet_sdk.client.outbox import FolderOutbox, MemoryOutbox, Outbox, PendingRequest, new_key
from wallet_sdk.client.sync import GatewayClient
from wallet_sdk.errors import GatewayError, GatewayRefused, GatewayUnavailable, OutboxUnavailable

__all__ = [
    "ApiKey",
    "AsyncGatewayClient",
    "Balance",
    "EarnRule",
    "EpochPoints",
    "Failure",
    "FolderOutbox",
    "GatewayClient",
    "GatewayError",
    "GatewayRefused",
    "GatewayUnavailable",
    "HistoryLine",
    "IssueLine",
    "KeyLine",
    "Member",
    "MemoryOutbox",
    "Merchant",
    "Order",
    "OrderState",
    "Outbox",
    "OutboxUnavailable",
    "Page",
    "PendingRequest",
    "Position",
    "Purchase",
    "Refusal",
    "RefusedLine",
    "ReturnQuote",
    "Settlement",
    "SettlementLine",
    "WebhookDelivery",
    "WebhookEndpoint",
    "new_key",
]
