"""End points over HTTP and through the SDK, on a running network: told of an order's whole life."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.relay import incidents
from gateway.relay.incidents import Incident
from tests.gateway.helpers import NOON, Town, fresh
from tests.gateway.webhooks.conftest import Desk
from tests.gateway.webhooks.receivers import Receiver, receiving
from wallet_sdk.client import GatewayClient, GatewayRefused
from wallet_sdk.webhooks import verify_webhook

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def _nobody_listens(town: Town) -> None:
    """The town is every module's: what others left there ends before this one begins."""
    for key in (town.baker.api_key, town.florist.api_key, town.operator_key):
        asks = town.headers(key)
        found = town.client.get("/v1/webhook-endpoints", headers=asks).json()["endpoints"]
        for endpoint in found:
            town.client.delete(f"/v1/webhook-endpoints/{endpoint['id']}", headers=asks)


@pytest.fixture
def sdk(town: Town) -> Iterator[GatewayClient]:
    """The baker's own program. Leaves no end point behind."""
    assert town.baker.api_key is not None
    with GatewayClient(str(town.client.base_url), town.baker.api_key) as found:
        yield found
        for endpoint in found.webhooks.all():
            found.webhooks.delete(endpoint.id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"url": "https://127.1/"}, "webhook_url_refused"),
        ({"url": "https://10.0.0.1/"}, "webhook_url_refused"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "webhook_url_refused"),
        ({"url": "http://pos.example.com.\u0000/"}, "body_invalid"),
        ({"url": "https://pos.example.com", "events": []}, "invalid_request"),
        ({"url": "https://pos.example.com", "events": ["order.eaten"]}, "invalid_request"),
        ({"url": "https://pos.example.com", "events": ["webhook.test"]}, "invalid_request"),
        ({"url": "https://pos.example.com", "secret": "mine"}, "invalid_request"),
        ({"url": "https://pos.example.com", "description": "x" * 201}, "invalid_request"),
        ({"url": "https://pos.example.com", "description": "a\n\x1b[31mb"}, "invalid_request"),
    ],
)
def test_create__that_cannot_be__is_refused(town: Town, body: object, code: str) -> None:
    response = town.post("/v1/webhook-endpoints", body)
    assert (response.status_code, response.json()["code"]) in {(422, code), (400, code)}


