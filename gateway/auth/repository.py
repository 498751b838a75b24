"""Queries of API keys; a secret is never among what they give."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway import cursors, ids
from gateway.auth.keys import Role, scopes_of
from gateway.errors import ApiKeyUnknown
from gateway.tables import api_keys, audit, merchants


def page(
    connection: Connection, tenant: int, *, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """A merchant's keys, or for the network all but the members', the newest first."""
    c = api_keys.c
    query = (
        select(api_keys, merchants.c.public_id.label("merchant"))
        .outerjoin(merchants, merchants.c.id == c.merchant_id)
        .where(c.member_id.is_(None))
        .order_by(c.number.desc())
        .limit(limit + 1)
    )
    if tenant:
        query = query.where(c.merchant_id == tenant)
    if cursor is not None:
        query = query.where(c.number < cursors.decode(cursor))
    rows = connection.execute(query).all()
    found = [
        {
            "id": row.id,
            "role": row.role,
            "label": row.label,
            "merchant": None
            if row.merchant is None
            else ids.encode(ids.MERCHANT, bytes(row.merchant)),
            "scopes": sorted(scopes_of(Role(row.role), row.scopes)),
            "created_at": row.created_at,
            "last_used_at": row.last_used_at,
            "revoked_at": row.revoked_at,
        }
        for row in rows[:limit]
    ]
    return found, cursors.encode(rows[limit - 1].number) if len(rows) > limit else None


def revoke(connection: Connection, key_id: str, tenant: int, actor: str, now: int) -> None:
    """The key opens nothing any more; revoking twice is harmless. Raises ApiKeyUnknown."""
    c = api_keys.c
    query = select(c.number, c.revoked_at).where(c.id == key_id)
    if tenant:
        query = query.where(c.merchant_id == tenant)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ApiKeyUnknown(f"there is no API key {key_id[:40]!r}", key=key_id[:40])
    if row.revoked_at is None:
        connection.execute(update(api_keys).where(c.number == row.number).values(revoked_at=now))
        detail = {"at": now, "actor": actor, "action": "revoke", "subject": key_id, "detail": ""}
        connection.execute(insert(audit), detail)


def note_new(connection: Connection, key_id: str, actor: str, role: Role, now: int) -> None:
    """A fresh key in the audit."""
    row = {"at": now, "actor": actor, "action": "api key", "subject": key_id, "detail": role.value}
    connection.execute(insert(audit), row)
