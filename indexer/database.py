"""Opening the mirror: SQLite in a file of its own, PostgreSQL in the schema `mirror`.

The mirror is disposable: what is in it can be read from the chain again. So SQLite runs WAL with
synchronous NORMAL (a power cut may lose the last commits, never the order of them), and tables of
another schema version are dropped, to be filled again.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url

from indexer.pings import ping_rested
from indexer.tables import SCHEMA_VERSION, metadata, mirror_schema
from indexer.views import create_views
from wallet_sdk.errors import InputInvalid

SCHEMA: Final = "mirror"
_BUSY_TIMEOUT_MS: Final = 30_000
CACHE_KB: Final = 16_384
"""SQLite's page cache for each connection of an indexer; more made nothing quicker and counts as
our memory."""
READER_CACHE_KB: Final = 2_048
"""And of those that only ask, and are many: a commit of the indexer's empties them all."""
_WAL_TRY_S: Final = 0.01
_WAL_PAGES: Final = 16_000
"""Pages (4 KB) in the log before a commit moves them to the file by itself: a backfill writes the
same pages of an index again and again, and only the last of them goes to the file. At the head the
indexer calls `checkpoint` between blocks, long before."""
_ADDED: Final = """
CREATE OR REPLACE AGGREGATE added(bigint) (
    SFUNC = int8pl, STYPE = bigint, INITCOND = 0, COMBINEFUNC = int8pl, PARALLEL = SAFE
)
"""
"""PostgreSQL's `sum` of bigints makes a numeric of every group, which takes longer than grouping.
This one stays a bigint, and a sum that does not fit is an error."""


def is_unavailable(error: BaseException) -> bool:
    """Whether a database raised it that is not there, ended the session or has no room left: that
    passes. Statements below SQLAlchemy (`bulk`) raise the driver's own errors.
    """
    kinds = (
        *(sa.exc.OperationalError, sa.exc.InterfaceError, sqlite3.OperationalError),
        # A session that was ended in the middle of a transaction, and is used once more.
        sa.exc.PendingRollbackError,
    )
    return isinstance(error, kinds) or _is_psycopgs(error, "OperationalError")


def is_too_large(error: BaseException) -> bool:
    """Whether a driver raised it for a number that no column holds."""
    return isinstance(error, OverflowError) or _is_psycopgs(error, "NumericValueOutOfRange")


def _is_psycopgs(error: BaseException, name: str) -> bool:
    # Not imported for this: a mirror in a file needs no driver of PostgreSQL.
    psycopg = sys.modules.get("psycopg")
    return psycopg is not None and isinstance(error, getattr(psycopg.errors, name))


def is_postgres(bind: Connection | Engine) -> bool:
    """Whether this is PostgreSQL; else it is SQLite."""
    return bind.dialect.name == "postgresql"


def open_mirror(url: str | URL, *, create: bool = True, cache_kb: int = CACHE_KB) -> Engine:
    """An engine on the mirror at `url` (`sqlite:///file` or `postgresql://...`).

    With `create`, missing tables are made, and tables of another schema version are dropped and
    made anew, empty. Readers see one consistent state for the length of a transaction. `cache_kb`
    is what each connection to a file keeps of it.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = _open_postgres(parsed)
    elif parsed.get_backend_name() == "sqlite":
        engine = _open_sqlite(parsed, cache_kb)
    else:
        raise ValueError(f"the mirror lives in SQLite or PostgreSQL, not {parsed.drivername}")
    if create:
        with engine.begin() as conn:
            create_tables(conn)
    return engine


def _open_postgres(url: URL) -> Engine:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        # One snapshot a transaction, so that the parts of an answer belong together. The indexer is
        # the only writer, so nothing can fail to serialize.
        isolation_level="REPEATABLE READ",
        # What a crash of the server may lose are the last commits, and the chain still has them.
        connect_args={"options": f"-csearch_path={SCHEMA} -csynchronous_commit=off"},
        pool_use_lifo=True,
    )
    ping_rested(engine)
    return engine


def _open_sqlite(url: URL, cache_kb: int) -> Engine:
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
        # The connection used last comes first: caches are as many as are needed at once.
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver must not begin transactions by itself; `_begun` does it in every case.
        connection.isolation_level = None
        into_wal(connection, _BUSY_TIMEOUT_MS / 1000)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{cache_kb}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def into_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Has SQLite keep a log ahead of the file. Two that open a new file at once both want it alone
    for this change, and SQLite waits for no such lock by itself: we do. Raises OperationalError.
    """
    until = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_WAL_TRY_S)
        else:
            return


def checkpoint(engine: Engine) -> None:
    """Moves SQLite's log into the file as far as no reader still needs it; waits for nobody."""
    if not is_postgres(engine):
        with engine.connect() as conn:
            # Not in a transaction: a checkpoint within one is refused.
            driver = conn.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)")


def create_tables(conn: Connection) -> None:
    """Makes what is missing; drops the tables of another schema version first."""
    if is_postgres(conn):
        # Two programs that start at once: the second waits here and then finds everything made.
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('banyan mirror schema'))"))
        conn.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    version = stored_version(conn)
    if version == SCHEMA_VERSION:
        return
    if version is not None:
        drop_tables(conn)
    metadata.create_all(conn)
    if is_postgres(conn):
        conn.exec_driver_sql(_ADDED)
    create_views(conn)
    conn.execute(mirror_schema.insert().values(version=SCHEMA_VERSION))


def stored_version(conn: Connection) -> int | None:
    """The schema version of the tables there, None when there are none."""
    if mirror_schema.name not in _table_names(conn):
        return None
    version: int = conn.execute(sa.select(mirror_schema.c.version)).scalar_one()
    return version


def drop_tables(conn: Connection) -> None:
    """Drops every table and view of the mirror, also those that only another version knew."""
    schema = SCHEMA if is_postgres(conn) else None
    # Views first: they stand on the tables.
    for name in sa.inspect(conn).get_view_names(schema=schema):
        conn.exec_driver_sql(f'DROP VIEW "{name}"')
    for name in _table_names(conn):
        conn.exec_driver_sql(f'DROP TABLE "{name}"')


def _table_names(conn: Connection) -> list[str]:
    return sa.inspect(conn).get_table_names(schema=SCHEMA if is_postgres(conn) else None)


def grant_reader(conn: Connection, role: str) -> None:
    """Lets `role` read the mirror and nothing else, tables of later versions included. Makes the
    role, without a password, when there is none. PostgreSQL alone. Raises InputInvalid.
    """
    if not is_postgres(conn):
        raise InputInvalid("roles are PostgreSQL's; a SQLite file is read by whoever may read it")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", role):
        raise InputInvalid(f"a role is lower-case letters, digits and _, got {role!r:.80}")
    known = conn.execute(
        sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}
    ).scalar_one_or_none()
    if known is None:
        conn.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
    for statement in (
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
        "ALTER ROLE {role} SET search_path = {schema}",
        "ALTER ROLE {role} SET default_transaction_read_only = on",
        # A forgotten query must not hold a snapshot for days.
        "ALTER ROLE {role} SET statement_timeout = '60s'",
    ):
        conn.exec_driver_sql(statement.format(schema=SCHEMA, role=role))
