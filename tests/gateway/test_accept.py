"""The accept writer: refusals first, then that nothing is stored twice or halfway."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy import func, select

from gateway.books import Position
from gateway.errors import IdempotencyKeyInUse, IdempotencyKeyReused, NotReady
from gateway.model import POINTS_MAX, Accepted, NewOrder, OrderKind, Refused
from gateway.orders.answers import Answer
from gateway.orders.known import Request, hash_of
from gateway.tables import audit, idempotency, members, merchants, orders, refusals
from tests.gateway.helpers import NOON, House, address_of_member, writer_of


def issue(house: House, reference: str, points: int = 100, **other: str) -> NewOrder:
    line = NewOrder(OrderKind.ISSUE, house.ada, points, reference, house.baker)
    return replace(line, **other)


def redeem(house: House, reference: str, points: int, **other: str) -> NewOrder:
    return replace(issue(house, reference, points, **other), kind=OrderKind.REDEEM)


def request_of(lines: Sequence[NewOrder], key: str, tenant: int = 0) -> Request:
    return Request(tenant, "a test", key, hash_of(lines), lines)


def accept(house: House, *lines: NewOrder, key: str = "key-1", tenant: int = 0) -> list[Answer]:
    return house.writer.submit(request_of(lines, key, tenant)).result(timeout=20)


def count(house: House, table: object, *where: object) -> int:
    with house.database.read() as connection:
        query = select(func.count()).select_from(table).where(*where)
        return connection.execute(query).scalar_one()


def held(house: House) -> tuple[int, int]:
    with house.database.read() as connection:
        money = connection.execute(select(func.sum(merchants.c.held))).scalar_one()
        points = connection.execute(select(func.sum(members.c.held))).scalar_one()
    return int(money), int(points)


# ---- refusals


@pytest.mark.parametrize("points", [0, -1, POINTS_MAX + 1, 10**30, 1.5, True, "5"])
def test_accept__impossible_points__refuses_that_line_alone(house: House, points: object) -> None:
    bad = replace(issue(house, "r1"), points=points)
    refused, accepted = accept(house, bad, issue(house, "r2"))
    assert isinstance(refused, Refused)
    assert refused.code == "points_invalid"
    assert isinstance(accepted, Accepted)
    assert count(house, orders) == 1


def test_accept__over_the_tills_day__refuses_at_once_and_until_midnight(house: House) -> None:
    house.writer._daily_cap = lambda now: 250
    over, first, second, third = accept(
        house,
        issue(house, "too large", 251),
        issue(house, "r1", 100),
        issue(house, "r2", 151),
        issue(house, "r3", 150),
    )
    midnight = (NOON // 86_400 + 1) * 86_400
    assert isinstance(over, Refused)
    assert over.code == "daily_cap_exceeded"
    assert over.values == {"cap": 250, "available": 250, "needed": 251, "next_day_at": midnight}
    assert isinstance(first, Accepted)
    assert isinstance(second, Refused)
    assert second.values["available"] == 150
    assert isinstance(third, Accepted)
    # The next commit knows what the one before has stored; another merchant's day is its own.
    house.books.positions[2] = Position(10**6, 0)
    fourth, other = accept(
        house, issue(house, "r4", 1), issue(house, "r5", 250, merchant=house.florist), key="key-2"
    )
    assert isinstance(fourth, Refused)
    assert isinstance(other, Accepted)
    assert count(house, refusals) == 3
    house.clock.time = midnight - 1
    assert isinstance(accept(house, issue(house, "r6", 1), key="key-3")[0], Refused)
    house.clock.time = midnight
    assert isinstance(accept(house, issue(house, "r6", 250), key="key-4")[0], Accepted)
    assert isinstance(accept(house, issue(house, "r7", 1), key="key-5")[0], Refused)


def test_accept__unknown_member__refuses(house: House) -> None:
    answers = accept(
        house,
        issue(house, "r1", member="mem_" + "0" * 26),
        issue(house, "r2", member="nobody"),
        issue(house, "r3", member="mer" + house.ada[3:]),
    )
    assert [a.code for a in answers if isinstance(a, Refused)] == ["member_unknown"] * 3
    assert count(house, orders) == 0


def test_accept__unknown_merchant__refuses(house: House) -> None:
    (refused,) = accept(house, issue(house, "r1", merchant="mer_" + "7" * 26))
    assert isinstance(refused, Refused)
    assert refused.code == "merchant_unknown"


def test_accept__reference_in_use__refuses_and_names_the_order(house: House) -> None:
    (first,) = accept(house, issue(house, "r1"))
    (again,) = accept(house, issue(house, "r1", 5), key="key-2")
    assert isinstance(first, Accepted)
    assert isinstance(again, Refused)
    assert (again.code, again.order) == ("reference_used", first.id)


def test_accept__reference_twice_in_one_request__takes_the_first(house: House) -> None:
    first, again = accept(house, issue(house, "r1"), issue(house, "r1"))
    assert isinstance(first, Accepted)
    assert isinstance(again, Refused)
    assert (again.code, again.order) == ("reference_used", first.id)
    assert count(house, orders) == 1


def test_accept__reference_of_another_merchant__is_free(house: House) -> None:
    house.books.positions[2] = Position(1_000_000, 0)
    answers = accept(house, issue(house, "r1"), issue(house, "r1", merchant=house.florist))
    assert all(isinstance(a, Accepted) for a in answers)


def test_accept__credit_does_not_reach__refuses_and_notes_it(house: House) -> None:
    # 1,100,000 units cover 10,000 points at 110.
    fits, over = accept(house, issue(house, "r1", 10_000), issue(house, "r2", 1))
    assert isinstance(fits, Accepted)
    assert isinstance(over, Refused)
    assert over.code == "credit_limit_exceeded"
    assert over.values == {"available": 0, "needed": 110}
    assert count(house, refusals, refusals.c.code == "credit_limit_exceeded") == 1
    assert held(house) == (1_100_000, 0)


def test_accept__credit_limit__counts_beside_the_position(house: House) -> None:
    house.books.positions[2] = Position(-50, 160)
    one, two = (issue(house, r, 1, merchant=house.florist) for r in ("r1", "r2"))
    fits, over = accept(house, one, two)
    assert isinstance(fits, Accepted)
    assert isinstance(over, Refused)


def test_accept__balance_does_not_reach__refuses_and_may_be_tried_again(house: House) -> None:
    (refused,) = accept(house, redeem(house, "r1", 5))
    assert isinstance(refused, Refused)
    assert refused.code == "balance_too_low"
    house.books.points[address_of_member(1)] = 5
    (same_key,) = accept(house, redeem(house, "r1", 5))
    assert same_key == refused
    (fresh_key,) = accept(house, redeem(house, "r1", 5), key="key-2")
    assert isinstance(fresh_key, Accepted)


def test_accept__same_points_at_two_merchants__takes_one(house: House) -> None:
    house.books.points[address_of_member(1)] = 100
    answers = accept(
        house, redeem(house, "r1", 80), redeem(house, "r2", 80, merchant=house.florist)
    )
    assert [type(a) for a in answers] == [Accepted, Refused]
    assert held(house) == (0, 80)


def test_accept__merchant_not_registered__refuses(house: House) -> None:
    del house.books.positions[2]
    (refused,) = accept(house, issue(house, "r1", merchant=house.florist))
    assert isinstance(refused, Refused)
    assert refused.code == "merchant_not_active"


def test_accept__transfer_to_oneself__refuses(house: House) -> None:
    house.books.points[address_of_member(1)] = 100
    line = NewOrder(OrderKind.TRANSFER, house.ada, 5, "t1", to_member=house.ada)
    (refused,) = accept(house, line)
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_request"


def test_accept__same_key_other_body__raises(house: House) -> None:
    accept(house, issue(house, "r1"))
    with pytest.raises(IdempotencyKeyReused):
        accept(house, issue(house, "r1", 101))
    assert count(house, orders) == 1


# ---- once, and whole


def test_accept__same_key_same_body__gives_the_stored_answer(house: House) -> None:
    lines = [issue(house, f"r{n}") for n in range(30)] + [issue(house, "r0")]
    first = accept(house, *lines)
    house.clock.time += 1_000
    assert accept(house, *lines) == first
    assert count(house, orders) == 30
    assert count(house, idempotency) == 1
    assert count(house, audit) == 1


def test_accept__same_key_of_two_tenants__are_two_requests(house: House) -> None:
    accept(house, issue(house, "r1"), tenant=1)
    accept(house, issue(house, "r2"), tenant=2)
    assert count(house, orders) == 2


def test_accept__fifty_equal_requests_at_once__stores_one_order(house: House) -> None:
    line = issue(house, "r1")

    def ask(_number: int) -> Answer | str:
        try:
            return accept(house, line)[0]
        except IdempotencyKeyInUse:
            return "in use"

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    given = {a.id for a in answers if isinstance(a, Accepted)}
    assert len(given) == 1
    assert {type(a) for a in answers} <= {Accepted, str}
    assert count(house, orders) == 1
    assert held(house) == (11_000, 0)


def test_accept__two_processes_fifty_equal_requests__stores_one_order(house: House) -> None:
    other = writer_of(house.database, house.books, house.clock)
    other.start()
    line = issue(house, "r1")

    def ask(number: int) -> Answer | str:
        writer = (house.writer, other)[number % 2]
        try:
            return writer.submit(request_of([line], "key-1")).result(timeout=20)[0]
        except IdempotencyKeyInUse:
            return "in use"

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    other.stop()
    assert len({a.id for a in answers if isinstance(a, Accepted)}) == 1
    assert count(house, orders) == 1
    assert held(house) == (11_000, 0)


def test_accept__two_processes_one_position__never_hold_more_than_it(house: House) -> None:
    other = writer_of(house.database, house.books, house.clock)
    other.start()
    writers = (house.writer, other)

    def ask(number: int) -> Answer:
        line = issue(house, f"r{number}", 700)
        answer = writers[number % 2].submit(request_of([line], f"key-{number}"))
        return answer.result(timeout=20)[0]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(40)))
    other.stop()
    # 1,100,000 / (700 x 110) = 14.3
    assert sum(isinstance(a, Accepted) for a in answers) == 14
    assert held(house) == (14 * 77_000, 0)


def test_accept__many_requests_at_once__share_commits(house: House) -> None:
    futures = [
        house.writer.submit(request_of([issue(house, f"r{n}", 1)], f"key-{n}")) for n in range(300)
    ]
    answers = [future.result(timeout=20)[0] for future in futures]
    assert all(isinstance(a, Accepted) for a in answers)
    assert len({a.id for a in answers if isinstance(a, Accepted)}) == 300
    assert held(house) == (33_000, 0)


def test_accept__all_who_came_of_late_are_there__waits_for_no_more(house: House) -> None:
    wait_s = 4.0
    writer = writer_of(house.database, house.books, house.clock, group_wait_ms=wait_s * 1000)

    def both(number: int) -> list[Future[list[Answer]]]:
        keys = [f"both-{number}-{n}" for n in range(2)]
        return [writer.submit(request_of([issue(house, key, 1)], key)) for key in keys]

    answers = both(0)
    writer.start()
    try:
        began = time.monotonic()
        for number in range(1, 4):
            wait(answers, timeout=20)
            answers = both(number)
        assert all(isinstance(each.result(timeout=20)[0], Accepted) for each in answers)
        assert time.monotonic() - began < wait_s
    finally:
        writer.stop()


def test_accept__a_failing_neighbour__spoils_nobody_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Text that the database itself refuses (PostgreSQL knows no NUL in text, SQLite no lone
    # surrogate) makes the insert of that one request fail.
    monkeypatch.setattr("gateway.orders.decide.check_line", lambda line: None)
    bad = "\0" if house.database.is_postgres else "\ud800"
    lines = [issue(house, bad if n == 7 else f"r{n}", 1) for n in range(16)]
    futures = [
        house.writer.submit(Request(0, "a test", f"key-{n}", b"x" * 32, [line]))
        for n, line in enumerate(lines)
    ]
    failed = [n for n, future in enumerate(futures) if future.exception(timeout=20)]
    assert failed == [7]
    assert count(house, orders) == 15
    assert held(house) == (15 * 110, 0)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_accept__backends_terminated_all_the_while__repeating_the_key_is_safe(house: House) -> None:
    """A connection that dies at COMMIT leaves the outcome open; the stored key settles it."""
    stop = threading.Event()
    killer = sa.create_engine(house.database.engine.url, isolation_level="AUTOCOMMIT")

    def terminate() -> None:
        with killer.connect() as connection:
            while not stop.wait(0.02):
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )

    thread = threading.Thread(target=terminate)
    thread.start()
    answers, refused = [], 0
    try:
        for number in range(40):
            line = issue(house, f"r{number}", 1)
            try:
                answers.append(accept(house, line, key=f"key-{number}")[0])
            except NotReady:
                refused += 1
                answers.append(None)
    finally:
        stop.set()
        thread.join()
        killer.dispose()
    for number, answer in enumerate(answers):
        again = accept(house, issue(house, f"r{number}", 1), key=f"key-{number}")[0]
        assert isinstance(again, Accepted)
        assert answer in (None, again)
    assert count(house, orders) == 40
    assert held(house) == (40 * 110, 0)
