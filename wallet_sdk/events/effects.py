"""Events of Coalition: effects of orders. `digest` is the EIP-712 digest that was signed."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.events.base import Event
from wallet_sdk.types import Address, Digest, Money, Points, Seconds


@dataclass(frozen=True)
class Joined(Event, abi="Joined(bytes32 indexed digest, address indexed member)"):
    """A member joined."""

    digest: Digest
    member: Address


@dataclass(frozen=True)
class Left(Event, abi="Left(bytes32 indexed digest, address indexed member)"):
    """A member left; points stay until spent or expired."""

    digest: Digest
    member: Address


@dataclass(frozen=True)
class Issued(
    Event,
    abi=(
        "Issued(bytes32 indexed digest, uint32 indexed merchant, uint256 nonce, "
        "uint256 epoch, uint256 points, uint256 charged, bytes32 referencesRoot)"
    ),
):
    """A batch was issued; `charged` = points x (face value + issue fee of the epoch)."""

    digest: Digest
    merchant: int
    nonce: int
    epoch: int
    points: Points
    charged: Money
    references_root: Digest


@dataclass(frozen=True)
class Redeemed(
    Event,
    abi=(
        "Redeemed(bytes32 indexed digest, address indexed member, uint32 indexed merchant, "
        "uint256 points, uint256 paid, uint256 buckets, bytes32 ref)"
    ),
):
    """Points were redeemed; `paid` is the sum over buckets of (face value - that epoch's fee)."""

    digest: Digest
    member: Address
    merchant: int
    points: Points
    paid: Money
    buckets: int
    ref: Digest


@dataclass(frozen=True)
class RedemptionsRooted(Event, abi="RedemptionsRooted(bytes32 indexed root, uint256 count)"):
    """The Merkle root over the redemptions of one relay."""

    root: Digest
    count: int


@dataclass(frozen=True)
class Refunded(
    Event,
    abi=(
        "Refunded(bytes32 indexed digest, address indexed member, uint32 indexed merchant, "
        "bytes32 leaf, uint256 points, uint256 charged, uint256 buckets)"
    ),
):
    """Points of a redemption were given back into their epochs."""

    digest: Digest
    member: Address
    merchant: int
    leaf: Digest
    points: Points
    charged: Money
    buckets: int


@dataclass(frozen=True)
class Returned(
    Event,
    abi=(
        "Returned(bytes32 indexed digest, address indexed member, uint32 indexed merchant, "
        "uint256 epoch, uint256 points, uint256 credited, bytes32 ref)"
    ),
):
    """Goods came back: an issue was reversed."""

    digest: Digest
    member: Address
    merchant: int
    epoch: int
    points: Points
    credited: Money
    ref: Digest


@dataclass(frozen=True)
class Transferred(
    Event,
    abi=(
        "Transferred(bytes32 indexed digest, address indexed from, address indexed to, "
        "uint256 points)"
    ),
):
    """A member gave points to another by order."""

    digest: Digest
    from_: Address
    to: Address
    points: Points


@dataclass(frozen=True)
class Cancelled(
    Event,
    abi=(
        "Cancelled(bytes32 indexed digest, address indexed signer, uint32 indexed merchant, "
        "uint256 nonce)"
    ),
):
    """A nonce was used up; `merchant` 0: a member's."""

    digest: Digest
    signer: Address
    merchant: int
    nonce: int


@dataclass(frozen=True)
class Withdrawn(
    Event,
    abi=(
        "Withdrawn(bytes32 indexed digest, uint32 indexed merchant, address indexed to, "
        "uint256 amount)"
    ),
):
    """A merchant took money out of its position."""

    digest: Digest
    merchant: int
    to: Address
    amount: Money


@dataclass(frozen=True)
class TillKeySet(
    Event,
    abi=(
        "TillKeySet(bytes32 indexed digest, uint32 indexed merchant, address indexed key, "
        "bool active)"
    ),
):
    """A till key was added or revoked."""

    digest: Digest
    merchant: int
    key: Address
    active: bool


@dataclass(frozen=True)
class OwnerSet(
    Event, abi="OwnerSet(bytes32 indexed digest, uint32 indexed merchant, address indexed owner)"
):
    """A merchant has another owner."""

    digest: Digest
    merchant: int
    owner: Address


@dataclass(frozen=True)
class ProfileSet(
    Event, abi="ProfileSet(bytes32 indexed digest, uint32 indexed merchant, bytes32 profileHash)"
):
    """The hash of a merchant's public profile."""

    digest: Digest
    merchant: int
    profile_hash: Digest


@dataclass(frozen=True)
class RecoveryNamed(
    Event,
    abi=("RecoveryNamed(bytes32 indexed digest, address indexed member, address indexed recovery)"),
):
    """A member named (or with the zero address unnamed) who may recover the account."""

    digest: Digest
    member: Address
    recovery: Address


@dataclass(frozen=True)
class RecoveryStarted(
    Event,
    abi=(
        "RecoveryStarted(bytes32 indexed digest, address indexed member, "
        "address indexed recovery, uint256 finishableAt)"
    ),
):
    """A recovery runs; the member can end it before `finishable_at`."""

    digest: Digest
    member: Address
    recovery: Address
    finishable_at: Seconds


@dataclass(frozen=True)
class Recovered(Event, abi="Recovered(address indexed member, address indexed recovery)"):
    """An account moved to its recovery address."""

    member: Address
    recovery: Address


@dataclass(frozen=True)
class Rejected(
    Event, abi="Rejected(bytes32 indexed digest, address indexed relayer, bytes reason)"
):
    """An authentic order could not take effect now. News, never proof. `reason` is revert data."""

    digest: Digest
    relayer: Address
    reason: bytes
