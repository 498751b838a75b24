"""Accepting on PostgreSQL without locks: whoever came in between sends the group the other way."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from gateway import ids
from gateway.books import Position
from gateway.clock import DAY_S
from gateway.database import Database
from gateway.model import Accepted, NewOrder, OrderKind, Refused
from gateway.orders import accept, quick
from gateway.orders.answers import Answer
from gateway.orders.decide import Rows
from gateway.orders.known import Known, KnownMember, Request, hash_of
from gateway.relay import finish
from gateway.tables import audit, idempotency, members, merchants, orders, refusals
from indexer import pings
from tests.gateway.helpers import House, address_of_member, member_row, writer_of

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

Meanwhile = Callable[[Callable[[sa.Connection], object]], None]


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each group had that was decided under locks."""
    groups: list[int] = []
    real = accept._accept_locked

    def noting(*args: object) -> object:
        groups.append(len(args[4]))  # type: ignore[arg-type]
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(accept, "_accept_locked", noting)
    return groups


@pytest.fixture
def meanwhile(house: House, monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Has another process commit something after the question and before the statement, once."""

    def commit(change: Callable[[sa.Connection], object]) -> None:
        real, left = quick.ask_books, [change]

        def asking(*args: object) -> None:
            real(*args)  # type: ignore[arg-type]
            if left:
                with house.database.write() as connection:
                    left.pop()(connection)

        monkeypatch.setattr(quick, "ask_books", asking)

    return commit


def wish(house: House, *lines: NewOrder, key: str = "key") -> list[Answer]:
    request = Request(0, "a test", key, hash_of(lines), lines)
    return house.writer.submit(request).result(timeout=20)


def issue(house: House, reference: str, points: int = 100) -> NewOrder:
    return NewOrder(OrderKind.ISSUE, house.ada, points, reference, house.baker)


def redeem(house: House, reference: str, points: int = 100) -> NewOrder:
    return NewOrder(OrderKind.REDEEM, house.ada, points, reference, house.baker)


def row(house: House, table: sa.Table) -> sa.Row[tuple[object, ...]]:
    with house.database.read() as connection:
        return connection.execute(sa.select(table).where(table.c.id == 1)).one()


def counts(house: House) -> tuple[int, ...]:
    with house.database.read() as connection:
        return tuple(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (orders, idempotency, audit, refusals)
        )


def holding(table: sa.Table, more: int) -> Callable[[sa.Connection], object]:
    change = sa.update(table).where(table.c.id == 1).values(held=table.c.held + more)
    return lambda connection: connection.execute(change)


def test_credit__taken_by_another_meanwhile__is_refused_and_nothing_doubled(
    house: House, meanwhile: Meanwhile, locked: list[int]
) -> None:
    # 1,100,000 units cover 10,000 points at 110; another process accepts 5,000 of them.
    meanwhile(holding(merchants, 550_000))
    (refused,) = wish(house, issue(house, "r1", 5_001))
    assert isinstance(refused, Refused)
    assert refused.code == "credit_limit_exceeded"
    assert refused.values == {"available": 550_000, "needed": 550_110}
    assert locked == [1]
    assert counts(house) == (0, 1, 1, 1)
    assert row(house, merchants).held == 550_000


def test_points__taken_by_another_meanwhile__are_refused(
    house: House, meanwhile: Meanwhile, locked: list[int]
) -> None:
    house.books.points[address_of_member(1)] = 100
    meanwhile(holding(members, 1))
    (refused,) = wish(house, redeem(house, "r1"))
    assert isinstance(refused, Refused)
    assert (refused.code, locked) == ("balance_too_low", [1])
    assert row(house, members).held == 1


def test_cap__used_by_another_meanwhile__is_refused(
    house: House, meanwhile: Meanwhile, locked: list[int]
) -> None:
    house.writer._daily_cap = lambda now: 250
    today = house.clock.time // DAY_S
    used = sa.update(merchants).where(merchants.c.id == 1).values(cap_day=today, cap_points=200)
    meanwhile(lambda connection: connection.execute(used))
    (refused,) = wish(house, issue(house, "r1", 51))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.values["available"]) == ("daily_cap_exceeded", 50)
    assert locked == [1]
    assert row(house, merchants).cap_points == 200


@pytest.mark.parametrize(("table", "mine"), [(merchants, issue), (members, redeem)])
def test_hold__released_meanwhile__is_not_spent_twice(
    house: House,
    meanwhile: Meanwhile,
    locked: list[int],
    table: sa.Table,
    mine: Callable[..., NewOrder],
) -> None:
    """What the mirror said is older than the release: the effect is in neither of the two."""
    house.books.points[address_of_member(1)] = 10_000
    (first,) = wish(house, mine(house, "r1", 10_000), key="first")
    assert isinstance(first, Accepted)

    def settle(connection: sa.Connection) -> None:
        # The mirror has the effect already; whoever asked it before does not know.
        finish.release(connection, [orders.c.reference == "r1"])
        house.books.points[address_of_member(1)] = 0
        house.books.positions[1] = Position(0, 0)

    # Room for 5,000 more, as the books stood when they were asked.
    house.books.points[address_of_member(1)] = 15_000
    house.books.positions[1] = Position(15_000 * 110, 0)
    meanwhile(settle)
    (refused,) = wish(house, mine(house, "r2", 5_000), key="second")
    assert isinstance(refused, Refused)
    assert locked == [1]
    assert row(house, table).held == 0


def test_group__with_nobody_in_between__needs_no_lock(house: House, locked: list[int]) -> None:
    house.writer._daily_cap = lambda now: 400
    house.books.points[address_of_member(1)] = 100
    lines = [issue(house, "r1"), redeem(house, "r2", 60), issue(house, "r3"), issue(house, "r1")]
    answers = wish(house, *lines)
    assert [type(answer) for answer in answers] == [Accepted, Accepted, Accepted, Refused]
    assert locked == []
    assert counts(house) == (3, 1, 1, 0)
    merchant = row(house, merchants)
    assert (merchant.held, merchant.cap_points) == (2 * 100 * 110, 200)
    assert merchant.cap_day == house.clock.time // DAY_S
    assert row(house, members).held == 60
    # The same request again is answered as it was, and holds nothing more.
    assert wish(house, *lines) == answers
    assert counts(house) == (3, 1, 1, 0)
    # A day later the count begins anew.
    house.clock.time += DAY_S
    assert isinstance(wish(house, issue(house, "r4", 150), key="next day")[0], Accepted)
    merchant = row(house, merchants)
    assert (merchant.cap_day, merchant.cap_points) == (house.clock.time // DAY_S, 150)


def test_text__that_an_array_could_misread__is_stored_as_it_came(house: House) -> None:
    names = ['a"b', "a\\b", "{x,y}", "NULL", "null", " ", ",", "'", "\\x41", "日本", '"']
    answers = wish(house, *(issue(house, name, 1) for name in names), key='k"\\,{}')
    assert [a.reference for a in answers if isinstance(a, Accepted)] == names
    with house.database.read() as connection:
        found = connection.execute(sa.select(orders.c.reference).order_by(orders.c.id)).scalars()
        assert list(found) == names
    again = wish(house, *(issue(house, name, 1) for name in names), key="other")
    assert {a.code for a in again if isinstance(a, Refused)} == {"reference_used"}
    assert len(again) == len(names)


def end_all_others(house: House) -> None:
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with house.database.read() as connection:
        connection.exec_driver_sql(end)


def test_session__ended_by_the_server__costs_a_try_and_no_order(house: House) -> None:
    wish(house, issue(house, "r1"), key="first")
    end_all_others(house)
    assert isinstance(wish(house, issue(house, "r2"), key="second")[0], Accepted)


def test_session__ended_while_it_rested__is_replaced_before_it_is_used(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.database.read() as one, house.database.read() as two:
        assert one.connection.driver_connection is not two.connection.driver_connection
    end_all_others(house)
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + pings.RESTED_S)
    monkeypatch.setattr(pings, "time", later)
    with house.database.read() as one, house.database.read() as two:
        assert [each.exec_driver_sql("SELECT 1").scalar() for each in (one, two)] == [1, 1]


def test_key__at_two_gateways_one_of_which_locks__is_awaited_and_no_deadlock(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys before rows, either way: who waits for a key holds no row that the other waits for."""
    elsewhere = Database(house.database.engine.url.render_as_string(hide_password=False))
    other = writer_of(elsewhere, house.books, house.clock)
    other.start()
    request = Request(0, "a test", "key", b"\0" * 32, [issue(house, "r1")])
    doubled: list[Future[list[Answer]]] = []
    real = accept.read

    def reading(connection: sa.Connection, *args: object) -> object:
        found = real(connection, *args)  # type: ignore[arg-type]
        if not doubled:
            doubled.append(other.submit(request))
            until_one_waits(house)
        return found

    failed: list[str] = []
    for engine in (house.database.engine, elsewhere.engine):
        sa.event.listen(
            engine, "handle_error", lambda e: failed.append(e.original_exception.sqlstate)
        )
    monkeypatch.setattr(accept, "read", reading)
    # The first gateway decides under locks, the second without.
    monkeypatch.setattr(quick, "suits", lambda database, _: database is elsewhere)
    answers = house.writer.submit(request).result(timeout=20)
    assert doubled[0].result(timeout=20) == answers
    assert [type(answer) for answer in answers] == [Accepted]
    assert failed == ["23505"]
    other.stop()
    elsewhere.close()


def until_one_waits(house: House) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with house.database.read() as connection:
            if connection.exec_driver_sql(waiting).scalar_one():
                return
    raise AssertionError("nobody waits for a lock")


def test_points_of_many__under_a_plan_for_any_number__take_no_square_of_their_number(
    house: House,
) -> None:
    count, at_most_s = 4_000, 2.0
    known = Known()
    rows = [member_row(n + 4, raw) for n, raw in enumerate(ids.random_ids(count))]
    for row_ in rows:
        number = int(str(row_["id"]))
        known.members[f"member {number}"] = KnownMember(number, address_of_member(number), 0)
        known.held_points[number], known.balances[number] = 1, 99
    with house.database.write() as connection:
        connection.execute(sa.insert(members), rows)
        # As a connection plans that has seen the statement a few times.
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        began = time.monotonic()
        quick._write(connection, known, Rows(), house.clock.time)
        assert time.monotonic() - began < at_most_s
        held = sa.select(sa.func.sum(members.c.held))
        assert connection.execute(held).scalar_one() == count
