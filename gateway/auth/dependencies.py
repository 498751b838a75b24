"""Who is asking: the API key of a request, looked up and kept for a few seconds."""

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import select, update
from starlette.concurrency import run_in_threadpool

from gateway.auth.keys import PATTERN, Role, fits
from gateway.database import Database
from gateway.errors import Forbidden, IdempotencyKeyMissing, InvalidRequest, Unauthenticated
from gateway.tables import api_keys

# A revoked key works at most this long in a process that has just seen it.
REMEMBER_S = 5.0
REMEMBERED_MAX = 10_000

IDEMPOTENCY_KEY_LENGTH_MAX = 100


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `tenant` is a merchant's number, 0 for the operator."""

    key_id: str
    role: Role
    tenant: int


class KeyRing:
    """API keys by their text. Knows each for a few seconds, so that a request costs no query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, tuple[float, Principal]] = {}

    async def principal(self, text: str) -> Principal:
        """Who holds this key. Raises Unauthenticated."""
        now = time.monotonic()
        found = self._seen.get(text)
        if found is not None and found[0] > now:
            return found[1]
        principal = await run_in_threadpool(self._look_up, text)
        if len(self._seen) >= REMEMBERED_MAX:
            self._seen.clear()
        self._seen[text] = (now + REMEMBER_S, principal)
        return principal

    def _look_up(self, text: str) -> Principal:
        matched = PATTERN.fullmatch(text)
        row: Any = None
        if matched is not None:
            query = select(api_keys).where(api_keys.c.id == matched[1])
            with self._database.read() as connection:
                row = connection.execute(query).one_or_none()
        known = row is not None and row.revoked_at is None
        if not known or matched is None or not fits(matched[2], bytes(row.secret_hash)):
            raise Unauthenticated("the API key is not known, or was revoked")
        return Principal(row.id, Role(row.role), row.merchant_id or 0)

    def note_use(self, key_id: str, now: int) -> None:
        """Writes down when the key was last used (once per `REMEMBER_S` at most)."""
        with self._database.write() as connection:
            connection.execute(
                update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now)
            )


def allow(*roles: Role) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """A dependency that lets these roles in, and nobody else."""

    async def dependency(request: Request) -> Principal:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send the API key as `Authorization: Bearer bnk_...`")
        principal: Principal = await request.app.state.key_ring.principal(token.strip())
        if principal.role not in roles:
            raise Forbidden(f"a key of role {principal.role.value} does not reach this")
        request.state.key_id = principal.key_id
        return principal

    dependency.roles = roles  # type: ignore[attr-defined]
    return dependency


async def idempotency_key(request: Request) -> str:
    """The request's key (async: a plain function would be sent through a thread). Raises
    IdempotencyKeyMissing, InvalidRequest.
    """
    key = request.headers.get("idempotency-key", "")
    if not key:
        raise IdempotencyKeyMissing("a POST names its `Idempotency-Key`")
    if len(key) > IDEMPOTENCY_KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"an idempotency key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters"
        )
    return key


AsMerchant = Annotated[Principal, Depends(allow(Role.MERCHANT))]
AsOperator = Annotated[Principal, Depends(allow(Role.OPERATOR))]
AsAnyone = Annotated[Principal, Depends(allow(Role.MERCHANT, Role.OPERATOR))]
Key = Annotated[str, Depends(idempotency_key)]
