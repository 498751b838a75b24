"""A POST is carried out once, however often it arrives under its key.

What it does and the row of its key are one commit. The same key with the same body gives the
stored answer, refusals too; another body is refused; while the first one is still running the
second is told to come back. Orders have the same law in their own writer (`gateway.orders.accept`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from gateway.clock import NetworkClock
from gateway.database import Database
from gateway.errors import GatewayError, IdempotencyKeyInUse, IdempotencyKeyReused
from gateway.tables import idempotency

SECRETS = ("api_key",)
"""Members of an answer that are shown once: the stored answer has null in their place."""

# The first byte of a stored answer says how the rest is written; orders use others.
_STORED = b"h"


@dataclass(frozen=True, slots=True)
class Asked:
    """One POST: whose key it is, who is written into the audit, and what the key is bound to."""

    tenant: int
    actor: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a status and a JSON body. A status from 400 on is a problem."""

    status: int
    body: dict[str, Any]

    def value(self) -> dict[str, Any]:
        """The body. Raises StoredRefusal."""
        if self.status >= 400:
            raise StoredRefusal(self)
        return self.body


class StoredRefusal(GatewayError):
    """What the first request under the key was refused with, the same whenever it is repeated."""

    def __init__(self, answer: Answer) -> None:
        self.code = answer.body["code"]
        self.status = answer.status  # type: ignore[misc]
        super().__init__(answer.body["detail"], **answer.body["values"])


Act = Callable[[Connection, int], Answer]
"""Does it, in the given transaction at the given second of network time; may raise GatewayError."""


class Once:
    """Carries POSTs out, each once. Thread safe."""

    def __init__(self, database: Database, clock: NetworkClock) -> None:
        self._database = database
        self._clock = clock
        self._running: dict[tuple[int, str], bytes] = {}
        self._lock = threading.Lock()

    def run(self, asked: Asked, act: Act, *, settles: bool = False) -> Answer:
        """The answer to the request, made now or stored before.

        `settles`: it ends orders or takes them back, so it waits for others who do. Raises
        IdempotencyKeyInUse, IdempotencyKeyReused, and what `act` raises from 500 on.
        """
        with self._alone(asked):
            try:
                return self._run(asked, act, settles)
            except IntegrityError:
                # Another process stored the same key meanwhile (an order's): it is there now.
                return self._run(asked, act, settles)

    @contextmanager
    def _alone(self, asked: Asked) -> Iterator[None]:
        name = (asked.tenant, asked.key)
        with self._lock:
            running = self._running.get(name)
            if running is not None:
                raise in_use(asked.key) if running == asked.body_hash else reused(asked.key)
            self._running[name] = asked.body_hash
        try:
            yield
        finally:
            with self._lock:
                del self._running[name]

    def _run(self, asked: Asked, act: Act, settles: bool) -> Answer:
        now = self._clock.now()
        transaction = self._database.settle if settles else self._database.write
        with transaction() as connection:
            self._claim(connection, asked)
            stored = _stored(connection, asked)
            if stored is not None:
                return stored
            try:
                with connection.begin_nested():
                    answer = act(connection, now)
            except GatewayError as refusal:
                if refusal.status >= 500:
                    raise
                answer = Answer(refusal.status, _problem(refusal))
            _store(connection, asked, answer, now)
        return answer

    def _claim(self, connection: Connection, asked: Asked) -> None:
        """Against other processes, to the end of the transaction. Raises IdempotencyKeyInUse."""
        if not self._database.is_postgres:
            return
        query = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
        name = f"banyan idempotency {asked.tenant} {asked.key}"
        if not connection.execute(query, {"name": name}).scalar_one():
            raise in_use(asked.key)


def in_use(key: str) -> IdempotencyKeyInUse:
    """The first request under this key is still running."""
    return IdempotencyKeyInUse(
        f"the first request under {key!r} is still running", idempotency_key=key
    )


def reused(key: str) -> IdempotencyKeyReused:
    """The key was used for something else."""
    return IdempotencyKeyReused(
        f"the idempotency key {key!r} was used for another body", idempotency_key=key
    )


def _stored(connection: Connection, asked: Asked) -> Answer | None:
    c = idempotency.c
    query = select(c.body_hash, c.answer).where(c.tenant == asked.tenant, c.key == asked.key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if bytes(row.body_hash) != asked.body_hash:
        raise reused(asked.key)
    answer = orjson.loads(bytes(row.answer)[1:])
    # Up to revision 0006 webhooks stored what they answered by itself.
    return Answer(201, answer) if isinstance(answer, dict) else Answer(*answer)


def _store(connection: Connection, asked: Asked, answer: Answer, now: int) -> None:
    kept = {name: None if name in SECRETS else value for name, value in answer.body.items()}
    row = {
        "tenant": asked.tenant,
        "key": asked.key,
        "body_hash": asked.body_hash,
        "answer": _STORED + orjson.dumps([answer.status, kept], default=str),
        "answered_at": now,
    }
    connection.execute(insert(idempotency), row)


def _problem(refusal: GatewayError) -> dict[str, Any]:
    return {"code": refusal.code, "detail": refusal.message, "values": refusal.values}
