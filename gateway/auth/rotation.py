"""A fresh API key beside the one in use: the old one goes with the key after this."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select, update

from gateway.auth.keys import Role, Scope, new_key
from gateway.tables import api_keys

KEYS_ALIVE_MAX = 2
"""Of one holder: the key in use, and the one that takes its place."""
MEMBER_KEYS_ALIVE_MAX = 5
"""Of one member: a phone, a tablet, a browser, and what was not signed out."""


def rotate_key(
    connection: Connection,
    role: Role,
    merchant: int | None,
    now: int,
    *,
    label: str = "",
    scopes: Iterable[Scope] | None = None,
) -> tuple[str, str]:
    """Stores a fresh key of the holder and revokes all but the latest older one.

    A holder is a role of a merchant (or of the network) under one label: each till has its own.
    Returns the key's id and its text, which is stored nowhere.
    """
    c = api_keys.c
    text, row = new_key(role, merchant, now, label=label, scopes=scopes)
    holders = c.merchant_id.is_(None) if merchant is None else c.merchant_id == merchant
    alive = select(c.id).where(
        c.role == role.value, holders, c.label == label, c.revoked_at.is_(None)
    )
    older = connection.execute(alive.order_by(c.number.desc())).scalars().all()
    for old in older[KEYS_ALIVE_MAX - 1 :]:
        connection.execute(update(api_keys).where(c.id == old).values(revoked_at=now))
    connection.execute(insert(api_keys), row)
    return str(row["id"]), text


def new_member_key(
    connection: Connection, member: int, now: int, expires_at: int, wall_now: int
) -> tuple[str, str]:
    """Stores a key bound to one member (a row number), good until `expires_at` (wall clock).

    Expired ones of the member go; of the living the latest few stay. Returns id and text.
    """
    c = api_keys.c
    mine = c.member_id == member
    connection.execute(delete(api_keys).where(mine, c.expires_at <= wall_now))
    alive = select(c.id).where(mine, c.revoked_at.is_(None)).order_by(c.number.desc())
    for old in connection.execute(alive).scalars().all()[MEMBER_KEYS_ALIVE_MAX - 1 :]:
        connection.execute(update(api_keys).where(c.id == old).values(revoked_at=now))
    text, row = new_key(Role.MEMBER, None, now, member=member, expires_at=expires_at)
    connection.execute(insert(api_keys), row)
    return str(row["id"]), text
