"""What every answer shares: the moment it holds for, pages, and bytes turned into border forms."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from indexer import tables as t
from indexer.errors import CursorInvalid, MirrorEmpty
from wallet_sdk.epochs import EpochSchedule
from wallet_sdk.types import Address, address_of

PAGE_MAX: Final = 500
"""Rows in one page: what a screen or a client can use, and an answer of well under a megabyte."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The block an answer holds for, and the second that decides what has expired.

    `before_id` is the first log id after it. `is_head` tells that nothing later is mirrored.
    """

    as_of_block: int
    as_of_time: int
    at_time: int
    before_id: int
    is_head: bool
    schedule: EpochSchedule
    face_value: int

    @property
    def oldest_live_epoch(self) -> int:
        """Points of this epoch and of later ones are live."""
        if self.at_time < self.schedule.first_start:
            return 1
        return self.schedule.live_epochs(self.at_time)[0]

    @property
    def current_epoch(self) -> int:
        """The epoch of `at_time`; 1 before the first."""
        return self.schedule.epoch_at(max(self.at_time, self.schedule.first_start))


def moment(conn: Connection, as_of: int | None = None, at_time: int | None = None) -> Moment:
    """The moment to answer for: block `as_of` (the head when None) seen at second `at_time`.

    `at_time` None means the block's own time. A block without our logs takes the time of the last
    one before it that has some. Raises MirrorEmpty.
    """
    row = conn.execute(
        sa.select(t.network, t.progress.c.block, t.progress.c.time).where(
            t.network.c.one == t.progress.c.one
        )
    ).one_or_none()
    if row is None:
        raise MirrorEmpty
    is_head = as_of is None or as_of >= row.block
    block, time = row.block, row.time
    if not is_head:
        block = as_of
        found = conn.execute(
            sa.select(t.blocks.c.time)
            .where(t.blocks.c.number <= block)
            .order_by(t.blocks.c.number.desc())
            .limit(1)
        ).scalar_one_or_none()
        time = row.epoch_first_start if found is None else found
    return Moment(
        as_of_block=block,
        as_of_time=time,
        at_time=time if at_time is None else at_time,
        before_id=t.first_id(block + 1),
        is_head=is_head,
        schedule=EpochSchedule(row.epoch_first_start, row.epoch_length, row.validity),
        face_value=row.face_value,
    )


def address_or_none(data: bytes | None) -> Address | None:
    """The border form of an address column that may be null."""
    return None if data is None else address_of(data)


def block_number(log_id: ColumnElement[int]) -> ColumnElement[int]:
    """The block of an id, in SQL."""
    return log_id // sa.literal_column(str(t.IDS_PER_BLOCK), sa.BigInteger)


def latest_versions(table: sa.Table, before_id: int) -> sa.Select[Any]:
    """The newest row of each key in a table of versions, as it was before `before_id`.

    For tables of few keys: it looks at every version.
    """
    keys = [column for column in table.primary_key.columns if column.name != "id"]
    newest = (
        sa.select(*keys, sa.func.max(table.c.id).label("id"))
        .where(table.c.id < before_id)
        .group_by(*keys)
        .subquery()
    )
    return sa.select(table).join(
        newest,
        sa.and_(table.c.id == newest.c.id, *(column == newest.c[column.name] for column in keys)),
    )


def encode_cursor(log_id: int) -> str:
    """An opaque page cursor: rows strictly before this id follow."""
    return base64.urlsafe_b64encode(struct.pack(">Q", log_id)).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, otherwise: int) -> int:
    """The id that rows must lie before. Raises CursorInvalid."""
    if cursor is None:
        return otherwise
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        (log_id,) = struct.unpack(">Q", raw)
    except (binascii.Error, struct.error, ValueError) as error:
        raise CursorInvalid(cursor) from error
    # Ids are signed 64-bit in SQL.
    if log_id >= 2**63:
        raise CursorInvalid(cursor)
    return min(int(log_id), otherwise)


def page_size(limit: int) -> int:
    """The number of rows to give: 1 to PAGE_MAX."""
    return max(1, min(limit, PAGE_MAX))
