"""Gas of orders: what is planned for, so that a relay transaction fits under the network's cap.

Measured figures stand in `benchmarks/gas.json`; these are upper bounds, since a relay that runs out
is mined in vain.
"""

from typing import Final

from gateway.codes import Kind

TRANSACTION_GAS_MAX: Final = 16_777_216
"""EIP-7825: no transaction may have more, so no relay packs more."""

RELAY_BASE: Final = 60_000
"""A transaction, the calldata's head, the root of redemptions."""

_BASE: Final[dict[Kind, int]] = {
    Kind.JOIN: 180_000,
    Kind.ISSUE: 140_000,
    Kind.REDEEM: 90_000,
    Kind.TRANSFER: 90_000,
}
ISSUE_ENTRY: Final = 26_500
"""An entry to an account that has never held anything; one that has costs about 7,700."""
ISSUE_ENTRY_MEMBER: Final = 9_500
"""An entry to a member: joining has paid for the account's slot."""

ISSUE_ENTRIES_MAX: Final = 600
"""So that the worst case of one batch (all entries new) fits under the cap."""


def of_order(kind: Kind, entries: int = 0) -> int:
    """Upper bound of one order inside a relay, its calldata included."""
    return _BASE[kind] + entries * ISSUE_ENTRY_MEMBER


def of_call(data: bytes, *, creates: bool) -> int:
    """Upper bound of an operator's own transaction.

    A creation pays 200 gas a byte of code and two passes over its calldata (EIP-7623: at most 40 a
    byte); what constructors and the operator's functions do beside fits into the rest.
    """
    if creates:
        return min(TRANSACTION_GAS_MAX, 3_000_000 + 260 * len(data))
    return 500_000 + 40 * len(data)
