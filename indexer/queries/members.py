"""What a member holds and how it came to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer import views
from indexer.queries.common import (
    Moment,
    address_or_none,
    block_number,
    decode_cursor,
    encode_cursor,
    moment,
    page_size,
)
from wallet_sdk.types import Address, Digest, address_bytes, address_of, digest_of

_KEYS_PER_STATEMENT = 10_000
"""SQLite takes 32,766 values in one statement."""


@dataclass(frozen=True, slots=True)
class EpochPoints:
    """Live points of one epoch; `expires_at` is the first second at which they are gone."""

    epoch: int
    points: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class MemberBalance:
    """A member's live points in all and by epoch, soonest to expire first."""

    address: Address
    points: int
    by_epoch: tuple[EpochPoints, ...]
    is_member: bool
    as_of_block: int
    as_of_time: int


@dataclass(frozen=True, slots=True)
class MemberBalances:
    """Live points by address; every address asked for has an entry."""

    points: dict[Address, int]
    as_of_block: int
    as_of_time: int


@dataclass(frozen=True, slots=True)
class LotPoints:
    """A part of a movement: points of one epoch that one merchant had issued."""

    epoch: int
    issuer: int
    points: int


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One movement as the member saw it; `points` carries the sign.

    `kind`: issue, redeem, refund, return or transfer; `merchant` is the issuing or honouring one,
    `counterparty` the other member of a transfer.
    """

    id: int
    kind: str
    points: int
    merchant: int | None
    counterparty: Address | None
    parts: tuple[LotPoints, ...]
    block: int
    time: int
    transaction: Digest


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Newest first; `next_cursor` is None on the last page."""

    lines: tuple[HistoryLine, ...]
    next_cursor: str | None
    as_of_block: int
    as_of_time: int


