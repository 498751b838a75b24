"""Accepting on PostgreSQL with one question and one statement, and no lock between the two.

Several processes accept for the same merchants. Under the locks of `known.read` each of them waits
while another reads, asks the mirror, decides and stores. Here a group is decided over what was read
without a lock, and the one statement that stores it looks again, under locks that last until its
own end, at the numbers which the decision hung on:

- what is held now, with the group's part, is still within what the mirror said (`room`), and
- nothing was taken off it meanwhile (`releases`): a hold is released when its effect stands in the
  mirror, so a `room` read before that would count the points twice;
- the day's count of issued points, with the group's part, is still within the cap.

Else nothing is stored, Crowded is raised, and the group is decided again under locks; so it is
where a wish would be refused for want of credit, points or cap, since such an answer is final.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from gateway import arrays, faults, ids
from gateway.books import Books
from gateway.clock import DAY_S
from gateway.codes import MERCHANT_STATES, State
from gateway.database import Database
from gateway.errors import BalanceTooLow, CreditLimitExceeded, DailyCapExceeded
from gateway.orders import inserts
from gateway.orders.decide import Rows, decide, room_of
from gateway.orders.known import (
    SELDOM,
    DailyCap,
    Decided,
    Known,
    KnownMember,
    KnownMerchant,
    Request,
    Stored,
    ask_books,
    raw_ids,
)
from gateway.webhooks import outbox
from gateway.webhooks.events import Event

_SHORTAGES: Final = frozenset({BalanceTooLow.code, CreditLimitExceeded.code, DailyCapExceeded.code})
_DIVISION_BY_ZERO: Final = "22012"


class Crowded(Exception):  # noqa: N818 - no error, but the reason to go the other way
    """To be decided under locks; nothing was stored."""


def suits(database: Database, requests: Sequence[Request]) -> bool:
    """Whether this group may go this way: on PostgreSQL, without the kinds that need more locks."""
    return database.is_postgres and not any(
        line.kind in SELDOM for request in requests for line in request.lines
    )


def accept(
    database: Database, books: Books, now: int, requests: Sequence[Request], daily_cap: DailyCap
) -> tuple[Stored, Decided]:
    """What was stored before, and the answers to the others, stored now.

    Raises Crowded, NotReady, and whatever the database raises; then nothing is stored.
    """
    with database.autocommit() as connection:
        stored, known = _read(connection, now, requests)
        fresh = [r for r in requests if (r.tenant, r.key) not in stored]
        if not fresh:
            return stored, {}
        lines = [line for request in fresh for line in request.lines]
        ask_books(books, known, now, lines, daily_cap)
        rows = Rows()
        decided = {(r.tenant, r.key): decide(r, known, now, rows) for r in fresh}
        if any(refusal["code"] in _SHORTAGES for refusal in rows.refusals):
            raise Crowded
        heard = known.heard(rows.orders)
        if not heard:
            faults.point("accept.before_commit")
            _write(connection, known, rows, now)
            return stored, decided
    with database.write() as connection:
        _write(connection, known, rows, now)
        outbox.write_first(connection, Event.ACCEPTED, heard, now)
        faults.point("accept.before_commit")
    return stored, decided


# ---- the question

# Each key is looked up by itself (LATERAL, LIMIT 1): a plan that was made while a table was small
# and is kept must not join the whole of it when it has grown.
_READ: Final = f"""
SELECT
  (SELECT json_agg(json_build_array(i.tenant, i.key, encode(i.body_hash, 'hex'),
                                    encode(i.answer, 'hex')))
     FROM unnest(%(tenants)s::bigint[], %(keys)s::text[]) AS asked (tenant, key),
  LATERAL (SELECT * FROM idempotency WHERE tenant = asked.tenant AND key = asked.key LIMIT 1) i
  )::text,
  (SELECT json_agg(json_build_array(encode(m.public_id, 'hex'), m.id, m.state, m.held, m.releases,
                                    m.webhook_events, m.cap_day, m.cap_points))
     FROM unnest(%(merchants)s::bytea[]) AS asked (public_id),
  LATERAL (SELECT * FROM merchants WHERE public_id = asked.public_id LIMIT 1) m
  )::text,
  (SELECT json_agg(json_build_array(encode(m.public_id, 'hex'), m.id, encode(m.address, 'hex'),
                                    m.held, m.releases))
     FROM unnest(%(members)s::bytea[]) AS asked (public_id),
  LATERAL (SELECT * FROM members WHERE public_id = asked.public_id LIMIT 1) m
  )::text,
  (SELECT json_agg(json_build_array(o.merchant_id, o.reference, encode(o.public_id, 'hex')))
     FROM unnest(%(shops)s::bytea[], %(references)s::text[]) AS asked (shop, reference),
  LATERAL (SELECT id FROM merchants WHERE public_id = asked.shop LIMIT 1) m,
  LATERAL (SELECT * FROM orders WHERE merchant_id = m.id AND reference = asked.reference
                                  AND state <> {State.FAILED.value} LIMIT 1) o
  )::text,
  (SELECT json_agg(json_build_array(o.merchant_id, o.reference, encode(o.public_id, 'hex')))
     FROM unnest(%(owners)s::bigint[], %(own)s::text[]) AS asked (owner, reference),
  LATERAL (SELECT * FROM orders WHERE merchant_id = asked.owner AND reference = asked.reference
                                  AND state <> {State.FAILED.value} LIMIT 1) o
  )::text
