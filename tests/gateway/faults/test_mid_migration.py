"""kill -9 in the middle of a migration: nothing has changed, and the next start migrates it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.database import Database, current_revision, head_revision, migrate
from gateway.tables import metadata
from tests.gateway.test_migrations import REVISIONS, fill

ROOT = Path(__file__).parents[3]

# Migrates, and dies after so many statements.
VICTIM = """
import os, signal, sys
from sqlalchemy import event
from gateway.database import Database, migrate

database, left = Database(sys.argv[1]), int(sys.argv[2])

@event.listens_for(database.engine, "after_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

migrate(database)
print(left)
"""


def victim(url: str, statements: int) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", VICTIM, url, str(statements)]
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.soak
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_migrate__killed_in_the_middle__is_as_before_and_done_again(
    request: pytest.FixtureRequest, soak_seed: int, tmp_path: Path, where: str
) -> None:
    url = (
        f"sqlite:///{tmp_path / 'orders.db'}"
        if where == "sqlite"
        else str(request.getfixturevalue("postgres_url"))
    )
    dice = random.Random(soak_seed)
    database = Database(url)
    migrate(database, REVISIONS[0])
    rows = fill(database)
    for _ in range(4):
        statements = dice.randrange(1, 45)
        sys.stderr.write(f"seed {soak_seed}: killed after {statements} statements\n")
        done = victim(url, statements)
        assert done.returncode == -signal.SIGKILL, (done.stdout, done.stderr)
        assert current_revision(database) == REVISIONS[0]
    migrate(database)
    assert current_revision(database) == head_revision()
    with database.read() as connection:
        for name, row in rows.items():
            kept = connection.execute(sa.select(metadata.tables[name])).one()._mapping
            assert all(kept[column] == row[column] for column in row if column in kept), name
    database.close()
