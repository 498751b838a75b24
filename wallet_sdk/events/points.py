"""Events of Points; Transfer and Approval are those of every ERC-20, BankReceipt included."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.events.base import Event
from wallet_sdk.types import Address, Seconds


@dataclass(frozen=True)
class BucketsMoved(
    Event, abi="BucketsMoved(address indexed from, address indexed to, uint256 buckets)"
):
    """Which buckets a movement took that was not soonest to expire first; beside its Transfer."""

    from_: Address
    to: Address
    buckets: int


@dataclass(frozen=True)
class MemberSet(Event, abi="MemberSet(address indexed member, bool isMember)"):
    """The member bit of an account changed."""

    member: Address
    is_member: bool


@dataclass(frozen=True)
class CoalitionProposed(
    Event, abi="CoalitionProposed(address indexed successor, uint256 acceptableAt)"
):
    """A successor may take over from `acceptable_at` on, unless it is vetoed."""

    successor: Address
    acceptable_at: Seconds


@dataclass(frozen=True)
class CoalitionVetoed(Event, abi="CoalitionVetoed(address indexed successor)"):
    """The proposal ended."""

    successor: Address


@dataclass(frozen=True)
class CoalitionChanged(
    Event, abi="CoalitionChanged(address indexed previous, address indexed current)"
):
    """The successor took over."""

    previous: Address
    current: Address


@dataclass(frozen=True)
class Approval(
    Event, abi="Approval(address indexed owner, address indexed spender, uint256 value)"
):
    """ERC-20: what `spender` may move for `owner`."""

    owner: Address
    spender: Address
    value: int


@dataclass(frozen=True)
class Transfer(Event, abi="Transfer(address indexed from, address indexed to, uint256 value)"):
    """ERC-20: points (or receipts) moved; mint from the zero address, burn to it. Expiry writes
    none.
    """

    from_: Address
    to: Address
    value: int
