"""The orders of members and owners: plain fields, signed by the party they charge."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.buckets import NONCE_MAX, POINTS_MAX
from wallet_sdk.errors import OrderInvalid
from wallet_sdk.orders.base import Kind, Order
from wallet_sdk.types import ZERO_ADDRESS, Address, Digest, Money, Points, Seconds


def check_points(points: Points, most: int) -> None:
    """Raises OrderInvalid: no points, or more than an account can ever hold."""
    if not 1 <= points <= most:
        raise OrderInvalid(f"points: 1 to {most}, got {points}")


def check_member_nonce(nonce: int) -> None:
    """Raises OrderInvalid on nonce 0: a fresh account's highest nonce is 0 and counts as used."""
    if not 1 <= nonce <= NONCE_MAX:
        raise OrderInvalid(f"nonce: a member's nonces are 1 to {NONCE_MAX}, got {nonce}")


def check_merchant(merchant: int) -> None:
    """Raises OrderInvalid on merchant 0, which the contracts read as "none"."""
    if merchant == 0:
        raise OrderInvalid("merchant: 0 is no merchant")


def check_address(name: str, address: Address) -> None:
    """Raises OrderInvalid on the zero address, which nobody can sign for or spend from."""
    if address == ZERO_ADDRESS:
        raise OrderInvalid(f"{name}: the zero address")


@dataclass(frozen=True)
class Join(Order):
    """Sets the member bit and mints the pass. Signed by the member."""

    KIND = Kind.JOIN
    TYPE = "Join(address member,uint24 nonce,uint40 deadline)"

    member: Address
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_address("member", self.member)
        check_member_nonce(self.nonce)


@dataclass(frozen=True)
class Leave(Order):
    """Clears the member bit and burns the pass; points stay until spent or expired. Signed by the
    member.
    """

    KIND = Kind.LEAVE
    TYPE = "Leave(address member,uint24 nonce,uint40 deadline)"

    member: Address
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_address("member", self.member)
        check_member_nonce(self.nonce)


@dataclass(frozen=True)
class Redeem(Order):
    """Burns the member's points, soonest to expire first, for the merchant that honours them.
    Signed by the member.

    `ref` is random or a keyed hash, never a plain hash of a receipt number: it is public for ever.
    """

    KIND = Kind.REDEEM
    TYPE = (
        "Redeem(address member,uint32 merchant,uint40 points,"
        "uint24 nonce,uint40 deadline,bytes32 ref)"
    )

    member: Address
    merchant: int
    points: Points
    nonce: int
    deadline: Seconds
    ref: Digest

    def _check(self) -> None:
        check_address("member", self.member)
        check_merchant(self.merchant)
        check_points(self.points, POINTS_MAX)
        check_member_nonce(self.nonce)


@dataclass(frozen=True)
class Transfer(Order):
    """Member to member, soonest to expire first, age kept. Signed by the sender."""

    KIND = Kind.TRANSFER
    TYPE = "Transfer(address from,address to,uint40 points,uint24 nonce,uint40 deadline)"

    from_: Address
    to: Address
    points: Points
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_address("from", self.from_)
        check_address("to", self.to)
        check_points(self.points, POINTS_MAX)
        check_member_nonce(self.nonce)


@dataclass(frozen=True)
class Cancel(Order):
    """Uses a nonce up: the quick proof that an order can never take effect.

    `merchant` 0: a member's nonce; otherwise a merchant's, signed by its till key or its owner.
    """

    KIND = Kind.CANCEL
    TYPE = "Cancel(address signer,uint32 merchant,uint64 nonce,uint40 deadline)"

    signer: Address
    merchant: int
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_address("signer", self.signer)
        if self.merchant == 0:
            check_member_nonce(self.nonce)


@dataclass(frozen=True)
class Withdraw(Order):
    """Pays `amount` of the merchant's position out to `to`. Signed by the merchant's owner, never a
    till key.
    """

    KIND = Kind.WITHDRAW
    TYPE = "Withdraw(uint32 merchant,address to,uint128 amount,uint64 nonce,uint40 deadline)"

    merchant: int
    to: Address
    amount: Money
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_merchant(self.merchant)
        check_address("to", self.to)
        if self.amount == 0:
            raise OrderInvalid("amount: nothing to withdraw")


@dataclass(frozen=True)
class SetTillKey(Order):
    """Adds or revokes a till key. Signed by the merchant's owner."""

    KIND = Kind.SET_TILL_KEY
    TYPE = "SetTillKey(uint32 merchant,address key,bool active,uint64 nonce,uint40 deadline)"

    merchant: int
    key: Address
    active: bool
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_merchant(self.merchant)
        check_address("key", self.key)


@dataclass(frozen=True)
class SetOwner(Order):
    """Hands the merchant to another owner. Signed by the present one."""

    KIND = Kind.SET_OWNER
    TYPE = "SetOwner(uint32 merchant,address owner,uint64 nonce,uint40 deadline)"

    merchant: int
    owner: Address
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_merchant(self.merchant)
        check_address("owner", self.owner)


@dataclass(frozen=True)
class SetProfile(Order):
    """Puts the hash of the merchant's public profile on chain. Signed by the owner."""

    KIND = Kind.SET_PROFILE
    TYPE = "SetProfile(uint32 merchant,bytes32 profileHash,uint64 nonce,uint40 deadline)"

    merchant: int
    profile_hash: Digest
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_merchant(self.merchant)


@dataclass(frozen=True)
class NameRecovery(Order):
    """Names the address that may recover the account, and ends a running recovery. Signed by the
    member.

    The zero address takes the name back.
    """

    KIND = Kind.NAME_RECOVERY
    TYPE = "NameRecovery(address member,address recovery,uint24 nonce,uint40 deadline)"

    member: Address
    recovery: Address
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_address("member", self.member)
        check_member_nonce(self.nonce)


@dataclass(frozen=True)
class Recover(Order):
    """Starts the recovery of a lost account. Signed by the recovery address, with its own nonce."""

    KIND = Kind.RECOVER
    TYPE = "Recover(address member,address recovery,uint24 nonce,uint40 deadline)"

    member: Address
    recovery: Address
    nonce: int
    deadline: Seconds

    def _check(self) -> None:
        check_address("member", self.member)
        check_address("recovery", self.recovery)
        check_member_nonce(self.nonce)
