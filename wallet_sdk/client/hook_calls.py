"""End points for webhooks, as calls of the two doors: `client.webhooks.create("https://...")`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

from wallet_sdk.client import hooks
from wallet_sdk.client.hooks import WebhookDelivery, WebhookEndpoint
from wallet_sdk.client.models import Page
from wallet_sdk.client.operations import Operation
from wallet_sdk.types import Seconds

T = TypeVar("T")


class Run(Protocol):
    """How the blocking door carries an operation out."""

    def __call__(self, operation: Operation[T], /) -> T:
        """The answer."""
        ...


class RunLater(Protocol):
    """How the awaiting door carries an operation out."""

    def __call__(self, operation: Operation[T], /) -> Awaitable[T]:
        """The answer, to be awaited."""
        ...


class WebhookCalls:
    """The calls of the blocking door."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        description: str = "",
        idempotency_key: str | None = None,
    ) -> WebhookEndpoint:
        """Registers an end point for `events` (None: all). Keep the `secret` of the answer."""
        return self._run(hooks.create(url, events, description, idempotency_key))

    def all(self) -> list[WebhookEndpoint]:
        """All end points, the oldest first."""
        return self._run(hooks.listed())

    def change(
        self,
        endpoint: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        active: bool | None = None,
    ) -> WebhookEndpoint:
        """Changes what is given; `active=True` switches it on again, also after a 410."""
        wanted = None if events is None else list(events)
        return self._run(
            hooks.change(endpoint, url=url, events=wanted, description=description, active=active)
        )

    def delete(self, endpoint: str) -> None:
        """Deletes an end point, its secrets and what waits for it."""
        self._run(hooks.delete(endpoint))

    def rotate_secret(
        self, endpoint: str, *, idempotency_key: str | None = None
    ) -> WebhookEndpoint:
        """A fresh secret; for a day the one before signs beside it."""
        return self._run(hooks.rotate(endpoint, idempotency_key))

    def send_test(self, endpoint: str, *, idempotency_key: str | None = None) -> str:
        """Sends a `webhook.test` event; returns its id."""
        return self._run(hooks.send_test(endpoint, idempotency_key))

    def replay(
        self,
        endpoint: str,
        *,
        event: str | None = None,
        since: Seconds | None = None,
        until: Seconds | None = None,
        only: str = "failed",
        idempotency_key: str | None = None,
    ) -> int:
        """Sends events again: one, or those of a stretch of time (`failed`, `missing`, `all`)."""
        return self._run(hooks.replay(endpoint, event, since, until, only, idempotency_key))

    def deliveries(
        self,
        endpoint: str,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Page[WebhookDelivery]:
        """The log, newest event first."""
        return self._run(hooks.deliveries(endpoint, state, cursor, limit))


class AsyncWebhookCalls:
    """The same calls, as coroutines."""

    def __init__(self, run: RunLater) -> None:
        self._run = run

    async def create(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        description: str = "",
        idempotency_key: str | None = None,
    ) -> WebhookEndpoint:
        """Registers an end point for `events` (None: all). Keep the `secret` of the answer."""
        return await self._run(hooks.create(url, events, description, idempotency_key))

    async def all(self) -> list[WebhookEndpoint]:
        """All end points, the oldest first."""
        return await self._run(hooks.listed())

    async def change(
        self,
        endpoint: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        active: bool | None = None,
    ) -> WebhookEndpoint:
        """Changes what is given; `active=True` switches it on again, also after a 410."""
        wanted = None if events is None else list(events)
        return await self._run(
            hooks.change(endpoint, url=url, events=wanted, description=description, active=active)
        )

    async def delete(self, endpoint: str) -> None:
        """Deletes an end point, its secrets and what waits for it."""
        await self._run(hooks.delete(endpoint))

    async def rotate_secret(
        self, endpoint: str, *, idempotency_key: str | None = None
    ) -> WebhookEndpoint:
        """A fresh secret; for a day the one before signs beside it."""
        return await self._run(hooks.rotate(endpoint, idempotency_key))

    async def send_test(self, endpoint: str, *, idempotency_key: str | None = None) -> str:
        """Sends a `webhook.test` event; returns its id."""
        return await self._run(hooks.send_test(endpoint, idempotency_key))

    async def replay(
        self,
        endpoint: str,
        *,
        event: str | None = None,
        since: Seconds | None = None,
        until: Seconds | None = None,
        only: str = "failed",
        idempotency_key: str | None = None,
    ) -> int:
        """Sends events again: one, or those of a stretch of time (`failed`, `missing`, `all`)."""
        return await self._run(hooks.replay(endpoint, event, since, until, only, idempotency_key))

    async def deliveries(
        self,
        endpoint: str,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Page[WebhookDelivery]:
        """The log, newest event first."""
        return await self._run(hooks.deliveries(endpoint, state, cursor, limit))
