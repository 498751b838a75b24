"""A scan for waiting orders costs what waits, not what there ever was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, LargeBinary, Select, Text, insert, text
from sqlalchemy.dialects import postgresql, sqlite

from gateway.codes import State
from gateway.database import Database
from gateway.orders.repository import shown_query
from gateway.relay.waiting import WAITING_ISSUES, WAITING_OF_MEMBERS, WAITING_SELDOM
from gateway.tables import orders


def fill(connection: Connection) -> None:
    """Three thousand orders that are done, and three that wait."""

    def row(number: int) -> dict[str, Any]:
        values: dict[str, Any] = {
            column.name: number.to_bytes(16, "big")
            if isinstance(column.type, LargeBinary)
            else str(number)
            if isinstance(column.type, Text)
            else 1
            for column in orders.c
            if not column.nullable and column.server_default is None and not column.primary_key
        }
        waits = number % 1_000 == 0
        return {
            **values,
            "id": number,
            "member_id": number % 50,
            "merchant_id": number % 9,
            "state": int(State.ACCEPTED if waits else State.FINAL),
        }

    connection.execute(insert(orders), [row(number) for number in range(1, 3_001)])
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE orders"))


def plan_of(connection: Connection, query: Select[Any]) -> str:
    """How the database goes about it, literally as it is asked."""
    name = connection.dialect.name
    dialect = sqlite.dialect() if name == "sqlite" else postgresql.dialect()
    wording = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN " if name == "sqlite" else "EXPLAIN "
    return " ".join(map(str, connection.execute(text(explain + str(wording)))))


def test_scan__for_waiting_orders__reads_the_index_of_what_waits(database: Database) -> None:
    with database.write() as connection:
        fill(connection)
        for query in (WAITING_ISSUES, WAITING_OF_MEMBERS, WAITING_SELDOM):
            plan = plan_of(connection, query)
            assert "orders_waiting" in plan
            assert "orders_by_member" not in plan


def test_order__that_failed_before_it__is_found_in_the_index_of_what_failed(
    database: Database,
) -> None:
    with database.write() as connection:
        fill(connection)
        plan = plan_of(connection, shown_query().where(orders.c.id == 7))
        assert "orders_failed" in plan
