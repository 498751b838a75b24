"""Default deny: every route against every role, and against another tenant's ids."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from fastapi.routing import APIRoute

from gateway.auth import endpoints as keys
from gateway.auth.keys import SCOPES, Role, Scope
from gateway.members import endpoints as members
from gateway.merchants import endpoints as merchants
from gateway.orders import endpoints as orders
from gateway.orders import reversal_endpoints as reversals
from gateway.webhooks import endpoints as webhooks
from tests.gateway.helpers import Town, fresh

ROUTERS = (
    orders.router,
    reversals.router,
    members.router,
    merchants.router,
    keys.router,
    webhooks.router,
)

PLAIN = "application/json"
# Means the same, and keeps a plain POST off its short way.
USUAL = "application/json; charset=utf-8"

# Who reaches what. A new route that is not named here fails the test.
NET, AUDIT, OWNER, TILL, SELF = (
    Role.OPERATOR,
    Role.AUDITOR,
    Role.MERCHANT,
    Role.CASHIER,
    Role.MEMBER,
)
SHOP = {OWNER, TILL}
REACHED = {
    ("POST", "/v1/issuances"): SHOP,
    ("POST", "/v1/issuances/bulk"): SHOP,
    ("POST", "/v1/redemptions"): SHOP,
    ("POST", "/v1/refunds"): SHOP,
    ("POST", "/v1/returns"): SHOP,
    ("POST", "/v1/transfers"): {NET, SELF},
    ("GET", "/v1/orders"): {NET, AUDIT, SELF, *SHOP},
    ("GET", "/v1/orders/{order_id}"): {NET, AUDIT, SELF, *SHOP},
    ("GET", "/v1/orders/{order_id}/return-quote"): SHOP,
    ("POST", "/v1/orders/{order_id}/cancel"): {NET, SELF, *SHOP},
    ("GET", "/v1/refusals"): {NET, AUDIT, *SHOP},
    ("POST", "/v1/members"): {NET, *SHOP},
    ("GET", "/v1/members"): {NET},
    ("GET", "/v1/members/{member_id}"): {NET, SELF, *SHOP},
    ("GET", "/v1/members/{member_id}/balance"): {NET, SELF, *SHOP},
    ("GET", "/v1/members/{member_id}/history"): {NET, SELF, *SHOP},
    ("POST", "/v1/members/{member_id}/api-keys"): {NET},
    ("GET", "/v1/merchants/me"): SHOP,
    ("GET", "/v1/merchants/me/position"): {OWNER},
    ("GET", "/v1/merchants/me/settlement"): {OWNER},
    ("POST", "/v1/merchants/me/withdrawals"): {OWNER},
    ("GET", "/v1/merchants"): {NET, AUDIT},
    ("POST", "/v1/merchants"): {NET},
    ("GET", "/v1/merchants/{merchant_id}"): {NET, AUDIT},
    ("GET", "/v1/merchants/{merchant_id}/position"): {NET, AUDIT},
    ("POST", "/v1/merchants/{merchant_id}/deposits"): {NET},
    ("POST", "/v1/merchants/{merchant_id}/api-keys"): {NET},
    ("POST", "/v1/webhook-endpoints"): {NET, OWNER},
    ("GET", "/v1/webhook-endpoints"): {NET, OWNER},
    ("GET", "/v1/webhook-endpoints/{endpoint_id}"): {NET, OWNER},
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): {NET, OWNER},
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): {NET, OWNER},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): {NET, OWNER},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): {NET, OWNER},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/replay"): {NET, OWNER},
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries"): {NET, OWNER},
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries/{event_id}"): {NET, OWNER},
    ("GET", "/v1/api-keys"): {NET, OWNER},
    ("POST", "/v1/api-keys"): {NET, OWNER},
    ("POST", "/v1/api-keys/{key_id}/revoke"): {NET, OWNER},
}


def routes() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods):
                yield method, route.path


def key_of(town: Town, role: Role) -> str:
    found = {
        NET: town.operator_key,
        AUDIT: town.auditor_key,
        OWNER: town.baker.api_key,
        TILL: town.cashier_key,
        SELF: town.member_key,
    }[role]
    assert found is not None
    return found


def nobodys(path: str) -> str:
    """The path with ids that name nothing."""
    return path.format(
        order_id="ord_" + "0" * 26,
        member_id="mem_" + "0" * 26,
        merchant_id="mer_" + "0" * 26,
        key_id="0" * 16,
        endpoint_id="wep_" + "0" * 26,
        event_id="evt_" + "0" * 26,
    )


def test_routes__all_there_are__are_in_the_table() -> None:
    assert set(routes()) == set(REACHED)


def test_routes__by_each_role__let_in_whom_the_table_names(town: Town) -> None:
    """All routes x all roles, and plain POSTs on their short way and on the usual one."""
    wrong = []
    for method, path in sorted(REACHED):
        medias = [PLAIN, USUAL] if method == "POST" else [PLAIN]
        for role, media in product([None, *Role], medias):
            headers = {"Idempotency-Key": fresh("k"), "Content-Type": media}
            if role is not None:
                headers["Authorization"] = f"Bearer {key_of(town, role)}"
            # No body: whoever is let in is refused for that, and nobody else learns of it.
            response = town.client.request(method, nobodys(path), headers=headers)
            if role is None:
                expected: tuple[int, ...] = (401,)
            elif role in REACHED[method, path]:
                expected = (200, 404, 422)
            else:
                expected = (403,)
            if response.status_code not in expected:
                wrong.append((method, path, role, media, response.status_code, response.text))
    assert wrong == []


def foreign_requests(town: Town) -> Iterator[tuple[str, str, Role, Any]]:
    """Every route that names an id, by each role that is not of the network, with an id of
    another: method, path, who, body.
    """
    order = town.post(
        "/v1/issuances",
        {"member": town.ben.id, "reference": fresh("r"), "points": 1},
        by=town.florist.api_key,
    ).json()["id"]
    florists = town.get("/v1/api-keys", by=town.florist.api_key).json()["api_keys"][0]["id"]
    hook = {"url": "https://florist.example/hook"}
    endpoint = town.post("/v1/webhook-endpoints", hook, by=town.florist.api_key).json()["id"]
    ids = {
        "endpoint_id": endpoint,
        "event_id": "evt_" + "0" * 26,
        "order_id": order,
        "member_id": town.ben.id,
        "merchant_id": town.florist.id,
        "key_id": florists,
    }
    one = {"reference": fresh("r"), "points": 1}
    bodies: dict[str, Any] = {
        "/v1/webhook-endpoints/{endpoint_id}": {"active": False},
        "/v1/webhook-endpoints/{endpoint_id}/replay": {"event": ids["event_id"]},
        "/v1/refunds": {"redemption": order, **one},
        "/v1/returns": {"issue": order, **one},
        "/v1/transfers": {"from": town.ben.id, "to": town.ada.id, **one},
    }
    for (method, path), reached in sorted(REACHED.items()):
        for role in sorted(reached & {OWNER, TILL, SELF}):
            names_member = "{member_id}" in path and role is not SELF
            # A member belongs to the network: any merchant may look it up.
            if ("{" in path and not names_member) or path in bodies:
                yield method, path.format(**ids), role, bodies.get(path)


def test_routes__with_another_tenants_ids__are_not_found(town: Town) -> None:
    tried = 0
    for method, path, role, body in foreign_requests(town):
        query = {"points": "1"} if path.endswith("return-quote") else {}
        response = town.client.request(
            method,
            path,
            json=body,
            params=query,
            headers={
                "Idempotency-Key": fresh("k"),
                "Authorization": f"Bearer {key_of(town, role)}",
            },
        )
        assert response.status_code == 404, (method, path, role, response.text)
        assert response.json()["code"].endswith("_unknown")
        tried += 1
    assert tried >= 15
    # And none of them did anything: the florist's order is not cancelled, its key opens.
    assert town.get("/v1/merchants/me", by=town.florist.api_key).status_code == 200


def test_lists__of_a_tenant__hold_nothing_of_another(town: Town) -> None:
    for by, shop in ((town.baker.api_key, town.baker), (town.cashier_key, town.baker)):
        found = town.get("/v1/orders?limit=500", by=by).json()["orders"]
        assert {order["merchant"] for order in found} <= {shop.id}
        refused = town.get("/v1/refusals?limit=500", by=by).json()["refusals"]
        assert {line["merchant"] for line in refused} <= {shop.id}
    own = town.get("/v1/orders?limit=500", by=town.member_key).json()["orders"]
    assert {order["member"] for order in own} <= {town.ada.id}
    lines = town.get("/v1/api-keys?limit=500").json()["api_keys"]
    assert {line["merchant"] for line in lines} == {town.baker.id}


def test_scopes__of_every_role__are_reached_by_a_route() -> None:
    used: set[Scope] = {Scope.METRICS}
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for dependant in route.dependant.dependencies:
                scope = getattr(dependant.call, "scope", None)
                if scope is not None:
                    used.add(scope)
                    for role in dependant.call.roles:  # type: ignore[union-attr]
                        assert scope in SCOPES[role], (route.path, role)
    assert used == set(Scope)


def test_routes__that_need_no_key__are_health_pages_and_the_documentation(town: Town) -> None:
    app = town.network.app
    api = {path for _, path in routes()}
    free = {getattr(route, "path", "") for route in app.routes} - api
    assert free <= {
        "",
        "/",
        "/healthz",
        "/readyz",
        "/docs",
        "/v1/openapi.json",
        "/members/{member_id}",
        "/static/{name}",
        # An operator's or an auditor's key, see test_metrics.
        "/metrics",
    }, free


def test_openapi__every_route__is_described_with_its_refusals(town: Town) -> None:
    document = town.client.get("/v1/openapi.json").json()
    for method, path in routes():
        operation = document["paths"][path][method.lower()]
        assert operation["summary"]
        assert operation["description"]
