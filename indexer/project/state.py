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
from indexer.project.accounts import Accounts, Balance, Lot
from indexer.project.rows import Row
from wallet_sdk.epochs import EpochSchedule

_CACHED_ACCOUNTS: Final = 50_000
"""About 20 MB; more members than that are read again now and then."""


@dataclass(frozen=True, slots=True)
class Network:
    """The fixed figures of the network that is mirrored."""

    coalition: bytes
    schedule: EpochSchedule


class BalanceCache:
    """Balances, so that members who come again are not read again."""

    def __init__(self) -> None:
        self.by_epoch: dict[int, dict[bytes, Balance]] = {}
        self._known: set[bytes] = set()
        self._oldest = 0

    def clear(self) -> None:
        """Forgets everything."""
        self.by_epoch = {}
        self._known = set()
        self._oldest = 0

    def load(self, conn: Connection, accounts: set[bytes], oldest_live_epoch: int) -> None:
        """Makes the live balances of these accounts known."""
        # An epoch that becomes "live" again is a chain whose time went back: a fork.
        if len(self._known) > _CACHED_ACCOUNTS or oldest_live_epoch < self._oldest:
            self.clear()
        self._oldest = oldest_live_epoch
        for epoch in [e for e in self.by_epoch if e < oldest_live_epoch]:
            del self.by_epoch[epoch]
        missing = accounts - self._known
        self._known |= missing
        for account, epoch, received, spent, head in bulk.select_in(
            conn,
            "SELECT account, epoch, received, spent, head FROM balances "
            "WHERE account IN {keys} AND epoch >= ?",
            missing,
            oldest_live_epoch,
        ):
            balance = Balance(received, spent, head)
            self.by_epoch.setdefault(epoch, {})[bytes(account)] = balance


def load_accounts(
    conn: Connection,
    blocks: Sequence[BlockLogs],
    oldest_live_epoch: int,
    entries: list[Row],
    cache: BalanceCache,
) -> Accounts:
    """The accounts that these blocks touch; `entries` collects what the fold appends."""
    moves = [item for block in blocks for item in block.items if type(item) is tuple]
    spenders = {move[2] for move in moves if move[2] is not None}
    touched = {move[3] for move in moves if move[3] is not None}
    cache.load(conn, touched | spenders, oldest_live_epoch)
    return Accounts(
        balances=cache.by_epoch,
        lots=_load_lots(conn, spenders, oldest_live_epoch),
        spenders=spenders,
        entries=entries,
    )


def _load_lots(
    conn: Connection, spenders: set[bytes], oldest_live_epoch: int
) -> dict[tuple[bytes, int], deque[Lot]]:
    lots: dict[tuple[bytes, int], deque[Lot]] = {}
    for account, epoch, log_id, end, issuer in bulk.select_in(
        conn,
        "SELECT e.account, e.epoch, e.id, e.prior + e.points, e.issuer FROM balances b "
        "JOIN entries e ON e.account = b.account AND e.id >= b.head AND e.epoch = b.epoch "
        "WHERE b.account IN {keys} AND b.epoch >= ? AND b.head IS NOT NULL AND e.points > 0 "
        "AND e.prior + e.points > b.spent ORDER BY e.account, e.id, e.piece",
        spenders,
        oldest_live_epoch,
    ):
        lots.setdefault((bytes(account), epoch), deque()).append(Lot(log_id, end, issuer))
    return lots


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
        self.balances = BalanceCache()
        self.counters: Counters | None = None
        self.positions: dict[int, int] = {}
        self.supply: dict[int, list[int]] = {}
        self.treasury: dict[str, int] | None = None

    def clear(self) -> None:
        """Forgets everything; it is read again where it is needed."""
        self.balances.clear()
        self.counters = None
        self.positions = {}
        self.supply = {}
        self.treasury = None
