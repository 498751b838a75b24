"""What the pages read in the order book, from rows written down by hand, on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from gateway import ids
from gateway.codes import BatchState, Kind, State
from gateway.database import Database, migrate
from gateway.tables import batches, members, merchants, orders, refusals
from gateway.web.book import BookOfOrders
from wallet_sdk.types import address_of

BAKER, FLORIST = 1, 2
ADA = b"\x01" * 16
ADAS_ADDRESS = b"\xad" * 20
NOON = 1_700_000_000


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'orders.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = Database(url)
    migrate(opened)
    with opened.write() as connection:
        for number, name in ((BAKER, "Baker"), (FLORIST, "Florist")):
            connection.execute(
                merchants.insert().values(
                    id=number,
                    public_id=bytes([number]) * 16,
                    slug=name.lower(),
                    name=name,
                    state=1,
                    owner=bytes([number]) * 20,
                    till_key=bytes([number]) * 20,
                    earn_points=1,
                    earn_per_minor=1,
                    currency="USD",
                    minor_digits=2,
                    created_at=NOON,
                )
            )
        connection.execute(
            members.insert().values(
                id=1, public_id=ADA, external_id="ada", address=ADAS_ADDRESS, created_at=NOON
            )
        )
    yield opened
    opened.close()


def _order(number: int, state: State, at: int, **values: object) -> dict[str, object]:
    row: dict[str, object] = {
        "id": number,
        "public_id": number.to_bytes(16, "big"),
        "kind": Kind.ISSUE.value,
        "state": state.value,
        "merchant_id": BAKER,
        "member_id": 1,
        "points": 10 * number,
        "hold": 0,
        "reference": f"bon-{number}",
        "accepted_at": at,
        "changed_at": at,
    }
    return row | values


def _refusal(number: int, at: int) -> dict[str, object]:
    return {
        "id": number,
        "merchant_id": FLORIST,
        "member_id": 1,
        "kind": Kind.REDEEM.value,
        "points": 99,
        "reference": f"no-{number}",
        "code": "balance_too_low",
        "at": at,
    }


@pytest.mark.parametrize("member_id", ["", "ada", "mem_", "mem_" + "Z" * 26, "mem_" + "l" * 26])
def test_find_address__no_such_member__none(database: Database, member_id: str) -> None:
    assert BookOfOrders(database).member_address(member_id) is None


def test_find_address__known_member__its_address(database: Database) -> None:
    found = BookOfOrders(database).member_address(ids.encode(ids.MEMBER, ADA))
    assert found == address_of(ADAS_ADDRESS)


def test_read_book__empty__nothing_and_noughts(database: Database) -> None:
    book = BookOfOrders(database)
    assert book.latest_orders(8) == []
    assert (book.open_orders(), book.refusals()) == (0, 0)
    assert book.merchant_names() == {BAKER: "Baker", FLORIST: "Florist"}


def test_list_latest__many_orders_and_refusals__a_quarter_is_for_refusals(
    database: Database,
) -> None:
    with database.write() as connection:
        connection.execute(
            orders.insert(), [_order(n, State.FINAL, NOON + n) for n in range(1, 21)]
        )
        connection.execute(refusals.insert(), [_refusal(n, NOON + n) for n in range(1, 11)])
    latest = BookOfOrders(database).latest_orders(8)
    assert [(each.state, each.reference) for each in latest] == [
        ("final", "bon-20"),
        ("final", "bon-19"),
        ("final", "bon-18"),
        ("final", "bon-17"),
        ("final", "bon-16"),
        ("final", "bon-15"),
        ("refused", "no-10"),
        ("refused", "no-9"),
    ]


def test_list_latest__few_orders__refusals_take_the_free_places(database: Database) -> None:
    with database.write() as connection:
        connection.execute(orders.insert(), [_order(1, State.FINAL, NOON + 5)])
        connection.execute(refusals.insert(), [_refusal(n, NOON + n) for n in range(1, 11)])
    latest = BookOfOrders(database).latest_orders(4)
    assert [each.reference for each in latest] == ["no-10", "no-9", "no-8", "bon-1"]


def test_list_latest__a_refusal_and_a_failed_order__carry_names_and_reasons(
    database: Database,
) -> None:
    failed = _order(1, State.FAILED, NOON, failure="order_expired")
    with database.write() as connection:
        connection.execute(orders.insert(), [failed])
        connection.execute(refusals.insert(), [_refusal(1, NOON)])
    refused, order = BookOfOrders(database).latest_orders(8)
    assert (refused.kind, refused.merchant, refused.points) == ("redeem", "Florist", 99)
    assert (refused.state, refused.reason) == ("refused", "balance_too_low")
    assert (order.kind, order.merchant, order.points) == ("issue", "Baker", 10)
    assert (order.state, order.reason) == ("failed", "order_expired")
    assert order.member == refused.member == ids.encode(ids.MEMBER, ADA)


def test_list_latest__an_order_of_no_merchant__still_there(database: Database) -> None:
    with database.write() as connection:
        row = _order(1, State.ACCEPTED, NOON, merchant_id=0, kind=Kind.JOIN.value)
        connection.execute(orders.insert(), [row])
    (order,) = BookOfOrders(database).latest_orders(8)
    assert (order.kind, order.merchant, order.state) == ("join", None, "accepted")


def test_count_open__by_state__waiting_and_in_batches_that_are_not_done(
    database: Database,
) -> None:
    states = (State.ACCEPTED, State.ACCEPTED, State.BATCHED, State.FINAL, State.FAILED)
    with database.write() as connection:
        connection.execute(
            orders.insert(), [_order(n, state, NOON) for n, state in enumerate(states, 1)]
        )
        for state, count in ((BatchState.SEALED, 1), (BatchState.DONE, 40), (BatchState.VOID, 3)):
            connection.execute(
                batches.insert().values(
                    kind=Kind.ISSUE.value,
                    state=state.value,
                    signer=b"\x01" * 20,
                    order_count=count,
                    created_at=NOON,
                    changed_at=NOON,
                )
            )
        connection.execute(refusals.insert(), [_refusal(1, NOON)])
    book = BookOfOrders(database)
    assert book.open_orders() == 3
    assert book.refusals() == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_count_open__in_the_order_book__asks_the_partial_indexes(database: Database) -> None:
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _note(_c: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, values))

    BookOfOrders(database).open_orders()
    waiting, moving = list(asked)
    with database.read() as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
            for statement, values in (waiting, moving)
        ]
    assert "orders_waiting" in plans[0]
    assert "batches_live" in plans[1]
