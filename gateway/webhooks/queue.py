"""The queue of deliveries in SQL: what is due, who has it, what came of it.

A claim moves the due time behind the lease and raises the fencing number. A process that dies
leaves a delivery that is due again after its lease; one that freezes and thaws writes its result
with an old number, which changes nothing. So each event arrives at least once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, exists, func, select, update

from gateway import ids
from gateway.codes import DeliveryState, EndpointState, has
from gateway.custody import Custody
from gateway.statements import Change, Insert
from gateway.tables import webhook_attempts as attempts
from gateway.tables import webhook_deliveries as deliveries
from gateway.tables import webhook_endpoints as endpoints
from gateway.tables import webhook_events as events
from gateway.webhooks.transport import Answer

# Attempts under way to one end point from one process: a receiver that takes 100 ms gets 80 events
# a second; a slow one holds up nobody else.
PER_ENDPOINT_MAX: Final = 8
# Claimed for an end point that takes what it gets: one transaction for 128 messages, not for each.
AHEAD_MAX: Final = 128
# One that has just failed so often in a row is probed by one attempt at a time, so that a dead
# receiver's backlog costs little, and a recovering one is not run over.
FAILING_AFTER: Final = 3

# Longer than what is claimed may wait for its turn (5 s), be attempted (15 s) and be stored.
LEASE_S: Final = 60

# Counted from the first attempt.
PATIENCE_S: Final = 3 * 86_400
FIRST_WAIT_S: Final = 5
LONGEST_WAIT_S: Final = 12 * 3_600
JITTER: Final = 0.2
"""A wait is drawn from 80 to 120 %: what failed together does not come back together."""

_END = Change(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"), deliveries.c.fence == bindparam("claimed"))
    .values(
        state=bindparam("new_state"),
        tries=deliveries.c.tries + 1,
        last_status=bindparam("status"),
        last_outcome=bindparam("outcome"),
        ended_at=bindparam("now"),
    )
)
_AGAIN = Change(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"), deliveries.c.fence == bindparam("claimed"))
    .values(
        due_at=bindparam("due"),
        tries=deliveries.c.tries + 1,
        last_status=bindparam("status"),
        last_outcome=bindparam("outcome"),
    )
)
_RELEASE = Change(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"), deliveries.c.fence == bindparam("claimed"))
    .values(due_at=bindparam("due"))
)
_CLAIM = Change(
    update(deliveries)
    .where(deliveries.c.id == bindparam("row_id"))
    .values(
        due_at=bindparam("leased_until"),
        expires_at=bindparam("until"),
        fence=deliveries.c.fence + 1,
    )
)
_ATTEMPTS = Insert(attempts, "delivery_id", "at", "took_ms", "status", "outcome", "answer")


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to be made.

    Attributes:
        event: the webhook-id: the same however often it is sent.
        secrets: the end point's secrets, the newest first; each signs.
        tries: attempts before this one.
        expires_at: no further attempt after this (wall clock, unix seconds).
    """

    delivery_id: int
    fence: int
    endpoint_id: int
    url: str
    secrets: tuple[bytes, ...]
    event: str
    payload: bytes
    tries: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt; `at` is the wall clock at its beginning."""

    job: Job
    at: int
    took_ms: int
    answer: Answer


def is_anything_due(connection: Connection, now: int) -> bool:
    """Whether some active end point could be called now."""
    return connection.execute(_due_endpoints(now).limit(1)).first() is not None


def claim(
    connection: Connection,
    custody: Custody,
    now: int,
    in_flight: Mapping[int, int],
    free: int,
    dice: Random,
) -> tuple[list[Job], set[bytes]]:
    """Takes what is due, at most `free` attempts, and of each end point at most its share.

    `in_flight` counts what this process has claimed by end point. Beside the jobs: secrets that are
    to be opened first, outside of this transaction, since the master key may be in KMS.
    """
    waiting = list(connection.execute(_due_endpoints(now)).all())
    # Whoever has least under way comes first, so that many busy ones cannot starve a quiet one.
    dice.shuffle(waiting)
    waiting.sort(key=lambda endpoint: in_flight.get(endpoint.id, 0))
    jobs: list[Job] = []
    closed: set[bytes] = set()
    for endpoint in waiting:
        share = 1 if endpoint.failures >= FAILING_AFTER else AHEAD_MAX
        room = min(share - in_flight.get(endpoint.id, 0), free - len(jobs))
        if room > 0:
            names = _names(endpoint, now)
            keys = [custody.opened(name) for name in names]
            closed |= {name for name, key in zip(names, keys, strict=True) if key is None}
            if None not in keys:
                secrets = tuple(key for key in keys if key is not None)
                jobs += _claim_of(connection, endpoint, secrets, now, room)
    leased = now + LEASE_S
    rows = [{"row_id": j.delivery_id, "leased_until": leased, "until": j.expires_at} for j in jobs]
    _CLAIM(connection, rows)
    return jobs, closed


def _due_endpoints(now: int) -> Any:
    e, d = endpoints.c, deliveries.c
    due = exists(
        select(d.id).where(
            d.endpoint_id == e.id, has(d.state, DeliveryState.PENDING), d.due_at <= now
        )
    )
    columns = (e.id, e.url, e.secret, e.old_secret, e.old_secret_until, e.failures)
    return select(*columns).where(has(e.state, EndpointState.ACTIVE), e.not_before <= now, due)


def _names(endpoint: Any, now: int) -> list[bytes]:
    """Names of the secrets that sign now, the newest first."""
    names = [bytes(endpoint.secret)]
    if endpoint.old_secret is not None and (endpoint.old_secret_until or 0) > now:
        names.append(bytes(endpoint.old_secret))
    return names


def _claim_of(
    connection: Connection, endpoint: Any, secrets: tuple[bytes, ...], now: int, room: int
) -> list[Job]:
    d, v = deliveries.c, events.c
    query = (
        select(d.id, d.fence, d.tries, d.expires_at, v.public_id, v.payload)
        .join(events, v.id == d.event_id)
        .where(d.endpoint_id == endpoint.id, has(d.state, DeliveryState.PENDING), d.due_at <= now)
        .order_by(d.due_at, d.id)
        .limit(room)
        # Another process that claims at this moment has locked its rows: these are not waited for.
        .with_for_update(skip_locked=True, of=deliveries)
    )
    return [
        Job(
            delivery_id=row.id,
            fence=row.fence + 1,
            endpoint_id=endpoint.id,
            url=endpoint.url,
            secrets=secrets,
            event=ids.encode(ids.EVENT, bytes(row.public_id)),
            payload=bytes(row.payload),
            tries=row.tries,
            expires_at=row.expires_at or now + PATIENCE_S,
        )
        for row in connection.execute(query)
    ]


def release(connection: Connection, jobs: Sequence[Job], now: int) -> None:
    """Gives back what was claimed and not begun: it is due now."""
    rows = [{"row_id": job.delivery_id, "claimed": job.fence, "due": now} for job in jobs]
    _RELEASE(connection, sorted(rows, key=lambda row: row["row_id"]))


def wait_s(tries: int, dice: Random) -> float:
    """Seconds until the next attempt after `tries` of them: 5, 10, 20 ... up to 12 hours."""
    # More doublings than reach the longest wait would only make a huge number.
    doublings = min(tries - 1, 20)
    wait = min(FIRST_WAIT_S * (1 << doublings), LONGEST_WAIT_S)
    return wait * dice.uniform(1 - JITTER, 1 + JITTER)


def store(connection: Connection, results: Sequence[Result], now: int, dice: Random) -> set[int]:
    """Writes down what came of attempts. Returns end points (row numbers) that answered 410."""
    if not results:
        return set()
    # End points before deliveries, and each by number: the order in which everybody locks them.
    _note_health(connection, results, now)
    ended, again = [], []
    for result in sorted(results, key=lambda result: result.job.delivery_id):
        row = {
            "row_id": result.job.delivery_id,
            "claimed": result.job.fence,
            "status": result.answer.status,
            "outcome": result.answer.outcome,
        }
        due = _next_due(result, now, dice)
        if due is None:
            delivered = result.answer.outcome == "delivered"
            state = DeliveryState.DELIVERED if delivered else DeliveryState.FAILED
            ended.append(row | {"new_state": state.value, "now": now})
        else:
            again.append(row | {"due": due})
    _END(connection, ended)
    _AGAIN(connection, again)
    _ATTEMPTS(connection, [_logged(result) for result in results])
    return {r.job.endpoint_id for r in results if r.answer.outcome == "gone"}


def _next_due(result: Result, now: int, dice: Random) -> int | None:
    """When it is tried again; None: never."""
    if result.answer.outcome in ("delivered", "gone"):
        return None
    wait = wait_s(result.job.tries + 1, dice)
    # What the receiver asks for is kept to, but it cannot put itself off for ever.
    asked = min(result.answer.retry_after_s or 0, LONGEST_WAIT_S)
    due = now + round(max(wait, asked))
    return due if due <= result.job.expires_at else None


def _logged(result: Result) -> dict[str, Any]:
    return {
        "delivery_id": result.job.delivery_id,
        "at": result.at,
        "took_ms": result.took_ms,
        "status": result.answer.status,
        "outcome": result.answer.outcome,
        "answer": result.answer.text,
    }


def _note_health(connection: Connection, results: Sequence[Result], now: int) -> None:
    """Failures in a row, and until when an end point wants to be left alone."""
    e = endpoints.c
    good = {r.job.endpoint_id for r in results if r.answer.outcome == "delivered"}
    failures = Counter(r.job.endpoint_id for r in results if r.job.endpoint_id not in good)
    rest: dict[int, int] = {}
    for result in results:
        asked = result.answer.retry_after_s
        if asked:
            until = now + round(min(asked, LONGEST_WAIT_S))
            rest[result.job.endpoint_id] = max(rest.get(result.job.endpoint_id, 0), until)
    for endpoint in sorted(good | set(failures)):
        until = rest.get(endpoint, 0)
        values: dict[str, Any] = {"failures": e.failures + failures[endpoint]}
        if endpoint in good:
            values = {"failures": 0}
        if until:
            values["not_before"] = case((e.not_before < until, until), else_=e.not_before)
        changes = update(endpoints).where(e.id == endpoint).values(**values)
        if endpoint in good and not until:
            # Health that is as it was costs no write.
            changes = changes.where(e.failures != 0)
        connection.execute(changes)


def waiting(connection: Connection, now: int) -> tuple[int, int | None]:
    """How many deliveries wait; and since when the oldest that is due, of end points that take what
    they get (wall clock): a receiver that is off or fails puts itself off.
    """
    d, e = deliveries.c, endpoints.c
    pending = has(d.state, DeliveryState.PENDING)
    count = connection.execute(select(func.count()).where(pending)).scalar_one()
    well = (has(e.state, EndpointState.ACTIVE), e.failures == 0, e.not_before <= now)
    oldest = select(func.min(d.due_at)).join(endpoints, e.id == d.endpoint_id)
    return int(count), connection.execute(oldest.where(pending, *well)).scalar_one()
