"""API keys: shown once, two alive, narrowed by scopes, ending, counted."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from gateway.app import make_app
from gateway.auth import dependencies
from gateway.auth.keys import Role
from gateway.auth.limits import Rate, RateLimits
from gateway.database import Database
from gateway.tables import api_keys
from tests.gateway.helpers import Town, fresh, serving


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    return dict(body)


def make(town: Town, *, by: str | None = None, **body: Any) -> httpx.Response:
    return town.post("/v1/api-keys", body, by=by)


# ---- refusals


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"role": "operator"}, "invalid_request"),
        ({"role": "member"}, "invalid_request"),
        ({"role": "cashier", "scopes": ["money"]}, "invalid_request"),
        ({"role": "cashier", "scopes": []}, "invalid_request"),
        ({"role": "cashier", "scopes": ["nonsense"]}, "invalid_request"),
        ({"role": "cashier", "label": "a\u0007b"}, "invalid_request"),
    ],
)
def test_make_key__not_an_owners_to_make__is_refused(
    town: Town, body: dict[str, Any], code: str
) -> None:
    refused(make(town, **body), 422, code)


def test_make_key__by_a_narrowed_key__gives_no_more_than_it_has(town: Town) -> None:
    narrow = make(town, role="merchant", label=fresh("n")[:20], scopes=["keys", "issue"]).json()
    by = narrow["api_key"]
    refused(make(town, by=by, role="merchant", label="m", scopes=["money"]), 422, "invalid_request")
    made = make(town, by=by, role="merchant", label=fresh("n")[:20]).json()["api_key"]
    refused(town.get("/v1/merchants/me/position", by=made), 403, "forbidden")


def test_make_key__of_another_role_by_a_narrowed_key__gives_no_more_than_it_has(
    town: Town,
) -> None:
    """A key that may only make keys made itself a till's that issues."""
    label = fresh("n")[:20]
    keeper = make(town, role="merchant", label=label, scopes=["keys", "orders:read"]).json()
    by = keeper["api_key"]
    refused(make(town, by=by, role="cashier", scopes=["issue"]), 422, "invalid_request")
    made = make(town, by=by, role="cashier", label=label).json()["api_key"]
    assert town.get("/v1/orders", by=made).status_code == 200
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    refused(town.post("/v1/issuances", body, by=made), 403, "forbidden")
    only = make(town, role="merchant", label=label, scopes=["keys"]).json()["api_key"]
    refused(make(town, by=only, role="cashier", label=label), 422, "invalid_request")


def test_key__without_the_scope__is_forbidden(town: Town) -> None:
    key = make(town, role="cashier", label=fresh("t")[:20], scopes=["issue"]).json()["api_key"]
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    assert town.post("/v1/issuances", body, by=key).status_code == 202
    found = refused(town.post("/v1/redemptions", body, by=key), 403, "forbidden")
    assert found["scope"] == "redeem"


def test_members_key__for_another_member__finds_nothing(town: Town) -> None:
    refused(town.get(f"/v1/members/{town.ben.id}", by=town.member_key), 404, "member_unknown")
    body = {"from": town.ben.id, "to": town.ada.id, "points": 1, "reference": fresh("t")}
    refused(town.post("/v1/transfers", body, by=town.member_key), 404, "member_unknown")


def test_members_key__past_its_end__opens_nothing(town: Town) -> None:
    made = town.post(
        f"/v1/members/{town.cleo.id}/api-keys", {"lives_s": 60}, by=town.operator_key
    ).json()
    path = f"/v1/members/{town.cleo.id}"
    assert 55 <= made["expires_at"] - time.time() <= 60
    with town.network.gateway.database.write() as connection:
        ended = update(api_keys).where(api_keys.c.id == made["id"]).values(expires_at=1)
        connection.execute(ended)
    refused(town.get(path, by=made["api_key"]), 401, "unauthenticated")


# ---- keys


