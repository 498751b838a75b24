"""Which Coalition Points obeys, since when, and what code it runs."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.errors import MirrorEmpty
from wallet_sdk.types import Address, Digest, address_of, digest_of


@dataclass(frozen=True, slots=True)
class CoalitionOfTheDay:
    """The Coalition that Points obeys at the mirror's head, since block `since_block` (None: since
    Points was made, and the log of that is not mirrored yet).

    `successions`: how many have taken over. `code_hash` and `is_known_code`: what a node said, None
    until one was asked; known is what the deployment file pins and what this version compiles to.
    """

    coalition: Address
    since_block: int | None
    successions: int
    code_hash: Digest | None
    is_known_code: bool | None


def coalition(conn: Connection) -> CoalitionOfTheDay:
    """The Coalition of the day. Raises MirrorEmpty."""
    first = _first(conn)
    c, code = t.coalitions.c, t.coalition_codes.c
    rows = conn.execute(
        sa.select(c.id, c.address, code.code_hash, code.is_known)
        .select_from(t.coalitions.outerjoin(t.coalition_codes, code.id == c.id))
        .order_by(c.id)
    ).all()
    newest = rows[-1] if rows else None
    addresses = [first, *(bytes(row.address) for row in rows)]
    return CoalitionOfTheDay(
        coalition=address_of(addresses[-1]),
        since_block=None if newest is None else t.block_of(newest.id),
        # The first row is the constructor's, which names the first Coalition.
        successions=sum(a != b for a, b in zip(addresses, addresses[1:], strict=False)),
        code_hash=None
        if newest is None or newest.code_hash is None
        else digest_of(bytes(newest.code_hash)),
        is_known_code=None if newest is None else newest.is_known,
    )


def coalition_at(conn: Connection, log_id: int) -> Address:
    """The Coalition that Points obeyed before this log id. Raises MirrorEmpty."""
    first = _first(conn)
    c = t.coalitions.c
    newest = sa.select(c.address).where(c.id < log_id).order_by(c.id.desc()).limit(1)
    return address_of(bytes(conn.execute(newest).scalar_one_or_none() or first))


def final_coalition(conn: Connection) -> Address:
    """The Coalition that Points obeys after the last final block: no fork takes that back. Raises
    MirrorEmpty.
    """
    final = conn.execute(sa.select(t.progress.c.final_block)).scalar_one_or_none()
    return coalition_at(conn, t.first_id(max(final or 0, 0) + 1))


def _first(conn: Connection) -> bytes:
    found = conn.execute(sa.select(t.network.c.coalition)).scalar_one_or_none()
    if found is None:
        raise MirrorEmpty
    return bytes(found)
