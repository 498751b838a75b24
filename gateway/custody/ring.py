"""The master keys of one database: which there are, which one seals, and how each is opened.

While a rotation runs two are alive: new secrets are sealed under the active one, and every process
opens both.
"""

import threading
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, update

from gateway.custody.envelope import FIRST_MASTER, Envelope, Master, Place, header
from gateway.custody.masters import MasterKind, MasterSources
from gateway.database import Database
from gateway.errors import MasterKeyUnsafe
from gateway.tables import master_keys, secrets


class MasterState(StrEnum):
    """prepared: made, seals nothing yet. active: seals. retiring: some secrets still need it.
    retired: none does, save those in older backups.
    """

    PREPARED = "prepared"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


class MasterChanged(Exception):
    """Another master seals by now: what was sealed and not stored is to be sealed again."""


class MasterRing:
    """Seals and opens envelopes under the database's master keys. Thread safe."""

    def __init__(self, database: Database, sources: MasterSources) -> None:
        self._database = database
        self.sources = sources
        self._opened: dict[int, Master] = {}
        self._lock = threading.Lock()

    # ---- which there are

    def ensure(self, now: int) -> None:
        """Makes the first master key of a new database; checks that the active one opens.

        Raises MasterKeyUnsafe: missing, readable by others, not the one of this database.
        """
        with self._database.read() as connection:
            number = self.active(connection)
            if number is None:
                self._refuse_a_second_first(connection)
        if number is None:
            number = FIRST_MASTER
            parameters = self.sources.prepare(number)
            with self._database.write() as connection:
                self._database.lock_name(connection, "master keys")
                if self.active(connection) is None:
                    self.add(connection, number, MasterState.ACTIVE, parameters, now)
        self.master(number)

    def _refuse_a_second_first(self, connection: Connection) -> None:
        """A database from before this table has secrets under the key in its file: a fresh key
        would open none of them.
        """
        held = connection.execute(select(func.count()).select_from(secrets)).scalar_one()
        if held and (
            self.sources.kind is not MasterKind.FILE
            or not self.sources.key_file(FIRST_MASTER).exists()
        ):
            raise MasterKeyUnsafe(
                f"{held} secrets are sealed under {self.sources.key_file(FIRST_MASTER)}: put it "
                "back, start once with BANYAN_MASTER=file, then rotate"
            )

    def add(
        self,
        connection: Connection,
        number: int,
        state: MasterState,
        parameters: dict[str, Any],
        now: int,
    ) -> None:
        """Stores master `number` as its source prepared it, in the caller's transaction."""
        row = {
            "id": number,
            "kind": self.sources.kind.value,
            "parameters": orjson.dumps(parameters).decode(),
            "state": state.value,
            "created_at": now,
            "changed_at": now,
        }
        connection.execute(insert(master_keys), row)

    def active(self, connection: Connection, *, hold: bool = False) -> int | None:
        """The number of the master that seals; with `hold` it stays so to the transaction's end."""
        query = select(master_keys.c.id).where(master_keys.c.state == MasterState.ACTIVE.value)
        if hold and self._database.is_postgres:
            query = query.with_for_update(read=True)
        return connection.execute(query).scalar_one_or_none()

    def in_state(self, connection: Connection, state: MasterState) -> int | None:
        """The number of the master in this state; None: there is none."""
        query = select(func.max(master_keys.c.id)).where(master_keys.c.state == state.value)
        number: int | None = connection.execute(query).scalar_one()
        return number

    def move(self, connection: Connection, number: int, state: MasterState, now: int) -> None:
        """Puts a master into another state."""
        connection.execute(
            update(master_keys)
            .where(master_keys.c.id == number)
            .values(state=state.value, changed_at=now)
        )

    def rows(self) -> list[dict[str, Any]]:
        """All masters that there ever were, oldest first; nothing secret."""
        c = master_keys.c
        query = select(c.id, c.kind, c.state, c.created_at, c.changed_at).order_by(c.id)
        with self._database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def master(self, number: int) -> Master:
        """Master `number`, opened once. Raises MasterKeyUnsafe, NotReady."""
        with self._lock:
            found = self._opened.get(number)
        if found is not None:
            return found
        query = select(master_keys).where(master_keys.c.id == number)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise MasterKeyUnsafe(f"this database knows no master key {number}")
        master = self.sources.load(number, row.kind, orjson.loads(row.parameters))
        with self._lock:
            return self._opened.setdefault(number, master)

    # ---- sealing and opening

    def seal(self, secret: bytes, place: Place) -> bytes:
        """The secret, to be stored under exactly this place by a transaction that asks
        `check_active`. Never inside one: the master may be KMS. Raises MasterKeyUnsafe, NotReady.
        """
        with self._database.read() as connection:
            number = self.active(connection)
        if number is None:
            raise MasterKeyUnsafe("this database has no master key yet")
        return Envelope.seal(secret, place, number, self.master(number)).to_bytes()

    def check_active(self, connection: Connection, sealed: bytes) -> None:
        """Holds the active master to the transaction's end, so that a rotation never misses a row.

        Raises MasterChanged: these bytes were sealed under the one before.
        """
        number = self.active(connection, hold=True)
        if number is None:
            # PostgreSQL waited for a rotation that made another one active: the first statement
            # looked at rows as they were before, a second one sees both.
            number = self.active(connection, hold=True)
        if number is None or not sealed.startswith(header(number)):
            raise MasterChanged

    def open(self, sealed: bytes, place: Place) -> bytes:
        """The secret again. Raises SecretDamaged, MasterKeyUnsafe, NotReady."""
        envelope = Envelope.parse(sealed, place)
        return envelope.open(place, self.master(envelope.master))

    def rewrap(self, sealed: bytes, place: Place, number: int) -> bytes:
        """The same secret under master `number`."""
        envelope = Envelope.parse(sealed, place)
        old, new = self.master(envelope.master), self.master(number)
        return envelope.rewrapped(place, old, number, new).to_bytes()