def test_make_key__for_each_till__rotates_each_by_itself(town: Town) -> None:
    first, second = (make(town, role="cashier", label=f"till {n}").json() for n in (71, 72))
    again = [make(town, role="cashier", label="till 71").json() for _ in range(2)]
    refused(town.get("/v1/merchants/me", by=first["api_key"]), 401, "unauthenticated")
    for alive in (second, *again):
        assert town.get("/v1/merchants/me", by=alive["api_key"]).status_code == 200
    lines = {line["id"]: line for line in town.get("/v1/api-keys?limit=500").json()["api_keys"]}
    assert lines[first["id"]]["revoked_at"] is not None
    assert lines[second["id"]]["label"] == "till 72"
    assert "secret" not in str(lines)


def test_make_key__the_same_request_again__does_not_show_the_secret_again(town: Town) -> None:
    key, body = fresh("k"), {"role": "cashier", "label": "till 80"}
    first, again = (town.post("/v1/api-keys", body, key=key) for _ in range(2))
    assert first.json()["api_key"].startswith("bnk_")
    assert again.json() == first.json() | {"api_key": None}
    text = first.json()["api_key"].rpartition("_")[2]
    with town.network.gateway.database.read() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM idempotency").all()
    assert text not in str(stored)


def test_revoke__a_key__ends_it(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(town, role="cashier", label="till 90").json()
    path = f"/v1/api-keys/{made['id']}/revoke"
    assert town.post(path, None).json() == {"id": made["id"], "revoked": True}
    assert town.post(path, None).status_code == 200
    refused(town.get("/v1/merchants/me", by=made["api_key"]), 401, "unauthenticated")


def test_use__of_a_key__is_noted_once_a_minute(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "REMEMBER_S", 0.0)
    made = make(town, role="cashier", label="till 95").json()

    def used_at() -> int | None:
        query = select(api_keys.c.last_used_at).where(api_keys.c.id == made["id"])
        with town.network.gateway.database.read() as connection:
            return connection.execute(query).scalar_one()

    assert used_at() is None
    town.get("/v1/merchants/me", by=made["api_key"])
    first = used_at()
    assert first is not None
    assert abs(first - time.time()) < 5
    with town.network.gateway.database.write() as connection:
        connection.execute(
            update(api_keys).where(api_keys.c.id == made["id"]).values(last_used_at=first - 30)
        )
    town.get("/v1/merchants/me", by=made["api_key"])
    assert used_at() == first - 30


def test_member__with_its_own_key__sees_and_gives_its_points(town: Town) -> None:
    eve = town.post("/v1/members", {"external_id": fresh("eve")}).json()["id"]
    body = {"member": eve, "reference": fresh("r"), "points": 50}
    town.post("/v1/issuances", body)
    town.network.gateway.drain()
    key = town.post(f"/v1/members/{eve}/api-keys", {}, by=town.operator_key).json()["api_key"]
    gift = {"from": eve, "to": town.ben.id, "points": 20, "reference": "for ben"}
    order = town.post("/v1/transfers", gift, by=key)
    assert order.status_code == 202, order.text
    town.network.gateway.drain()
    mine = town.get("/v1/orders", by=key).json()["orders"]
    assert {o["kind"] for o in mine} == {"join", "issue", "transfer"}
    assert town.get(f"/v1/orders/{order.json()['id']}", by=key).json()["state"] == "final"
    assert town.get(f"/v1/members/{eve}/balance", by=key).json()["points"] == 30
    history = town.get(f"/v1/members/{eve}/history", by=key).json()["lines"]
    assert {line["merchant"] for line in history} == {None, town.baker.id}


# ---- how often


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"])
def test_post__too_often__is_told_when_to_come_back(
    town: Town, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(town.network.gateway)
    app.state.key_ring.limits = RateLimits(None, Rate(0.5, 3), Rate(0.5, 3))
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    with serving(app) as url, httpx.Client(base_url=url) as client:

        def post() -> httpx.Response:
            headers = town.headers() | {"Idempotency-Key": fresh("k"), "Content-Type": media_type}
            return client.post("/v1/redemptions", json=body, headers=headers)

        answers = [post() for _ in range(4)]
        others = client.get("/v1/merchants/me", headers=town.headers(town.florist.api_key))
    assert 429 not in [a.status_code for a in answers[:3]]
    found = refused(answers[3], 429, "rate_limited")
    assert answers[3].headers["retry-after"] == str(found["retry_after_s"]) == "2"
    assert answers[3].headers["content-type"] == "application/problem+json"
    assert others.status_code == 200


def test_bulk__its_lines__are_counted_and_not_its_requests(town: Town) -> None:
    app = make_app(town.network.gateway)
    app.state.key_ring.lines = RateLimits(None, Rate(0.5, 5), Rate(0.5, 5))
    lines = [{"member": town.ada.id, "reference": fresh("r"), "points": 1} for _ in range(3)]
    with serving(app) as url, httpx.Client(base_url=url) as client:

        def post(body: object, path: str = "/v1/issuances/bulk") -> httpx.Response:
            headers = town.headers() | {"Idempotency-Key": fresh("k")}
            return client.post(path, json=body, headers=headers)

        first, second = post({"lines": lines}), post({"lines": lines})
        single = post(lines[0] | {"reference": fresh("r")}, "/v1/issuances")
        rest = post({"lines": lines[:2]})
    assert (first.status_code, single.status_code, rest.status_code) == (202, 202, 202)
    assert refused(second, 429, "rate_limited")["retry_after_s"] == 2


def test_limits__of_two_processes_by_the_line__are_one(database: Database) -> None:
    rate = Rate(per_s=0.001, burst=10_000)
    one, two = (RateLimits(database, rate, rate) for _ in range(2))

    def ask(limits: RateLimits, many: int) -> bool:
        wait_s = limits.take("key lines", Role.MERCHANT, many)
        if wait_s is None:
            wait_s = limits.fetch("key lines", Role.MERCHANT, many)
        return wait_s == 0

    assert ask(one, 6_000)
    assert ask(two, 3_999)
    assert ask(two, 6_000) is not database.is_postgres
    assert ask(one, 1)
    assert ask(one, 3_999) is not database.is_postgres


def test_strangers__who_try_many_keys__are_slowed_down(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many at once as in life, but a rate that a busy machine cannot stay under.
    slow = Rate(per_s=0.1, burst=dependencies.STRANGERS.burst)
    monkeypatch.setattr(dependencies, "STRANGERS", slow)
    app = make_app(town.network.gateway)
    with serving(app) as url, httpx.Client(base_url=url) as client:
        codes = [
            client.get("/v1/orders", headers={"Authorization": f"Bearer guess{n}"}).status_code
            for n in range(150)
        ]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert codes.index(429) >= 100


def test_limits__of_two_processes__are_one(database: Database) -> None:
    rate = Rate(per_s=20, burst=40)
    processes = [RateLimits(database, rate, rate) for _ in range(2)]

    def passed(limits: RateLimits) -> int:
        count = 0
        for _ in range(60):
            wait_s = limits.take("key", Role.MERCHANT)
            if wait_s is None:
                wait_s = limits.fetch("key", Role.MERCHANT)
            count += wait_s == 0
        return count

    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(passed, processes))
    most = 40 + 20 * (time.monotonic() - began) + 1
    if database.is_postgres:
        assert 40 <= sum(counts) <= most
    else:
        # SQLite has one process, so each of these counts for itself.
        assert all(40 <= count <= most for count in counts)


def test_limits__many_find_the_supply_used_up__one_fetches_for_all(database: Database) -> None:
    """Else each would fetch a supply, and requests far under the rate would be sent away."""
    rate = Rate(per_s=1_000, burst=400)
    limits = RateLimits(database, rate, rate)
    found_none = threading.Barrier(32)

    def ask(_: int) -> float:
        wait_s = limits.take("key", Role.MERCHANT)
        found_none.wait(timeout=30)
        return limits.fetch("key", Role.MERCHANT) if wait_s is None else wait_s

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(ask, range(32))) == {0}
