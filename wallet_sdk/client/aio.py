"""The awaiting door to the gateway: the same calls as `GatewayClient`, as coroutines."""

# Long because every call of the API is a method here.

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TypeVar

import httpx

from wallet_sdk.client import operations as ops
from wallet_sdk.client.core import (
    PATIENCE_S,
    POLL_S,
    TIMEOUT_S,
    Outcome,
    Send,
    client_options,
    exchange,
)
from wallet_sdk.client.hook_calls import AsyncWebhookCalls
from wallet_sdk.client.kept import resent
from wallet_sdk.client.models import (
    ApiKey,
    Balance,
    EarnRule,
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
)
from wallet_sdk.client.operations import Operation
from wallet_sdk.client.outbox import MemoryOutbox, Outbox
from wallet_sdk.errors import GatewayRefused, GatewayUnavailable
from wallet_sdk.types import Money, Points

T = TypeVar("T")


class AsyncGatewayClient:
    """A merchant's (or the operator's) gateway, for one event loop.

    Every POST is kept in `outbox` before it is sent and repeated under its key while the outcome is
    unknown, for `patience_s` in all; then GatewayUnavailable is raised and names the key: call
    again with `idempotency_key=error.idempotency_key`, or `resend_pending()`. GatewayRefused is a
    decision.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        outbox: Outbox | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.outbox: Outbox = MemoryOutbox() if outbox is None else outbox
        self._patience_s = patience_s
        self.webhooks = AsyncWebhookCalls(self._run)
        self._http = httpx.AsyncClient(
            **client_options(base_url, api_key, timeout_s), transport=transport
        )

    async def _run(self, operation: Operation[T]) -> T:
        steps = exchange(operation, self.outbox, self._patience_s)
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Send):
                    outcome = await self._send(step)
                else:
                    await asyncio.sleep(step.seconds)
                    outcome = None
        except StopIteration as end:
            answer: T = end.value
            return answer

    async def _send(self, step: Send) -> Outcome:
        try:
            return await self._http.request(
                step.method,
                step.path,
                params=step.query,
                headers=step.headers,
                content=step.content,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return error

    async def create_member(
        self, external_id: str, *, idempotency_key: str | None = None
    ) -> Member:
        """The member of this external id, made where there was none."""
        return await self._run(ops.create_member(external_id, idempotency_key))

    async def member(self, member: str) -> Member:
        """The member with this id."""
        return await self._run(ops.member(member))

    async def balance(self, member: str) -> Balance:
        """A member's live points and when they expire."""
        return await self._run(ops.balance(member))

    async def history(
        self, member: str, *, cursor: str | None = None, limit: int | None = None
    ) -> Page[HistoryLine]:
        """A member's movements, newest first."""
        return await self._run(ops.history(member, cursor, limit))

    async def issue(
        self,
        member: str,
        reference: str,
        *,
        points: Points | None = None,
        purchase: Purchase | None = None,
        idempotency_key: str | None = None,
    ) -> Order:
        """Issues points, or what a purchase earns. `reference` is unique per merchant."""
        return await self._run(ops.issue(member, reference, points, purchase, idempotency_key))

    async def issue_many(
        self, lines: Sequence[IssueLine], *, idempotency_key: str | None = None
    ) -> list[Order | RefusedLine]:
        """Issues up to 10,000 lines in one request; answers in the lines' order."""
        return await self._run(ops.issue_many(lines, idempotency_key))

    async def redeem(
        self, member: str, reference: str, points: Points, *, idempotency_key: str | None = None
    ) -> Order:
        """Redeems points of the member at this merchant."""
        return await self._run(ops.redeem(member, reference, points, idempotency_key))

    async def transfer(
        self,
        from_member: str,
        to_member: str,
        points: Points,
        reference: str,
        *,
        idempotency_key: str | None = None,
    ) -> Order:
        """Moves points from member to member; they keep their age."""
        return await self._run(
            ops.transfer(from_member, to_member, points, reference, idempotency_key)
        )

    async def refund(
        self,
        redemption: str,
        points: Points,
        reference: str,
        *,
        idempotency_key: str | None = None,
    ) -> Order:
        """Gives points of a redemption back, as far as their epochs are live."""
        return await self._run(ops.refund(redemption, points, reference, idempotency_key))

    async def quote_return(self, issue: str, points: Points) -> ReturnQuote:
        """What a return of these points would do now: ask before paying cash."""
        return await self._run(ops.quote_return(issue, points))

    async def return_goods(
        self,
        issue: str,
        points: Points,
        reference: str,
        *,
        shortfall: Points = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Goods came back: takes back what they earned. `shortfall` is the quote's."""
        return await self._run(
            ops.return_goods(issue, points, reference, shortfall, idempotency_key)
        )

    async def cancel(self, order: str, *, idempotency_key: str | None = None) -> Order:
        """Takes an order back: failed at once, or on its way to it (`cancel_asked_at`)."""
        return await self._run(ops.cancel(order, idempotency_key))

    async def withdraw(
        self, amount: Money, reference: str, *, idempotency_key: str | None = None
    ) -> Order:
        """Pays out of the merchant's position to its owner."""
        return await self._run(ops.withdraw(amount, reference, idempotency_key))

    async def make_api_key(
        self, role: str, *, label: str = "", idempotency_key: str | None = None
    ) -> ApiKey:
        """A fresh key of your own or of a till (`cashier`), shown this once."""
        return await self._run(ops.make_api_key(role, label, idempotency_key))

    async def order(self, order: str) -> Order:
        """The order with this id."""
        return await self._run(ops.order(order))

    async def orders(
        self,
        *,
        state: OrderState | None = None,
        reference: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Page[Order]:
        """The merchant's orders (the operator's: all), newest first."""
        return await self._run(ops.orders(state, reference, cursor, limit))

    async def settled(self, order: str, *, within_s: float) -> Order:
        """The order once it is final or failed, or as it stands after `within_s`."""
        deadline = time.monotonic() + within_s
        while True:
            found = await self.order(order)
            if found.is_settled or time.monotonic() + POLL_S > deadline:
                return found
            await asyncio.sleep(POLL_S)

    async def me(self) -> Merchant:
        """The merchant that the API key belongs to."""
        return await self._run(ops.me())

    async def position(self) -> Position:
        """What the merchant has with the network."""
        return await self._run(ops.position())

    async def refusals(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> Page[Refusal]:
        """What was refused as things stood (the operator's: everybody's), newest first."""
        return await self._run(ops.refusals(cursor, limit))

    async def settlement(
        self, *, from_month: int | None = None, to_month: int | None = None
    ) -> Settlement:
        """Whose points the merchant honoured, and who honoured its own; months as 202611."""
        return await self._run(ops.settlement(from_month, to_month))

    async def api_keys(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> Page[KeyLine]:
        """The merchant's keys (the operator's: all but members'), newest first."""
        return await self._run(ops.api_keys(cursor, limit))

    async def revoke_api_key(self, key_id: str, *, idempotency_key: str | None = None) -> bool:
        """Ends a key by its id (not by its text), within five seconds in every process."""
        return await self._run(ops.revoke_api_key(key_id, idempotency_key))

    # ---- the operator

    async def members(
        self,
        *,
        external_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Page[Member]:
        """Members, newest first, or the one of an external id."""
        return await self._run(ops.members(external_id, cursor, limit))

    async def merchant(self, merchant: str) -> Merchant:
        """The merchant with this id."""
        return await self._run(ops.merchant(merchant))

    async def position_of(self, merchant: str) -> Position:
        """What a merchant has with the network."""
        return await self._run(ops.position_of(merchant))

    async def merchants(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> Page[Merchant]:
        """Merchants by number."""
        return await self._run(ops.merchants(cursor, limit))

    async def onboard_merchant(
        self,
        name: str,
        slug: str,
        *,
        deposit: Money = 0,
        credit_limit: Money = 0,
        earn_rule: EarnRule | None = None,
        idempotency_key: str | None = None,
    ) -> Merchant:
        """Brings a merchant in. The answer that made it alone shows its API key."""
        return await self._run(
            ops.onboard_merchant(name, slug, deposit, credit_limit, earn_rule, idempotency_key)
        )

    async def book_deposit(
        self,
        merchant: str,
        amount: Money,
        bank_reference: str,
        *,
        idempotency_key: str | None = None,
    ) -> bool:
        """Books money that arrived at the bank; False: this bank reference was booked before."""
        return await self._run(ops.book_deposit(merchant, amount, bank_reference, idempotency_key))

    async def make_member_key(
        self, member: str, *, lives_s: int = 900, idempotency_key: str | None = None
    ) -> ApiKey:
        """A short-lived key bound to one member."""
        return await self._run(ops.make_member_key(member, lives_s, idempotency_key))

    # ---- after a crash

    async def resend_pending(self) -> dict[str, Any]:
        """Sends every request that the outbox still keeps once more; what came of each, by key.

        A value is the answer, or the GatewayRefused or GatewayUnavailable that was raised.
        """
        outcomes: dict[str, Any] = {}
        for request in self.outbox.pending():
            try:
                outcomes[request.key] = await self._run(resent(request))
            except (GatewayRefused, GatewayUnavailable) as error:
                outcomes[request.key] = error
        return outcomes

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncGatewayClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
