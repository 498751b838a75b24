"""The mirror from its own rows again.

Facts (movements with their pieces, events, blocks, transactions) hold what the chain said; journals
and totals are sums over them. A rebuild makes these anew by set-based SQL in one transaction, so
readers see the old rows until the new ones are whole. A verification runs the writer's fold over
the raw logs beside the mirror and compares digests: it finds what is wrong in facts, too, and
that the fold and the SQL say the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from indexer import carry, store
from indexer import tables as t
from indexer.database import create_tables, drop_tables, open_mirror
from indexer.decode import BlockLogs, Move, Other, read_other
from indexer.derive import derive
from indexer.digest import MirrorDigest, TableDigest, mirror_digest
from indexer.errors import MirrorEmpty
from indexer.lock import writer_lock
from indexer.project import Header, Memory, Network, project
from indexer.project.state import Counters
from wallet_sdk.epochs import EpochSchedule

_LOGS_PER_STEP: Final = 20_000
"""Facts that are folded at once; bounds memory at some 20 MB."""

Report = Callable[[int, int], None]
"""Told the logs done and the logs there are."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Which tables differ from what their facts say: as mirrored, and as derived."""

    block: int
    digest: str
    differences: tuple[tuple[TableDigest, TableDigest], ...]

    @property
    def holds(self) -> bool:
        return not self.differences


def empty(engine: Engine) -> None:
    """Forgets everything, to be read from the chain again."""
    with writer_lock(engine, wait_s=0), engine.begin() as conn:
        drop_tables(conn)
        create_tables(conn)


def rebuild(
    engine: Engine, on_progress: Report | None = None, *, from_logs: bool = False
) -> MirrorDigest:
    """Derives every journal and total anew from the facts; the digest then.

    With `from_logs` what stands in the facts besides the logs (a movement's merchant, its pieces, a
    position) is made anew, too, by the writer's own fold. Raises MirrorBusy, MirrorEmpty,
    MirrorInconsistent.
    """
    rebuild_rows(engine, on_progress, from_logs=from_logs)
    with engine.connect() as conn:
        return mirror_digest(conn)


def rebuild_rows(
    engine: Engine, on_progress: Report | None = None, *, from_logs: bool = False
) -> int:
    """As `rebuild` without the digest; gives the number of logs."""
    with writer_lock(engine, wait_s=0), engine.begin() as conn:
        network = _network(conn)
        cursor = store.read_cursor(conn)
        total = _logs(conn)
        if from_logs:
            for table in (t.pieces, *t.JOURNALS, *t.TOTALS):
                conn.execute(sa.delete(table))
            carry.begin_anew(conn)
            _fold(conn, conn, network, on_progress)
            if (end := carry.due(conn)) is not None:
                carry.carry(conn, end)
        elif cursor is not None:
            derive(conn, network, cursor[1])
        if on_progress is not None:
            on_progress(total, total)
        return total


def _logs(conn: Connection) -> int:
    return conn.execute(sa.select(sa.func.max(t.blocks.c.logs_so_far))).scalar_one() or 0


def verify(engine: Engine, on_progress: Report | None = None) -> Verification:
    """Derives the mirror beside itself, in a temporary file, and compares. Writes nothing to it.

    Raises MirrorEmpty, MirrorInconsistent.
    """
    with tempfile.TemporaryDirectory(prefix="banyan-verify-") as folder, engine.connect() as conn:
        mirrored = mirror_digest(conn)
        beside = open_mirror(f"sqlite:///{Path(folder) / 'mirror.db'}")
        try:
            with beside.begin() as other:
                _fold(conn, other, _network(conn), on_progress)
                cursor = store.read_cursor(conn)
                assert cursor is not None
                store.move_cursor(other, *cursor)
                derived = mirror_digest(other)
        finally:
            beside.dispose()
    pairs = zip(mirrored.tables, derived.tables, strict=True)
    return Verification(
        block=mirrored.block,
        digest=mirrored.digest,
        differences=tuple((a, b) for a, b in pairs if a != b),
    )


