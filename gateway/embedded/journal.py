"""chain.db: what the chain consists of, committed before it is mined.

A block's time and raw transactions are one SQLite commit (WAL, synchronous=FULL) *before* anvil is
told to mine; its hash is a second commit after. So a crash at any point leaves either a block
nobody has seen, which is mined at the next start, or one whose hash must come out again. `seal`
chains SHA-256 over everything journalled: a flipped bit is found before the block is replayed, also
in the last block, which may have no hash yet.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.embedded.errors import DataFormatOther, JournalDamaged, NodeOther

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE genesis (
    chain_id INTEGER NOT NULL, time INTEGER NOT NULL, document BLOB NOT NULL, hash BLOB NOT NULL,
    node TEXT NOT NULL, hardfork TEXT NOT NULL, flags TEXT NOT NULL, seal BLOB NOT NULL
) STRICT;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, hash BLOB, seal BLOB NOT NULL
) STRICT;
CREATE TABLE transactions (
    block INTEGER NOT NULL, position INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (block, position)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a replay starts from. `document` is the genesis file as written, `flags`
    space-separated."""

    chain_id: int
    time: int
    document: bytes
    hash: bytes
    node: str
    hardfork: str
    flags: str

    def seal(self) -> bytes:
        return hashlib.sha256(
            orjson.dumps(
                [self.chain_id, self.time, self.document.hex(), self.hash.hex()]
                + [self.node, self.hardfork, self.flags]
            )
        ).digest()


@dataclass(frozen=True, slots=True)
class JournalBlock:
    """One journalled block; `hash` is None between the journal commit and the hash commit."""

    number: int
    time: int
    raws: tuple[bytes, ...]
    hash: bytes | None


def block_seal(previous: bytes, number: int, time: int, raws: Sequence[bytes]) -> bytes:
    digest = hashlib.sha256(previous)
    digest.update(number.to_bytes(8, "big") + time.to_bytes(8, "big"))
    for raw in raws:
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()


class Journal:
    """The open journal. Thread safe; one process at a time (the data folder's lock sees to that).

    Raises JournalDamaged for whatever SQLite or the seals cannot read, DataFormatOther for another
    schema version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        fresh = not path.exists() or path.stat().st_size == 0
        with self._reading():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(fresh)
            except BaseException:
                self._db.close()
                raise
        self._last_seal = b""

    def _prepare(self, fresh: bool) -> None:
        os.chmod(self.path, 0o600)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION and not (version == 0 and fresh):
            raise DataFormatOther(self.path, f"journal {version}", f"journal {SCHEMA_VERSION}")
        # FULL: a commit that returned survives a power cut, not only a crash.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        if version == 0:
            self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")

    def genesis(self) -> Genesis | None:
        """None in a new journal."""
        with self._reading():
            rows = self._db.execute(
                "SELECT chain_id, time, document, hash, node, hardfork, flags, seal FROM genesis"
            ).fetchall()
            if not rows:
                if self._db.execute("SELECT count(*) FROM blocks").fetchone()[0]:
                    raise JournalDamaged("the journal holds blocks but no genesis")
                return None
            genesis = Genesis(*rows[0][:-1])
            if len(rows) != 1 or genesis.seal() != rows[0][-1]:
                raise JournalDamaged("the journal's genesis does not match its seal")
            self._last_seal = genesis.seal()
            return genesis

    def write_genesis(self, genesis: Genesis) -> None:
        with self._transaction():
            self._db.execute(
                "INSERT INTO genesis VALUES (?,?,?,?,?,?,?,?)",
                (genesis.chain_id, genesis.time, genesis.document, genesis.hash)
                + (genesis.node, genesis.hardfork, genesis.flags, genesis.seal()),
            )
        self._last_seal = genesis.seal()

    def require_same_node(self, genesis: Genesis, node: str, hardfork: str, flags: str) -> None:
        """Refuse to replay with what may compute other blocks."""
        for what, recorded, found in (
            ("anvil", genesis.node, node),
            ("hard fork", genesis.hardfork, hardfork),
            ("flags", genesis.flags, flags),
        ):
            if recorded != found:
                raise NodeOther(what, recorded, found)

    def count(self) -> int:
        """Number of the last journalled block; 0 when there is only the genesis."""
        with self._reading():
            return int(
                self._db.execute("SELECT coalesce(max(number), 0) FROM blocks").fetchone()[0]
            )

    def read(self) -> Iterator[JournalBlock]:
        """Every block in order, its seal checked; memory is one block's. Leaves the seal of the
        last one behind, so a journal is read to its end before the first `append`."""
        expected, number = self._last_genesis_seal(), 0
        while page := self._page_after(number):
            for found, time_, block_hash, seal in page:
                with self._reading():
                    raws = self._raws(found)
                number += 1
                expected = block_seal(expected, found, time_, raws)
                if found != number or expected != seal:
                    raise JournalDamaged(f"block {number} in the journal does not match its seal")
                yield JournalBlock(number, time_, raws, block_hash)
        self._last_seal = expected

    def append(self, number: int, time: int, raws: Sequence[bytes]) -> JournalBlock:
        """Commit a block that is about to be mined."""
        seal = block_seal(self._last_seal, number, time, raws)
        with self._transaction():
            self._db.execute("INSERT INTO blocks VALUES (?,?,NULL,?)", (number, time, seal))
            self._db.executemany(
                "INSERT INTO transactions VALUES (?,?,?)",
                [(number, position, raw) for position, raw in enumerate(raws)],
            )
        self._last_seal = seal
        return JournalBlock(number, time, tuple(raws), None)

    def commit_hash(self, number: int, block_hash: bytes) -> None:
        """Commit the hash of the last block, which makes it final."""
        with self._transaction():
            self._db.execute("UPDATE blocks SET hash=? WHERE number=?", (block_hash, number))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _page_after(self, number: int) -> list[tuple[int, int, bytes | None, bytes]]:
        # In pages, because an open cursor would keep the database open behind a close.
        with self._reading():
            return self._db.execute(
                "SELECT number, time, hash, seal FROM blocks WHERE number > ? "
                "ORDER BY number LIMIT 256",
                (number,),
            ).fetchall()

    def _raws(self, number: int) -> tuple[bytes, ...]:
        rows = self._db.execute(
            "SELECT raw FROM transactions WHERE block=? ORDER BY position", (number,)
        )
        return tuple(row[0] for row in rows)

    def _last_genesis_seal(self) -> bytes:
        with self._reading():
            row = self._db.execute("SELECT seal FROM genesis").fetchone()
        return bytes(row[0]) if row else b""

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                raise JournalDamaged(f"{self.path} cannot be read ({error})") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One durable commit. A full disk or an I/O error leaves the journal as it was."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def describe(path: Path) -> dict[str, Any]:
    """Facts about a journal that may be in use: {exists, bytes, chain_id, node, blocks, ...}."""
    if not path.exists():
        return {"exists": False}
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            chain = database.execute("SELECT chain_id, node, hardfork FROM genesis").fetchone()
            blocks = database.execute(
                "SELECT count(*), max(time), sum(hash IS NULL) FROM blocks"
            ).fetchone()
            transactions = database.execute("SELECT count(*) FROM transactions").fetchone()[0]
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(f"{path} cannot be read ({error})") from error
    names = ("chain_id", "node", "hardfork", "blocks", "last_time", "blocks_without_hash")
    facts = dict(zip(names, (*(chain or (None, None, None)), *blocks), strict=True))
    return {"exists": True, "bytes": path.stat().st_size, **facts, "transactions": transactions}
