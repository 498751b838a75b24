"""The order book's engine: SQLite with one writer at a time, or PostgreSQL in its schema `orders`.

SQLite runs in WAL mode with synchronous=FULL: a commit that was answered is on the disk, also when
the machine loses power in the next instant.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import NotReady, SchemaUnknown
from indexer.database import into_wal
from indexer.pings import ping_rested

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA = "orders"

WRITER_CACHE_KB = 8_192
"""SQLite's page cache of the connection that writes; sixteen megabytes made nothing quicker."""
READER_CACHE_KB = 2_048
"""And of each that reads. SQLite empties a cache whenever another connection has committed, so a
reader's is filled and emptied all day: the larger it is, the more of the heap is left in pieces."""

# A statement that waits longer than this for a lock is a fault, not patience: the writer holds its
# lock for well under a second.
LOCK_WAIT_MS = 10_000

# A transaction of ours never pauses for so long, unless its process is frozen or its machine gone.
# PostgreSQL then ends the session, so that its locks hold up nobody; its commit fails.
IDLE_MAX_S = 15.0
# And none takes so long in all. From version 17 on; needed, since a session that pauses behind
# pipelined statements (executemany) is not ended by the limit on pauses (seen on 18).
TRANSACTION_TIMEOUT_SINCE = 170_000
TRANSACTION_MIN_S = 3.0

NOT_ALLOWED: Final = "42501"
"""PostgreSQL's code of what the role has no right to."""

UNUSABLE: Final = (OperationalError, InternalError, InterfaceError, PoolTimeout)
"""What is raised where the order book cannot be used now: its server is gone, only stands by or has
ended the session, its disk is full or broken, a lock or a connection did not come in time. It may
pass; where it struck a COMMIT, nobody knows whether that was carried out."""


class Database:
    """The order book's engine, and the one way to a transaction that writes.

    SQLite has one writer at a time. Threads of this process queue on a lock of ours, since SQLite's
    own waiting is a poll with pauses that grow to a tenth of a second; and they all write through
    one connection, whose cache nobody else's commit makes worthless.
    """

    def __init__(self, url: str, *, idle_max_s: float = IDLE_MAX_S) -> None:
        self.engine = _open(url, idle_max_s)
        self.is_postgres = self.engine.dialect.name == "postgresql"
        self._writing = self.engine.execution_options(writes=True)
        self._alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._lock = threading.RLock()
        self._writer: Connection | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; commits at the end, rolls back on any exception."""
        if self.is_postgres:
            with self._writing.begin() as connection:
                yield connection
            return
        with self._lock:
            connection = self._the_writer()
            with connection.begin():
                yield connection

    def _the_writer(self) -> Connection:
        """SQLite's one connection that writes, opened by the first who needs it."""
        kept = self._writer
        if kept is None or kept.closed or kept.invalidated:
            kept = self._writing.connect()
            driver = kept.connection.driver_connection
            assert driver is not None
            driver.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KB}")
            # The pool is the readers': this one is not given back.
            kept.detach()
            self._writer = kept
        return kept

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """PostgreSQL alone: each statement is a transaction of its own."""
        assert self.is_postgres
        with self._alone.connect() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one state of the database throughout."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def lock_rows(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """`query` with its rows locked to the transaction's end (SQLite: the writer has it all)."""
        return query.with_for_update() if self.is_postgres else query

    @contextmanager
    def settle(self) -> Iterator[Connection]:
        """A transaction that ends orders or takes them back: one at a time over all processes.

        Two relays that settle the same block would each release its holds; the second one waits
        here, and then finds nothing left to end.
        """
        with self.write() as connection:
            self.lock_name(connection, "settling")
            yield connection

    def lock_name(self, connection: Connection, name: str) -> None:
        """Holds `name` to the transaction's end against other processes (SQLite: already so)."""
        if self.is_postgres:
            query = text("SELECT pg_advisory_xact_lock(hashtext(:name))")
            connection.execute(query, {"name": f"banyan {name}"})

    def close(self) -> None:
        """Closes all connections; whoever asks for one again gets a fresh one."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()


def _open(url: str, idle_max_s: float) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        # The connection used last comes first: caches are as many as are needed at once.
        engine = create_engine(
            parsed, connect_args={"timeout": LOCK_WAIT_MS / 1000}, pool_use_lifo=True
        )
        _prepare_sqlite(engine)
        return engine
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=10,
        max_overflow=20,
        # Who gets no connection in this time is told to come back.
        pool_timeout=LOCK_WAIT_MS / 1000,
        pool_use_lifo=True,
        connect_args={
            "options": f"-csearch_path={SCHEMA} -clock_timeout={LOCK_WAIT_MS} "
            f"-cidle_in_transaction_session_timeout={int(idle_max_s * 1000)}"
        },
    )
    ping_rested(engine)
    limit_ms = int(max(2 * idle_max_s, TRANSACTION_MIN_S) * 1000)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        if connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE:
            connection.execute(f"SET transaction_timeout = {limit_ms}")
            connection.commit()

    return engine


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        # The driver's own transactions begin too late (at the first write) and read a mixed state;
        # we say BEGIN ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        into_wal(connection, LOCK_WAIT_MS / 1000)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA cache_size=-{READER_CACHE_KB}")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A transaction that will write takes the write lock at once: two that both read first and
        # write later would deadlock, and SQLite answers that with an error instead of a wait.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def migrate(database: Database, revision: str = "head") -> None:
    """Brings the schema up to `revision`, in one transaction; nothing where it is there already,
    so that a role without the right to change tables can start a gateway.

    Raises SchemaUnknown: the database was made by a newer program; NotReady: there is something to
    change, and the role may not.
    """
    at = current_revision(database)
    if at is not None and at not in revisions():
        raise SchemaUnknown(
            f"the order book is at revision {at}, which this program does not know: it was made by "
            "a newer one",
            revision=at,
        )
    if revision == "head" and at == head_revision():
        return
    try:
        _migrate(database, revision)
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != NOT_ALLOWED:
            raise
        raise NotReady(
            f"the order book is at revision {at}, this program needs {head_revision()}, and its "
            "role may not change tables: run `banyan migrate` under the role that owns them"
        ) from error


def _migrate(database: Database, revision: str) -> None:
    with database.write() as connection:
        if database.is_postgres:
            # Two processes that start at once: the second waits, then finds nothing to do. The
            # schema itself comes after the lock: IF NOT EXISTS is no help against a race.
            connection.execute(text("SELECT pg_advisory_xact_lock(4607182418)"))
            _without_time_limit(connection)
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        _upgrade(connection, revision)


def _upgrade(connection: Connection, revision: str) -> None:
    # Imported here: with all that it brings along it is a fifth of the start of every command, and
    # almost none has anything to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _without_time_limit(connection: Connection) -> None:
    """A migration may take as long as it takes."""
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    if (connection.dialect.server_version_info or ()) >= (17,):
        connection.execute(text("SET LOCAL transaction_timeout = 0"))


def current_revision(database: Database) -> str | None:
    """The revision that the database is at; None: empty."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def head_revision() -> str:
    """The revision that this program needs."""
    return revisions()[-1]


def revisions() -> list[str]:
    """All revisions, oldest first: the numbers in front of the migrations' file names."""
    return sorted(file.name.partition("_")[0] for file in MIGRATIONS.glob("versions/[0-9]*.py"))
