"""A scan for waiting orders costs what waits, not what there ever was."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite

from gateway.database import Database
from gateway.relay.waiting import WAITING_ISSUES, WAITING_OF_MEMBERS, WAITING_SELDOM


def test_scan__for_waiting_orders__reads_the_index_of_what_waits(database: Database) -> None:
    with database.write() as connection:
        name = connection.dialect.name
        dialect = sqlite.dialect() if name == "sqlite" else postgresql.dialect()
        if name == "postgresql":
            # An empty table is read in sequence whatever there is beside it.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        for query in (WAITING_ISSUES, WAITING_OF_MEMBERS, WAITING_SELDOM):
            wording = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
            explain = "EXPLAIN QUERY PLAN " if name == "sqlite" else "EXPLAIN "
            plan = " ".join(map(str, connection.execute(text(explain + str(wording)))))
            assert "orders_waiting" in plan
            assert "orders_by_member" not in plan
