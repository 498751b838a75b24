"""What a receiver is told to trust: forged, altered, stale and unreadable messages are refused."""

import json
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from wallet_sdk.errors import InputInvalid, WebhookForged, WebhookStale
from wallet_sdk.webhooks import verify_webhook

NOW = 1_800_000_000
# Secrets of these tests alone.
SECRET = "whsec_" + b64encode(b"test" * 8).decode()
OTHER = "whsec_" + b64encode(b"else" * 8).decode()
ORDER = {
    "id": "ord_" + "1" * 26,
    "kind": "issue",
    "state": "final",
    "merchant": "mer_" + "2" * 26,
    "member": "mem_" + "0" * 26,
    "points": 1_234,
    "reference": "till-1/42",
    "accepted_at": NOW,
}
BODY = json.dumps({"type": "order.final", "data": {"sequence": 4, "order": ORDER}}).encode()


def headers(body: bytes = BODY, *secrets: str, at: int = NOW) -> dict[str, str]:
    """As another implementation of the standard signs."""
    moment = datetime.fromtimestamp(at, UTC)
    signed = [Webhook(s).sign("evt_1", moment, body.decode()) for s in secrets or (SECRET,)]
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": " ".join(signed),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Id": "evt_2"},
        {"Webhook-Id": ""},
        {"Webhook-Timestamp": str(NOW + 1)},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Timestamp": ""},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,%%%"},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v2," + headers()["Webhook-Signature"][3:]},
        {"Webhook-Signature": "v1a," + headers()["Webhook-Signature"][3:]},
        {"Webhook-Signature": headers(BODY, OTHER)["Webhook-Signature"]},
    ],
)
def test_verify__forged_headers__is_refused(change: dict[str, str]) -> None:
    with pytest.raises(WebhookForged):
        verify_webhook(BODY, headers() | change, SECRET, now=NOW)


def test_verify__one_byte_of_the_body_changed__is_refused() -> None:
    with pytest.raises(WebhookForged):
        verify_webhook(BODY.replace(b"1234", b"9234"), headers(), SECRET, now=NOW)


def test_verify__header_missing__is_refused() -> None:
    for name in headers():
        left = {n: v for n, v in headers().items() if n != name}
        with pytest.raises(WebhookForged):
            verify_webhook(BODY, left, SECRET, now=NOW)


@pytest.mark.parametrize("now", [NOW + 301, NOW - 301])
def test_verify__recorded_and_sent_again_later__is_refused(now: int) -> None:
    with pytest.raises(WebhookStale):
        verify_webhook(BODY, headers(), SECRET, now=now)


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", b'{"type": "order.final"}', b'{"type":"x","data":{"order":{}}}']
)
def test_verify__signed_but_no_event__is_refused(body: bytes) -> None:
    with pytest.raises(WebhookForged):
        verify_webhook(body, headers(body), SECRET, now=NOW)


@pytest.mark.parametrize("secrets", [(), ("",), ("whsec_",), ("whsec_c2hvcnQ=",), (SECRET[6:],)])
def test_verify__without_a_proper_secret__is_a_mistake_of_ours(secrets: tuple[str, ...]) -> None:
    with pytest.raises(InputInvalid):
        verify_webhook(BODY, headers(), *secrets, now=NOW)


@pytest.mark.parametrize("signers", [(SECRET,), (OTHER, SECRET), (SECRET, OTHER)])
def test_verify__signed_by_one_of_several__is_read(signers: tuple[str, ...]) -> None:
    event = verify_webhook(BODY, headers(BODY, *signers), SECRET, now=NOW)
    assert (event.id, event.type, event.sequence) == ("evt_1", "order.final", 4)
    assert event.order is not None
    assert (event.order.points, event.order.is_settled) == (1_234, True)


def test_verify__two_secrets_in_a_rotation__takes_either() -> None:
    for signer in (SECRET, OTHER):
        assert verify_webhook(BODY, headers(BODY, signer), SECRET, OTHER, now=NOW).sequence == 4


def test_verify__this_machines_clock__is_used_by_itself() -> None:
    body = json.dumps({"type": "webhook.test", "data": {"endpoint": "wep_1"}}).encode()
    found: Any = verify_webhook(body, headers(body, at=int(time.time())), SECRET)
    assert (found.type, found.order, found.data) == ("webhook.test", None, {"endpoint": "wep_1"})
