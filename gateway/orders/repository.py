"""Queries of orders: single rows and pages, joined with what places them on chain."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from gateway import cursors, ids
from gateway.codes import KIND_WORDS, STATE_WORDS, Kind, State, has
from gateway.errors import OrderUnknown
from gateway.tables import batches, members, merchants, orders, refusals
from wallet_sdk.types import to_hex

PAGE_MAX = 500

FAILURES = {
    "rejected_on_chain": "the network has proven that it can never take effect",
    "cancelled": "it was cancelled, and can never take effect",
}


def find(connection: Connection, order_id: str, tenant: int) -> dict[str, Any]:
    """The order, as it is shown, where the tenant may see it. Raises OrderUnknown."""
    try:
        raw = ids.decode(ids.ORDER, order_id)
    except Exception as error:
        raise OrderUnknown(f"there is no order {order_id[:40]!r}") from error
    query = shown_query().where(orders.c.public_id == raw)
    query = _visible(query, tenant)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise OrderUnknown(f"there is no order {order_id}", order=order_id)
    return shown(row)


def page(
    connection: Connection,
    tenant: int,
    *,
    states: Sequence[int],
    reference: str | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[dict[str, Any]], str | None]:
    """Orders newest first, and the cursor of the page after."""
    query = shown_query().order_by(orders.c.id.desc()).limit(limit + 1)
    query = _visible(query, tenant)
    if states:
        query = query.where(orders.c.state.in_(states))
    if reference is not None:
        query = query.where(orders.c.reference == reference)
    if cursor is not None:
        query = query.where(orders.c.id < cursors.decode(cursor))
    rows = connection.execute(query).all()
    more = len(rows) > limit
    shown_rows = [shown(row) for row in rows[:limit]]
    return shown_rows, cursors.encode(rows[limit - 1].id) if more else None


def _visible(query: Select[Any], tenant: int) -> Select[Any]:
    """A merchant sees its own orders, a member (below zero) those it is charged for, the network
    all.
    """
    if tenant > 0:
        return query.where(orders.c.merchant_id == tenant)
    if tenant < 0:
        return query.where(orders.c.member_id == -tenant)
    return query


def refused_page(
    connection: Connection, tenant: int, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Wishes that were refused as things stood, newest first, and the cursor of the page after."""
    c = refusals.c
    query = (
        select(
            refusals,
            merchants.c.public_id.label("merchant"),
            members.c.public_id.label("member"),
        )
        .outerjoin(merchants, merchants.c.id == c.merchant_id)
        .outerjoin(members, members.c.id == c.member_id)
        .order_by(c.id.desc())
        .limit(limit + 1)
    )
    if tenant:
        query = query.where(c.merchant_id == tenant)
    if cursor is not None:
        query = query.where(c.id < cursors.decode(cursor))
    rows = connection.execute(query).all()
    found = [
        {
            "kind": KIND_WORDS[row.kind].value,
            "merchant": _public(ids.MERCHANT, row.merchant),
            "member": _public(ids.MEMBER, row.member),
            "points": row.points,
            "reference": row.reference,
            "code": row.code,
            "at": row.at,
        }
        for row in rows[:limit]
    ]
    return found, cursors.encode(rows[limit - 1].id) if len(rows) > limit else None


def shown(row: Any) -> dict[str, Any]:
    """A row as the API tells it."""
    failure = None
    if row.failure is not None:
        detail = FAILURES.get(row.failure, "")
        failure = {"code": row.failure, "detail": f"{detail}: {row.failure_detail}".strip(": ")}
    special = {
        "amount": row.hold if row.kind == Kind.WITHDRAW else None,
        "of": _public(ids.ORDER, row.of_order),
        "follows": _public(ids.ORDER, row.follows),
        "shortfall": row.shortfall,
        "cancel_asked_at": row.cancel_asked_at,
    }
    return {
        "id": ids.encode(ids.ORDER, bytes(row.public_id)),
        "kind": KIND_WORDS[row.kind].value,
        "state": STATE_WORDS[row.state].value,
        "merchant": _public(ids.MERCHANT, row.merchant),
        "member": _public(ids.MEMBER, row.member),
        "to_member": _public(ids.MEMBER, row.to_member),
        "points": row.points,
        "reference": row.reference,
        "accepted_at": row.accepted_at,
        "failure": failure,
        "transaction": None if row.tx_hash is None else to_hex(bytes(row.tx_hash)),
        "block": row.block_number,
        **{name: value for name, value in special.items() if value is not None},
    }


def shown_query() -> Select[Any]:
    """What `shown` reads of each order."""
    sender, receiver = members.alias("sender"), members.alias("receiver")
    reversed_, failed = orders.alias("reversed"), orders.alias("failed")
    # The newest that failed under the same reference before this one came.
    follows = (
        select(failed.c.public_id)
        .where(
            failed.c.merchant_id == orders.c.merchant_id,
            failed.c.reference == orders.c.reference,
            failed.c.id < orders.c.id,
            has(failed.c.state, State.FAILED),
        )
        .order_by(failed.c.id.desc())
        .limit(1)
        .correlate(orders)
        .scalar_subquery()
    )
    return (
        select(
            orders,
            merchants.c.public_id.label("merchant"),
            sender.c.public_id.label("member"),
            receiver.c.public_id.label("to_member"),
            reversed_.c.public_id.label("of_order"),
            follows.label("follows"),
            batches.c.tx_hash,
            batches.c.block_number,
        )
        .outerjoin(merchants, merchants.c.id == orders.c.merchant_id)
        .outerjoin(sender, sender.c.id == orders.c.member_id)
        .outerjoin(receiver, receiver.c.id == orders.c.to_member_id)
        .outerjoin(reversed_, reversed_.c.id == orders.c.of_id)
        .outerjoin(batches, batches.c.id == orders.c.batch_id)
    )


def _public(prefix: str, raw: Any) -> str | None:
    return None if raw is None else ids.encode(prefix, bytes(raw))
