"""One issue of points through the whole house: asked over HTTP, true on chain, seen on the page.

On SQLite and on PostgreSQL, with the real chain, contracts, relay, mirror and pages.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from gateway.model import NewMerchant
from gateway.network import Network, open_network
from gateway.settings import Settings
from gateway.tables import batches
from indexer import audit, queries
from tests.gateway.helpers import serving
from wallet_sdk.merkle import references_root
from wallet_sdk.orders import IssueBatch, decode
from wallet_sdk.signers import recover
from wallet_sdk.types import digest_of, to_hex

PATIENCE_S = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Network]:
    settings = Settings(data_dir=tmp_path)
    if request.param == "postgresql":
        url = SecretStr(request.getfixturevalue("postgres_url"))
        settings = Settings(data_dir=tmp_path, orders_url=url, mirror_url=url)
    with open_network(tmp_path, settings=settings) as found:
        yield found


def until_final(client: httpx.Client, order: str, headers: dict[str, str]) -> dict[str, object]:
    until = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, object] = client.get(f"/v1/orders/{order}", headers=headers).json()
        if found["state"] == "final":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.05)


def test_issue__bread_for_ada__is_the_same_in_every_room(network: Network) -> None:
    baker = network.gateway.onboard_merchant(NewMerchant("Baker", "baker", deposit=1_000_000))
    headers = {"Authorization": f"Bearer {baker.api_key}"}
    with serving(network.app) as url, httpx.Client(base_url=url, timeout=30) as client:
        ada = client.post(
            "/v1/members",
            json={"external_id": "card-17"},
            headers=headers | {"Idempotency-Key": "ada"},
        ).json()["id"]
        body = {
            "member": ada,
            "reference": "till-1/0001",
            "purchase": {"amount": "12.34", "currency": "USD"},
        }
        asked = client.post(
            "/v1/issuances", json=body, headers=headers | {"Idempotency-Key": "bread"}
        )
        assert (asked.status_code, asked.json()["points"]) == (202, 1_234)

        # The relay, the chain and the mirror do the rest by themselves.
        order = until_final(client, asked.json()["id"], headers)

        # The order book: one batch, signed by the till key, with a root that proves the purchase.
        with network.gateway.database.read() as connection:
            batch = connection.execute(
                select(batches).where(batches.c.tx_hash.is_not(None), batches.c.kind == 3)
            ).one()
        assert to_hex(bytes(batch.tx_hash)) == order["transaction"]
        signed = decode(bytes(batch.wire))
        assert isinstance(signed.order, IssueBatch)
        digest = signed.order.digest(network.deployment.domain)
        assert recover(digest, signed.signature) == baker.till_key
        salted = network.gateway.custody.salted_reference(baker.number, "till-1/0001")
        assert signed.order.references_root == to_hex(references_root([salted]))

        # The chain itself.
        chain = network.gateway.network
        address = network.gateway.member(ada).address
        assert chain.balance_of(address) == 1_234
        assert chain.position_of(baker.number) == 1_000_000 - 1_234 * 110

        # The mirror.
        with network.mirror.connect() as connection, connection.begin():
            effects = queries.order_effects(connection, [digest_of(digest)]).effects
            laws = queries.laws(connection)
        assert effects[digest_of(digest)].points == 1_234
        assert all(law.holds for law in laws)
        assert audit.check(network.mirror, network.chain.rpc_url, network.deployment).holds

        # What ada, the baker and anybody see.
        balance = client.get(f"/v1/members/{ada}/balance", headers=headers).json()
        assert (balance["points"], balance["available"]) == (1_234, 1_234)
        position = client.get("/v1/merchants/me/position", headers=headers).json()
        assert (position["available"], position["held"]) == (1_000_000 - 135_740, 0)
        assert "1,234" in client.get(f"/members/{ada}").text
        assert "Baker" in client.get("/").text
