"""Plain POSTs take a shorter way through the application, and nobody can tell by the answer."""

from __future__ import annotations

import json

import httpx
import pytest
from fastapi import APIRouter, Depends, Request, Response

from gateway.app import make_app
from gateway.express import Express
from gateway.orders import endpoints as orders
from gateway.strict import StrictRoute
from tests.gateway.helpers import Town, fresh

PLAIN = "application/json"
# Means the same, and is not what the short way takes.
USUAL = "application/json; charset=utf-8"

BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "a key twice": b'{"points": 1, "points": 2}',
    "NaN": b'{"points": NaN}',
    "too deep": b"[" * 9 + b"]" * 9,
    "a boolean for a number": b'{"member": "MEMBER", "reference": "r", "points": true}',
    "an unknown field": b'{"member": "MEMBER", "reference": "r", "points": 1, "more": 1}',
    "neither points nor purchase": b'{"member": "MEMBER", "reference": "r"}',
    "a stranger": b'{"member": "mem_00000000000000000000000000", "reference": "r", "points": 1}',
    "no UTF-8": b'{"member": "\xff"}',
}


def post(town: Town, path: str, media_type: str, body: bytes, **headers: str) -> httpx.Response:
    return town.client.post(
        path,
        content=body.replace(b"MEMBER", town.ada.id.encode()),
        headers={"Content-Type": media_type, **headers},
    )


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/issuances/bulk", "/v1/redemptions"])
@pytest.mark.parametrize("what", BODIES)
def test_express__a_bad_body__is_refused_as_on_the_usual_way(
    town: Town, path: str, what: str
) -> None:
    answers = [
        post(
            town,
            path,
            media_type,
            BODIES[what],
            **{"Authorization": f"Bearer {town.baker.api_key}", "Idempotency-Key": fresh("k")},
        )
        for media_type in (PLAIN, USUAL)
    ]
    assert answers[0].status_code >= 400
    assert answers[0].json() == answers[1].json()
    assert answers[0].status_code == answers[1].status_code


def test_express__without_key_or_role_or_idempotency_key__is_refused_as_on_the_usual_way(
    town: Town,
) -> None:
    body = b'{"member": "MEMBER", "reference": "r", "points": 1}'
    for headers in (
        {"Idempotency-Key": "k"},
        {"Authorization": "Bearer bnk_nobody", "Idempotency-Key": "k"},
        {"Authorization": f"Bearer {town.operator_key}", "Idempotency-Key": "k"},
        {"Authorization": f"Bearer {town.baker.api_key}"},
        {"Authorization": f"Bearer {town.baker.api_key}", "Idempotency-Key": "k" * 101},
    ):
        plain, usual = (
            post(town, "/v1/issuances", media_type, body, **headers)
            for media_type in (PLAIN, USUAL)
        )
        assert plain.status_code in (400, 401, 403, 422)
        assert (plain.status_code, plain.json()) == (usual.status_code, usual.json())
        for name in ("www-authenticate", "cache-control", "content-type"):
            assert plain.headers.get(name) == usual.headers.get(name)


def test_express__one_request_on_both_ways__is_one_order(town: Town) -> None:
    body = json.dumps({"member": town.ada.id, "reference": fresh("r"), "points": 3}).encode()
    headers = {"Authorization": f"Bearer {town.baker.api_key}", "Idempotency-Key": fresh("k")}
    plain = post(town, "/v1/issuances", PLAIN, body, **headers)
    usual = post(town, "/v1/issuances", USUAL, body, **headers)
    assert plain.status_code == 202
    assert plain.content == usual.content


def test_express__a_body_in_chunks__is_read_whole(town: Town) -> None:
    body = json.dumps({"member": town.ada.id, "reference": fresh("r"), "points": 3}).encode()
    answer = town.client.post(
        "/v1/issuances",
        content=iter([body[:20], body[20:40], body[40:]]),
        headers={
            "Content-Type": PLAIN,
            "Authorization": f"Bearer {town.baker.api_key}",
            "Idempotency-Key": fresh("k"),
        },
    )
    assert answer.status_code == 202, answer.text


def test_express__the_posts_of_a_till__are_taken(town: Town) -> None:
    paths = {"/v1/issuances", "/v1/issuances/bulk", "/v1/redemptions"}
    assert paths <= Express(orders.router.routes).paths
    first = make_app(town.network.gateway).router.routes[0]
    assert isinstance(first, Express)
    assert paths <= first.paths


async def plain(request: Request) -> str:
    return request.url.path


async def of_plain(found: str = Depends(plain)) -> str:
    return found


async def of_query(found: str) -> str:
    return found


def in_a_thread(request: Request) -> str:
    return request.url.path


def test_express__dependencies_that_read_more_than_the_request__are_left_to_the_usual_way() -> None:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/plain")
    async def endpoint(a: str = Depends(plain), b: str = Depends(of_plain)) -> Response:
        return Response(a + b)

    @router.post("/query")
    async def with_query(a: str = Depends(of_query)) -> Response:
        return Response(a)

    @router.post("/thread")
    async def in_thread(a: str = Depends(in_a_thread)) -> Response:
        return Response(a)

    @router.post("/of/{name}")
    async def of_path(name: str) -> Response:
        return Response(name)

    @router.get("/get")
    async def get(a: str = Depends(plain)) -> Response:
        return Response(a)

    assert Express(router.routes).paths == {"/plain"}
