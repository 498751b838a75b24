"""Events of Coalition: clearing, and what the operator does."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.events.base import Event
from wallet_sdk.types import Address, Digest, Money, Points, Status


@dataclass(frozen=True)
class Deposited(
    Event, abi="Deposited(uint32 indexed merchant, address indexed from, uint256 amount)"
):
    """Money arrived for a merchant's position."""

    merchant: int
    from_: Address
    amount: Money


@dataclass(frozen=True)
class MerchantRegistered(
    Event,
    abi=("MerchantRegistered(uint32 indexed merchant, address indexed owner, bytes32 profileHash)"),
):
    """A merchant came in."""

    merchant: int
    owner: Address
    profile_hash: Digest


@dataclass(frozen=True)
class MerchantStatusSet(
    Event, abi="MerchantStatusSet(uint32 indexed merchant, uint8 status)", enums={"status": Status}
):
    """What a merchant may do changed."""

    merchant: int
    status: Status


@dataclass(frozen=True)
class CreditLimitSet(Event, abi="CreditLimitSet(uint32 indexed merchant, uint256 limit)"):
    """How far a position may go under 0."""

    merchant: int
    limit: Money


@dataclass(frozen=True)
class GuaranteeDeposited(Event, abi="GuaranteeDeposited(address indexed from, uint256 amount)"):
    """The operator deposited cover for credit limits."""

    from_: Address
    amount: Money


@dataclass(frozen=True)
class GuaranteeWithdrawn(Event, abi="GuaranteeWithdrawn(address indexed to, uint256 amount)"):
    """The operator took free guarantee back."""

    to: Address
    amount: Money


@dataclass(frozen=True)
class TermsSet(
    Event,
    abi=(
        "TermsSet(uint256 indexed fromEpoch, uint256 issueFee, uint256 redeemFee, "
        "uint256 issuersShareBps)"
    ),
):
    """Fees per point and the issuers' share from an epoch on."""

    from_epoch: int
    issue_fee: Money
    redeem_fee: Money
    issuers_share_bps: int


@dataclass(frozen=True)
class IssuingPaused(Event, abi="IssuingPaused(bool paused)"):
    """Issuing stopped or goes on; nothing else can be paused."""

    paused: bool


@dataclass(frozen=True)
class EpochClosed(
    Event,
    abi=(
        "EpochClosed(uint256 indexed epoch, uint256 unspent, uint256 issuersPool, "
        "uint256 operatorsPart)"
    ),
):
    """An expired epoch was shared out."""

    epoch: int
    unspent: Points
    issuers_pool: Money
    operators_part: Money


@dataclass(frozen=True)
class BreakageClaimed(
    Event, abi="BreakageClaimed(uint256 indexed epoch, uint32 indexed merchant, uint256 amount)"
):
    """A merchant got its share of an epoch's breakage."""

    epoch: int
    merchant: int
    amount: Money


@dataclass(frozen=True)
class HandedOver(Event, abi="HandedOver(address indexed successor, uint256 amount)"):
    """All assets went to the successor; the old Coalition answers reads and nothing else."""

    successor: Address
    amount: Money


@dataclass(frozen=True)
class IncomeWithdrawn(Event, abi="IncomeWithdrawn(address indexed to, uint256 amount)"):
    """The operator took earned income."""

    to: Address
    amount: Money
