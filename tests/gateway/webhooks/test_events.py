"""What is written for webhooks: in the order's own commit, and only where somebody listens."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

import orjson
import pytest
from sqlalchemy import and_, insert, select, update

from gateway import ids
from gateway.codes import DeliveryState, EndpointState, State
from gateway.database import Database
from gateway.errors import InvalidRequest
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.orders.answers import Answer
from gateway.orders.known import Request, hash_of
from gateway.orders.moves import move
from gateway.tables import (
    merchants,
    orders,
    webhook_deliveries,
    webhook_endpoints,
    webhook_events,
)
from gateway.webhooks import events
from gateway.webhooks.events import Event
from tests.gateway.helpers import NOON, House, fresh


def listen(database: Database, merchant: int, mask: int, state: int = 1) -> int:
    """An end point of the merchant, as the room would store it; returns its row number."""
    with database.write() as connection:
        number = connection.execute(
            insert(webhook_endpoints).returning(webhook_endpoints.c.id),
            {
                "public_id": ids.new_id(NOON),
                "merchant_id": merchant,
                "url": "https://pos.example/hook",
                "description": "",
                "events": mask,
                "state": state,
                "secret": bytes(20),
                "created_at": NOON,
                "changed_at": NOON,
            },
        ).scalar_one()
        if state == EndpointState.ACTIVE:
            connection.execute(
                update(merchants)
                .where(merchants.c.id == merchant)
                .values(webhook_events=merchants.c.webhook_events.bitwise_or(mask))
            )
    return int(number)


def issue(house: House, merchant: str, points: int = 10) -> str:
    line = NewOrder(OrderKind.ISSUE, house.ada, points, fresh("r"), merchant)
    request = Request(1, "test", fresh("k"), hash_of([line]), [line])
    answer: Future[list[Answer]] = house.writer.submit(request)
    (accepted,) = answer.result()
    assert isinstance(accepted, Accepted), accepted
    return accepted.id


def written(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(webhook_events).order_by(webhook_events.c.id)))


def row_of(database: Database, order: str) -> int:
    with database.read() as connection:
        query = select(orders.c.id).where(orders.c.public_id == ids.decode(ids.ORDER, order))
        return int(connection.execute(query).scalar_one())


def test_mask_of__an_unknown_name__is_refused() -> None:
    with pytest.raises(InvalidRequest, match="order.eaten"):
        events.mask_of(["order.final", "order.eaten"], 1)
    with pytest.raises(InvalidRequest):
        # Nobody subscribes to the test event: it is sent by hand.
        events.mask_of(["webhook.test"], 1)


def test_accept__nobody_listens__writes_nothing(house: House) -> None:
    issue(house, house.baker)
    assert written(house.database) == []


@pytest.mark.parametrize(
    ("mask", "state"),
    [(Event.FINAL, EndpointState.ACTIVE), (Event.ACCEPTED, EndpointState.DISABLED)],
)
def test_accept__listens_to_other_things_or_not_at_all__writes_nothing(
    house: House, mask: Event, state: EndpointState
) -> None:
    listen(house.database, 1, mask, state)
    issue(house, house.baker)
    assert written(house.database) == []


def test_accept__another_merchant_listens__writes_nothing(house: House) -> None:
    listen(house.database, 2, events.ALL)
    issue(house, house.baker)
    assert written(house.database) == []


def test_accept__somebody_listens__event_and_deliveries_are_there_with_the_reply(
    house: House,
) -> None:
    both = [listen(house.database, 1, events.ALL), listen(house.database, 1, Event.ACCEPTED)]
    listen(house.database, 1, Event.FAILED)
    order = issue(house, house.baker, points=25)
    (event,) = written(house.database)
    assert orjson.loads(event.payload) == {
        "type": "order.accepted",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "sequence": 1,
            "order": {
                "id": order,
                "kind": "issue",
                "state": "accepted",
                "merchant": house.baker,
                "member": house.ada,
                "to_member": None,
                "points": 25,
                "reference": orjson.loads(event.payload)["data"]["order"]["reference"],
                "accepted_at": NOON,
                "failure": None,
                "transaction": None,
                "block": None,
            },
        },
    }
    with house.database.read() as connection:
        deliveries = connection.execute(select(webhook_deliveries)).all()
    assert sorted(d.endpoint_id for d in deliveries) == both
    assert {(d.event_id, d.state) for d in deliveries} == {(event.id, DeliveryState.PENDING)}
    # Due at once by the wall clock, wherever network time stands.
    assert all(abs(d.due_at - time.time()) < 60 for d in deliveries)


def test_accept__commit_fails__leaves_no_event(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(house.database, 1, events.ALL)

    def fail(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("gateway.faults.point", fail)
    with pytest.raises(OSError, match="accept"):
        issue(house, house.baker)
    assert written(house.database) == []


def test_move__rolled_back__leaves_no_event(house: House) -> None:
    listen(house.database, 1, events.ALL)
    row = row_of(house.database, issue(house, house.baker))

    def move_and_fail() -> None:
        with house.database.write() as connection:
            move(connection, orders.c.id == row, Event.FINAL, NOON, state=State.FINAL.value)
            raise KeyError

    with pytest.raises(KeyError):
        move_and_fail()
    assert [e.sequence for e in written(house.database)] == [1]


def test_move__several_orders_several_times__counts_each_order_for_itself(house: House) -> None:
    listen(house.database, 1, events.ALL)
    mine = [row_of(house.database, issue(house, house.baker)) for _ in range(3)]
    steps = [
        (Event.SUBMITTED, State.SUBMITTED, mine),
        (Event.INCLUDED, State.INCLUDED, mine[:2]),
        (Event.REORGED, State.SUBMITTED, mine[:1]),
    ]
    for event, state, which in steps:
        with house.database.write() as connection:
            found = and_(orders.c.id.in_(which), orders.c.state != state.value)
            assert move(connection, found, event, NOON + 5, state=state.value) == len(which)
            # Done already: nothing moves, and nothing is told.
            assert move(connection, found, event, NOON + 5, state=state.value) == 0
    told = [(e.order_id, e.sequence, events.word(e.event)) for e in written(house.database)]
    assert [(n, w) for o, n, w in told if o == mine[0]] == [
        (1, "order.accepted"),
        (2, "order.submitted"),
        (3, "order.included"),
        (4, "order.reorged"),
    ]
    assert [n for o, n, _ in told if o == mine[2]] == [1, 2]


def test_move__of_an_order_whose_merchant_does_not_listen__only_moves(house: House) -> None:
    listen(house.database, 2, events.ALL)
    row = row_of(house.database, issue(house, house.baker))
    with house.database.write() as connection:
        moved = move(connection, orders.c.id == row, Event.FINAL, NOON, state=State.FINAL.value)
    assert moved == 1
    assert written(house.database) == []