"""


def _read(connection: Connection, now: int, requests: Sequence[Request]) -> tuple[Stored, Known]:
    lines = [line for request in requests for line in request.lines]
    merchants = raw_ids(ids.MERCHANT, (line.merchant for line in lines if line.merchant))
    named = (name for line in lines for name in (line.member, line.to_member) if name)
    members = raw_ids(ids.MEMBER, named)
    numbers = {name: raw for raw, name in merchants.items()}
    theirs = [(numbers[m], line.reference) for line in lines if (m := line.merchant) in numbers]
    # Without a merchant the reference is of who asks.
    own = [(r.tenant, line.reference) for r in requests for line in r.lines if not line.merchant]
    row = connection.exec_driver_sql(
        _READ,
        {
            "tenants": arrays.numbers(r.tenant for r in requests),
            "keys": arrays.texts(r.key for r in requests),
            "merchants": arrays.blobs(merchants),
            "members": arrays.blobs(members),
            "shops": arrays.blobs(raw for raw, _ in theirs),
            "references": arrays.texts(reference for _, reference in theirs),
            "owners": arrays.numbers(owner for owner, _ in own),
            "own": arrays.texts(reference for _, reference in own),
        },
    ).one()
    keys, shops, people, theirs_used, own_used = (orjson.loads(part or "[]") for part in row)
    known = Known()
    _note_merchants(known, merchants, shops, now // DAY_S)
    for raw, number, address, held, releases in people:
        name = members[bytes.fromhex(raw)]
        known.members[name] = KnownMember(number, bytes.fromhex(address), held, releases)
    for owner, reference, raw in (*theirs_used, *own_used):
        known.references[owner, reference] = ids.encode(ids.ORDER, bytes.fromhex(raw))
    stored = {
        (tenant, key): (bytes.fromhex(body_hash), bytes.fromhex(answer))
        for tenant, key, body_hash, answer in keys
    }
    return stored, known


def _note_merchants(known: Known, names: dict[bytes, str], rows: list[Any], day: int) -> None:
    for raw, number, state, held, releases, events, cap_day, cap_points in rows:
        known.merchants[names[bytes.fromhex(raw)]] = KnownMerchant(
            number,
            MERCHANT_STATES[state],
            held,
            issued_today=cap_points if cap_day == day else 0,
            releases=releases,
        )
        if events & Event.ACCEPTED:
            known.listening.add(number)


# ---- the statement

# The inserts come first, keys before all and in their order, and the locks last, merchants before
# members and each by id, as everywhere: each part counts the rows of the one that has to be carried
# out before it. The numbers go through the part that locks, so that each row is then found by its
# id: a join of two lists would compare each with each, since a plan for any number takes them for
# short.
_WRITE: Final = f"""
WITH kept AS ({inserts.KEYS.by_column("k_")} RETURNING 1),
made AS ({inserts.ORDERS.by_column("o_")} WHERE (SELECT count(*) FROM kept) >= 0 RETURNING 1),
noted AS ({inserts.AUDIT.by_column("a_")} WHERE (SELECT count(*) FROM made) >= 0 RETURNING 1),
refused AS ({inserts.REFUSALS.by_column("r_")}),
payers AS (
  SELECT new.*
    FROM unnest(%(m_id)s::bigint[], %(m_held)s::bigint[], %(m_room)s::bigint[],
                %(m_releases)s::bigint[], %(m_day)s::integer[], %(m_issued)s::bigint[],
                %(m_cap)s::bigint[]) AS new (id, held, room, releases, day, issued, cap)
    JOIN merchants m ON m.id = new.id
   WHERE (SELECT count(*) FROM noted) >= 0
   ORDER BY m.id FOR NO KEY UPDATE OF m
), charged AS (
  UPDATE merchants m
     SET held = m.held + new.held,
         cap_points = new.issued + CASE WHEN new.day IS NULL OR m.cap_day = new.day
                                        THEN m.cap_points ELSE 0 END,
         cap_day = coalesce(new.day, m.cap_day)
    FROM payers new
   WHERE m.id = new.id AND m.releases = new.releases AND m.held + new.held <= new.room
     AND (new.day IS NULL
          OR new.issued + CASE WHEN m.cap_day = new.day THEN m.cap_points ELSE 0 END <= new.cap)
  RETURNING 1
), debtors AS (
  SELECT new.*
    FROM unnest(%(p_id)s::bigint[], %(p_held)s::bigint[], %(p_room)s::bigint[],
                %(p_releases)s::bigint[]) AS new (id, held, room, releases)
    JOIN members p ON p.id = new.id
   WHERE (SELECT count(*) FROM charged) >= 0
   ORDER BY p.id FOR NO KEY UPDATE OF p
), taken AS (
  UPDATE members p SET held = p.held + new.held
    FROM debtors new
   WHERE p.id = new.id AND p.releases = new.releases AND p.held + new.held <= new.room
  RETURNING 1
)
SELECT 1 / ((SELECT count(*) FROM charged) = %(charged)s
            AND (SELECT count(*) FROM taken) = %(taken)s)::int
