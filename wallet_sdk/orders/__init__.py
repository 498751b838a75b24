"""Signed orders: fourteen frozen dataclasses, their EIP-712 digests and their wire format.

order = Redeem(member, merchant=3, points=500, nonce=1, deadline=now + 600, ref=ref)
wire = order.encode(signer.sign(order.digest(Domain(chain_id, coalition))))
"""

from wallet_sdk.orders.base import SIGNATURE_BYTES, Domain, Kind, Order
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
from wallet_sdk.orders.till import ENTRIES_MAX, ENTRY_BYTES, IssueBatch, Redemption, Refund, Return
from wallet_sdk.orders.wire import ORDER_TYPES, SignedOrder, decode

__all__ = [
    "ENTRIES_MAX",
    "ENTRY_BYTES",
    "ORDER_TYPES",
    "SIGNATURE_BYTES",
    "Cancel",
    "Domain",
    "IssueBatch",
    "Join",
    "Kind",
    "Leave",
    "NameRecovery",
    "Order",
    "Recover",
    "Redeem",
    "Redemption",
    "Refund",
    "Return",
    "SetOwner",
    "SetProfile",
    "SetTillKey",
    "SignedOrder",
    "Transfer",
    "Withdraw",
    "decode",
]
