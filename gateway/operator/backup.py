"""A copy of a network's SQLite files while it runs, consistent in itself and from one to the other.

The order book is copied before the chain's journal: a chain that knows more than the order book is
what `banyan reconcile` is for; an order book that knows blocks which the chain has never mined
would be a broken chain. Secrets are not copied: whoever has them and the copy has every key.
"""

import hashlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from gateway.errors import BackupFailed

ORDER_BOOK: Final = "orders.db"
# In this order; the mirror is not among them, since it is made anew from the chain.
DATABASES: Final = (ORDER_BOOK, "chain.db")
SMALL_FILES: Final = ("deployment.json", "version")
MANIFEST: Final = "backup.json"

# Pages a step: between two steps writers of the network go on.
PAGES_A_STEP: Final = 4096


@dataclass(frozen=True, slots=True)
class Backup:
    """What was copied: bytes by file name."""

    folder: Path
    sizes: dict[str, int]


def back_up(data: Path, to: Path, taken_at: int) -> Backup:
    """Copies the network in `data` into the new folder `to`. Raises BackupFailed."""
    if not (data / ORDER_BOOK).exists():
        raise BackupFailed(f"there is no {ORDER_BOOK} in {data}")
    try:
        to.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BackupFailed(f"{to} is there already: every backup has a folder of its own") from None
    try:
        for name in DATABASES:
            if (data / name).exists():
                _copy_database(data / name, to / name)
        for name in SMALL_FILES:
            if (data / name).exists():
                shutil.copy2(data / name, to / name)
        files = sorted(path for path in to.iterdir())
        manifest = {
            "taken_at": taken_at,
            "files": {path.name: _sha256(path) for path in files},
        }
        (to / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        _sync(to)
    except (OSError, sqlite3.Error) as error:
        # Half a backup must not be taken for one: without its manifest it does not restore.
        raise BackupFailed(f"the copy in {to} is not complete: {error}") from error
    return Backup(to, {path.name: path.stat().st_size for path in files})


def restore(backup: Path, data: Path) -> Backup:
    """Puts a backup into the empty (or new) folder `data`, where secrets may lie already.

    Raises BackupFailed: no backup, a changed or missing file, a folder with another network.
    """
    try:
        manifest = orjson.loads((backup / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise BackupFailed(f"{backup} is no complete backup: no sound {MANIFEST}") from None
    for name, digest in manifest["files"].items():
        if name != Path(name).name or not (backup / name).is_file():
            raise BackupFailed(f"{name} is missing from {backup}")
        if _sha256(backup / name) != digest:
            raise BackupFailed(f"{name} in {backup} is not what was backed up")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = sorted(path.name for path in data.iterdir() if path.name != "secrets")
    if there:
        raise BackupFailed(f"{data} is not empty ({', '.join(there[:3])} ...)")
    for name in manifest["files"]:
        shutil.copy2(backup / name, data / name)
    _sync(data)
    return Backup(data, {name: (data / name).stat().st_size for name in manifest["files"]})


def _copy_database(source: Path, to: Path) -> None:
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with sqlite3.connect(uri, uri=True, isolation_level=None) as reading:
        # One state of the file from the first page to the last, while others write on. Without it
        # every commit in between lets the copy begin anew, and under load it never ends.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with sqlite3.connect(to) as writing:
            reading.backup(writing, pages=PAGES_A_STEP)
            (said,) = writing.execute("PRAGMA integrity_check").fetchone()
            # One file, without a log beside it.
            writing.execute("PRAGMA journal_mode=DELETE")
        writing.close()
    reading.close()
    if said != "ok":
        raise sqlite3.DatabaseError(f"{source.name}: {said}")
    to.chmod(0o600)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
