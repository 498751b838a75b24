"""Triggers that note every change of a state in an order book on SQLite, and whether it may be."""

from __future__ import annotations

from sqlalchemy import text

from gateway.database import Database
from gateway.transitions import MACHINES


def watch(database: Database) -> None:
    """From now on every new pair of states is written down."""
    with database.write() as connection:
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS seen_states "
                "(name TEXT, before INTEGER, after INTEGER, UNIQUE (name, before, after))"
            )
        )
        for table in MACHINES:
            connection.execute(
                text(
                    f"CREATE TRIGGER IF NOT EXISTS seen_{table}_changed AFTER UPDATE OF state "
                    f"ON {table} WHEN OLD.state <> NEW.state BEGIN INSERT OR IGNORE INTO "
                    f"seen_states VALUES ('{table}', OLD.state, NEW.state); END"
                )
            )
            connection.execute(
                text(
                    f"CREATE TRIGGER IF NOT EXISTS seen_{table}_new AFTER INSERT ON {table} "
                    f"BEGIN INSERT OR IGNORE INTO seen_states VALUES ('{table}', 0, NEW.state); END"
                )
            )


def changes_that_nobody_named(database: Database) -> list[str]:
    """Changes that were seen and are not in the state machines."""
    with database.read() as connection:
        seen = connection.execute(text("SELECT name, before, after FROM seen_states")).all()
    found = []
    for name, before, after in sorted(seen):
        edges = MACHINES[name]
        states = type(next(iter(edges[None])))
        source = states(before) if before else None
        if states(after) not in edges[source]:
            told = "new" if source is None else source.name
            found.append(f"{name}: {told} -> {states(after).name}")
    return found
