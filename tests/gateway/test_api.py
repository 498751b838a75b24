"""The API as a till meets it: bad input first, one refusal after the other, then the good path."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from gateway.model import POINTS_MAX
from gateway.orders.outcome import wanted_wait_s
from tests.gateway.helpers import SetClock, Town, fresh


def issuance(town: Town, **other: Any) -> dict[str, Any]:
    return {"member": town.ada.id, "reference": fresh("r"), "points": 10} | other


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["type"] == f"urn:banyan:problem:{code}"
    assert body["title"]
    assert body["detail"]
    return dict(body)


# ---- who is asking


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer nonsense",
        "Basic YTpi",
        "Bearer bnk_0123456789abcdef_" + "A" * 43,
    ],
)
def test_post__without_a_known_key__is_unauthenticated(town: Town, header: str | None) -> None:
    headers = {"Idempotency-Key": "k"} | ({} if header is None else {"Authorization": header})
    response = town.client.post("/v1/issuances", json=issuance(town), headers=headers)
    refused(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_post__key_with_another_secret__is_unauthenticated(town: Town) -> None:
    assert town.baker.api_key is not None
    forged = town.baker.api_key[:-3] + ("AAA" if town.baker.api_key[-3:] != "AAA" else "BBB")
    refused(town.post("/v1/issuances", issuance(town), by=forged), 401, "unauthenticated")


def test_transfer__by_a_merchant__is_forbidden(town: Town) -> None:
    body = {"from": town.ada.id, "to": town.ben.id, "points": 1, "reference": fresh("t")}
    refused(town.post("/v1/transfers", body), 403, "forbidden")


def test_onboard__by_a_merchant__is_forbidden(town: Town) -> None:
    refused(town.post("/v1/merchants", {"name": "X", "slug": "x"}), 403, "forbidden")


def test_get_order__of_another_merchant__is_not_found(town: Town) -> None:
    order = town.post("/v1/issuances", issuance(town)).json()["id"]
    assert town.get(f"/v1/orders/{order}").status_code == 200
    path = f"/v1/orders/{order}"
    refused(town.get(path, by=town.florist.api_key), 404, "order_unknown")


# ---- idempotency


def test_post__without_idempotency_key__is_refused(town: Town) -> None:
    response = town.client.post("/v1/issuances", json=issuance(town), headers=town.headers())
    refused(response, 400, "idempotency_key_missing")


def test_post__same_key_other_body__is_refused(town: Town) -> None:
    key, body = fresh("key"), issuance(town)
    assert town.post("/v1/issuances", body, key=key).status_code == 202
    again = town.post("/v1/issuances", body | {"points": 11}, key=key)
    refused(again, 422, "idempotency_key_reused")


def test_post__same_key_other_route__is_refused(town: Town) -> None:
    key, body = fresh("key"), issuance(town)
    town.post("/v1/issuances", body, key=key)
    refused(town.post("/v1/redemptions", body, key=key), 422, "idempotency_key_reused")


def test_post__same_key_same_body__gives_the_same_bytes(town: Town) -> None:
    key, body = fresh("key"), issuance(town)
    first = town.post("/v1/issuances", body, key=key)
    town.network.gateway.drain()
    again = town.post("/v1/issuances", dict(reversed(body.items())), key=key)
    assert first.status_code == again.status_code == 202
    assert first.content == again.content


# ---- bad input


@pytest.mark.parametrize(
    "points",
    [0, -1, POINTS_MAX + 1, 10**40, 1.5, 1.0, True, "10", None, [1], {"n": 1}],
)
def test_issue__impossible_points__is_refused(town: Town, points: object) -> None:
    code = "invalid_request" if points is None else "points_invalid"
    refused(town.post("/v1/issuances", issuance(town, points=points)), 422, code)


@pytest.mark.parametrize(
    ("purchase", "code"),
    [
        ({"amount": "12.345", "currency": "USD"}, "purchase_invalid"),
        ({"amount": "12.34", "currency": "EUR"}, "purchase_invalid"),
        ({"amount": "0.00", "currency": "USD"}, "purchase_invalid"),
        ({"amount": "-1.00", "currency": "USD"}, "purchase_invalid"),
        ({"amount": "1e3", "currency": "USD"}, "purchase_invalid"),
        ({"amount": "NaN", "currency": "USD"}, "purchase_invalid"),
        ({"amount": 12.34, "currency": "USD"}, "purchase_invalid"),
        ({"amount": "12.34"}, "purchase_invalid"),
        ({"amount": "12.34", "currency": "usd"}, "purchase_invalid"),
    ],
)
def test_issue__impossible_purchase__is_refused(
    town: Town, purchase: dict[str, Any], code: str
) -> None:
    body = {"member": town.ada.id, "reference": fresh("r"), "purchase": purchase}
    refused(town.post("/v1/issuances", body), 422, code)


def test_issue__points_and_purchase__is_refused(town: Town) -> None:
    purchase = {"amount": "1.00", "currency": "USD"}
    refused(town.post("/v1/issuances", issuance(town, purchase=purchase)), 422, "invalid_request")


def test_issue__unknown_field__is_refused(town: Town) -> None:
    refused(town.post("/v1/issuances", issuance(town, pionts=5)), 422, "invalid_request")


@pytest.mark.parametrize("member", ["mem_" + "0" * 26, "mem_" + "U" * 26, "x" * 30])
def test_issue__unknown_member__is_not_found(town: Town, member: str) -> None:
    refused(town.post("/v1/issuances", issuance(town, member=member)), 404, "member_unknown")


def test_get__unknown_member__is_not_found(town: Town) -> None:
    refused(town.get("/v1/members/mem_" + "0" * 26), 404, "member_unknown")
    refused(town.get("/v1/members/nobody/balance"), 404, "member_unknown")


def test_issue__credit_does_not_reach__is_refused_and_stands_in_the_answer(town: Town) -> None:
    # More than the florist was funded with and has honoured since.
    body = issuance(town, points=301)
    found = refused(
        town.post("/v1/issuances", body, by=town.florist.api_key), 409, "credit_limit_exceeded"
    )
    assert found["needed"] == 301 * 110
    assert found["available"] < 301 * 110
    assert found["reference"] == body["reference"]


def test_redeem__balance_does_not_reach__is_refused(town: Town) -> None:
    body = {"member": town.cleo.id, "reference": fresh("x"), "points": 5}
    found = refused(town.post("/v1/redemptions", body), 409, "balance_too_low")
    assert (found["available"], found["needed"]) == (0, 5)


def test_issue__reference_in_use__names_the_order(town: Town) -> None:
    body = issuance(town)
    first = town.post("/v1/issuances", body).json()
    again = refused(town.post("/v1/issuances", body), 409, "reference_used")
    assert again["order"] == first["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"member": NaN}',
        b'{"points": 1e400}',
        b'{"points": Infinity}',
        b'{"points": 1, "points": 2}',
        b"[" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"reference": "a\\u0000b"}',
        b'{"reference": "\\ud800"}',
        b"\xff\xfe{}",
        b'{"points": ' + b"9" * 5_000 + b"}",
    ],
    ids=range(15),
)
def test_post__malformed_body__is_refused(town: Town, body: bytes) -> None:
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Content-Type": "application/json"}
    response = town.client.post("/v1/issuances", content=body, headers=headers)
    assert response.status_code in (400, 422), response.text
    assert response.json()["code"] in ("body_invalid", "invalid_request", "points_invalid")


def test_post__body_over_the_limit__is_refused(town: Town) -> None:
    headers = town.headers() | {"Idempotency-Key": fresh("k")}
    whole = town.client.post("/v1/issuances", content=b" " * 5_000_000, headers=headers)
    refused(whole, 413, "body_too_large")
    pieces = (b" " * 500_000 for _ in range(10))
    chunked = town.client.post(
        "/v1/issuances",
        content=pieces,
        headers=headers | {"Content-Type": "application/json"},
    )
    refused(chunked, 413, "body_too_large")


def test_post__compressed_body__is_refused(town: Town) -> None:
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Content-Encoding": "gzip"}
    response = town.client.post("/v1/issuances", content=b"\x1f\x8b", headers=headers)
    refused(response, 415, "body_encoded")


def test_bulk__too_many_lines__is_refused(town: Town) -> None:
    line = issuance(town)
    response = town.post("/v1/issuances/bulk", {"lines": [line] * 10_001})
    refused(response, 422, "invalid_request")


def test_unknown_route__is_a_problem(town: Town) -> None:
    refused(town.get("/v1/nothing"), 404, "not_found")
    refused(town.client.delete("/v1/orders"), 405, "method_not_allowed")
    # Each method of a path is a route of its own; the answer names all of them.
    assert town.client.delete("/v1/merchants").headers["allow"] == "GET, POST"


# ---- the good path


def test_issue__purchase__earns_points_and_becomes_final(town: Town) -> None:
    body = {
        "member": town.ada.id,
        "reference": fresh("bread"),
        "purchase": {"amount": "12.34", "currency": "USD"},
    }
    order = town.post("/v1/issuances", body)
    assert order.status_code == 202
    assert order.json() | {"id": "", "accepted_at": 0} == {
        "id": "",
        "kind": "issue",
        "state": "accepted",
        "merchant": town.baker.id,
        "member": town.ada.id,
        "to_member": None,
        "points": 1_234,
        "reference": body["reference"],
        "accepted_at": 0,
        "failure": None,
        "transaction": None,
        "block": None,
    }
    before = town.get(f"/v1/members/{town.ada.id}/balance").json()["points"]
    town.network.gateway.drain()
    after = town.get(f"/v1/orders/{order.json()['id']}").json()
    assert after["state"] == "final"
    assert len(after["transaction"]) == 66
    assert after["block"] > 0
    balance = town.get(f"/v1/members/{town.ada.id}/balance").json()
    assert before <= balance["points"] - 1_234
    assert balance["by_epoch"][0]["expires_at"] > balance["as_of_time"]


def test_bulk__mixed_lines__answers_each_in_its_place(town: Town) -> None:
    good = issuance(town)
    lines = [
        good,
        issuance(town, member="mem_" + "0" * 26),
        good,
        {
            "member": town.ada.id,
            "reference": fresh("r"),
            "purchase": {"amount": "1.00", "currency": "EUR"},
        },
    ]
    key = fresh("bulk")
    response = town.post("/v1/issuances/bulk", {"lines": lines}, key=key)
    assert response.status_code == 202
    body = response.json()
    assert (body["accepted"], body["refused"]) == (1, 3)
    assert body["lines"][0]["state"] == "accepted"
    codes = [line["refused"]["code"] for line in body["lines"][1:]]
    assert codes == ["member_unknown", "reference_used", "purchase_invalid"]
    assert town.post("/v1/issuances/bulk", {"lines": lines}, key=key).content == response.content


def test_redeem_and_transfer__covered__move_points(town: Town) -> None:
    dora = town.post("/v1/members", {"external_id": fresh("dora")}).json()
    emil = town.post("/v1/members", {"external_id": fresh("emil")}).json()
    town.post("/v1/issuances", issuance(town, member=dora["id"], points=500))
    town.network.gateway.drain()
    spent = {"member": dora["id"], "reference": fresh("x"), "points": 120}
    assert town.post("/v1/redemptions", spent).status_code == 202
    open_balance = town.get(f"/v1/members/{dora['id']}/balance").json()
    assert open_balance["available"] <= 380
    given = {"from": dora["id"], "to": emil["id"], "points": 80, "reference": fresh("t")}
    assert town.post("/v1/transfers", given, by=town.operator_key).status_code == 202
    town.network.gateway.drain()
    balances = [town.get(f"/v1/members/{m['id']}/balance").json() for m in (dora, emil)]
    assert [b["points"] for b in balances] == [300, 80]
    assert [b["available"] for b in balances] == [300, 80]
    history = town.get(f"/v1/members/{dora['id']}/history").json()["lines"]
    assert sorted(line["points"] for line in history) == [-120, -80, 500]
    assert {line["kind"] for line in history} == {"issue", "redeem", "transfer"}


def test_history__of_another_merchant__hides_whose_it_was(town: Town) -> None:
    fay = town.post("/v1/members", {"external_id": fresh("fay")}).json()
    town.post("/v1/issuances", issuance(town, member=fay["id"]))
    town.network.gateway.drain()
    path = f"/v1/members/{fay['id']}/history"
    assert town.get(path).json()["lines"][0]["merchant"] == town.baker.id
    assert town.get(path, by=town.florist.api_key).json()["lines"][0]["merchant"] is None


def test_members__same_external_id__is_the_same_member(town: Town) -> None:
    name = fresh("card")
    first, again = (town.post("/v1/members", {"external_id": name}) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert "address" not in json.dumps(first.json())


def test_orders__pages__follow_the_cursor_to_the_end(town: Town) -> None:
    sent = [town.post("/v1/issuances", issuance(town)).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = town.get(f"/v1/orders?limit=2{cursor}").json()
        seen += [order["id"] for order in page["orders"]]
        if page["next_cursor"] is None or len(seen) > 4 + len(sent):
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen[:5] == sent[::-1]
    assert len(seen) == len(set(seen))
    first = town.get("/v1/orders?limit=1").json()["next_cursor"]
    assert town.get(f"/v1/orders?cursor={first}").status_code == 200
    flipped = ("B" if first[0] == "A" else "A") + first[1:]
    made_up = base64.urlsafe_b64encode(struct.pack(">Q", 1)).decode().rstrip("=")
    strange = ("nonsense!", "", "%C3%A9", flipped, first + "A", first[:-1], f"{first}=", made_up)
    for cursor in strange:
        refused(town.get(f"/v1/orders?cursor={cursor}"), 400, "cursor_invalid")
    # Given out to the baker, for this list: nobody else's, and no other's.
    for key in (town.florist.api_key, town.operator_key, town.member_key):
        refused(town.get(f"/v1/orders?cursor={first}", by=key), 400, "cursor_invalid")
    refused(town.get(f"/v1/refusals?cursor={first}"), 400, "cursor_invalid")
    for path, key in (
        (f"/v1/members/{town.ada.id}/history", None),
        ("/v1/api-keys", None),
        ("/v1/merchants", town.operator_key),
        ("/v1/members", town.operator_key),
    ):
        page = town.get(f"{path}?limit=1", by=key).json()
        if page["next_cursor"] is not None:
            mine = f"{path}?cursor={page['next_cursor']}"
            assert town.get(mine, by=key).status_code == 200
        refused(town.get(f"{path}?cursor={first}", by=key), 400, "cursor_invalid")


def test_issue__before_the_first_epoch__is_told_when_it_begins(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = town.network.deployment.schedule.first_start
    monkeypatch.setattr(town.network.gateway.writer, "_clock", SetClock(begins - 1))
    found = refused(town.post("/v1/issuances", issuance(town)), 503, "network_not_begun")
    assert found["begins_at"] == begins


@pytest.mark.parametrize("query", ["from_month=202613", "to_month=202600", "from_month=2026-01"])
def test_settlement__of_no_month__is_refused(town: Town, query: str) -> None:
    refused(town.get(f"/v1/merchants/me/settlement?{query}"), 422, "invalid_request")


def test_settlement__points_honoured_elsewhere__stand_with_both(town: Town) -> None:
    def told() -> tuple[int, int, int]:
        path = "/v1/merchants/me/settlement"
        mine, theirs = town.get(path).json(), town.get(path, by=town.florist.api_key).json()
        issued = [x for x in mine["issued"] if x.pop("merchant") == town.florist.id]
        honoured = [x for x in theirs["honoured"] if x.pop("merchant") == town.baker.id]
        # One cell of the matrix, seen from both sides.
        assert issued == honoured
        return sum(x["points"] for x in issued), sum(x["paid"] for x in issued), len(issued)

    eve = town.post("/v1/members", {"external_id": fresh("eve")}).json()["id"]
    town.post("/v1/issuances", issuance(town, member=eve))
    town.network.gateway.drain()
    points, paid, _ = told()
    spent = {"member": eve, "reference": fresh("r"), "points": 4}
    assert town.post("/v1/redemptions", spent, by=town.florist.api_key).status_code == 202
    town.network.gateway.drain()
    assert told() == (points + 4, paid + 4 * 98, 1)


def test_merchant__position__counts_issues_and_holds(town: Town) -> None:
    before = town.get("/v1/merchants/me/position").json()
    town.post("/v1/issuances", issuance(town, points=7))
    town.network.gateway.drain()
    after = town.get("/v1/merchants/me/position").json()
    assert before["available"] - after["available"] == 7 * 110
    assert after["held"] == 0
    assert town.get("/v1/merchants/me").json()["id"] == town.baker.id


def test_onboard__by_the_operator__is_active_and_funded_once(town: Town) -> None:
    slug = fresh("grocer")
    body = {"name": "Grocer", "slug": slug, "deposit": 5_000_000}
    made = town.post("/v1/merchants", body, by=town.operator_key).json()
    again = town.post("/v1/merchants", body, by=town.operator_key).json()
    assert (again["id"], again["api_key"]) == (made["id"], None)
    town.network.gateway.drain()
    assert town.get("/v1/merchants/me", by=made["api_key"]).json()["state"] == "active"
    paid = {"amount": 1_000_000, "bank_reference": fresh("bank")}
    path = f"/v1/merchants/{made['id']}/deposits"
    booked = [town.post(path, paid, by=town.operator_key).json()["booked"] for _ in range(2)]
    assert booked == [True, False]
    town.network.gateway.drain()
    position = town.get("/v1/merchants/me/position", by=made["api_key"]).json()
    assert position["position"] == 6_000_000


def test_api_key__third_one__revokes_the_oldest(town: Town) -> None:
    body = {"name": "Kiosk", "slug": fresh("kiosk")}
    made = town.post("/v1/merchants", body, by=town.operator_key).json()
    path = f"/v1/merchants/{made['id']}/api-keys"
    second, third = (
        town.post(path, None, by=town.operator_key).json()["api_key"] for _ in range(2)
    )
    refused(town.get("/v1/merchants/me", by=made["api_key"]), 401, "unauthenticated")
    assert town.get("/v1/merchants/me", by=second).status_code == 200
    assert town.get("/v1/merchants/me", by=third).status_code == 200


def test_health__of_a_running_network__is_ok(town: Town) -> None:
    assert town.client.get("/healthz").json() == {"status": "ok"}
    ready = town.client.get("/readyz")
    assert ready.status_code == 200, ready.text
    assert set(ready.json().values()) == {"ok"}


def test_issue__prefer_wait__answers_when_it_is_final(town: Town) -> None:
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Prefer": "respond-async, wait=20"}
    response = town.client.post("/v1/issuances", json=issuance(town), headers=headers)
    assert response.status_code == 200
    assert response.json()["state"] == "final"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [("", 0), ("wait=5", 5), ("respond-async, Wait = 7", 7), ("wait=-1", 0), ("wait=9999999", 30)],
)
def test_prefer__header__is_read_as_the_rfc_says(prefer: str, seconds: float) -> None:
    assert wanted_wait_s(prefer) == seconds


def test_metrics__by_the_operator__tell_depth_and_lag(town: Town) -> None:
    refused(town.get("/metrics"), 403, "forbidden")
    text = town.get("/metrics", by=town.operator_key).text
    for name in ("banyan_orders_waiting", "banyan_oldest_open_seconds", "banyan_mirror_lag_blocks"):
        assert f"\n{name} " in text
    assert 'route="/v1/issuances",status="202"' in text
    assert town.ada.id not in text
