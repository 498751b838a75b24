"""From the wire back to an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wallet_sdk.errors import OrderInvalid
from wallet_sdk.orders.base import Kind, Order, Reader
from wallet_sdk.orders.kinds import (
    Cancel,
    Join,
    Leave,
    NameRecovery,
    Recover,
    Redeem,
    SetOwner,
    SetProfile,
    SetTillKey,
    Transfer,
    Withdraw,
)
from wallet_sdk.orders.till import IssueBatch, Refund, Return

ORDER_TYPES: Final[tuple[type[Order], ...]] = (
    Join,
    Leave,
    IssueBatch,
    Redeem,
    Refund,
    Return,
    Transfer,
    Cancel,
    Withdraw,
    SetTillKey,
    SetOwner,
    SetProfile,
    NameRecovery,
    Recover,
)
_BY_KIND: Final[dict[int, type[Order]]] = {order.KIND: order for order in ORDER_TYPES}


@dataclass(frozen=True)
class SignedOrder:
    """An order and the signature that travels behind it."""

    order: Order
    signature: bytes

    @property
    def kind(self) -> Kind:
        """Which of the fourteen it is."""
        return self.order.KIND

    def encode(self) -> bytes:
        """The wire again, byte by byte what was decoded."""
        return self.order.encode(self.signature)


def decode(wire: bytes) -> SignedOrder:
    """Reads one order off the wire. Raises OrderInvalid: unknown kind, too short, no signature,
    impossible values.
    """
    if not wire:
        raise OrderInvalid("an order has at least its kind, got 0 bytes")
    order_type = _BY_KIND.get(wire[0])
    if order_type is None:
        raise OrderInvalid(f"no order has kind {wire[0]}")
    reader = Reader(wire[1:])
    order = order_type._read(reader)
    signature = reader.rest()
    if not signature:
        raise OrderInvalid("the order carries no signature")
    return SignedOrder(order, signature)
