"""Statements written out once: the same rows as SQLAlchemy's own, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import IntegrityError

from gateway.database import Database
from gateway.statements import KEYS, SQLITE_KEYS_MAX, Change, Insert, Lookup
from gateway.tables import audit, idempotency

MANY = 3 * SQLITE_KEYS_MAX + 7
KEEP = Insert(idempotency, "tenant", "key", "body_hash", "answer", "answered_at")
C = idempotency.c
FIND = Lookup(
    select(C.key, C.answer).where(
        C.tenant == bindparam("tenant"), C.key.in_(bindparam(KEYS, expanding=True))
    )
)


def rows(*keys: str, tenant: int = 1) -> list[dict[str, object]]:
    return [
        {
            "answered_at": 2**40,
            "tenant": tenant,
            "key": key,
            "body_hash": b"\0" * 32,
            "answer": key.encode(),
        }
        for key in keys
    ]


def test_insert__a_key_twice__raises_and_leaves_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        KEEP(connection, rows("a", "b", "a"))
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(idempotency)).scalar() == 0


def test_each__of_nothing__does_nothing(database: Database) -> None:
    change = Change(update(idempotency).where(C.key == bindparam("k")).values(answered_at=0))
    with database.write() as connection:
        KEEP(connection, [])
        change(connection, [])
        assert FIND(connection, [], tenant=1) == []


def test_lookup__of_more_keys_than_a_list_takes__finds_each_once(database: Database) -> None:
    names = [f"k{n}" for n in range(MANY)]
    with database.write() as connection:
        KEEP(connection, rows(*names))
        KEEP(connection, rows(*names, tenant=2))
        found = FIND(connection, [*names, "unknown"], tenant=2)
    assert sorted(row.key for row in found) == sorted(names)
    assert all(bytes(row.answer) == row.key.encode() for row in found)


def test_insert__many__gives_out_numbers_in_their_order(database: Database) -> None:
    note = Insert(audit, "at", "actor", "action", "subject", "detail")
    with database.write() as connection:
        note(
            connection,
            [
                {"at": 1, "actor": "a", "action": "b", "subject": f"{n}", "detail": "%s ? :x"}
                for n in range(MANY)
            ],
        )
        found = connection.execute(select(audit.c.subject, audit.c.detail).order_by(audit.c.id))
        assert found.all() == [(f"{n}", "%s ? :x") for n in range(MANY)]


def test_insert__a_value_that_is_none__stores_null(database: Database) -> None:
    from gateway.tables import orders

    plain = Insert(
        orders,
        *("public_id", "kind", "state", "merchant_id", "member_id", "to_member_id"),
        *("points", "hold", "reference", "accepted_at", "changed_at"),
    )
    order = dict.fromkeys(orders.c.keys(), 1) | {"reference": "é'\"", "voids": 0}
    new = [
        order | {"public_id": bytes([n]) * 16, "reference": f"é'\"{n}", "to_member_id": to}
        for n, to in enumerate([None, 5, None])
    ]
    with database.write() as connection:
        plain(connection, new)
        found = connection.execute(select(orders.c.reference, orders.c.to_member_id))
        assert sorted(found.all()) == [("é'\"0", None), ("é'\"1", 5), ("é'\"2", None)]


def test_change__of_each_row__takes_its_own_values(database: Database) -> None:
    change = Change(
        update(idempotency)
        .where(C.tenant == 1, C.key == bindparam("which"))
        .values(answered_at=C.answered_at + bindparam("more"))
    )
    with database.write() as connection:
        KEEP(connection, rows("a", "b", "c"))
        change(connection, [{"which": "a", "more": 1}, {"more": 5, "which": "c"}])
        found = connection.execute(select(C.key, C.answered_at - 2**40).order_by(C.key)).all()
    assert found == [("a", 1), ("b", 0), ("c", 5)]