def _fold(source: Connection, target: Connection, network: Network, report: Report | None) -> None:
    """Runs the writer's fold over the raw logs of `source` and writes to `target`."""
    total = _logs(source)
    memory = Memory()
    memory.counters = Counters()
    for blocks in _steps(source):
        batch = project(target, network, blocks, memory)
        if source is target:
            # What is derived in a fact's row (whose points, the position after) is made anew, too.
            _forget(target, blocks[0][0].number, blocks[-1][0].number)
        store.write_many(target, batch)
        store.write(target, batch)
        if report is not None:
            report(memory.counters.logs, total)


def _forget(conn: Connection, first: int, last: int) -> None:
    """Deletes the facts of these blocks."""
    ids = (t.first_id(first), t.first_id(last + 1) - 1)
    conn.execute(sa.delete(t.blocks).where(t.blocks.c.number.between(first, last)))
    conn.execute(sa.delete(t.transactions).where(t.transactions.c.block.between(first, last)))
    for table in (t.movements, t.events):
        conn.execute(sa.delete(table).where(table.c.id.between(*ids)))


def _network(conn: Connection) -> Network:
    row = conn.execute(sa.select(t.network)).one_or_none()
    if row is None:
        raise MirrorEmpty
    return Network(
        bytes(row.coalition),
        EpochSchedule(row.epoch_first_start, row.epoch_length, row.validity),
    )


def _steps(conn: Connection) -> Iterator[list[tuple[Header, BlockLogs]]]:
    """The mirrored blocks in order, in steps of about `_LOGS_PER_STEP` logs."""
    b = t.blocks.c
    after, done = -1, 0
    while True:
        last = conn.execute(
            sa.select(b.number, b.logs_so_far)
            .where(b.number > after, b.logs_so_far >= done + _LOGS_PER_STEP)
            .order_by(b.number)
            .limit(1)
        ).one_or_none()
        if last is None:
            last = conn.execute(
                sa.select(b.number, b.logs_so_far).order_by(b.number.desc()).limit(1)
            ).one_or_none()
        if last is None or last.number <= after:
            return
        yield _blocks(conn, after + 1, last.number)
        after, done = last.number, last.logs_so_far


def _blocks(conn: Connection, first: int, last: int) -> list[tuple[Header, BlockLogs]]:
    b, x = t.blocks.c, t.transactions.c
    found = {
        row.number: (
            Header(row.number, bytes(row.hash), bytes(row.parent_hash), row.time),
            BlockLogs(row.number, "0x" + bytes(row.hash).hex()),
        )
        for row in conn.execute(
            sa.select(t.blocks).where(b.number.between(first, last)).order_by(b.number)
        )
    }
    for row in conn.execute(
        sa.select(t.transactions).where(x.block.between(first, last)).order_by(x.block, x.position)
    ):
        found[row.block][1].transactions[row.position] = "0x" + bytes(row.hash).hex()
    ids = (t.first_id(first), t.first_id(last + 1) - 1)
    items: list[Move | Other] = [*_moves(conn, *ids), *_others(conn, *ids)]
    items.sort(key=lambda item: item.id if isinstance(item, Other) else item[0])
    for item in items:
        log_id = item.id if isinstance(item, Other) else item[0]
        block = found[t.block_of(log_id)][1]
        block.items.append(item)
        if isinstance(item, Other):
            block.others.append(item)
    return list(found.values())


def _moves(conn: Connection, first: int, last: int) -> Iterator[Move]:
    m = t.movements.c
    for row in conn.execute(
        sa.select(m.id, m.position, m.sender, m.receiver, m.points).where(m.id.between(first, last))
    ):
        yield tuple(row)


def _others(conn: Connection, first: int, last: int) -> Iterator[Other]:
    e = t.events.c
    for row in conn.execute(
        sa.select(e.id, e.position, e.contract, e.topics, e.data).where(e.id.between(first, last))
    ):
        yield read_other(row.id, row.position, row.contract, bytes(row.topics), bytes(row.data))
