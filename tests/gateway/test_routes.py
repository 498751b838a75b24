"""Default deny: every route against every role, and against another tenant's ids."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from gateway.auth.keys import Role
from gateway.members import endpoints as members
from gateway.merchants import endpoints as merchants
from gateway.orders import endpoints as orders
from gateway.orders import reversal_endpoints as reversals
from gateway.webhooks import endpoints as webhooks
from tests.gateway.helpers import Town, fresh

# Who reaches what. A new route that is not named here fails the test.
SHOP, NET = Role.MERCHANT, Role.OPERATOR
REACHED = {
    ("POST", "/v1/issuances"): {SHOP},
    ("POST", "/v1/issuances/bulk"): {SHOP},
    ("POST", "/v1/redemptions"): {SHOP},
    ("POST", "/v1/transfers"): {NET},
    ("POST", "/v1/refunds"): {SHOP},
    ("POST", "/v1/returns"): {SHOP},
    ("GET", "/v1/orders/{order_id}/return-quote"): {SHOP},
    ("POST", "/v1/orders/{order_id}/cancel"): {SHOP, NET},
    ("POST", "/v1/merchants/me/withdrawals"): {SHOP},
    ("GET", "/v1/orders"): {SHOP, NET},
    ("GET", "/v1/orders/{order_id}"): {SHOP, NET},
    ("POST", "/v1/members"): {SHOP, NET},
    ("GET", "/v1/members/{member_id}"): {SHOP, NET},
    ("GET", "/v1/members/{member_id}/balance"): {SHOP, NET},
    ("GET", "/v1/members/{member_id}/history"): {SHOP, NET},
    ("GET", "/v1/merchants/me"): {SHOP},
    ("GET", "/v1/merchants/me/position"): {SHOP},
    ("GET", "/v1/merchants"): {NET},
    ("POST", "/v1/merchants"): {NET},
    ("POST", "/v1/merchants/{merchant_id}/deposits"): {NET},
    ("POST", "/v1/merchants/{merchant_id}/api-keys"): {NET},
    ("POST", "/v1/webhook-endpoints"): {SHOP},
    ("GET", "/v1/webhook-endpoints"): {SHOP},
    ("GET", "/v1/webhook-endpoints/{endpoint_id}"): {SHOP},
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): {SHOP},
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): {SHOP},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): {SHOP},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): {SHOP},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/replay"): {SHOP},
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries"): {SHOP},
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/deliveries/{event_id}"): {SHOP},
}


def routes() -> Iterator[tuple[str, str]]:
    for router in (
        orders.router,
        reversals.router,
        members.router,
        merchants.router,
        webhooks.router,
    ):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods):
                yield method, route.path


def test_routes__all_there_are__are_in_the_table() -> None:
    assert set(routes()) == set(REACHED)


@pytest.mark.parametrize("role", [None, SHOP, NET])
@pytest.mark.parametrize(("method", "path"), sorted(REACHED))
def test_route__by_each_role__lets_in_whom_the_table_names(
    town: Town, method: str, path: str, role: Role | None
) -> None:
    headers = {"Idempotency-Key": fresh("k")}
    if role is not None:
        key = town.baker.api_key if role is SHOP else town.operator_key
        headers["Authorization"] = f"Bearer {key}"
    url = path.format(
        order_id="ord_" + "0" * 26,
        member_id="mem_" + "0" * 26,
        merchant_id="mer_" + "0" * 26,
        endpoint_id="wep_" + "0" * 26,
        event_id="evt_" + "0" * 26,
    )
    # No body: whoever is let in is refused for that, and nobody else learns of it.
    response = town.client.request(method, url, headers=headers)
    if role is None:
        assert response.status_code == 401
    elif role not in REACHED[method, path]:
        assert response.status_code == 403
    else:
        assert response.status_code in (200, 404, 422), response.text


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
        # An operator's key, see test_metrics.
        "/metrics",
    }, free


def test_openapi__every_route__is_described_with_its_refusals(town: Town) -> None:
    document = town.client.get("/v1/openapi.json").json()
    for method, path in routes():
        operation = document["paths"][path][method.lower()]
        assert operation["summary"]
        assert operation["description"]
