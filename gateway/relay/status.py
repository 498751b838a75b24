"""How the carrying of orders stands, read from the order book alone: any process can tell."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, select

from gateway.codes import AttemptState, BatchState, Kind, SlotState, State, has, lives
from gateway.errors import Conflict
from gateway.relay import incidents, reorg
from gateway.tables import attempts, batches, leases, nonce_slots, orders, relayers
from wallet_sdk.types import address_of, to_hex

# A line whose oldest transaction is in no block for so long needs a person: bumps have not helped.
STUCK_AFTER_S = 600


def trouble(connection: Connection, pool: Sequence[bytes]) -> str | None:
    """Why nothing is carried to the chain now, in one sentence; None: it goes on."""
    closed = incidents.closing(connection)
    if closed is not None:
        return closed
    query = select(relayers.c.address).where(relayers.c.set_aside_at.is_not(None))
    drained = {bytes(address) for address in connection.execute(query).scalars()}
    if pool and drained.issuperset(pool):
        return "no relayer can pay for a transaction: send coin to one of them"
    return None


def lines(connection: Connection, now: int) -> list[dict[str, Any]]:
    """Every account that has sent anything: what is in flight, since when, what it holds."""
    s, a = nonce_slots.c, attempts.c
    mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
    waiting = (
        select(s.relayer, func.count(), func.min(s.nonce), func.min(s.reserved_at))
        .where(lives(s.state), s.id.not_in(mined))
        .group_by(s.relayer)
    )
    in_flight = {bytes(row[0]): row for row in connection.execute(waiting)}
    funds = {bytes(row.address): row for row in connection.execute(select(relayers))}
    known = connection.execute(select(s.relayer).distinct()).scalars()
    found = []
    for relayer in sorted({bytes(address) for address in known} | funds.keys()):
        _, count, nonce, since = in_flight.get(relayer, (relayer, 0, None, None))
        balance = funds.get(relayer)
        found.append(
            {
                "relayer": address_of(relayer),
                "in_flight": count,
                "oldest_nonce": nonce,
                "oldest_waits_s": None if since is None else max(now - since, 0),
                "balance_wei": None if balance is None else balance.balance_wei,
                "needed_wei": None if balance is None else balance.needed_wei,
                "set_aside_at": None if balance is None else balance.set_aside_at,
            }
        )
    return found


def waiting_slots(connection: Connection, now: int) -> list[dict[str, Any]]:
    """Slots whose bytes are in no block, by line and nonce, with what a node last said of them."""
    s, a, b = nonce_slots.c, attempts.c, batches.c
    mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
    slots = connection.execute(
        select(nonce_slots).where(lives(s.state), s.id.not_in(mined)).order_by(s.relayer, s.nonce)
    ).all()
    found = []
    for slot in slots:
        inside = connection.execute(
            select(func.count()).where(b.slot_id == slot.id, b.state == BatchState.SEALED.value)
        ).scalar_one()
        tried = connection.execute(
            select(attempts).where(a.slot_id == slot.id).order_by(a.id)
        ).all()
        newest = tried[-1] if tried else None
        found.append(
            {
                "relayer": address_of(bytes(slot.relayer)),
                "nonce": slot.nonce,
                "waits_s": max(now - slot.reserved_at, 0),
                "batches": inside,
                "attempts": len(tried),
                "hash": None if newest is None else to_hex(bytes(newest.hash)),
                "fee_cap_wei": None if newest is None else newest.fee_cap,
                "said": None if newest is None else newest.reason,
            }
        )
    return found


def holders(connection: Connection) -> list[dict[str, Any]]:
    """Who holds which lease (PostgreSQL), by name."""
    c = leases.c
    query = select(c.name, c.holder, c.fence).where(~c.name.like("worker %")).order_by(c.name)
    return [dict(row._mapping) for row in connection.execute(query)]


def unstick(connection: Connection, relayer: bytes, nonce: int, now: int) -> int | None:
    """What waits on this nonce may go out on others; a no-op then uses the nonce up.

    Returns how many batches were freed; None: no such nonce waits. Raises Conflict: it is a call's.
    An order counts once, whichever transaction carries it; a call has no nonce of its own on chain,
    and on another one of its sender's it could be carried out twice.
    """
    s, a = nonce_slots.c, attempts.c
    mined = select(a.slot_id).where(lives(a.state), has(a.state, AttemptState.MINED))
    query = select(s.id).where(
        and_(s.relayer == relayer, s.nonce == nonce, lives(s.state)),
        has(s.state, SlotState.FILLED),
        s.id.not_in(mined),
    )
    slot = connection.execute(query).scalar_one_or_none()
    if slot is None:
        return None
    b = batches.c
    calls = select(b.label).where(
        b.slot_id == slot, b.state == BatchState.SEALED.value, b.kind == Kind.CALL.value
    )
    label = connection.execute(calls).scalar_one_or_none()
    if label is not None:
        raise Conflict(
            f"nonce {nonce} carries the call {label!r}: on another it could be carried out twice",
            nonce=nonce,
        )
    return reorg.relieve(connection, [slot], now)


def open_orders(connection: Connection) -> int:
    """Orders that have not ended: waiting ones, and those inside live batches."""
    waiting = select(func.count()).where(has(orders.c.state, State.ACCEPTED))
    inside = select(func.coalesce(func.sum(batches.c.order_count), 0)).where(
        lives(batches.c.state), batches.c.kind != Kind.CALL.value
    )
    return int(connection.execute(waiting).scalar_one()) + int(
        connection.execute(inside).scalar_one()
    )
