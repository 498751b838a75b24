"""The order book's storage fails: nothing that was answered is lost, nothing is stored twice.

After each fault the same request goes again under its key, as a till does, and the book holds it
once.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import func, select

from gateway import database as database_module
from gateway.database import Database, migrate
from gateway.errors import NotReady
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.orders.answers import Answer
from gateway.orders.known import Request, hash_of
from gateway.tables import merchants, orders
from tests.gateway.helpers import House, house_on


def ask(house: House, reference: str, points: int = 1) -> list[Answer]:
    line = NewOrder(OrderKind.ISSUE, house.ada, points, reference, house.baker)
    request = Request(1, "a test", f"key {reference}", hash_of([line]), [line])
    return house.writer.submit(request).result(timeout=30)


def refused_for_now(house: House, reference: str) -> None:
    with pytest.raises(NotReady):
        ask(house, reference)


def holds_once(house: House, *references: str) -> None:
    """Each of them once, and what is held is the sum of what they cost."""
    for reference in references:
        (answer,) = ask(house, reference)
        assert isinstance(answer, Accepted)
    with house.database.read() as connection:
        query = select(orders.c.reference, func.count()).group_by(orders.c.reference)
        stored = {row[0]: row[1] for row in connection.execute(query)}
        held = connection.execute(select(merchants.c.held).where(merchants.c.id == 1)).scalar_one()
    assert stored == dict.fromkeys(references, 1)
    assert held == len(references) * house.books.price


@contextmanager
def sqlite_house(folder: Path) -> Iterator[House]:
    database = Database(f"sqlite:///{folder / 'orders.db'}")
    migrate(database)
    with house_on(database) as house:
        yield house
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    database.close()


# ---- SQLite


@contextmanager
def file_size_limit(folder: Path) -> Iterator[None]:
    """No file grows beyond the largest of now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 4_096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Every byte of the (small) disk is taken."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4_096)
    try:
        yield
    finally:
        filler.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def until_refused(house: House) -> int:
    """Accepts until the disk takes no more; how many were answered."""
    for number in range(10_000):
        try:
            ask(house, f"many {number}")
        except NotReady:
            return number
    raise AssertionError("the disk is never full")


def refuses_as_long_as(folder: Path, shortage: AbstractContextManager[None]) -> None:
    """During the shortage a request is refused for now; afterwards each one is held once."""
    with sqlite_house(folder) as house:
        ask(house, "before")
        with shortage:
            answered = until_refused(house)
            refused_for_now(house, "during")
        many = [f"many {number}" for number in range(answered)]
        holds_once(house, "before", "during", *many, f"many {answered}")


def test_accept__disk_full__refuses_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    refuses_as_long_as(small_disk, full_disk(small_disk))


def test_accept__file_size_limit__refuses_and_goes_on_when_it_is_lifted(tmp_path: Path) -> None:
    refuses_as_long_as(tmp_path, file_size_limit(tmp_path))


def test_accept__locked_by_another_process__refuses_and_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten seconds in earnest; the way is the same.
    monkeypatch.setattr(database_module, "LOCK_WAIT_MS", 200)
    with sqlite_house(tmp_path) as house:
        ask(house, "before")
        other = sa.create_engine(f"sqlite:///{tmp_path / 'orders.db'}")
        with other.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            refused_for_now(house, "during")
            connection.rollback()
        other.dispose()
        holds_once(house, "before", "during")


def test_accept__out_of_file_handles__refuses_and_goes_on_when_there_are_some(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    with sqlite_house(tmp_path) as house:
        ask(house, "before")
        house.database.close()  # so that a file has to be opened
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            refused_for_now(house, "during")
        finally:
            for handle in taken:
                os.close(handle)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        holds_once(house, "before", "during")
