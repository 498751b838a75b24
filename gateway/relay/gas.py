"""Gas of orders: what is planned for, so that a relay transaction fits under the network's cap.

Measured figures stand in `benchmarks/gas.json`; these are upper bounds, since a relay that runs out
is mined in vain.
"""

from typing import Final

from gateway.codes import Kind
from wallet_sdk.signers import TRANSACTION_GAS_MAX

__all__ = ["ISSUE_ENTRIES_MAX", "RELAY_BASE", "TRANSACTION_GAS_MAX", "of_call", "of_order"]

RELAY_BASE: Final = 340_000
"""A transaction, the root of redemptions, and the 250,000 that Coalition wants to see left before
each order (it refuses the whole relay rather than let an order run dry)."""

_BASE: Final[dict[Kind, int]] = {
    Kind.JOIN: 76_000,
    Kind.ISSUE: 110_000,
    Kind.REDEEM: 40_000,
    # A proof of 16 steps and a redemption of the first Coalition: 113,000 as measured, alone.
    Kind.REFUND: 180_000,
    Kind.RETURN: 120_000,
    Kind.TRANSFER: 60_000,
    Kind.CANCEL: 70_000,
    # The settlement asset's own transfer included.
    Kind.WITHDRAW: 140_000,
}
ISSUE_ENTRY: Final = 8_600
"""An entry to a member, whose slot was paid for by joining: 7,900 at worst, and its calldata."""

ISSUE_ENTRIES_MAX: Final = 600
"""The contract's own limit, at which a batch still fits under the cap three times."""


def of_order(kind: Kind, entries: int = 0) -> int:
    """Upper bound of one order inside a relay, its calldata included."""
    return _BASE[kind] + entries * ISSUE_ENTRY


def of_call(data: bytes, *, creates: bool) -> int:
    """Upper bound of an operator's own transaction.

    A creation pays 200 gas a byte of code and two passes over its calldata (EIP-7623: at most 40 a
    byte); what constructors and the operator's functions do beside fits into the rest.
    """
    if creates:
        return min(TRANSACTION_GAS_MAX, 3_000_000 + 260 * len(data))
    return 1_500_000 + 40 * len(data)
