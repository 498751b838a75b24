"""What a till may still issue today when an order is taken back: what was signed stays counted,
what never was is given back exactly once, on its own day.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import insert, select

from gateway.clock import DAY_S
from gateway.codes import BatchState, Kind, State
from gateway.errors import OrderNotCancellable
from gateway.model import Accepted, NewOrder, OrderKind, Refused
from gateway.orders.answers import Answer
from gateway.orders.cancel import cancel
from gateway.orders.known import Request, hash_of
from gateway.relay import finish
from gateway.tables import batches, merchants, orders, signing_charges
from tests.gateway.helpers import House, fresh

CAP = 250


@pytest.fixture
def baker(house: House) -> House:
    """The baker's till may issue 250 points a day."""
    house.writer._daily_cap = lambda now: CAP
    return house


def ask(house: House, points: int) -> Answer:
    line = NewOrder(OrderKind.ISSUE, house.ada, points, fresh("r"), house.baker)
    request = Request(0, "a test", fresh("k"), hash_of([line]), [line])
    return house.writer.submit(request).result(timeout=20)[0]


def issue(house: House, points: int) -> str:
    answer = ask(house, points)
    assert isinstance(answer, Accepted), answer
    return answer.id


def left_today(house: House) -> int:
    """What the next issue may be at most, as a refusal tells it."""
    answer = ask(house, CAP + 1)
    assert isinstance(answer, Refused)
    assert answer.code == "daily_cap_exceeded"
    return int(answer.values["available"])


def take_back(house: House, order: str) -> None:
    with house.database.settle() as connection:
        cancel(
            house.database, connection, order, tenant=1, actor="the baker", now=house.clock.now()
        )


def put_into_batch(house: House, state: BatchState, nonce: int = 7) -> int:
    """All that waits stands in one batch of the till's."""
    with house.database.write() as connection:
        till = connection.execute(
            select(merchants.c.till_key).where(merchants.c.id == 1)
        ).scalar_one()
        row = {
            "kind": Kind.ISSUE.value,
            "state": state.value,
            "signer": bytes(till),
            "merchant_id": 1,
            "nonce": nonce,
            "created_at": house.clock.now(),
            "changed_at": house.clock.now(),
        }
        number = connection.execute(insert(batches).returning(batches.c.id), row).scalar_one()
        connection.execute(
            orders.update()
            .where(orders.c.state == State.ACCEPTED.value)
            .values(state=State.BATCHED.value, batch_id=number)
        )
    return int(number)


def charge(house: House, points: int, nonce: int = 7) -> None:
    """As custody does before it signs."""
    with house.database.write() as connection:
        till = connection.execute(
            select(merchants.c.till_key).where(merchants.c.id == 1)
        ).scalar_one()
        day = house.clock.now() // DAY_S
        row = {"address": bytes(till), "nonce": nonce, "day": day, "points": points, "money": 0}
        connection.execute(insert(signing_charges), row)


# ---- not given back


def test_cancel__of_an_issue_whose_signature_was_proven_dead__gives_nothing_back(
    baker: House,
) -> None:
    order = issue(baker, 100)
    number = put_into_batch(baker, BatchState.SEALED)
    with baker.database.settle() as connection:
        # A cause that passes: nothing is held against the order.
        finish.bury(connection, number, "the deadline passed", [], baker.clock.now(), counts=False)
    take_back(baker, order)
    assert left_today(baker) == 150


def test_cancel__of_an_issue_that_its_key_was_charged_for__gives_nothing_back(
    baker: House,
) -> None:
    first, second = issue(baker, 100), issue(baker, 20)
    put_into_batch(baker, BatchState.OPEN)
    charge(baker, 120)
    take_back(baker, first)
    # The other one stood in the batch that was charged, too.
    take_back(baker, second)
    assert left_today(baker) == 130


def test_cancel__of_yesterdays_issue__leaves_todays_count_alone(baker: House) -> None:
    order = issue(baker, 100)
    baker.clock.time += DAY_S
    issue(baker, 200)
    take_back(baker, order)
    assert left_today(baker) == 50


def test_cancel__that_is_rolled_back__gives_nothing_back(baker: House) -> None:
    order = issue(baker, 100)
    with suppress(ZeroDivisionError), baker.database.settle() as connection:
        cancel(baker.database, connection, order, tenant=1, actor="the baker", now=0)
        raise ZeroDivisionError
    assert left_today(baker) == 150
    take_back(baker, order)
    assert left_today(baker) == CAP


def test_cancel__of_an_issue_from_before_there_was_a_cap__takes_nothing_below_zero(
    baker: House,
) -> None:
    baker.writer._daily_cap = lambda now: None
    order = issue(baker, 200)
    baker.writer._daily_cap = lambda now: CAP
    issue(baker, 50)
    take_back(baker, order)
    assert left_today(baker) == CAP


# ---- given back


@pytest.mark.parametrize("in_batch", [False, True])
def test_cancel__before_signing__gives_the_tills_day_back_once(
    baker: House, in_batch: bool
) -> None:
    order, other = issue(baker, 100), issue(baker, 50)
    assert left_today(baker) == 100
    if in_batch:
        put_into_batch(baker, BatchState.OPEN)
    take_back(baker, order)
    assert left_today(baker) == 200
    with pytest.raises(OrderNotCancellable):
        take_back(baker, order)
    assert left_today(baker) == 200
    take_back(baker, other)
    issue(baker, CAP)
    assert left_today(baker) == 0


def test_cancel__while_others_are_accepted__loses_no_count(baker: House) -> None:
    unwanted = [issue(baker, 10) for _ in range(12)]
    with ThreadPoolExecutor(6) as pool:
        taken = [pool.submit(take_back, baker, order) for order in unwanted]
        asked = [pool.submit(issue, baker, 5) for _ in range(20)]
        for one in [*taken, *asked]:
            one.result(timeout=60)
    assert left_today(baker) == CAP - 20 * 5
