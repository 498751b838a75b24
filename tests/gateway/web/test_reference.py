"""The API's reference: drawn from the OpenAPI document, nothing loaded from elsewhere."""

from __future__ import annotations

import asyncio
import re

import httpx
from fastapi import FastAPI
from pydantic import BaseModel, Field

from gateway.web.reference import paragraphs, reference_of
from gateway.web.views import web_router


class NewSale(BaseModel):
    points: int = Field(description="How many; `true` is no number.")
    note: str | None = None


def application() -> FastAPI:
    app = FastAPI(title="Shop", description="A *small* shop.", docs_url=None)

    @app.post("/v1/sales/{till}", tags=["sales"], summary="Sell <b>now</b>")
    async def sell(till: str, sale: NewSale, wait: int = 0) -> NewSale:
        """Sells once.

        Repeat with the same `Idempotency-Key`.
        """
        return sale

    app.include_router(web_router(None, now=lambda: 0, face_value=100))  # type: ignore[arg-type]
    return app


def test_reference__markup_in_a_text__is_shown_as_text() -> None:
    assert str(paragraphs("<script>x</script> `a<b`")[0]) == (
        "&lt;script&gt;x&lt;/script&gt; <code>a&lt;b</code>"
    )


def test_reference__an_operation__with_its_parameters_body_and_answer() -> None:
    (operation,) = reference_of(application().openapi()).groups["sales"]
    assert (operation.method, operation.path) == ("POST", "/v1/sales/{till}")
    assert [(f.name, f.kind, f.required) for f in operation.parameters] == [
        ("till", "string, path", True),
        ("wait", "integer, query", False),
    ]
    assert [(f.name, f.kind, f.required) for f in operation.body] == [
        ("points", "integer", True),
        ("note", "string or null", False),
    ]
    assert operation.answer_status == "200"
    assert [str(p) for p in operation.paragraphs] == [
        "Sells once.",
        "Repeat with the same <code>Idempotency-Key</code>.",
    ]


def test_docs__opened__names_every_operation_and_loads_nothing_from_elsewhere() -> None:
    async def opened() -> httpx.Response:
        transport = httpx.ASGITransport(app=application())
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return await client.get("/docs")

    page = asyncio.run(opened())
    assert page.status_code == 200
    assert "Sell &lt;b&gt;now&lt;/b&gt;" in page.text
    assert "<script" not in page.text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
