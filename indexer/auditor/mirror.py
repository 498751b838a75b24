"""The SQL mirror beside the replay, row by row.

The mirror is read by plain SQL, in one snapshot, by its documented tables (`docs/MIRROR.md`): none
of its own code takes part. Facts (blocks, transactions, movements, events) are compared while the
chain is read, a window of rows at a time; state and totals after the last block. Of `entries` and
`flows`, which follow the mirror's own rule of attribution, the sums are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from indexer.auditor.blocks import CheckedBlock, OurTransaction
from indexer.auditor.checks import Check
from indexer.auditor.decode import Decoder, Event, LogMalformed
from indexer.auditor.errors import Broken, CannotRun, Finding
from indexer.auditor.ledger import Ledger
from indexer.auditor.mirror_state import state_rows
from indexer.auditor.network import NetworkFile
from indexer.auditor.receipts import RawLog

MIRROR: Final = "mirror"
_IDS_PER_BLOCK: Final = 1_000_000
_WINDOW: Final = 20_000
"""Rows that are held to be compared; some 10 MB."""
_FINDINGS_MAX: Final = 20
_ENDS: Final = {"Redeemed": ("redeem", 2), "Returned": ("return", 2), "Refunded": ("refund", 2)}
_PREDECESSOR: Final = "Predecessor"
_Row = tuple[Any, ...]


@contextmanager
def open_snapshot(url: str) -> Iterator[sa.Connection]:
    """A connection that sees one state of the mirror until it is closed. Raises CannotRun."""
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            engine = sa.create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                isolation_level="REPEATABLE READ",
                connect_args={"options": "-csearch_path=mirror"},
            )
        else:
            # SQLite would make the file that it does not find.
            if not Path(parsed.database or "").is_file():
                raise CannotRun(f"the mirror cannot be read: there is no file {parsed.database}")
            engine = sa.create_engine(parsed, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            if parsed.get_backend_name() == "sqlite":
                conn.exec_driver_sql("BEGIN")
            conn.exec_driver_sql("SELECT block FROM progress").all()
            yield conn
    except sa.exc.SQLAlchemyError as error:
        raise CannotRun(f"the mirror cannot be read: {str(error).splitlines()[0]}") from error
    else:
        engine.dispose()


class MirrorCheck:
    """Compares one mirror with what the replay proves. Findings go to `check`."""

    def __init__(self, conn: sa.Connection, network: NetworkFile, check: Check) -> None:
        self._conn = conn
        self._check = check
        self._network = network
        self._decoder = Decoder(network.watched)
        self._addresses = {name: address for address, name in network.watched.items()}
        self._addresses[_PREDECESSOR] = self._addresses["Coalition"]
        self._coalitions = [network.address("Coalition")]
        self._from = 0
        self._expected: dict[str, dict[_Row, _Row]] = {}
        self._held = 0
        self._so_far: list[int] | None = None
        self.rows = 0
        self._check_network()

    @property
    def block(self) -> int:
        """The last block that the mirror has read. Raises CannotRun: none."""
        row = self._conn.exec_driver_sql("SELECT block FROM progress").one_or_none()
        if row is None:
            raise CannotRun("the mirror is empty")
        return int(row[0])

    def _check_network(self) -> None:
        rows = self._select("network", "chain_id, coalition, points, first_block, face_value")
        network = self._network
        expected = (
            *(network.chain_id, network.address("Coalition"), network.address("Points")),
            *(network.first_block, network.face_value),
        )
        if rows != [expected]:
            raise CannotRun("the mirror is of another network")

    def _select(self, table: str, columns: str, rest: str = "", **values: Any) -> list[_Row]:
        found = self._conn.execute(sa.text(f"SELECT {columns} FROM {table} {rest}"), values)  # noqa: S608
        return [tuple(map(_plain, row)) for row in found]

    # ---- facts, while the chain is read

    def begin(self, first: int, ledger: Ledger) -> None:
        """Facts before `first` were compared by an earlier audit, whose state is `ledger`."""
        self._from = first
        self._coalitions = [*ledger.predecessors, ledger.coalition]

    def take(self, block: CheckedBlock) -> None:
        """Notes what the mirror must say about this block, and compares when enough is noted."""
        header = block.header
        counted = [(tx, events) for tx in block.transactions if (events := self._counted(tx))]
        if counted:
            fields = (header.hash, header.parent_hash, header.timestamp)
            self._expect("blocks", (header.number,), fields)
            for tx, events in counted:
                self._expect("transactions", (header.number, tx.position), (tx.hash,))
                self._transaction(header.number, tx, events)
        if self._held >= _WINDOW:
            self.flush(header.number)

    def _expect(self, table: str, key: _Row, fields: _Row) -> None:
        self._expected.setdefault(table, {})[key] = fields
        self._held += 1

    def _counted(self, tx: OurTransaction) -> list[Event]:
        """The events that the mirror holds, as it calls them: of Coalitions the one of the day's,
        and under another name what an earlier one says.
        """
        found = []
        for event in tx.events:
            if event.name == "CoalitionChanged" and any(event.args[0]):
                self._coalitions.append(event.args[1])
            if event.contract != "Coalition" or event.address == self._coalitions[-1]:
                found.append(event)
            elif event.address in self._coalitions:
                found.append(event._replace(contract=_PREDECESSOR))
        return found

    def _transaction(self, number: int, tx: OurTransaction, events: Sequence[Event]) -> None:
        pending: list[Event] = []
        for event in events:
            key = (number * _IDS_PER_BLOCK + event.log_index,)
            if event.contract != "Points" or event.name != "Transfer":
                fields = (tx.position, event.contract, event.name, event.args)
                self._expect("events", key, fields)
                self._explain(number, tx, event, pending)
                continue
            sender, receiver, _ = event.args
            if any(sender) and any(receiver):
                self._movement(number, tx, event, "transfer", None)
            else:
                pending.append(event)

    def _explain(self, number: int, tx: OurTransaction, event: Event, pending: list[Event]) -> None:
        """The effect that says what the movements before it were."""
        if event.contract != "Coalition":
            return
        if event.name == "Issued":
            for move in pending:
                self._movement(number, tx, move, "issue", event.args[1])
            pending.clear()
        elif event.name in _ENDS and pending:
            kind, at = _ENDS[event.name]
            self._movement(number, tx, pending.pop(), kind, event.args[at])

    def _movement(
        self, number: int, tx: OurTransaction, move: Event, kind: str, merchant: int | None
    ) -> None:
        sender, receiver, points = move.args
        nobody = bytes(20)
        fields = (
            *(tx.position, kind, None if sender == nobody else sender),
            *(None if receiver == nobody else receiver, points, merchant),
        )
        self._expect("movements", (number * _IDS_PER_BLOCK + move.log_index,), fields)

    def flush(self, last: int) -> None:
        """Compares all facts up to block `last`."""
        first, self._from = self._from, last + 1
        ids = {"a": first * _IDS_PER_BLOCK, "b": (last + 1) * _IDS_PER_BLOCK - 1}
        blocks = {"a": first, "b": last}
        between = "WHERE id BETWEEN :a AND :b"
        got: dict[str, Iterable[tuple[_Row, _Row]]] = {}
        columns = "number, hash, parent_hash, time"
        rows = self._select("blocks", columns, "WHERE number BETWEEN :a AND :b", **blocks)
        got["blocks"] = [(row[:1], row[1:]) for row in rows]
        rows = self._select(
            "transactions", "block, position, hash", "WHERE block BETWEEN :a AND :b", **blocks
        )
        got["transactions"] = [(row[:2], row[2:]) for row in rows]
        columns = "id, position, kind, sender, receiver, points, merchant"
        got["movements"] = [
            (row[:1], row[1:]) for row in self._select("movements", columns, between, **ids)
        ]
        columns = "id, position, contract, name, topics, data"
        got["events"] = [
            (row[:1], self._event(row)) for row in self._select("events", columns, between, **ids)
        ]
        for table, rows_got in got.items():
            self._compare(table, self._expected.get(table, {}), dict(rows_got))
        self._expected.clear()
        self._held = 0

    def _event(self, row: _Row) -> _Row:
        key, position, contract, name, topics, data = row
        address = self._addresses.get(contract, b"")
        words = tuple(topics[i : i + 32] for i in range(0, len(topics), 32))
        try:
            event = self._decoder.decode(key % _IDS_PER_BLOCK, RawLog(address, words, data))
        except LogMalformed:
            event = None
        args = event.args if event is not None and event.name == name else (topics, data)
        return (position, contract, name, args)

    # ---- state, after the last block

    def finish(self, ledger: Ledger) -> None:
        """Compares what the mirror says of the present: state, versions' newest rows, sums."""
        self.flush(ledger.block)
        for name, expected, sql in state_rows(ledger, self._network.schedule):
            rows = self._conn.execute(sa.text(sql))
            plain = [tuple(map(_plain, row)) for row in rows]
            width = len(next(iter(expected), ("",)))
            got = {row[:width]: row[width:] for row in plain}
            self._compare(name, expected, got)
        note = "of entries and flows the sums" if not self._check.findings else ""
        self._check.held(self.rows, "rows", note)

    def _compare(self, table: str, expected: Mapping[_Row, _Row], got: Mapping[_Row, _Row]) -> None:
        self.rows += len(expected)
        if expected == got:
            return
        for key in sorted(expected.keys() | got.keys(), key=repr):
            if len(self._check.findings) >= _FINDINGS_MAX:
                return
            want, have = expected.get(key), got.get(key)
            if want != have:
                self._check.broken(_finding(table, key, want, have))


def _finding(table: str, key: _Row, want: _Row | None, have: _Row | None) -> Finding:
    if want is None:
        fact = f"the mirror has a row in {table} that the chain does not give"
    elif have is None:
        fact = f"the mirror lacks a row in {table}"
    else:
        fact = f"the mirror has another row in {table}"
    block = None
    if table in ("blocks", "transactions"):
        block = int(key[0])
    elif table in ("movements", "events"):
        block = int(key[0]) // _IDS_PER_BLOCK
    shown = ", ".join(map(_shown, key))
    broken = Broken(MIRROR, block, f"{fact}: {shown}", _all(want), _all(have))
    return broken.finding


def _all(row: _Row | None) -> str:
    return "no row" if row is None else ", ".join(map(_shown, row))[:400]


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_shown, value)) + ")"
    return str(value)


def _plain(value: Any) -> Any:
    """Numbers as int, whatever the database's type for them; binary as bytes."""
    if isinstance(value, memoryview):
        return bytes(value)
    if value is None or isinstance(value, bytes | str):
        return value
    return int(value)
