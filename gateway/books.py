"""What the mirror says about balances and positions, as the gateway needs it.

The gateway never touches the mirror's tables: an implementation asks the indexer's query functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wallet_sdk.types import Address


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


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption that took effect: what a refund names and proves, points by epoch. `coalition`:
    for which it was signed.
    """

    buckets: int
    points_by_epoch: dict[int, int]
    proof: tuple[bytes, ...]
    refunded: int
    coalition: Address


@dataclass(frozen=True, slots=True)
class Window:
    """What bounds a return: the epoch of the issue, the member's live points by epoch, and what of
    the merchant's issue may still come back.

    Attributes:
        buckets: live points of the member by epoch.
        cap_left: points that the merchant's return cap leaves in that epoch.
        open: whether the epoch is the current one or the one before.
        ends_at: the first second at which nothing of it can be returned any more.
    """

    epoch: int
    buckets: dict[int, int]
    cap_left: int
    open: bool
    ends_at: int


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

    def redemption(self, digest: bytes) -> Redemption | None:
        """The redemption that this order made; None: not mirrored."""
        ...

    def coalition(self) -> Address | None:
        """The Coalition that Points obeys after the last final block; None before the first."""
        ...

    def live_until(self, epoch: int) -> int:
        """The first second at which points of `epoch` are gone."""
        ...

    def redeem_price(self, epoch: int) -> int:
        """What one point of `epoch` is redeemed at: face value - redeem fee."""
        ...

    def return_window(self, digest: bytes, merchant: int, address: bytes, at: int) -> Window | None:
        """What bounds a return of what the IssueBatch `digest` issued; None: not mirrored."""
        ...

    @property
    def face_value(self) -> int:
        """Units of the settlement asset that a point stands for."""
        ...

    def issue_price(self, at: int) -> int:
        """What one point issued at second `at` may cost: face value + issue fee.

        Close to the end of an epoch the dearer of the two that it may fall into.
        """
        ...
