"""The OpenAPI document is what the gateway does: its examples run, its refusals are named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from sqlalchemy import select

from gateway.orders.schemas import A_MEMBER, AN_ORDER, ANOTHER_MEMBER
from gateway.relay.incidents import Incident
from gateway.tables import webhook_events
from gateway.webhooks.events import WORDS, Event
from tests.gateway.helpers import Town, fresh

# Ids in paths, and who asks where it is not the baker.
BY_OPERATOR = ("/v1/transfers", "/v1/merchants", "/v1/members/{member_id}/api-keys")


@pytest.fixture(scope="module")
def document(town: Town) -> dict[str, Any]:
    found: dict[str, Any] = town.client.get("/v1/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        if path.startswith("/v1/"):
            for method, operation in methods.items():
                yield method, path, operation


def body_schema(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return None
    for option in schema.get("anyOf", [schema]):
        if "$ref" in option:
            name = option["$ref"].rpartition("/")[2]
            return dict(document["components"]["schemas"][name])
    return dict(schema)


def final(town: Town, path: str, **body: Any) -> str:
    order = town.post(path, {"member": town.ada.id, "reference": fresh("r")} | body).json()["id"]
    town.network.gateway.drain()
    return str(order)


def test_openapi__every_example_of_a_body__is_taken(town: Town, document: dict[str, Any]) -> None:
    issue = final(town, "/v1/issuances", points=5_000)
    final(town, "/v1/issuances", points=5_000, member=town.ben.id)
    redemption = final(town, "/v1/redemptions", points=50)
    endpoint = town.post("/v1/webhook-endpoints", {"url": "https://shop.example/hook"}).json()
    ids = {
        "member_id": town.ada.id,
        "merchant_id": town.baker.id,
        "order_id": issue,
        "endpoint_id": endpoint["id"],
        "key_id": town.get("/v1/api-keys").json()["api_keys"][0]["id"],
    }
    posted = 0
    for method, path, operation in operations(document):
        schema = body_schema(document, operation)
        if method != "post" or schema is None or path.startswith("/v1/webhook"):
            continue
        assert schema.get("examples"), f"{path} has no example"
        order = redemption if path == "/v1/refunds" else issue
        for example in schema["examples"]:
            text = json.dumps(example).replace(A_MEMBER, town.ada.id)
            text = text.replace(ANOTHER_MEMBER, town.ben.id).replace(AN_ORDER, order)
            by_operator = path in BY_OPERATOR or "{merchant_id}" in path
            response = town.post(
                path.format(**ids),
                json.loads(text),
                by=town.operator_key if by_operator else None,
            )
            named = [status for status in operation["responses"] if status.startswith("2")]
            assert str(response.status_code) in named, (path, example, response.text)
            posted += 1
    assert posted >= 13
    town.network.gateway.drain()


def test_openapi__webhooks__their_examples_and_what_is_sent_fit_their_schemas(
    town: Town, document: dict[str, Any]
) -> None:
    told = {word: operation["post"] for word, operation in document["webhooks"].items()}
    assert set(told) == set(WORDS.values())
    for word, operation in told.items():
        named = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = document["components"]["schemas"][named.rpartition("/")[2]]
        # Strict about what is there: a member that nobody described is as wrong as a missing one.
        strict = json.loads(json.dumps(document["components"]))
        for each in strict["schemas"].values():
            if each.get("type") == "object" and "properties" in each:
                each["additionalProperties"] = False
        checked = jsonschema_rs.Draft202012Validator({"$ref": named, "components": strict})
        assert schema["examples"], word
        for example in schema["examples"]:
            checked.validate(example)
        assert not checked.is_valid(schema["examples"][0] | {"type": "order.unheard_of"})
    kinds = document["components"]["schemas"]["IncidentBody"]["properties"]["kind"]["enum"]
    assert set(kinds) == {kind.value for kind in Incident}
    # What was really frozen in this town, of every kind that there is.
    with town.network.gateway.database.read() as connection:
        rows = connection.execute(select(webhook_events.c.event, webhook_events.c.payload)).all()
    for row in rows:
        sent = json.loads(bytes(row.payload))
        assert sent["type"] == WORDS[Event(row.event)]
        named = told[sent["type"]]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        jsonschema_rs.Draft202012Validator({"$ref": named, "components": strict}).validate(sent)


def test_openapi__every_operation__names_its_refusals_and_its_key(
    document: dict[str, Any],
) -> None:
    for method, path, operation in operations(document):
        for status in ("401", "403", "404", "422", "429", "503"):
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], (path, status)
        assert operation["security"] == [{"key": []}]
        headers = [p["name"] for p in operation.get("parameters", []) if p["in"] == "header"]
        assert ("Idempotency-Key" in headers) == (method == "post"), path
    assert "HTTPValidationError" not in json.dumps(document)
