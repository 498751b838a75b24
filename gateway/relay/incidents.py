"""What happened that a person should know of: stored once, shown until it is over or acknowledged.

Some of them keep the relay closed, in every process and over restarts, until a person has said what
is to be done.
"""

import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.database import Database
from gateway.errors import NotReady
from gateway.tables import audit, incidents
from gateway.webhooks import outbox
from gateway.webhooks.events import Event
from wallet_sdk.types import Address

log = logging.getLogger(__name__)


class Incident(StrEnum):
    """Kinds of incidents."""

    RELAYER_DRAINED = "relayer_drained"
    STRANGERS_NONCE = "strangers_nonce"
    REORG_BELOW_FINALITY = "reorg_below_finality"
    WRONG_CHAIN = "wrong_chain"
    BOOK_BEHIND_CHAIN = "book_behind_chain"
    COALITION_SUCCEEDED = "coalition_succeeded"
    CALL_UNDECIDED = "call_undecided"


CLOSING: Final = (
    Incident.REORG_BELOW_FINALITY,
    Incident.BOOK_BEHIND_CHAIN,
    Incident.COALITION_SUCCEEDED,
)
"""Kinds that keep the relay closed: order book and chain tell different stories. `banyan reconcile`
ends them; nobody can wave them through.
"""

HELP: Final[dict[Incident, str]] = {
    Incident.RELAYER_DRAINED: "Send coin to the relayer; it comes back by itself.",
    Incident.STRANGERS_NONCE: (
        "Somebody else has the relayer's key. No point can move by it, but its coin can: make new "
        "relayers, move what it holds, acknowledge."
    ),
    Incident.REORG_BELOW_FINALITY: (
        "The chain has replaced a block that was final. Find out which history stands and let the "
        "auditor run; then `banyan reconcile` matches the order book with the chain as it is."
    ),
    Incident.WRONG_CHAIN: "A node serves another chain than the deployment's. Mend its URL.",
    Incident.BOOK_BEHIND_CHAIN: (
        "The chain holds orders that this order book does not know: it was restored from an older "
        "backup, or its server failed over to one that was behind. Run `banyan reconcile`."
    ),
    Incident.COALITION_SUCCEEDED: (
        "Another Coalition has taken over. Start every gateway and relay anew: they then sign for "
        "the successor. `banyan reconcile` opens again; what was signed for the old one and had no "
        "effect is signed anew once its deadline has passed."
    ),
    Incident.CALL_UNDECIDED: (
        "The node does not show what became of a call, and it is not sent again: it could be "
        "carried out twice. Set BANYAN_RPC_URL to a node that keeps receipts; then it ends by "
        "itself."
    ),
}

_open = (incidents.c.ended_at.is_(None), incidents.c.acknowledged_at.is_(None))


def note(connection: Connection, kind: Incident, subject: str, detail: str, now: int) -> bool:
    """Writes the incident down unless it is open already. True: it is new."""
    c = incidents.c
    same = select(c.id).where(c.kind == kind.value, c.subject == subject, *_open)
    if connection.execute(same).first() is not None:
        return False
    row = {"kind": kind.value, "subject": subject, "detail": detail, "noticed_at": now}
    made = connection.execute(insert(incidents).returning(incidents), row).all()
    outbox.tell_network(connection, Event.NOTICED, [_told(1, one) for one in made], now)
    log.error("incident: %s %s: %s", kind.value, subject, detail)
    return True


def end(connection: Connection, kind: Incident, subject: str | None, now: int) -> int:
    """The cause is gone (of all subjects: None). Returns how many ended."""
    c = incidents.c
    statement = update(incidents).where(c.kind == kind.value, *_open).values(ended_at=now)
    if subject is not None:
        statement = statement.where(c.subject == subject)
    ended = connection.execute(statement.returning(incidents)).all()
    outbox.tell_network(connection, Event.ENDED, [_told(2, one) for one in ended], now)
    return len(ended)


def acknowledge(connection: Connection, number: int, actor: str, now: int) -> bool:
    """A person has taken note; False: there is no such open incident, or only `banyan reconcile`
    ends it.
    """
    c = incidents.c
    done = connection.execute(
        update(incidents)
        .where(c.id == number, c.kind.not_in(CLOSING), *_open)
        .values(acknowledged_at=now, acknowledged_by=actor)
        .returning(incidents)
    ).all()
    outbox.tell_network(connection, Event.ENDED, [_told(2, one) for one in done], now)
    if done:
        row = {
            "at": now,
            "actor": actor,
            "action": "acknowledge",
            "subject": f"incident {number}",
            "detail": "",
        }
        connection.execute(insert(audit), row)
    return bool(done)


def _told(sequence: int, row: Any) -> dict[str, Any]:
    """What the operator's end points are told: the incident as it stands, and what to do."""
    names = ("id", "kind", "subject", "detail", "noticed_at", "ended_at")
    names_of_end = ("acknowledged_at", "acknowledged_by")
    shown = {name: getattr(row, name) for name in (*names, *names_of_end)}
    shown["help"] = HELP[Incident(row.kind)]
    return {"sequence": sequence, "incident": shown}


def open_ones(connection: Connection) -> Sequence[Any]:
    """Open incidents, the oldest first."""
    return connection.execute(select(incidents).where(*_open).order_by(incidents.c.id)).all()


def not_ended(connection: Connection, kind: Incident) -> dict[str, bool]:
    """Subjects of incidents of this kind that have not ended, and whether they are open (or a
    person has acknowledged them).
    """
    c = incidents.c
    query = select(c.subject, c.acknowledged_at).where(c.kind == kind.value, c.ended_at.is_(None))
    return {row.subject: row.acknowledged_at is None for row in connection.execute(query)}


def get(connection: Connection, number: int) -> Any:
    """The incident with this number; None: there is none."""
    query = select(incidents).where(incidents.c.id == number)
    return connection.execute(query).one_or_none()


def newest(connection: Connection, most: int) -> Sequence[Any]:
    """Incidents of any state, the newest first."""
    query = select(incidents).order_by(incidents.c.id.desc()).limit(most)
    return connection.execute(query).all()


def counts(connection: Connection) -> dict[str, int]:
    """Open incidents by kind, all kinds named."""
    query = select(incidents.c.kind, func.count()).where(*_open).group_by(incidents.c.kind)
    found = {row[0]: int(row[1]) for row in connection.execute(query)}
    return {kind.value: found.get(kind.value, 0) for kind in Incident}


def is_open(connection: Connection, kind: Incident) -> bool:
    """Whether there is an incident of this kind."""
    query = select(incidents.c.id).where(incidents.c.kind == kind.value, *_open)
    return connection.execute(query.limit(1)).first() is not None


def closing(connection: Connection, kinds: Sequence[Incident] = CLOSING) -> str | None:
    """Why nothing may be relayed now; None: nothing (of these `kinds`) is in the way."""
    c = incidents.c
    query = select(c.id, c.kind, c.detail).where(c.kind.in_(kinds), *_open).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else f"{row.kind}: {row.detail} (incident {row.id})"


def succession(
    database: Database, books: Books, coalition: Address, clock: NetworkClock
) -> str | None:
    """Notes it when Points obeys another Coalition than `coalition`, for which this process signs,
    and says so; None: it is still the one, or the mirror does not tell now.
    """
    try:
        present = books.coalition()
    except NotReady:
        return None
    if present is None or present.lower() == coalition.lower():
        return None
    told = f"Points obeys the Coalition {present} now, and orders are signed for {coalition}"
    with database.write() as connection:
        note(connection, Incident.COALITION_SUCCEEDED, present, told, clock.now())
    return told