def member_balance(
    conn: Connection, address: Address, at_time: int | None = None, *, as_of: int | None = None
) -> MemberBalance:
    """The live points of `address` after block `as_of`, seen at second `at_time`."""
    now = moment(conn, as_of, at_time)
    account = address_bytes(address)
    held = _unspent(conn, [account], now).get(account, {})
    parts = tuple(
        EpochPoints(epoch, points, now.schedule.expires_at(epoch))
        for epoch, points in sorted(held.items())
    )
    is_member = conn.execute(
        sa.select(t.members.c.is_member)
        .where(t.members.c.account == account, t.members.c.id < now.before_id)
        .order_by(t.members.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    return MemberBalance(
        address=address_of(account),
        points=sum(p.points for p in parts),
        by_epoch=parts,
        is_member=bool(is_member),
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def member_balances(
    conn: Connection,
    addresses: Sequence[Address],
    as_of: int | None = None,
    *,
    at_time: int | None = None,
) -> MemberBalances:
    """Live points of many addresses, in a few statements however many they are."""
    now = moment(conn, as_of, at_time)
    held = _unspent(conn, {address_bytes(a) for a in addresses}, now)
    return MemberBalances(
        points={a: sum(held.get(address_bytes(a), {}).values()) for a in addresses},
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def _unspent(
    conn: Connection, accounts: Iterable[bytes], now: Moment
) -> dict[bytes, dict[int, int]]:
    """Live points by account and epoch."""
    found: dict[bytes, dict[int, int]] = {}
    wanted = list(accounts)
    for start in range(0, len(wanted), _KEYS_PER_STATEMENT):
        part = wanted[start : start + _KEYS_PER_STATEMENT]
        changed = (views.changes() if now.is_head else _entries_before(now)).subquery().c
        statement = (
            sa.select(changed.account, changed.epoch, sa.func.sum(changed.points))
            .where(
                changed.account.in_(part),
                changed.epoch >= now.oldest_live_epoch,
                changed.epoch <= now.current_epoch,
            )
            .group_by(changed.account, changed.epoch)
        )
        for account, epoch, points in conn.execute(statement):
            if points:
                found.setdefault(bytes(account), {})[epoch] = int(points)
    return found


def _entries_before(now: Moment) -> sa.Select[Any]:
    e = views.entries.c
    return sa.select(e.account, e.epoch, e.points).where(e.id < now.before_id)


def member_history(
    conn: Connection,
    address: Address,
    cursor: str | None = None,
    limit: int = 50,
    *,
    as_of: int | None = None,
) -> HistoryPage:
    """One page of a member's movements, newest first. Raises CursorInvalid."""
    now = moment(conn, as_of)
    account = address_bytes(address)
    size = page_size(limit)
    before = decode_cursor(cursor, now.before_id)
    ids = sorted(_moved_before(conn, account, before, size + 1), reverse=True)[: size + 1]
    page = ids[:size]
    return HistoryPage(
        lines=tuple(_lines(conn, account, page)),
        next_cursor=encode_cursor(page[-1]) if len(ids) > size else None,
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def _moved_before(conn: Connection, account: bytes, before: int, limit: int) -> set[int]:
    """The newest movements of the account that it received, and the newest that it gave up."""
    m = t.movements.c
    # A transfer to oneself, or of nothing, moves nothing, and so has no entries.
    moves = sa.and_(
        sa.or_(m.sender.is_(None), m.receiver.is_(None), m.sender != m.receiver),
        sa.or_(m.kind == "issue", m.points > 0),
    )
    found: set[int] = set()
    for side in (m.receiver, m.sender):
        found |= set(
            conn.execute(
                sa.select(m.id)
                .where(side == account, m.id < before, moves)
                .order_by(m.id.desc())
                .limit(limit)
            ).scalars()
        )
    return found


def _lines(conn: Connection, account: bytes, ids: list[int]) -> list[HistoryLine]:
    if not ids:
        return []
    e, m, b, x = views.entries, t.movements, t.blocks, t.transactions
    number = block_number(m.c.id)
    rows = conn.execute(
        sa.select(
            e.c.id,
            e.c.epoch,
            e.c.issuer,
            e.c.points,
            m.c.kind,
            m.c.merchant,
            m.c.sender,
            m.c.receiver,
            b.c.time,
            x.c.hash,
        )
        .select_from(
            e.join(m, m.c.id == e.c.id)
            .join(b, b.c.number == number)
            .join(x, sa.and_(x.c.block == b.c.number, x.c.position == m.c.position))
        )
        .where(e.c.account == account, e.c.id.in_(ids))
        .order_by(e.c.id.desc(), e.c.piece)
    ).all()
    lines = []
    for log_id, group in groupby(rows, key=lambda row: row.id):
        parts = list(group)
        first = parts[0]
        other = first.receiver if bytes(first.sender or b"") == account else first.sender
        lines.append(
            HistoryLine(
                id=log_id,
                kind=first.kind,
                points=sum(p.points for p in parts),
                merchant=first.merchant,
                counterparty=address_or_none(other),
                parts=tuple(LotPoints(p.epoch, p.issuer, p.points) for p in parts),
                block=t.block_of(log_id),
                time=first.time,
                transaction=digest_of(bytes(first.hash)),
            )
        )
    return lines


@dataclass(frozen=True, slots=True)
class MemberPass:
    """A membership pass that is held; `programme` 0 is the coalition's, others a merchant's."""

    address: Address
    programme: int
    tier: int
    joined_at: int
    as_of_block: int
    as_of_time: int


def member_pass(
    conn: Connection, address: Address, programme: int = 0, *, as_of: int | None = None
) -> MemberPass | None:
    """The member's pass of a programme, None when it holds none."""
    now = moment(conn, as_of)
    account = address_bytes(address)
    p = t.passes.c
    row = conn.execute(
        sa.select(t.passes)
        .where(p.programme == programme, p.member == account, p.id < now.before_id)
        .order_by(p.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or not row.held:
        return None
    return MemberPass(
        address=address_of(account),
        programme=programme,
        tier=row.tier,
        joined_at=row.joined_at,
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )
