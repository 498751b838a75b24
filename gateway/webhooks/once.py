"""A POST of this room is carried out once, however often it arrives under its key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from gateway.database import Database
from gateway.errors import IdempotencyKeyInUse
from gateway.orders.accept import key_reused
from gateway.tables import audit, idempotency
from gateway.webhooks import repository


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what: the key of a POST, and what it is bound to."""

    tenant: int
    actor: str
    key: str
    body_hash: bytes


def once(
    database: Database,
    connection: Connection,
    asked: Asked,
    now: int,
    make: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """What `make` returns, stored under the key; the stored answer where the key is known.

    Holds the merchant's row from here to the end of the transaction. Refusals are not stored:
    nothing was done, and the same key may be tried again. Raises IdempotencyKeyReused,
    IdempotencyKeyInUse.
    """
    repository.lock_merchant(database, connection, asked.tenant)
    c = idempotency.c
    query = select(c.body_hash, c.answer).where(c.tenant == asked.tenant, c.key == asked.key)
    stored = connection.execute(query).one_or_none()
    if stored is not None:
        if bytes(stored.body_hash) != asked.body_hash:
            raise key_reused(asked.key)
        # The first byte says how the rest is written; `w` is ours.
        answer: dict[str, Any] = orjson.loads(bytes(stored.answer)[1:])
        return answer
    done = make()
    row = {
        "tenant": asked.tenant,
        "key": asked.key,
        "body_hash": asked.body_hash,
        "answer": b"w" + orjson.dumps(done),
        "answered_at": now,
    }
    try:
        connection.execute(insert(idempotency), row)
    except IntegrityError as error:
        raise IdempotencyKeyInUse(f"the key {asked.key!r} is being used") from error
    return done


def note(connection: Connection, now: int, actor: str, action: str, detail: str) -> None:
    """A row in the audit."""
    row = {"at": now, "actor": actor, "action": action, "subject": "webhooks", "detail": detail}
    connection.execute(insert(audit), row)
