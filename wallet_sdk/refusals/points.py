"""Refusals of Points."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Address, Points, Seconds


class NotMember(ContractRefused, abi="NotMember(address account)"):
    """Only members may hold points here, and this account is none."""

    account: Address


class AlreadyMember(ContractRefused, abi="AlreadyMember(address account)"):
    """The account is a member already."""

    account: Address


class TransfersClosed(ContractRefused, abi="TransfersClosed()"):
    """Points are earned and redeemed only; nobody may transfer them here."""


class BucketFull(ContractRefused, abi="BucketFull(address account, uint256 epoch, uint256 points)"):
    """The account's bucket of this epoch cannot take so many points more."""

    account: Address
    epoch: int
    points: Points


class BucketTooLow(
    ContractRefused,
    abi="BucketTooLow(address account, uint256 epoch, uint256 available, uint256 points)",
):
    """The account's bucket of this epoch holds less than asked."""

    account: Address
    epoch: int
    available: Points
    points: Points | None


class EpochExpired(ContractRefused, abi="EpochExpired(uint256 epoch)"):
    """Points of this epoch have expired."""

    epoch: int


class NonceUsed(ContractRefused, abi="NonceUsed(address account, uint256 nonce)"):
    """The nonce was used by another order of this account."""

    account: Address
    nonce: int


class NonceTooHigh(
    ContractRefused,
    abi="NonceTooHigh(address account, uint256 nonce, uint256 highest)",
):
    """The nonce lies more than six above the highest that the account used."""

    account: Address
    nonce: int
    highest: int


class NoncesExhausted(ContractRefused, abi="NoncesExhausted(address account)"):
    """The account has used all of its order nonces."""

    account: Address


class EntriesMalformed(ContractRefused, abi="EntriesMalformed(uint256 length)"):
    """The entries of a batch are no multiple of 25 bytes."""

    length: int


class ZeroPoints(ContractRefused, abi="ZeroPoints()"):
    """An order over no points."""


class NoSuccessor(ContractRefused, abi="NoSuccessor()"):
    """No successor of the Coalition is proposed."""


class NotSuccessor(ContractRefused, abi="NotSuccessor(address caller, address successor)"):
    """Only the proposed successor may accept."""

    caller: Address
    successor: Address


class SuccessionTooEarly(ContractRefused, abi="SuccessionTooEarly(uint256 acceptableAt)"):
    """The successor may accept only after its delay."""

    acceptable_at: Seconds


class PermitExpired(ContractRefused, abi="PermitExpired(uint256 deadline)"):
    """The permit's deadline has passed."""

    deadline: Seconds


class PermitSignerInvalid(
    ContractRefused, abi="PermitSignerInvalid(address signer, address owner)"
):
    """The permit was signed by somebody else than the owner."""

    signer: Address
    owner: Address


class ERC7818TransferredExpiredToken(ContractRefused, abi="ERC7818TransferredExpiredToken()"):
    """Points of an expired epoch were asked to move."""


class AccountFromTheFuture(
    ContractRefused,
    abi="AccountFromTheFuture(uint256 newest, uint256 epoch)",
):
    """The account's newest bucket lies after the present epoch."""

    newest: int
    epoch: int


class EpochTooHigh(ContractRefused, abi="EpochTooHigh(uint256 epoch)"):
    """The epoch does not fit the account's 16 bits."""

    epoch: int


class SupplyTooLow(ContractRefused, abi="SupplyTooLow(uint256 live, uint256 points)"):
    """More points were to leave an epoch than are live in it."""

    live: Points
    points: Points