"""
"""Ends in a division by zero where a row is not as it has to be, and so leaves nothing."""


def _write(connection: Connection, known: Known, rows: Rows, now: int) -> None:
    """Stores the group. Raises Crowded, and whatever the database raises."""
    payers = _payers(known, now // DAY_S)
    debtors = _debtors(known)
    try:
        connection.exec_driver_sql(
            _WRITE,
            {
                **inserts.KEYS.columns("k_", sorted(rows.keys, key=_NAME)),
                **inserts.ORDERS.columns("o_", rows.orders),
                **inserts.AUDIT.columns("a_", rows.audit),
                **inserts.REFUSALS.columns("r_", rows.refusals),
                **_numbers("m_", _PAYER, payers),
                **_numbers("p_", _DEBTOR, debtors),
                "charged": len(payers),
                "taken": len(debtors),
            },
        )
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) == _DIVISION_BY_ZERO:
            raise Crowded from error
        raise


# Two groups with the same keys wait for each other's in one order.
_NAME: Final = itemgetter("tenant", "key")
_PAYER: Final = ("id", "held", "room", "releases", "day", "issued", "cap")
_DEBTOR: Final = ("id", "held", "room", "releases")


def _payers(known: Known, day: int) -> list[tuple[int | None, ...]]:
    """A row of _PAYER for each merchant whom the group charges."""
    cap = known.daily_cap
    return [
        (
            *(merchant.id, known.held_money[merchant.id], room_of(merchant), merchant.releases),
            *(None if cap is None else day, known.issued.get(merchant.id, 0), cap),
        )
        for merchant in known.merchants.values()
        if merchant.id in known.held_money
    ]


def _debtors(known: Known) -> list[tuple[int | None, ...]]:
    """A row of _DEBTOR for each member from whom the group takes points."""
    rows: list[tuple[int | None, ...]] = []
    for member in known.members.values():
        held = known.held_points.get(member.id, 0)
        if held:
            # The balance is what the mirror said, less what was held and what the group takes.
            room = known.balances[member.id] + member.held + held
            rows.append((member.id, held, room, member.releases))
    return rows


def _numbers(
    prefix: str, names: Sequence[str], rows: Sequence[tuple[int | None, ...]]
) -> dict[str, str]:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return {
        prefix + name: arrays.numbers(column) for name, column in zip(names, columns, strict=True)
    }
