"""What the mirror says about balances and positions, as the gateway needs it.

The gateway never touches the mirror's tables: an implementation asks the indexer's query functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Position:
    """A merchant's account with the network, units of the settlement asset.

    Attributes:
        position: what the network owes the merchant (negative: drawn credit).
        credit_limit: how far below zero it may go.
    """

    position: int
    credit_limit: int


@dataclass(frozen=True, slots=True)
class Head:
    """The last block that the mirror holds."""

    number: int
    hash: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Effect:
    """Where an order took effect."""

    block_number: int
    block_hash: bytes
    tx_hash: bytes


class Books(Protocol):
    """Reads of the mirror. Every method raises NotReady when it cannot be asked."""

    def head(self) -> Head | None:
        """The mirror's head; None before the first block."""
        ...

    def balances(self, addresses: Sequence[bytes], at: int) -> dict[bytes, int]:
        """Live points by address at second `at`; who is not named has none."""
        ...

    def position(self, merchant: int) -> Position | None:
        """The merchant's position; None: not registered (as far as the mirror knows)."""
        ...

    def effects(self, digests: Sequence[bytes]) -> dict[bytes, Effect]:
        """Where these orders took effect, as far as the mirror has read."""
        ...

    def issue_price(self, at: int) -> int:
        """What one point issued at second `at` may cost: face value + issue fee.

        Close to the end of an epoch the dearer of the two that it may fall into.
        """
        ...
