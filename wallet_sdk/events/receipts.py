"""Events of BankReceipt, beside those of every ERC-20 (wallet_sdk.events.points)."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.events.base import Event
from wallet_sdk.types import Address, Digest, Money


@dataclass(frozen=True)
class MintProposed(
    Event,
    abi=(
        "MintProposed(bytes32 indexed bankReference, address indexed to, "
        "uint256 amount, address proposer)"
    ),
):
    """A treasurer proposes receipts for money that arrived at the bank."""

    bank_reference: Digest
    to: Address
    amount: Money
    proposer: Address


@dataclass(frozen=True)
class MintConfirmed(
    Event,
    abi=(
        "MintConfirmed(bytes32 indexed bankReference, address indexed to, "
        "uint256 amount, address attestor)"
    ),
):
    """Another person, the attestor, confirmed; the receipts exist."""

    bank_reference: Digest
    to: Address
    amount: Money
    attestor: Address


@dataclass(frozen=True)
class MintRejected(Event, abi="MintRejected(bytes32 indexed bankReference, address attestor)"):
    """The attestor ended a proposal that was wrong."""

    bank_reference: Digest
    attestor: Address


@dataclass(frozen=True)
class PayoutRequested(
    Event,
    abi=(
        "PayoutRequested(uint256 indexed payout, address indexed holder, "
        "uint256 amount, bytes32 accountHash)"
    ),
):
    """A holder locked receipts for a bank transfer."""

    payout: int
    holder: Address
    amount: Money
    account_hash: Digest


@dataclass(frozen=True)
class PayoutSettled(
    Event, abi="PayoutSettled(uint256 indexed payout, bytes32 indexed bankReference)"
):
    """The bank paid; the locked receipts are burnt."""

    payout: int
    bank_reference: Digest


@dataclass(frozen=True)
class PayoutCancelled(Event, abi="PayoutCancelled(uint256 indexed payout)"):
    """The holder took the request back."""

    payout: int


@dataclass(frozen=True)
class BalanceAttested(
    Event,
    abi=(
        "BalanceAttested(uint256 indexed date, uint256 amount, "
        "bytes32 documentHash, address attestor)"
    ),
):
    """What the bank held on `date` (yyyymmdd), and the hash of the document that says so."""

    date: int
    amount: Money
    document_hash: Digest
    attestor: Address
