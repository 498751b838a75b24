"""A new master key, under load: every secret is re-wrapped, a few a commit, two masters alive.

Steps, each its own commit and harmless to repeat: the new master is made (*prepared*), it seals
from now on (*active*, the old one *retiring*), the old one's secrets are re-wrapped, and when none
is left the old one is *retired*. Killed anywhere, the next call goes on; nothing is ever sealed
under a key that is not recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, func, or_, select, update

from gateway import faults
from gateway.custody.envelope import FIRST_MASTER, Envelope, Place, header
from gateway.custody.ring import MasterRing, MasterState
from gateway.database import Database
from gateway.errors import CustodyError, MasterKeyUnsafe
from gateway.tables import secrets

# Secrets a commit: each may cost two calls to KMS, and none is made inside the transaction.
ROWS_A_COMMIT: Final = 50


@dataclass(frozen=True)
class SealedColumn:
    """Where envelopes lie: the column, its row number, and how a row's place is read."""

    table: Table
    id: Column[Any]
    sealed: Column[Any]
    place: Callable[[Any], Place]


def _place_of_secret(row: Any) -> Place:
    return Place(row.tenant, row.purpose, bytes(row.address))


SEALED: list[SealedColumn] = [
    SealedColumn(secrets, secrets.c.id, secrets.c.sealed, _place_of_secret)
]
"""Every column that holds envelopes: a rotation goes through all of them."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: the active master, the one it replaced, and envelopes re-wrapped."""

    active: int
    retired: int
    rewrapped: int


def prepare(database: Database, ring: MasterRing, now: int) -> int:
    """Makes the next master and returns its number; one that is prepared already stays.

    A key file has to be copied to every machine that runs a gateway before it is made active.
    """
    with database.read() as connection:
        there = ring.in_state(connection, MasterState.PREPARED)
        number = _next(ring, connection) if there is None else there
    if there is None:
        # KMS is asked, or scrypt computed: nobody's rows wait for it.
        parameters = ring.sources.prepare(number)
        with database.write() as connection:
            database.lock_name(connection, "master keys")
            there = ring.in_state(connection, MasterState.PREPARED)
            if there is None and _next(ring, connection) == number:
                ring.add(connection, number, MasterState.PREPARED, parameters, now)
                there = number
        if there is None:
            raise MasterKeyUnsafe("another rotation runs; call again")
    ring.master(there)
    return there


def _next(ring: MasterRing, connection: Connection) -> int:
    newest = max(ring.in_state(connection, state) or 0 for state in MasterState)
    if newest < FIRST_MASTER:
        raise MasterKeyUnsafe("this database has no master key yet")
    return newest + 1


def rotate(
    database: Database,
    ring: MasterRing,
    now: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rotated:
    """Rotates to the prepared master (made here, if there is none), or goes on where an earlier
    rotation stopped. Raises MasterKeyUnsafe, SecretDamaged, NotReady (go on by calling again).
    """
    with database.read() as connection:
        retiring = ring.in_state(connection, MasterState.RETIRING)
    if retiring is None:
        retiring = _activate(database, ring, prepare(database, ring, now), now)
    faults.point("rotate.activated")
    with database.read() as connection:
        active = ring.active(connection)
    assert active is not None
    rewrapped = 0
    total = left(database, active)
    for column in SEALED:
        while moved := _rewrap_some(database, ring, column, active):
            rewrapped += moved
            progress(rewrapped, max(total, rewrapped))
    _retire(database, ring, retiring, active, now)
    return Rotated(active, retiring, rewrapped)


def _activate(database: Database, ring: MasterRing, number: int, now: int) -> int:
    with database.write() as connection:
        database.lock_name(connection, "master keys")
        old = ring.active(connection)
        if old is None or ring.in_state(connection, MasterState.RETIRING) is not None:
            raise MasterKeyUnsafe("another rotation runs; call again")
        # First the old one, then the new: whoever is sealing right now holds the old one's row.
        ring.move(connection, old, MasterState.RETIRING, now)
        ring.move(connection, number, MasterState.ACTIVE, now)
    return old


def _rewrap_some(database: Database, ring: MasterRing, column: SealedColumn, active: int) -> int:
    with database.read() as connection:
        query = select(column.table).where(_elsewhere(column, active)).order_by(column.id)
        rows = connection.execute(query.limit(ROWS_A_COMMIT)).all()
    fresh = []
    for row in rows:
        sealed = bytes(row._mapping[column.sealed])
        fresh.append((row, sealed, ring.rewrap(sealed, column.place(row), active)))
    if not fresh:
        return 0
    with database.write() as connection:
        for row, sealed, rewrapped in fresh:
            # Only where it still is what was re-wrapped: a second rotation beside us did no harm.
            connection.execute(
                update(column.table)
                .where(column.id == row._mapping[column.id], column.sealed == sealed)
                .values({column.sealed: rewrapped})
            )
        faults.point("rotate.before_commit")
    faults.point("rotate.rewrapped")
    return len(fresh)


def _retire(database: Database, ring: MasterRing, old: int, active: int, now: int) -> None:
    with database.write() as connection:
        database.lock_name(connection, "master keys")
        still = _count(connection, active)
        if still:
            raise MasterKeyUnsafe(f"{still} secrets are not under master key {active} yet")
        ring.move(connection, old, MasterState.RETIRED, now)


def left(database: Database, active: int) -> int:
    """How many envelopes are not under master `active`."""
    with database.read() as connection:
        return _count(connection, active)


def _count(connection: Connection, active: int) -> int:
    found = 0
    for column in SEALED:
        query = select(func.count()).select_from(column.table).where(_elsewhere(column, active))
        found += connection.execute(query).scalar_one()
    return found


def _elsewhere(column: SealedColumn, active: int) -> Any:
    begins = header(active)
    known = or_(
        func.substr(column.sealed, 1, 1) == b"\x01", func.substr(column.sealed, 1, 1) == b"\x02"
    )
    # What begins with neither number is no envelope (a key that lies in KMS has none).
    return known & (func.substr(column.sealed, 1, len(begins)) != begins)


def check(database: Database, ring: MasterRing) -> tuple[int, list[str]]:
    """Opens every envelope: how many there are, and what is wrong with those that do not open."""
    opened, wrong = 0, []
    for column in SEALED:
        with database.read() as connection:
            rows = connection.execute(select(column.table).order_by(column.id)).all()
        for row in rows:
            sealed = bytes(row._mapping[column.sealed])
            if not sealed:
                continue
            try:
                place = column.place(row)
                envelope = Envelope.parse(sealed, place)
                envelope.open(place, ring.master(envelope.master))
                opened += 1
            except CustodyError as error:
                wrong.append(error.message)
    return opened, wrong
