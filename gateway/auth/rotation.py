"""A fresh API key beside the one in use: the old one goes with the key after this."""

from sqlalchemy import Connection, insert, select, update

from gateway.auth.keys import Role, new_key
from gateway.tables import api_keys

KEYS_ALIVE_MAX = 2
"""Of one holder: the key in use, and the one that takes its place."""


def rotate_key(
    connection: Connection, role: Role, merchant: int | None, now: int
) -> tuple[str, str]:
    """Stores a fresh key of the holder and revokes all but the latest older one.

    Returns its id and its text, which is stored nowhere.
    """
    c = api_keys.c
    text, row = new_key(role, merchant, now)
    holders = c.merchant_id.is_(None) if merchant is None else c.merchant_id == merchant
    alive = select(c.id).where(c.role == role.value, holders, c.revoked_at.is_(None))
    older = connection.execute(alive.order_by(c.number.desc())).scalars().all()
    for old in older[KEYS_ALIVE_MAX - 1 :]:
        connection.execute(update(api_keys).where(c.id == old).values(revoked_at=now))
    connection.execute(insert(api_keys), row)
    return str(row["id"]), text
