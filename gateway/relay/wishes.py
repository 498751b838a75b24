"""What an order on the chain wished, an entry each: how to know it again in the book, and the row
if the book has none.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from gateway.codes import State
from gateway.orders.known import parts
from gateway.relay.onchain import FoundOrder
from gateway.tables import members
from wallet_sdk.orders import IssueBatch, Join, Redeem, Refund, Return, Transfer, Withdraw
from wallet_sdk.types import Address, address_bytes


def wishes_of(connection: Connection, row: dict[str, Any], one: FoundOrder) -> list[dict[str, Any]]:
    """`key` (kind, merchant, member, points, and what it does beyond that: the receiver, the money,
    the reference of the redemption that is refunded) and `row` of each entry.

    `row`: the batch's. A cancellation and the owner's settings carry no order: there is nothing.
    """
    order, member = one.order, row["member_id"]
    if isinstance(order, IssueBatch):
        entries = [(address_bytes(address), points) for address, points in order.entries]
        numbers = _numbers(connection, [address for address, _ in entries])
        return [
            _wish(row, one, n, numbers.get(address), points)
            for n, (address, points) in enumerate(entries)
        ]
    if isinstance(order, Join):
        return [_wish(row, one, 0, member, 0)]
    if isinstance(order, Redeem):
        return [_wish(row, one, 0, member, order.points)]
    if isinstance(order, Transfer):
        to = _number(connection, order.to)
        return [_wish(row, one, 0, member, order.points, to, {"to_member_id": to})]
    if isinstance(order, Refund):
        redemption = order.redemption
        member = _number(connection, redemption.member)
        return [_wish(row, one, 0, member, order.points, redemption.ref)]
    if isinstance(order, Return):
        of = {"epoch": order.epoch}
        return [_wish(row, one, 0, _number(connection, order.member), order.points, None, of)]
    if isinstance(order, Withdraw):
        return [_wish(row, one, 0, None, 0, order.amount)]
    return []


def _wish(
    row: dict[str, Any],
    one: FoundOrder,
    n: int,
    member: int | None,
    points: int,
    detail: int | str | None = None,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    merchant = row["merchant_id"] or 0
    return {
        "key": (row["kind"], merchant, member, points, detail),
        "row": {
            "kind": row["kind"],
            "state": State.INCLUDED.value,
            "merchant_id": merchant,
            # 0: the entry went to a wallet that is nobody's here.
            "member_id": member or 0,
            "to_member_id": None,
            "epoch": None,
            "points": points,
            "hold": 0,
            "reference": f"found on chain 0x{one.digest.hex()[:16]} {n}",
            "accepted_at": one.effect.time,
            "changed_at": one.effect.time,
            **(more or {}),
        },
    }


def _number(connection: Connection, address: Address) -> int | None:
    raw = address_bytes(address)
    return _numbers(connection, [raw]).get(raw)


def _numbers(connection: Connection, addresses: Sequence[bytes]) -> dict[bytes, int]:
    c = members.c
    found: dict[bytes, int] = {}
    for part in parts(sorted(set(addresses))):
        query = select(c.address, c.id).where(c.address.in_(part))
        found |= {bytes(address): number for address, number in connection.execute(query)}
    return found


def member_of(one: FoundOrder) -> bytes | None:
    """Who signed it, where that is a member."""
    order = one.order
    if isinstance(order, Transfer):
        return address_bytes(order.from_)
    if isinstance(order, Join | Redeem):
        return address_bytes(order.member)
    return None


def addresses_of(one: FoundOrder) -> list[Address]:
    """Every member that the order names."""
    order = one.order
    if isinstance(order, IssueBatch):
        return [member for member, _ in order.entries]
    if isinstance(order, Transfer):
        return [order.from_, order.to]
    return [order.member] if isinstance(order, Join | Redeem | Return) else []
