"""What the fold must know of the past, read in a few statements for a whole range of blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from indexer import bulk
from indexer import tables as t
from indexer.decode import BlockLogs, Other
from indexer.project.lots import Lot, Lots
from indexer.project.rows import Row
from wallet_sdk.epochs import EpochSchedule

_LOTS_KEPT: Final = 100_000
"""Lots of accounts that spent lately: some 15 MB. More than that are read again."""


@dataclass(frozen=True, slots=True)
class Network:
    """The fixed figures of the network that is mirrored; `coalition` is the first one."""

    coalition: bytes
    schedule: EpochSchedule


def load_lots(
    conn: Connection,
    blocks: Sequence[BlockLogs],
    schedule: EpochSchedule,
    time: int,
    before: int,
    lots: Lots,
) -> None:
    """Makes the unspent lots known of every account that gives points up in these blocks, the first
    of which is of second `time` and begins with id `before`.
    """
    spenders = {
        item[2]
        for block in blocks
        for item in block.items
        if type(item) is tuple and item[2] is not None
    }
    missing = spenders - lots.by_account.keys()
    if not missing:
        return
    if len(lots) > _LOTS_KEPT:
        lots.by_account.clear()
        missing = spenders
    lots.by_account.update((account, {}) for account in missing)
    oldest = schedule.live_epochs(max(time, schedule.first_start))[0]
    # What came before the first epoch began counts as of it.
    since = 0 if oldest == 1 else _first_id_at(conn, schedule.start(oldest))
    if since is not None:
        _read_lots(conn, missing, oldest, (since, before), lots)


def _first_id_at(conn: Connection, time: int) -> int | None:
    """The first id that a log at second `time` or later can have; None when there is none yet."""
    b = t.blocks.c
    # A minimum of numbers would look at every block; the first in time is one step of an index.
    number = conn.execute(
        sa.select(b.number).where(b.time >= time).order_by(b.time, b.number).limit(1)
    ).scalar_one_or_none()
    return None if number is None else t.first_id(number)


def _read_lots(
    conn: Connection, accounts: set[bytes], oldest: int, span: tuple[int, int], lots: Lots
) -> None:
    """What the accounts received of epoch `oldest` and later, less what they gave up, by the
    movements from the first id of `span` on, before the second.

    No point of an epoch was there before it began, so nothing older is looked at.
    """
    ended: dict[tuple[bytes, int], tuple[int, int, int]] = {}
    for account, epoch, *end in bulk.select_in(
        conn,
        "SELECT m.sender, p.epoch, p.lot, p.lot_piece, p.lot_left "
        "FROM movements m JOIN pieces p ON p.id = m.id "
        "WHERE m.sender IN {keys} AND m.id >= ? AND m.id < ? AND p.epoch >= ? "
        "ORDER BY m.id, p.piece",
        accounts,
        *span,
        oldest,
    ):
        ended[bytes(account), epoch] = (end[0], end[1], end[2])
    received = [
        *bulk.select_in(
            conn,
            "SELECT receiver, id, 0, epoch, merchant, points FROM movements "
            "WHERE receiver IN {keys} AND id >= ? AND id < ? AND kind = 'issue' AND epoch >= ?",
            accounts,
            *span,
            oldest,
        ),
        *bulk.select_in(
            conn,
            "SELECT m.receiver, m.id, p.piece, p.epoch, p.issuer, p.points "
            "FROM movements m JOIN pieces p ON p.id = m.id "
            "WHERE m.receiver IN {keys} AND m.id >= ? AND m.id < ? AND p.epoch >= ?",
            accounts,
            *span,
            oldest,
        ),
    ]
    received.sort(key=lambda row: row[1:3])
    for account, log_id, piece, epoch, issuer, points in received:
        account = bytes(account)
        end_id, end_piece, end_left = ended.get((account, epoch), (-1, 0, 0))
        if (log_id, piece) < (end_id, end_piece):
            continue
        left = end_left if (log_id, piece) == (end_id, end_piece) else points
        if left:
            queue = lots.by_account[account].setdefault(epoch, deque())
            queue.append(Lot(log_id, piece, issuer, left))


class Versions:
    """The newest version of each key of a journal, read when it is first asked for."""

    def __init__(self, conn: Connection, table: Table) -> None:
        self._conn = conn
        self._table = table
        self._keys = [c for c in table.primary_key.columns if c.name not in ("id", "block")]
        (self._since,) = (c for c in table.primary_key.columns if c.name in ("id", "block"))
        self._known: dict[Row, Row | None] = {}

    def newest(self, *key: Any) -> Row | None:
        """The newest row of this key, None when it has none."""
        if key not in self._known:
            row = self._conn.execute(
                sa.select(self._table)
                .where(*(c == value for c, value in zip(self._keys, key, strict=True)))
                .order_by(self._since.desc())
                .limit(1)
            ).one_or_none()
            self._known[key] = None if row is None else tuple(row)
        return self._known[key]

    def put(self, key: Row, row: Row) -> None:
        """Remembers a version that the fold has made."""
        self._known[key] = row

    def preload_members(self, accounts: set[bytes]) -> None:
        """Reads the versions of many members at once (a table with the key `account`)."""
        self._known.update(((account,), None) for account in accounts)
        for account, log_id, is_member in bulk.select_in(
            self._conn,
            "SELECT account, id, is_member FROM members WHERE account IN {keys} ORDER BY id",
            accounts,
        ):
            self._known[bytes(account),] = (bytes(account), log_id, bool(is_member))

    def preload_passes(self, members: set[bytes]) -> None:
        """Reads the versions of many members' passes of programme 0 at once."""
        self._known.update(((0, member), None) for member in members)
        for row in bulk.select_in(
            self._conn,
            "SELECT programme, member, id, held, tier, joined_at FROM passes "
            "WHERE member IN {keys} ORDER BY id",
            members,
        ):
            programme, member, log_id, held, tier, joined_at = row
            key = (programme, bytes(member))
            self._known[key] = (*key, log_id, bool(held), int(tier), joined_at)


@dataclass(slots=True)
class Counters:
    """Running counts of the chain so far, as the last mirrored block left them."""

    logs: int = 0
    members: int = 0
    batches: int = 0
    redemptions: int = 0
    transfers: int = 0


def load_counters(conn: Connection) -> Counters:
    """The counts after the last mirrored block that held logs."""
    row = conn.execute(
        sa.select(t.blocks).order_by(t.blocks.c.number.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return Counters()
    return Counters(
        logs=row.logs_so_far,
        members=row.members_so_far,
        batches=row.batches_so_far,
        redemptions=row.redemptions_so_far,
        transfers=row.transfers_so_far,
    )


def others(blocks: Sequence[BlockLogs], contract: str, *names: str) -> list[Other]:
    """Logs of these names among the blocks' others."""
    return [
        log
        for block in blocks
        for log in block.others
        if log.contract == contract and log.name in names
    ]


class Memory:
    """What the one writer of a mirror remembers from range to range: the state as its last commit
    left it. To be cleared after anything else was written, or not committed.
    """

    def __init__(self) -> None:
        self.lots = Lots()
        self.counters: Counters | None = None
        self.positions: dict[int, int] = {}
        self.supply: dict[int, list[int]] = {}
        self.treasury: dict[str, int] | None = None
        self.coalition: bytes | None = None

    def clear(self) -> None:
        """Forgets everything; it is read again where it is needed."""
        self.lots = Lots()
        self.counters = None
        self.positions = {}
        self.supply = {}
        self.treasury = None
        self.coalition = None
