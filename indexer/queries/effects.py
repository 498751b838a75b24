"""What orders did: the latest effects, and the effects of given orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.queries.common import (
    address_or_none,
    block_number,
    decode_cursor,
    encode_cursor,
    moment,
    page_size,
)
from wallet_sdk.types import Address, Digest, digest_bytes, digest_of

EFFECT_NAMES: Final = (
    "Issued",
    "Redeemed",
    "Refunded",
    "Returned",
    "Transferred",
    "Joined",
    "Left",
    "Deposited",
    "Withdrawn",
    "BreakageClaimed",
)
_DIGESTS_PER_STATEMENT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect on chain. `name` is the event's; `amount` what it did to the merchant's position,
    with its sign; `digest` the order's, None for what needs no order.
    """

    id: int
    name: str
    digest: Digest | None
    merchant: int | None
    member: Address | None
    points: int | None
    amount: int | None
    block: int
    block_hash: Digest
    time: int
    transaction: Digest


@dataclass(frozen=True, slots=True)
class EffectPage:
    """Newest first; `next_cursor` is None on the last page."""

    effects: tuple[Effect, ...]
    next_cursor: str | None
    as_of_block: int
    as_of_time: int


@dataclass(frozen=True, slots=True)
class OrderEffects:
    """Effects by order digest; an order that has had none is missing."""

    effects: dict[Digest, Effect]
    as_of_block: int
    as_of_time: int


def _select() -> sa.Select[Any]:
    e, b, x = t.events, t.blocks, t.transactions
    return sa.select(
        e.c.id,
        e.c.name,
        e.c.digest,
        e.c.merchant,
        e.c.member,
        e.c.points,
        e.c.amount,
        b.c.number,
        b.c.hash.label("block_hash"),
        b.c.time,
        x.c.hash.label("transaction"),
    ).select_from(
        e.join(b, b.c.number == block_number(e.c.id)).join(
            x, sa.and_(x.c.block == b.c.number, x.c.position == e.c.position)
        )
    )


def _effect(row: Any) -> Effect:
    return Effect(
        id=row.id,
        name=row.name,
        digest=None if row.digest is None else digest_of(bytes(row.digest)),
        merchant=row.merchant,
        member=address_or_none(row.member),
        points=row.points,
        amount=row.amount,
        block=row.number,
        block_hash=digest_of(bytes(row.block_hash)),
        time=row.time,
        transaction=digest_of(bytes(row.transaction)),
    )


def latest(
    conn: Connection,
    limit: int = 20,
    *,
    merchant: int | None = None,
    cursor: str | None = None,
) -> EffectPage:
    """One page of effects, newest first, of one merchant or of all. Raises CursorInvalid."""
    now = moment(conn)
    size = page_size(limit)
    e = t.events.c
    statement = _select().where(
        e.id < decode_cursor(cursor, now.before_id), e.name.in_(EFFECT_NAMES)
    )
    if merchant is not None:
        statement = statement.where(e.merchant == merchant)
    rows = conn.execute(statement.order_by(e.id.desc()).limit(size + 1)).all()
    return EffectPage(
        effects=tuple(_effect(row) for row in rows[:size]),
        next_cursor=encode_cursor(rows[size - 1].id) if len(rows) > size else None,
        as_of_block=now.as_of_block,
        as_of_time=now.as_of_time,
    )


def order_effects(conn: Connection, digests: Sequence[Digest]) -> OrderEffects:
    """Which of these orders took effect, and where. `Rejected` is news, not an effect."""
    now = moment(conn)
    e = t.events.c
    wanted = [digest_bytes(digest) for digest in digests]
    found: dict[Digest, Effect] = {}
    for start in range(0, len(wanted), _DIGESTS_PER_STATEMENT):
        part = wanted[start : start + _DIGESTS_PER_STATEMENT]
        for row in conn.execute(_select().where(e.digest.in_(part), e.name != "Rejected")):
            effect = _effect(row)
            if effect.digest is not None:
                found[effect.digest] = effect
    return OrderEffects(found, now.as_of_block, now.as_of_time)


def effects_since(conn: Connection, block: int, limit: int, after_id: int = -1) -> list[Effect]:
    """Effects of orders from `block` on, oldest first, at most `limit`: those behind `after_id`.

    Where an order made several events they all are there.
    """
    e = t.events.c
    statement = _select().where(
        e.id >= max(t.first_id(block), after_id + 1),
        e.digest.is_not(None),
        e.name.in_(EFFECT_NAMES),
    )
    return [_effect(row) for row in conn.execute(statement.order_by(e.id).limit(limit))]
