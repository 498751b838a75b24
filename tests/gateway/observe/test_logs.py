"""Logs: what is blotted out, and that a request's line leads to its orders' lines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.auth.keys import Role, new_key
from gateway.observe import logs
from gateway.settings import Settings
from tests.gateway.helpers import NOON, Town, fresh

ISSUES = "/v1/issuances"


@contextmanager
def logged(as_json: bool = True, level: int = logging.INFO) -> Iterator[io.StringIO]:
    """What the gateway's loggers write, through our formatter."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(as_json=as_json))
    logger = logging.getLogger("gateway")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield stream
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# ---- what is blotted out


@pytest.mark.parametrize("as_json", [True, False])
def test_log__with_secrets__shows_none_of_them(as_json: bool) -> None:
    key, _ = new_key(Role.MERCHANT, 1, NOON)
    hook = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    log = logging.getLogger("gateway.test")
    with logged(as_json) as stream:
        log.info("a caller sent %s", key, extra={"hook": hook, "raw": b"\x13" * 32})
        log.info("at postgresql://banyan:open-sesame@db/orders", extra={"deep": [{"k": key}]})
        try:
            raise ValueError(f"not {key}")
        except ValueError:
            log.exception("with a traceback")
    text = stream.getvalue()
    for secret in (key, key[21:], hook, "open-sesame", "13131313", "\\x13"):
        assert secret not in text
    assert key[:20] in text
    assert "32 bytes" in text
    assert "ValueError" in text


def test_log__of_a_person__is_one_readable_line() -> None:
    with logged(as_json=False) as stream:
        logging.getLogger("gateway.test").warning("the relay waits: %s", "no node")
    assert stream.getvalue().count("\n") == 1
    assert "the relay waits: no node" in stream.getvalue()


def test_configure__as_json__takes_the_place_of_other_handlers() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        logs.configure(Settings(log_format="json", log_level="warning"), stream)
        logging.getLogger("gateway.test").info("not told")
        logging.getLogger("some.library").warning("told")
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = lines(stream)
    assert line["event"] == "told"
    assert (line["level"], line["logger"]) == ("warning", "some.library")
    assert line["at"].endswith("Z")


# ---- requests


def test_request__with_an_id_of_its_own__has_it_in_answer_and_line(town: Town) -> None:
    body = {"member": town.ada.id, "points": 5, "reference": fresh("till")}
    with logged() as stream:
        answer = town.client.post(
            ISSUES,
            json=body,
            headers=town.headers() | {"Idempotency-Key": fresh("k"), "X-Request-ID": "till-7.a_1"},
        )
    assert answer.headers["x-request-id"] == "till-7.a_1"
    (line,) = [told for told in lines(stream) if told["event"] == "request"]
    assert line["request"] == "till-7.a_1"
    assert line["orders"] == [answer.json()["id"]]
    assert (line["route"], line["status"], line["method"]) == (ISSUES, 202, "POST")
    assert town.baker.api_key is not None
    assert line["key"] == town.baker.api_key.split("_")[1]
    assert town.baker.api_key not in stream.getvalue()


@pytest.mark.parametrize("sent", ["short", "with space and\ttab", "x" * 65, "a\u00e9bcdefgh"])
def test_request__with_an_unsafe_id__gets_another(town: Town, sent: str) -> None:
    answer = town.client.get("/healthz", headers={b"X-Request-ID": sent.encode("latin-1")})
    assert answer.headers["x-request-id"] != sent
    assert len(answer.headers["x-request-id"]) == 32


def test_order__from_its_line_of_acceptance__is_followed_to_its_block(town: Town) -> None:
    with logged() as stream:
        order = town.post(
            ISSUES, {"member": town.ben.id, "points": 7, "reference": fresh("till")}
        ).json()
        town.network.gateway.drain()
    told = lines(stream)
    (sealed,) = [t for t in told if t["event"] == "sealed" and order["id"] in t["orders"]]
    (mined,) = [t for t in told if t["event"] == "mined" and sealed["batch"] in t["batches"]]
    (sent,) = [t for t in told if t["event"] == "sent" and t["tx"] == mined["tx"]]
    assert sent["slot"] == mined["slot"]
    assert mined["outcome"] == "done"
    assert mined["gas"] > 21_000
