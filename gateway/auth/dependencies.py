"""Who is asking: the API key of a request, looked up and kept for a few seconds, and counted."""

import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from gateway import ids
from gateway.auth.keys import OF_MERCHANT, OF_NETWORK, PATTERN, Role, Scope, fits, scopes_of
from gateway.auth.limits import Rate, RateLimits
from gateway.clock import WallClock
from gateway.database import Database
from gateway.errors import (
    Forbidden,
    IdempotencyKeyMissing,
    InvalidRequest,
    MemberUnknown,
    RateLimited,
    Unauthenticated,
)
from gateway.tables import api_keys, members

log = logging.getLogger(__name__)

# A revoked key works at most this long in a process that has just seen it.
REMEMBER_S = 5.0
REMEMBERED_MAX = 10_000

# How exactly `last_used_at` is known: one write a key and minute is all it costs.
USE_NOTED_EVERY_S = 60

# Keys that are not known cost a query each; an address that tries many is slowed down.
STRANGERS = Rate(per_s=20, burst=100)

IDEMPOTENCY_KEY_LENGTH_MAX = 100

WALL = WallClock()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking.

    Attributes:
        tenant: a merchant's number; 0 for the network; a member's row number below zero. What is
            looked for under a tenant that it does not belong to is not found.
        member: public id of the member that a member's key is bound to.
    """

    key_id: str
    role: Role
    tenant: int
    scopes: frozenset[Scope]
    member: str | None = None
    expires_at: int | None = None

    def check_member(self, member: str) -> None:
        """A member sees itself alone. Raises MemberUnknown."""
        if self.role is Role.MEMBER and member != self.member:
            raise MemberUnknown(f"there is no member {member[:40]!r}", member=member[:40])


class KeyRing:
    """API keys by their text. Knows each for a few seconds, so that a request costs no query."""

    def __init__(self, database: Database, limits: RateLimits, lines: RateLimits) -> None:
        """`limits` counts requests, `lines` those of bulk requests."""
        self._database = database
        self.limits = limits
        self.lines = lines
        self._strangers = RateLimits.of_process(STRANGERS)
        self._seen: dict[str, tuple[float, Principal]] = {}

    async def principal(self, text: str, address: str) -> Principal:
        """Who holds this key. Raises Unauthenticated, RateLimited."""
        now = time.monotonic()
        found = self._seen.get(text)
        if found is not None and found[0] > now:
            return found[1]
        try:
            principal = await run_in_threadpool(self._look_up, text)
        except Unauthenticated:
            wait_s = self._strangers.take(address, Role.MERCHANT)
            if wait_s:
                raise _too_often(wait_s) from None
            raise
        if len(self._seen) >= REMEMBERED_MAX:
            self._seen.clear()
        until = now + REMEMBER_S
        if principal.expires_at is not None:
            until = min(until, now + principal.expires_at - WALL.now())
        self._seen[text] = (until, principal)
        return principal

    async def count(self, principal: Principal) -> None:
        """Takes a token of the key. Raises RateLimited."""
        wait_s = self.limits.take(principal.key_id, principal.role)
        if wait_s is None:
            wait_s = await run_in_threadpool(self.limits.fetch, principal.key_id, principal.role)
        if wait_s:
            raise _too_often(wait_s)

    async def count_lines(self, principal: Principal, many: int) -> None:
        """Takes a token for each line of a bulk request. Raises RateLimited."""
        name = f"{principal.key_id} lines"
        wait_s = self.lines.take(name, principal.role, many)
        if wait_s is None:
            wait_s = await run_in_threadpool(self.lines.fetch, name, principal.role, many)
        if wait_s:
            raise _too_often(wait_s)

    def _look_up(self, text: str) -> Principal:
        matched = PATTERN.fullmatch(text)
        row: Any = None
        if matched is not None:
            query = (
                select(api_keys, members.c.public_id.label("member"))
                .outerjoin(members, members.c.id == api_keys.c.member_id)
                .where(api_keys.c.id == matched[1])
            )
            with self._database.read() as connection:
                row = connection.execute(query).one_or_none()
        now = WALL.now()
        known = (
            row is not None
            and row.revoked_at is None
            and (row.expires_at is None or row.expires_at > now)
        )
        if not known or matched is None or not fits(matched[2], bytes(row.secret_hash)):
            raise Unauthenticated("the API key is not known, has expired or was revoked")
        if row.last_used_at is None or row.last_used_at <= now - USE_NOTED_EVERY_S:
            self._note_use(row.id, now)
        role = Role(row.role)
        return Principal(
            key_id=row.id,
            role=role,
            tenant=-row.member_id if role is Role.MEMBER else row.merchant_id or 0,
            scopes=scopes_of(role, row.scopes),
            member=None if row.member is None else ids.encode(ids.MEMBER, bytes(row.member)),
            expires_at=row.expires_at,
        )

    def _note_use(self, key_id: str, now: int) -> None:
        """Writes down when the key was last used: a convenience, so no request fails for it."""
        c = api_keys.c
        old = or_(c.last_used_at.is_(None), c.last_used_at <= now - USE_NOTED_EVERY_S)
        try:
            with self._database.write() as connection:
                statement = update(api_keys).where(c.id == key_id, old)
                connection.execute(statement.values(last_used_at=now))
        except SQLAlchemyError as error:
            log.warning("the use of key %s is not noted: %s", key_id, type(error).__name__)


def _too_often(wait_s: float) -> RateLimited:
    seconds = max(1, -int(-wait_s // 1))
    return RateLimited(f"too many requests; come back in {seconds} s", retry_after_s=seconds)


async def known(request: Request) -> Principal:
    """Who asks. Raises Unauthenticated, RateLimited."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send the API key as `Authorization: Bearer bnk_...`")
    ring: KeyRing = request.app.state.key_ring
    address = request.client.host if request.client else ""
    return await ring.principal(token.strip(), address)


