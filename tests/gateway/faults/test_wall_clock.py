"""The machine's clock is a day off while the chain's is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.model import Accepted, NewOrder, OrderKind
from gateway.tables import merchants
from indexer import audit
from tests.gateway.node import NodeHouse, open_house

DAY_S = 86_400


def issue(house: NodeHouse, reference: str, key: str) -> None:
    line = NewOrder(OrderKind.ISSUE, house.ada.id, 10, reference, house.baker.id)
    (answer,) = house.gateway.accept_many([line], idempotency_key=key)
    assert isinstance(answer, Accepted)


def test_clock__a_day_behind_then_a_day_ahead__loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_house(tmp_path) as house:
        finals = house.states()["final"]
        house.clock.time += 2 * DAY_S  # so that yesterday is in the network's life
        house.settle()
        # Behind: what is signed may have run out before it is mined; then it is signed anew.
        monkeypatch.setattr(house.clock, "now", lambda: house.clock.time - DAY_S)
        issue(house, "r1", "key 1")
        house.settle()
        # Ahead: it lives longer than was wished.
        monkeypatch.setattr(house.clock, "now", lambda: house.clock.time + DAY_S)
        issue(house, "r2", "key 2")
        house.settle()
        monkeypatch.undo()
        house.settle()
        assert house.states() == {"final": finals + 2}
        found = audit.check(house.gateway.mirror, house.node.url, house.gateway.deployment)
        assert found.holds, found
        with house.database.read() as connection:
            assert connection.execute(select(func.sum(merchants.c.held))).scalar_one() == 0
