"""The card of a pass: its date is the calendar's, and a name with markup in it stays text."""

from __future__ import annotations

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from banyan_kit.revm import ADMIN, Contract, Network, deploy_network
from eth_hash.auto import keccak

ADA = "0x" + "ad" * 20
# Behind AccessManaged's authority, the name and the symbol.
PASSES_SLOT = 3
EXISTS = 1 << 255
EDGES = (
    datetime(1970, 1, 1),
    datetime(1999, 12, 31, 23, 59, 59),
    datetime(2000, 2, 29),
    datetime(2026, 2, 28, 23, 59, 59),
    datetime(2026, 3, 1),
    datetime(2028, 2, 29, 12),
    datetime(2100, 2, 28, 23, 59, 59),
    datetime(2100, 3, 1),
    datetime(2400, 2, 29, 23, 59, 59),
    datetime(2400, 12, 31),
)


@pytest.fixture(scope="module")
def network() -> Network:
    return deploy_network()


def card(membership: Contract, programme: int, joined: datetime, tier: int = 0) -> dict[str, Any]:
    """The card of a pass that says so, put into storage: time there costs nothing."""
    token = int(membership.ask("tokenIdOf", programme, ADA))
    slot = keccak(token.to_bytes(32, "big") + PASSES_SLOT.to_bytes(32, "big"))
    seconds = int(joined.replace(tzinfo=UTC).timestamp())
    word = EXISTS | seconds << 64 | tier << 48
    evm = membership.chain.evm
    evm.insert_account_storage(membership.address, int.from_bytes(slot, "big"), word)
    uri = membership.ask("tokenURI", token)
    return json.loads(base64.b64decode(uri.partition(",")[2]))


def picture(found: dict[str, Any]) -> list[str | None]:
    """The texts of the drawing, read by a parser of XML."""
    drawn = base64.b64decode(found["image"].partition(",")[2]).decode()
    root = ElementTree.fromstring(drawn)  # noqa: S314 (drawn by the contract under test)
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_card__of_any_day__tells_the_calendars_date(network: Network) -> None:
    drawn = random.Random(4_906)
    days = [EDGES[0] + timedelta(seconds=drawn.randrange(2**34)) for _ in range(100)]
    for day in (*EDGES, *days):
        found = card(network.membership, 0, day)
        assert found["attributes"][1]["value"] == day.strftime("%Y-%m-%d")
        assert picture(found)[4] == day.strftime("%Y-%m-%d")


def test_card__of_a_programme__tells_its_number_and_the_tier(network: Network) -> None:
    found = card(network.membership, 7, EDGES[4], tier=65_535)
    assert found["name"] == "Banyan 7"
    assert found["attributes"][0] == {"trait_type": "Tier", "value": 65_535}
    assert picture(found)[:3] == ["Banyan 7", "Tier", "65535"]
    # A hue of its own: 7 x 47 + 150 degrees, once around.
    drawn = base64.b64decode(found["image"].partition(",")[2]).decode()
    assert "hsl(119,45%,28%)" in drawn
    assert "hsl(119,45%,36%)" in drawn


def test_card__of_a_name_with_markup__stays_text(network: Network) -> None:
    name = 'A "club" \\ </text><script>&amp; co\n'
    chain, points = network.chain, network.points.address
    authority = network.authority.address
    made = chain.deploy_artefact(ADMIN, "MembershipPass", points, authority, name, "X")
    found = card(made, 0, EDGES[4])
    assert found["name"] == name
    assert picture(found)[0] == name