def test_replay__of_a_stretch_that_ends_before_it_begins__is_refused(
    town: Town, sdk: GatewayClient
) -> None:
    made = sdk.webhooks.create("https://pos.example.com/hook")
    body = {"since": 10, "until": 5, "only": "all"}
    answer = town.post(f"/v1/webhook-endpoints/{made.id}/replay", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_create__eleventh__is_refused(town: Town, sdk: GatewayClient) -> None:
    for number in range(10):
        sdk.webhooks.create(f"https://pos.example.com/{number}")
    with pytest.raises(GatewayRefused) as refused:
        sdk.webhooks.create("https://pos.example.com/one-too-many")
    assert refused.value.code == "too_many_webhook_endpoints"


def test_endpoint__of_another_merchant__is_not_there(town: Town, sdk: GatewayClient) -> None:
    mine = sdk.webhooks.create("https://pos.example.com").id
    path, florist = f"/v1/webhook-endpoints/{mine}", town.florist.api_key
    asks = [
        town.client.get(path, headers=town.headers(florist)),
        town.client.patch(path, json={"active": False}, headers=town.headers(florist)),
        town.client.delete(path, headers=town.headers(florist)),
        town.client.get(f"{path}/deliveries", headers=town.headers(florist)),
        town.client.get(f"{path}/deliveries/evt_{'0' * 26}", headers=town.headers(florist)),
        town.post(f"{path}/rotate-secret", {}, by=florist),
        town.post(f"{path}/test", {}, by=florist),
        town.post(f"{path}/replay", {"since": 0}, by=florist),
    ]
    assert {(a.status_code, a.json()["code"]) for a in asks} == {(404, "webhook_endpoint_unknown")}
    assert town.client.get("/v1/webhook-endpoints", headers=town.headers(florist)).json() == {
        "endpoints": []
    }
    assert sdk.webhooks.all()[0].state == "active"


def test_create__repeated_under_its_key__is_the_same_end_point(
    town: Town, sdk: GatewayClient
) -> None:
    body, key = {"url": "https://pos.example.com"}, fresh("k")
    first = town.post("/v1/webhook-endpoints", body, key=key)
    again = town.post("/v1/webhook-endpoints", body, key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    # With its secret: the answer that got lost carried it.
    assert again.json() == first.json()
    assert first.json()["secret"].startswith("whsec_")
    other = town.post("/v1/webhook-endpoints", {"url": "https://else.example.com"}, key=key)
    assert other.json()["code"] == "idempotency_key_reused"
    order = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    assert town.post("/v1/issuances", order, key=key).json()["code"] == "idempotency_key_reused"
    (only,) = sdk.webhooks.all()
    assert only.secret is None


def test_change__bad_url_or_nothing__is_refused_or_changes_nothing(
    town: Town, sdk: GatewayClient
) -> None:
    mine = sdk.webhooks.create("https://pos.example.com", events=["order.final"])
    with pytest.raises(GatewayRefused) as refused:
        sdk.webhooks.change(mine.id, url="https://192.168.0.1/")
    assert refused.value.code == "webhook_url_refused"
    changed = sdk.webhooks.change(mine.id, description="shop 3", active=False)
    assert (changed.url, changed.events, changed.state) == (mine.url, mine.events, "disabled")
    with pytest.raises(GatewayRefused) as refused:
        sdk.webhooks.send_test(mine.id)
    assert refused.value.code == "webhook_endpoint_off"
    sdk.webhooks.delete(mine.id)
    # Once more, as after a lost answer.
    sdk.webhooks.delete(mine.id)
    assert sdk.webhooks.all() == []


def test_order__its_whole_life__is_told_in_order_to_who_listens(
    town: Town, sdk: GatewayClient, receiver: Receiver
) -> None:
    mine = sdk.webhooks.create(receiver.url)
    assert mine.secret is not None
    order = sdk.issue(town.ada.id, fresh("r"), points=12)
    got = receiver.wait(4)
    told = [verify_webhook(g.body, g.headers, mine.secret) for g in got]
    told.sort(key=lambda event: event.sequence)
    assert [(event.sequence, event.type) for event in told] == [
        (1, "order.accepted"),
        (2, "order.submitted"),
        (3, "order.included"),
        (4, "order.final"),
    ]
    assert {event.order.id for event in told if event.order} == {order.id}
    final = told[-1].order
    # What is told is what the API says.
    assert final == sdk.order(order.id)
    assert final is not None
    assert final.transaction is not None
    until = time.monotonic() + 5
    while len(log := sdk.webhooks.deliveries(mine.id, state="delivered", limit=3).items) < 3:
        assert time.monotonic() < until
    page = sdk.webhooks.deliveries(mine.id, limit=3)
    rest = sdk.webhooks.deliveries(mine.id, limit=3, cursor=page.next_cursor)
    assert [line.sequence for line in (*page.items, *rest.items)] == [4, 3, 2, 1]
    assert {line.last_status for line in log} == {204}
    detail = town.get(f"/v1/webhook-endpoints/{mine.id}/deliveries/{told[0].id}").json()
    assert detail["attempts"][0]["outcome"] == "delivered"
    assert json.loads(detail["payload"])["data"]["sequence"] == 1
    # Sent again by hand, it is the same message.
    assert sdk.webhooks.replay(mine.id, event=told[0].id) == 1
    assert receiver.wait(5)[4].id == told[0].id


def test_metrics__after_deliveries__count_them(town: Town) -> None:
    text = town.get("/metrics", by=town.operator_key).text
    assert "banyan_webhooks_waiting 0.0" in text
    assert 'banyan_webhook_attempts_total{outcome="delivered"}' in text


def test_order__of_a_merchant_that_does_not_listen__is_told_to_nobody(
    town: Town, sdk: GatewayClient, receiver: Receiver
) -> None:
    sdk.webhooks.create(receiver.url, events=["order.final"])
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    town.post("/v1/issuances", body, by=town.florist.api_key)
    sdk.settled(sdk.issue(town.ada.id, fresh("r"), points=1).id, within_s=10)
    (only,) = receiver.wait(1)
    assert only.event == "order.final"
    time.sleep(0.3)
    assert len(receiver.got) == 1


def test_rotate__repeated_under_its_key__rotates_once(town: Town, sdk: GatewayClient) -> None:
    mine = sdk.webhooks.create("https://pos.example.com")
    key = fresh("k")
    once = sdk.webhooks.rotate_secret(mine.id, idempotency_key=key)
    again = sdk.webhooks.rotate_secret(mine.id, idempotency_key=key)
    assert once.secret == again.secret != mine.secret
    assert once.previous_secret_until is not None


# ---- the operator


def test_create__of_what_others_hear__is_refused(town: Town) -> None:
    url = "https://ops.example.com/banyan"
    for key, heard in (
        (town.operator_key, "order.final"),
        (town.baker.api_key, "incident.noticed"),
        (town.operator_key, "webhook.test"),
    ):
        asked = town.post("/v1/webhook-endpoints", {"url": url, "events": [heard]}, by=key)
        assert (asked.status_code, asked.json()["code"]) == (422, "invalid_request"), heard


def test_incident__of_the_network__is_told_to_the_operator_alone(
    town: Town, sdk: GatewayClient, receiver: Receiver
) -> None:
    gateway, key = town.network.gateway, town.operator_key
    mine = town.post("/v1/webhook-endpoints", {"url": receiver.url}, by=key).json()
    sdk.webhooks.create(receiver.url)
    assert mine["events"] == ["incident.noticed", "incident.ended"]
    subject = fresh("0x")
    with gateway.database.write() as connection:
        for _ in range(2):  # noticed again while it is open, it is told once
            incidents.note(connection, Incident.RELAYER_DRAINED, subject, "holds 1 wei", NOON)
    gateway.deliverer.wake()
    (got,) = receiver.wait(1)
    noticed = verify_webhook(got.body, got.headers, mine["secret"])
    assert (noticed.type, noticed.sequence, noticed.order) == ("incident.noticed", 1, None)
    told = noticed.data["incident"]
    assert (told["kind"], told["subject"], told["ended_at"]) == ("relayer_drained", subject, None)
    assert told["help"].startswith("Send coin")
    with gateway.database.write() as connection:
        assert incidents.end(connection, Incident.RELAYER_DRAINED, subject, NOON + 9) == 1
    gateway.deliverer.wake()
    ended = verify_webhook(receiver.wait(2)[1].body, receiver.got[1].headers, mine["secret"])
    assert (ended.type, ended.sequence) == ("incident.ended", 2)
    assert ended.data["incident"]["ended_at"] == NOON + 9
    path = f"/v1/webhook-endpoints/{mine['id']}"
    assert town.get(path).status_code == 404
    log = town.get(f"{path}/deliveries", by=key).json()["deliveries"]
    assert [line["type"] for line in log] == ["incident.ended", "incident.noticed"]
    # Sent again by hand, and a fresh secret, as for merchants.
    told = {"since": NOON, "until": NOON + 10, "only": "all"}
    assert town.post(f"{path}/replay", told, by=key).json()["events"] == 2
    receiver.wait(4)
    fresh_one = town.post(f"{path}/rotate-secret", {}, by=key).json()
    assert fresh_one["secret"] != mine["secret"]
    assert town.client.delete(path, headers=town.headers(key)).status_code == 204
    assert len(receiver.got) == 4


# ---- the command line and the example


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_cli__replay__puts_what_was_given_up_before_the_end_point(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    made = desk.listen(receiver.url)
    desk.issue()
    run = CliRunner()
    shown = json.loads(
        run.invoke(app, ["webhooks", "list", "--data", str(tmp_path), "--json"]).stdout
    )
    assert [(e["id"], e["waiting"]) for e in shown["endpoints"]] == [(made["id"], 1)]
    asked = ["webhooks", "replay", made["id"], "--data", str(tmp_path), "--json"]
    assert run.invoke(app, asked).exit_code == 2
    done = run.invoke(app, [*asked, "--since", "0", "--only", "all"])
    assert json.loads(done.stdout) == {"endpoint": made["id"], "events": 1, "more": False}
    desk.deliver(lambda rows: rows[0].tries == 1)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_example__forged_repeated_and_reordered__keeps_the_latest(
    desk: Desk, tmp_path: Path
) -> None:
    with receiving() as free:
        port = free.port
    made = desk.listen(f"http://127.0.0.1:{port}/")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "webhook_receiver.py"), str(port)],
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "BANYAN_WEBHOOK_SECRET": made["secret"],
            "BANYAN_WEBHOOK_STORE": str(tmp_path / "received.sqlite"),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while True:
            assert time.monotonic() < until
            try:
                forged = httpx.post(f"http://127.0.0.1:{port}/", content=b"{}")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        assert forged.status_code == 400
        desk.issue()
        (row,) = desk.deliver(lambda rows: rows[0].tries == 1)
        assert row.last_outcome == "delivered"
    finally:
        process.terminate()
        process.wait()
    with sqlite3.connect(tmp_path / "received.sqlite") as store:
        assert store.execute("SELECT sequence, state FROM orders").fetchall() == [(1, "accepted")]
    store.close()
