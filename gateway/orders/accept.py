"""Decides a group of requests and stores what it accepts, inside the writer's one transaction.

Per request: the idempotency key (new, or its stored answer), then line by line: known member and
merchant, a free reference, credit or balance that reaches. All reads are set-based and come first
(`known`); the decisions are plain Python (`decide`); the inserts come last.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from gateway.books import Books
from gateway.clock import DAY_S
from gateway.database import Database
from gateway.errors import IdempotencyKeyReused
from gateway.orders import answers as answer_codec
from gateway.orders.answers import Answer
from gateway.orders.decide import Rows, decide
from gateway.orders.known import SELDOM, DailyCap, Known, Request, no_cap, read
from gateway.orders.reversals import Reversals
from gateway.statements import KEYS, Change, Insert, Lookup
from gateway.tables import audit, idempotency, members, merchants, orders, refusals
from gateway.webhooks import outbox
from gateway.webhooks.events import Event

_C = idempotency.c
_STORED = Lookup(
    select(_C.key, _C.body_hash, _C.answer).where(
        _C.tenant == bindparam("tenant"), _C.key.in_(bindparam(KEYS, expanding=True))
    )
)
_KEYS = Insert(idempotency, "tenant", "key", "body_hash", "answer", "answered_at")
_ORDERS = Insert(
    orders,
    *("public_id", "kind", "state", "merchant_id", "member_id", "to_member_id"),
    *("points", "hold", "reference", "accepted_at", "changed_at"),
)
_REFUSALS = Insert(
    refusals, "merchant_id", "member_id", "kind", "points", "reference", "code", "at"
)
_COUNT = Change(
    update(merchants)
    .where(merchants.c.id == bindparam("row_id"))
    .values(cap_day=bindparam("day"), cap_points=bindparam("issued"))
)
_AUDIT = Insert(audit, "at", "actor", "action", "subject", "detail")
_ADD_MONEY = Change(
    update(merchants)
    .where(merchants.c.id == bindparam("row_id"))
    .values(held=merchants.c.held + bindparam("amount"))
)
_ADD_POINTS = Change(
    update(members)
    .where(members.c.id == bindparam("row_id"))
    .values(held=members.c.held + bindparam("amount"))
)


def accept(
    database: Database,
    connection: Connection,
    books: Books,
    now: int,
    requests: Sequence[Request],
    daily_cap: DailyCap = no_cap,
) -> list[list[Answer] | IdempotencyKeyReused]:
    """The answers to `requests`, in their order; everything is stored in `connection`.

    The keys of one group are distinct. Raises whatever the database raises; then nothing of the
    group is stored and the caller rolls back.
    """
    stored = _stored_answers(connection, requests)
    fresh = [r for r in requests if (r.tenant, r.key) not in stored]
    rows = Rows()
    decided: dict[tuple[int, str], list[Answer]] = {}
    if fresh:
        known = read(connection, books, now, fresh, daily_cap)
        if any(line.kind in SELDOM for request in fresh for line in request.lines):
            known.reversals = Reversals(database, connection, books, now)
        for request in fresh:
            decided[request.tenant, request.key] = decide(request, known, now, rows)
        _write(connection, known, rows, now)
    results: list[list[Answer] | IdempotencyKeyReused] = []
    for request in requests:
        found = stored.get((request.tenant, request.key))
        if found is None:
            results.append(decided[request.tenant, request.key])
        elif found[0] != request.body_hash:
            results.append(key_reused(request.key))
        else:
            results.append(answer_codec.decode(found[1]))
    return results


def key_reused(key: str) -> IdempotencyKeyReused:
    """The refusal of a key that was used for something else."""
    return IdempotencyKeyReused(
        f"the idempotency key {key!r} was used for another body", idempotency_key=key
    )


def _stored_answers(
    connection: Connection, requests: Sequence[Request]
) -> dict[tuple[int, str], tuple[bytes, bytes]]:
    by_tenant: defaultdict[int, list[str]] = defaultdict(list)
    for request in requests:
        by_tenant[request.tenant].append(request.key)
    return {
        (tenant, key): (bytes(body_hash), bytes(answer))
        for tenant, keys in by_tenant.items()
        for key, body_hash, answer in _STORED(connection, keys, tenant=tenant)
    }


def _write(connection: Connection, known: Known, rows: Rows, now: int) -> None:
    # The keys come first: where another process was quicker, nothing else was done in vain.
    _KEYS(connection, rows.keys)
    if rows.orders:
        _ORDERS(connection, rows.orders)
        heard = {
            order["public_id"]: order["merchant_id"]
            for order in rows.orders
            if known.hears(order["merchant_id"])
        }
        if heard:
            outbox.write_first(connection, Event.ACCEPTED, heard, now)
    _REFUSALS(connection, rows.refusals)
    for change, holds in ((_ADD_MONEY, known.held_money), (_ADD_POINTS, known.held_points)):
        change(connection, [{"row_id": k, "amount": v} for k, v in sorted(holds.items()) if v])
    issued = sorted(known.issued_today.items())
    _COUNT(connection, [{"row_id": k, "day": now // DAY_S, "issued": v} for k, v in issued])
    _AUDIT(connection, rows.audit)
