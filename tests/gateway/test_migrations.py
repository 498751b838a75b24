"""Migrations: up from every revision there ever was, with rows in the tables, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.database import MIGRATIONS, Database, current_revision, head_revision, migrate
from gateway.database import revisions as known_revisions
from gateway.errors import SchemaUnknown
from gateway.tables import metadata


def revisions() -> list[str]:
    """All of them, the oldest first: one line, without branches."""
    found = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    assert all(isinstance(one.down_revision, str | None) for one in found)
    return [one.revision for one in reversed(found)]


REVISIONS = revisions()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        found = Database(f"sqlite:///{tmp_path / 'orders.db'}")
    else:
        found = Database(request.getfixturevalue("postgres_url"))
    yield found
    found.close()


def value_for(column: sa.engine.interfaces.ReflectedColumn) -> Any:
    """Something that the column takes."""
    kind = column["type"]
    if isinstance(kind, sa.LargeBinary):
        return b"\x01" * 20
    if isinstance(kind, sa.Text | sa.String):
        return "kept"
    if isinstance(kind, sa.Boolean):
        return False
    return 7


def fill(database: Database) -> dict[str, dict[str, Any]]:
    """One row in every table as it is now; returns them by table."""
    rows = {}
    schema = "orders" if database.is_postgres else None
    inspector = sa.inspect(database.engine)
    with database.write() as connection:
        for name in inspector.get_table_names(schema=schema):
            if name == "alembic_version":
                continue
            table = sa.Table(name, sa.MetaData(), autoload_with=connection, schema=schema)
            row = {c["name"]: value_for(c) for c in inspector.get_columns(name, schema=schema)}
            connection.execute(table.insert(), row)
            rows[name] = row
    return rows


def test_revisions__in_their_files__are_one_line_of_rising_numbers() -> None:
    assert [f"{n:04d}" for n in range(1, len(REVISIONS) + 1)] == REVISIONS
    assert known_revisions() == REVISIONS
    assert head_revision() == REVISIONS[-1]


@pytest.mark.parametrize("revision", REVISIONS)
def test_migrate__from_any_revision__is_the_schema_of_today_and_keeps_rows(
    empty: Database, revision: str
) -> None:
    migrate(empty, revision)
    assert current_revision(empty) == revision
    rows = fill(empty)
    migrate(empty)
    migrate(empty)
    assert current_revision(empty) == REVISIONS[-1]
    with empty.read() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
        assert difference == []
        for name, row in rows.items():
            kept = connection.execute(sa.select(metadata.tables[name])).one()._mapping
            columns = [c for c in row if c in kept]
            assert columns, name
            assert {c: kept[c] for c in columns} == {c: row[c] for c in columns}, name


def test_migrate__of_a_database_of_a_newer_program__is_refused(empty: Database) -> None:
    migrate(empty)
    with empty.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaUnknown, match="revision 9999"):
        migrate(empty)


def test_migrate__by_two_processes_at_once__is_done_once(empty: Database) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        own = Database(empty.engine.url.render_as_string(hide_password=False))
        try:
            migrate(own)
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert current_revision(empty) == REVISIONS[-1]
