"""The order book's door in a process that does not relay: it hears what another has noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy.exc import OperationalError

from gateway import gate as gate_module
from gateway.database import Database
from gateway.errors import Closed
from gateway.gate import Gate
from gateway.relay import incidents
from gateway.relay.incidents import Incident
from tests.gateway.helpers import NOON, SetClock

DETAIL = "the nonce of batch 3 was used by an order that the book does not know"


@pytest.fixture
def gate(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Open, and looking often."""
    monkeypatch.setattr(gate_module, "LOOK_EVERY_S", 0.02)
    found = Gate(database, SetClock())
    found.close_until_matched(lambda: True, lambda: False)
    found.check()
    yield found
    found.stop()


def note(database: Database, kind: Incident) -> None:
    """As another process does."""
    with database.write() as connection:
        incidents.note(connection, kind, "order book", DETAIL, NOON)


def soon(what: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_gate__another_process_notices_a_book_behind__closes_until_it_is_settled(
    gate: Gate, database: Database
) -> None:
    note(database, Incident.BOOK_BEHIND_CHAIN)
    assert soon(lambda: gate.why_closed() is not None)
    with pytest.raises(Closed, match=DETAIL):
        gate.check()
    with database.write() as connection:
        incidents.end(connection, Incident.BOOK_BEHIND_CHAIN, None, NOON)
    assert soon(lambda: gate.why_closed() is None)
    # And it goes on listening.
    note(database, Incident.BOOK_BEHIND_CHAIN)
    assert soon(lambda: gate.why_closed() is not None)


def test_gate__what_closes_the_relay_alone__lets_orders_in(gate: Gate, database: Database) -> None:
    note(database, Incident.REORG_BELOW_FINALITY)
    note(database, Incident.COALITION_SUCCEEDED)
    time.sleep(0.2)
    gate.check()


def test_gate__a_database_that_is_away_for_a_while__is_heard_again(
    gate: Gate, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def away(*_: object) -> bool:
        asked.append(1)
        raise OperationalError("SELECT", None, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(incidents, "closing", away)
        assert soon(lambda: len(asked) > 1)
        gate.check()
    note(database, Incident.BOOK_BEHIND_CHAIN)
    assert soon(lambda: gate.why_closed() is not None)
