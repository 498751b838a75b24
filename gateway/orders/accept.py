"""Decides a group of requests and stores what it accepts, in one transaction.

Per request: the idempotency key (new, or its stored answer), then line by line: known member and
merchant, a free reference, credit or balance that reaches. All reads are set-based and come first
(`known`); the decisions are plain Python (`decide`); the inserts come last. On PostgreSQL a group
is tried without locks first (`quick`).
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, bindparam, select, update

from gateway import faults
from gateway.books import Books
from gateway.clock import DAY_S
from gateway.database import Database
from gateway.errors import IdempotencyKeyReused
from gateway.orders import answers as answer_codec
from gateway.orders import inserts, quick
from gateway.orders.answers import Answer
from gateway.orders.decide import Rows, decide
from gateway.orders.known import (
    SELDOM,
    DailyCap,
    Decided,
    Known,
    Request,
    Stored,
    no_cap,
    read,
)
from gateway.orders.reversals import Reversals
from gateway.statements import KEYS, Change, Lookup
from gateway.tables import idempotency, members, merchants
from gateway.webhooks import outbox
from gateway.webhooks.events import Event

_C = idempotency.c
_STORED = Lookup(
    select(_C.key, _C.body_hash, _C.answer).where(
        _C.tenant == bindparam("tenant"), _C.key.in_(bindparam(KEYS, expanding=True))
    )
)
_ANSWER = Change(
    update(idempotency)
    .where(_C.tenant == bindparam("of_tenant"), _C.key == bindparam("of_key"))
    .values(answer=bindparam("given"))
)
_COUNT = Change(
    update(merchants)
    .where(merchants.c.id == bindparam("row_id"))
    .values(cap_day=bindparam("day"), cap_points=bindparam("issued"))
)
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
    books: Books,
    now: int,
    requests: Sequence[Request],
    daily_cap: DailyCap = no_cap,
) -> list[list[Answer] | IdempotencyKeyReused]:
    """The answers to `requests`, in their order; what they accept is stored when this returns.

    The keys of one group are distinct. Raises NotReady and whatever the database raises; then
    nothing of the group is stored.
    """
    if quick.suits(database, requests):
        # Without locks first, with them where others were at the same rows.
        with suppress(quick.Crowded):
            return _answers(requests, *quick.accept(database, books, now, requests, daily_cap))
    with database.write() as connection:
        found = _accept_locked(database, connection, books, now, requests, daily_cap)
        faults.point("accept.before_commit")
    return _answers(requests, *found)


def _accept_locked(
    database: Database,
    connection: Connection,
    books: Books,
    now: int,
    requests: Sequence[Request],
    daily_cap: DailyCap,
) -> tuple[Stored, Decided]:
    stored = _stored_answers(connection, requests)
    fresh = [r for r in requests if (r.tenant, r.key) not in stored]
    rows = Rows()
    decided: Decided = {}
    if fresh:
        if database.is_postgres:
            _claim(connection, fresh, now)
        known = read(connection, books, now, fresh, daily_cap)
        if any(line.kind in SELDOM for request in fresh for line in request.lines):
            known.reversals = Reversals(database, connection, books, now)
        for request in fresh:
            decided[request.tenant, request.key] = decide(request, known, now, rows)
        _write(connection, known, rows, now)
        if database.is_postgres:
            # Claimed already: what was missing are the answers.
            _ANSWER(
                connection,
                [
                    {"of_tenant": row["tenant"], "of_key": row["key"], "given": row["answer"]}
                    for row in rows.keys
                ],
            )
        else:
            inserts.KEYS(connection, rows.keys)
    return stored, decided


def _claim(connection: Connection, requests: Sequence[Request], now: int) -> None:
    """The keys, still without answers, before any row is locked: so it is in `quick`, and who waits
    for a key that another process stores holds nothing that the other waits for.
    """
    inserts.KEYS(
        connection,
        [
            {
                "tenant": request.tenant,
                "key": request.key,
                "body_hash": request.body_hash,
                "answer": b"",
                "answered_at": now,
            }
            for request in sorted(requests, key=lambda r: (r.tenant, r.key))
        ],
    )


def _answers(
    requests: Sequence[Request], stored: Stored, decided: Decided
) -> list[list[Answer] | IdempotencyKeyReused]:
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


def _stored_answers(connection: Connection, requests: Sequence[Request]) -> Stored:
    by_tenant: defaultdict[int, list[str]] = defaultdict(list)
    for request in requests:
        by_tenant[request.tenant].append(request.key)
    return {
        (tenant, key): (bytes(body_hash), bytes(answer))
        for tenant, keys in by_tenant.items()
        for key, body_hash, answer in _STORED(connection, keys, tenant=tenant)
    }


def _write(connection: Connection, known: Known, rows: Rows, now: int) -> None:
    if rows.orders:
        inserts.ORDERS(connection, rows.orders)
        heard = known.heard(rows.orders)
        if heard:
            outbox.write_first(connection, Event.ACCEPTED, heard, now)
    inserts.REFUSALS(connection, rows.refusals)
    for change, holds in ((_ADD_MONEY, known.held_money), (_ADD_POINTS, known.held_points)):
        change(connection, [{"row_id": k, "amount": v} for k, v in sorted(holds.items()) if v])
    _COUNT(
        connection,
        [
            {"row_id": m.id, "day": now // DAY_S, "issued": m.issued_today + known.issued[m.id]}
            for m in sorted(known.merchants.values(), key=lambda m: m.id)
            if m.id in known.issued
        ],
    )
    inserts.AUDIT(connection, rows.audit)
