"""The pictures of docs/ORDERS.md are those of the code, and the database sees no other change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from gateway.codes import SlotState
from gateway.database import Database, migrate
from gateway.tables import nonce_slots
from gateway.transitions import MACHINES
from tests.gateway.watch_states import changes_that_nobody_named, watch

PAGE = Path(__file__).parents[2] / "docs" / "ORDERS.md"
HEADINGS = {"Order": "orders", "Batch": "batches", "Slot": "nonce_slots", "Attempt": "attempts"}


def drawn() -> dict[str, set[tuple[str, str]]]:
    """Edges by table, as the page draws them."""
    found: dict[str, set[tuple[str, str]]] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        if heading in HEADINGS:
            edges = re.findall(r"^\s+(\S+) --> (\S+) : \S", body, flags=re.MULTILINE)
            assert len(edges) == len(set(edges)), f"{heading} draws an edge twice"
            found[HEADINGS[heading]] = set(edges)
    return found


def of_the_code() -> dict[str, set[tuple[str, str]]]:
    return {
        table: {
            ("[*]" if before is None else before.name.lower(), after.name.lower())
            for before, afters in edges.items()
            for after in afters
        }
        for table, edges in MACHINES.items()
    }


def test_page__every_edge__is_the_codes_and_every_edge_of_the_code_is_drawn() -> None:
    assert drawn() == of_the_code()


def test_machines__every_state__has_a_row_and_can_be_reached() -> None:
    for edges in MACHINES.values():
        states = set(type(next(iter(edges[None]))))
        assert set(edges) == states | {None}
        assert set().union(*edges.values()) == states


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'orders.db'}")
    migrate(found)
    watch(found)
    yield found
    found.close()


def test_watch__a_change_that_is_not_drawn__is_named(book: Database) -> None:
    row = {
        "chain_id": 1,
        "relayer": b"\x01" * 20,
        "nonce": 1,
        "state": SlotState.RESERVED.value,
        "gas_limit": 1,
        "reserved_at": 1,
        "changed_at": 1,
    }
    with book.write() as connection:
        connection.execute(insert(nonce_slots), row)
        connection.execute(update(nonce_slots).values(state=SlotState.FILLED.value))
    assert changes_that_nobody_named(book) == []
    with book.write() as connection:
        connection.execute(update(nonce_slots).values(state=SlotState.RESERVED.value))
    assert changes_that_nobody_named(book) == ["nonce_slots: FILLED -> RESERVED"]
