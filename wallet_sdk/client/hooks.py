"""End points for webhooks as values: which requests there are, and how answers are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from wallet_sdk.client.models import Json, Page
from wallet_sdk.client.operations import Operation, page_query, post, segment
from wallet_sdk.types import Seconds

ROOT = "/v1/webhook-endpoints"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where events go. `secret` is shown by the call that made it alone.

    Attributes:
        state: active, disabled, or gone (it answered 410).
        failures_in_a_row: attempts since the last that succeeded.
        previous_secret_until: until then the secret before the last rotation signs, too.
    """

    id: str
    url: str
    description: str
    events: tuple[str, ...]
    state: str
    failures_in_a_row: int
    previous_secret_until: Seconds | None
    secret: str | None

    @classmethod
    def parse(cls, body: Json) -> WebhookEndpoint:
        """Reads an end point."""
        return cls(
            id=body["id"],
            url=body["url"],
            description=body["description"],
            events=tuple(body["events"]),
            state=body["state"],
            failures_in_a_row=body["failures_in_a_row"],
            previous_secret_until=body.get("previous_secret_until"),
            secret=body.get("secret"),
        )


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event to one end point: pending, delivered, or failed (given up)."""

    event: str
    type: str
    sequence: int
    state: str
    tries: int
    next_attempt_at: Seconds | None
    last_status: int | None
    last_outcome: str | None

    @classmethod
    def parse(cls, body: Json) -> WebhookDelivery:
        """Reads a line of the log."""
        return cls(
            event=body["event"],
            type=body["type"],
            sequence=body["sequence"],
            state=body["state"],
            tries=body["tries"],
            next_attempt_at=body.get("next_attempt_at"),
            last_status=body.get("last_status"),
            last_outcome=body.get("last_outcome"),
        )


def create(
    url: str, events: Sequence[str] | None, description: str, key: str | None
) -> Operation[WebhookEndpoint]:
    """POST /v1/webhook-endpoints"""
    body: dict[str, Any] = {"url": url, "description": description}
    if events is not None:
        body["events"] = list(events)
    return post(ROOT, body, WebhookEndpoint.parse, key)


def listed() -> Operation[list[WebhookEndpoint]]:
    """GET /v1/webhook-endpoints"""
    return Operation(ROOT, lambda body: [WebhookEndpoint.parse(e) for e in body["endpoints"]])


def change(endpoint: str, **changes: Any) -> Operation[WebhookEndpoint]:
    """PATCH /v1/webhook-endpoints/{id}"""
    wanted = {name: value for name, value in changes.items() if value is not None}
    path = f"{ROOT}/{segment(endpoint)}"
    return Operation(path, WebhookEndpoint.parse, verb="PATCH", body=orjson.dumps(wanted))


def delete(endpoint: str) -> Operation[None]:
    """DELETE /v1/webhook-endpoints/{id}"""
    return Operation(f"{ROOT}/{segment(endpoint)}", lambda _: None, verb="DELETE")


def rotate(endpoint: str, key: str | None) -> Operation[WebhookEndpoint]:
    """POST /v1/webhook-endpoints/{id}/rotate-secret"""
    return post(f"{ROOT}/{segment(endpoint)}/rotate-secret", {}, WebhookEndpoint.parse, key)


def send_test(endpoint: str, key: str | None) -> Operation[str]:
    """POST /v1/webhook-endpoints/{id}/test"""
    return post(f"{ROOT}/{segment(endpoint)}/test", {}, _event_of, key)


def replay(
    endpoint: str,
    event: str | None,
    since: Seconds | None,
    until: Seconds | None,
    only: str,
    key: str | None,
) -> Operation[int]:
    """POST /v1/webhook-endpoints/{id}/replay"""
    wanted: dict[str, Any] = {"event": event, "since": since, "until": until, "only": only}
    body = {name: value for name, value in wanted.items() if value is not None}
    return post(f"{ROOT}/{segment(endpoint)}/replay", body, _count_of, key)


def deliveries(
    endpoint: str, state: str | None, cursor: str | None, limit: int | None
) -> Operation[Page[WebhookDelivery]]:
    """GET /v1/webhook-endpoints/{id}/deliveries, newest event first."""
    query = page_query(cursor, limit) | ({} if state is None else {"state": state})
    path = f"{ROOT}/{segment(endpoint)}/deliveries"
    return Operation(path, Page.parser("deliveries", WebhookDelivery.parse), query)


def reader(path: str) -> Callable[[Json], Any]:
    """How the answer of a kept POST under ROOT is read."""
    if path.endswith("/test"):
        return _event_of
    return _count_of if path.endswith("/replay") else WebhookEndpoint.parse


def _event_of(body: Json) -> str:
    return str(body["event"])


def _count_of(body: Json) -> int:
    return int(body["events"])
