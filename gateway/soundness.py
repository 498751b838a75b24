"""Whether the order book's file is sound: a disk that gave other bytes back is found at start, not
at the next backup.

SQLite keeps no checksum of its pages. Its check walks every table and index and compares the two:
of single bits flipped anywhere in a book of 200,000 orders (96 MB) it found 58 %, the quick one,
which leaves the indexes out, 18 %. What stands in a column without an index can be any number and
still be one. PostgreSQL has checksums of pages, on by default from version 18 on.
"""

import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DatabaseError

from gateway.errors import BookDamaged
from gateway.tables import metadata

log = logging.getLogger(__name__)

START_MAX_S: Final = 5.0
"""Most that a start waits for it: 200,000 orders take 1.2 s of a core, 1.9 s where none of
them is cached. `banyan backup` checks all of its copy, however long that takes."""

# The plain code is the last byte of an extended one.
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def check(book: Path, most_s: float = START_MAX_S) -> list[str]:
    """Looks at the tables of the file one after the other, for `most_s` seconds at most. Returns
    those that it did not get to.

    Raises BookDamaged, sqlite3.OperationalError.
    """
    if not book.exists():
        return []
    until = time.monotonic() + most_s
    # As they are declared: keys, people and orders before what was told of them.
    left = [table.name for table in metadata.tables.values()]
    try:
        with closing(sqlite3.connect(book, check_same_thread=False)) as connection:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            there = {name for (name,) in connection.execute(query)}
            while left and (left[0] not in there or _look(connection, left[0], until)):
                left.pop(0)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _DAMAGED:
            # Locked, not to be read: whoever opens it says that.
            raise
        raise _damaged(book, str(error)) from error
    left = [name for name in left if name in there]
    if left:
        log.warning(
            "%s: in %.0f s %d of its tables were not looked at; `banyan backup` checks them all",
            book.name,
            most_s,
            len(left),
        )
    return left


def is_damage(error: Exception) -> bool:
    """Whether the database says so of its file, in the middle of other work."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return isinstance(error, DatabaseError) and code & 0xFF in _DAMAGED


def _look(connection: sqlite3.Connection, table: str, until: float) -> bool:
    """False: the time was over before the end. Raises BookDamaged, sqlite3.DatabaseError."""
    left_s = until - time.monotonic()
    if left_s <= 0:
        return False
    # One table is one instruction of SQLite's: only another thread ends it.
    alarm = threading.Timer(left_s, connection.interrupt)
    alarm.start()
    try:
        (said,) = connection.execute(f"PRAGMA integrity_check({table})").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return False
        raise
    finally:
        alarm.cancel()
        alarm.join()
    if said != "ok":
        raise _damaged(Path("orders.db"), f"{table}: {said}")
    return True


def _damaged(book: Path, what: str) -> BookDamaged:
    return BookDamaged(
        f"{book.name} is damaged ({what}): nothing is done with it; restore the last backup and "
        "run `banyan reconcile`",
        file=book.name,
    )