def allow(scope: Scope, *roles: Role) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """A dependency that lets these roles in, with keys that have the scope, and nobody else."""

    async def dependency(request: Request) -> Principal:
        principal = await known(request)
        ring: KeyRing = request.app.state.key_ring
        await ring.count(principal)
        if principal.role not in roles:
            raise Forbidden(f"a key of role {principal.role.value} does not reach this")
        if scope not in principal.scopes:
            raise Forbidden(f"the key has no scope {scope.value}", scope=scope.value)
        request.state.key_id = principal.key_id
        return principal

    dependency.roles = roles  # type: ignore[attr-defined]
    dependency.scope = scope  # type: ignore[attr-defined]
    return dependency


async def idempotency_key(request: Request) -> str:
    """The request's key (async: a plain function would be sent through a thread). Raises
    IdempotencyKeyMissing, InvalidRequest.
    """
    keys = request.headers.getlist("idempotency-key")
    key = keys[0] if keys else ""
    if not key:
        raise IdempotencyKeyMissing("a POST names its `Idempotency-Key`")
    if len(keys) > 1:
        # Whoever reads the other one would take a repetition for a new request.
        raise InvalidRequest("a POST names one `Idempotency-Key`")
    if len(key) > IDEMPOTENCY_KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"an idempotency key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable ASCII characters"
        )
    return key


OWNER, NETWORK = Role.MERCHANT, Role.OPERATOR
TO_READ = (*OF_NETWORK, *OF_MERCHANT)

MayIssue = Annotated[Principal, Depends(allow(Scope.ISSUE, *OF_MERCHANT))]
MayRedeem = Annotated[Principal, Depends(allow(Scope.REDEEM, *OF_MERCHANT))]
MayReverse = Annotated[Principal, Depends(allow(Scope.REVERSE, *OF_MERCHANT))]
MayCancel = Annotated[
    Principal, Depends(allow(Scope.REVERSE, Role.OPERATOR, *OF_MERCHANT, Role.MEMBER))
]
MayTransfer = Annotated[Principal, Depends(allow(Scope.TRANSFER, Role.OPERATOR, Role.MEMBER))]
MayReadOrders = Annotated[Principal, Depends(allow(Scope.READ_ORDERS, *TO_READ, Role.MEMBER))]
MayReadRefusals = Annotated[Principal, Depends(allow(Scope.READ_ORDERS, *TO_READ))]
MayMakeMembers = Annotated[Principal, Depends(allow(Scope.MEMBERS, NETWORK, *OF_MERCHANT))]
MayListMembers = Annotated[Principal, Depends(allow(Scope.READ_MEMBERS, NETWORK))]
MayReadMembers = Annotated[
    Principal, Depends(allow(Scope.READ_MEMBERS, NETWORK, *OF_MERCHANT, Role.MEMBER))
]
MayGiveMemberKeys = Annotated[Principal, Depends(allow(Scope.KEYS, NETWORK))]
MayReadItself = Annotated[Principal, Depends(allow(Scope.READ_MERCHANTS, *OF_MERCHANT))]
MayReadMerchants = Annotated[Principal, Depends(allow(Scope.READ_MERCHANTS, *OF_NETWORK))]
MayOnboard = Annotated[Principal, Depends(allow(Scope.MERCHANTS, NETWORK))]
MayBookDeposits = Annotated[Principal, Depends(allow(Scope.MONEY, NETWORK))]
MayWithdraw = Annotated[Principal, Depends(allow(Scope.MONEY, OWNER))]
MayReadOwnPosition = Annotated[Principal, Depends(allow(Scope.READ_POSITION, OWNER))]
MayReadPositions = Annotated[Principal, Depends(allow(Scope.READ_POSITION, *OF_NETWORK))]
MayKeepKeys = Annotated[Principal, Depends(allow(Scope.KEYS, OWNER, NETWORK))]
MayGiveMerchantKeys = Annotated[Principal, Depends(allow(Scope.KEYS, NETWORK))]
MayReadMetrics = Annotated[Principal, Depends(allow(Scope.METRICS, *OF_NETWORK))]
MayListen = Annotated[Principal, Depends(allow(Scope.WEBHOOKS, OWNER, NETWORK))]
AsOperator = MayReadMetrics
Key = Annotated[str, Depends(idempotency_key)]
