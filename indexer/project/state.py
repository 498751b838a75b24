"""What the fold must know of the past, read in a few statements for a whole range of blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from indexer import bulk
from indexer import tables as t
from indexer.decode import BlockLogs, Other
from indexer.project.accounts import Accounts, Balance, Lot
from indexer.project.rows import Row
from wallet_sdk.epochs import EpochSchedule


@dataclass(frozen=True, slots=True)
class Network:
    """The fixed figures of the network that is mirrored."""

    coalition: bytes
    schedule: EpochSchedule


def load_accounts(
    conn: Connection, blocks: Sequence[BlockLogs], oldest_live_epoch: int, entries: list[Row]
) -> Accounts:
    """The accounts that these blocks touch; `entries` collects what the fold appends."""
    touched: set[bytes] = set()
    spenders: set[bytes] = set()
    for block in blocks:
        for item in block.items:
            if type(item) is tuple:
                if item[2] is not None:
                    spenders.add(item[2])
                    touched.add(item[2])
                if item[3] is not None:
                    touched.add(item[3])
    balances: dict[int, dict[bytes, Balance]] = {}
    for account, epoch, received, spent, head in bulk.select_in(
        conn,
        "SELECT account, epoch, received, spent, head FROM balances "
        "WHERE account IN {keys} AND epoch >= ?",
        touched,
        oldest_live_epoch,
    ):
        balances.setdefault(epoch, {})[bytes(account)] = Balance(received, spent, head)
    return Accounts(
        balances=balances,
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
        item
        for block in blocks
        for item in block.items
        if type(item) is Other and item.contract == contract and item.name in names
    ]
