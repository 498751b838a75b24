"""What a receiver of webhooks needs: is this message ours, fresh, and what does it say?

    event = verify_webhook(body, headers, "whsec_...")

The scheme is Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`. A message that passes may
still be a repetition (same `id`) or come out of order (`sequence`): keep the ids that were handled,
and ignore an event whose sequence lies under the highest of its order.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from wallet_sdk.client.models import Order
from wallet_sdk.errors import InputInvalid, WebhookForged, WebhookStale

__all__ = ["TOLERANCE_S", "WebhookEvent", "verify_webhook"]

TOLERANCE_S: Final = 300.0
"""A message signed longer ago (or ahead) than this is refused: somebody may have recorded it."""

_PREFIX: Final = "whsec_"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A message whose signature fits.

    Attributes:
        id: the same in every repetition.
        type: `order.final` and so on; ignore types that you do not know.
        sequence: counts the events of one order from 1; 0 for `webhook.test` and incidents.
        order: the order as it stood then; None for `webhook.test` and incidents.
        data: everything that the message carries.
    """

    id: str
    type: str
    sequence: int
    order: Order | None
    data: Mapping[str, Any]


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    *secrets: str,
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> WebhookEvent:
    """The event in a message, if one of `secrets` signed it within `tolerance_s` of now.

    Args:
        body: the raw bytes, as they arrived: parsed and written again they are other bytes.
        headers: the request's headers, in any case.
        secrets: `whsec_...`; two during a rotation.
        now: unix seconds; None: this machine's clock.

    Raises WebhookForged, WebhookStale: answer 400 and do nothing. InputInvalid: a secret is none.
    """
    if not secrets:
        # An empty list must never come to mean "do not check".
        raise InputInvalid("a webhook is verified with at least one secret")
    keys = [_key(secret) for secret in secrets]
    known = {name.lower(): value for name, value in headers.items()}
    message, at = known.get("webhook-id", ""), known.get("webhook-timestamp", "")
    if not message or not at.isascii() or not at.isdigit():
        raise WebhookForged("the message lacks webhook-id or webhook-timestamp")
    signed = message.encode() + b"." + at.encode() + b"." + body
    shown = _signatures(known.get("webhook-signature", ""))
    wanted = [hmac.digest(key, signed, hashlib.sha256) for key in keys]
    if not any(hmac.compare_digest(w, s) for w in wanted for s in shown):
        raise WebhookForged(f"no signature of {message[:60]!r} fits")
    age_s = (time.time() if now is None else now) - int(at[:12])
    if abs(age_s) > tolerance_s:
        raise WebhookStale(f"the message {message} was signed {age_s:.0f} s ago")
    return _read(message, body)


def _key(secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < 24:
        raise InputInvalid("a webhook's secret is whsec_ and base64")
    return key


def _signatures(header: str) -> list[bytes]:
    """The v1 signatures in the header; what is none is left out."""
    found = []
    for part in header.split(" ")[:16]:
        version, _, encoded = part.partition(",")
        if version == "v1":
            try:
                found.append(b64decode(encoded, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _read(message: str, body: bytes) -> WebhookEvent:
    try:
        parsed = orjson.loads(body)
        data = parsed["data"]
        order = Order.parse(data["order"]) if "order" in data else None
        return WebhookEvent(message, parsed["type"], data.get("sequence", 0), order, data)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        # Signed by us and not to be read: another version's, perhaps. Not to be acted on.
        raise WebhookForged(f"the message {message} is signed, but no event") from error
