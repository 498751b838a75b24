"""A byte that the disk changed in the order book is found at start, where anything shows it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway import soundness
from gateway.database import Database, migrate
from gateway.errors import BookDamaged
from gateway.network import open_network
from gateway.observe.readiness import readiness
from gateway.tables import audit, metadata
from tests.gateway.helpers import NOON, Town, house_on


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book with two merchants, three members and 2,000 rows of the audit, at rest."""
    file = tmp_path / "orders.db"
    database = Database(f"sqlite:///{file}")
    migrate(database)
    with house_on(database), database.write() as connection:
        row = {"at": NOON, "actor": "a", "action": "accept", "subject": "s", "detail": "d" * 50}
        connection.execute(audit.insert(), [row] * 2_000)
    database.close()
    assert not file.with_name("orders.db-wal").exists()
    return file


def places_of(book: Path, mark: bytes) -> list[int]:
    content, found, at = book.read_bytes(), [], -1
    while (at := content.find(mark, at + 1)) >= 0:
        found.append(at)
    return found


def flip(book: Path, at: int) -> None:
    with book.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def test_check__a_flipped_bit_in_a_table_or_its_index__names_the_table(book: Path) -> None:
    with closing(sqlite3.connect(book)) as connection:
        (public_id,) = connection.execute("SELECT public_id FROM members WHERE id = 2").fetchone()
    places = places_of(book, public_id)
    assert len(places) == 2
    for at in places:
        flip(book, at)
        with pytest.raises(BookDamaged, match="members") as found:
            soundness.check(book)
        assert found.value.code == "book_damaged"
        flip(book, at)
    assert soundness.check(book) == []


@pytest.mark.parametrize("at", [0, 16, 100])
def test_check__a_flipped_bit_in_the_files_head__is_damage(book: Path, at: int) -> None:
    flip(book, at)
    with pytest.raises(BookDamaged, match=r"orders\.db is damaged"):
        soundness.check(book)


def test_check__a_book_too_large_for_its_time__says_what_it_left_out(
    book: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert soundness.check(book, 0) == [table.name for table in metadata.tables.values()]
    assert "banyan backup" in caplog.text
    # In the middle of a table, too.
    copied = "INSERT INTO audit SELECT NULL, at, actor, action, subject, detail FROM audit"
    with closing(sqlite3.connect(book)) as connection, connection:
        for _ in range(5):
            connection.execute(copied)
    assert 0 < len(soundness.check(book, 0.004)) <= len(metadata.tables)


def test_check__without_a_book__has_nothing_to_say(tmp_path: Path) -> None:
    assert soundness.check(tmp_path / "orders.db") == []
    assert list(tmp_path.iterdir()) == []


def test_start__on_a_damaged_book__is_refused(book: Path) -> None:
    with closing(sqlite3.connect(book)) as connection:
        (public_id,) = connection.execute("SELECT public_id FROM members WHERE id = 2").fetchone()
    flip(book, places_of(book, public_id)[0])
    with pytest.raises(BookDamaged):
        open_network(book.parent, background=False)


def test_readyz__a_book_that_breaks_meanwhile__says_so(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> int:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise sa.exc.DatabaseError("SELECT", None, error)

    monkeypatch.setattr(town.network.gateway.relay, "open_work", broken)
    assert readiness(town.network.gateway)["orders"] == "book_damaged: restore it"
