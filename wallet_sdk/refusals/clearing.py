"""Refusals of Coalition: clearing and the operator's calls."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Money


class MerchantExists(ContractRefused, abi="MerchantExists(uint32 merchant)"):
    """A merchant has this id already."""

    merchant: int


class LimitUnderDrawn(
    ContractRefused,
    abi="LimitUnderDrawn(uint32 merchant, uint256 drawn, uint256 limit)",
):
    """The limit would lie under the credit that the merchant has drawn."""

    merchant: int
    drawn: Money
    limit: Money


class GuaranteeTooLow(ContractRefused, abi="GuaranteeTooLow(uint256 guarantee, uint256 limits)"):
    """The guarantee does not cover the sum of the credit limits."""

    guarantee: Money
    limits: Money


class TermsTooLate(ContractRefused, abi="TermsTooLate(uint256 fromEpoch, uint256 earliestEpoch)"):
    """Terms are fixed at least 30 days before their epoch begins."""

    from_epoch: int
    earliest_epoch: int


class TermsTooFar(ContractRefused, abi="TermsTooFar(uint256 fromEpoch, uint256 latestEpoch)"):
    """Terms are set for at most eight epochs beyond the notice."""

    from_epoch: int
    latest_epoch: int


class TermsUnsound(
    ContractRefused,
    abi="TermsUnsound(uint256 issueFee, uint256 redeemFee, uint256 issuersShareBps)",
):
    """These terms cannot be paid for out of the face value."""

    issue_fee: int
    redeem_fee: int
    issuers_share_bps: int


class EpochNotExpired(ContractRefused, abi="EpochNotExpired(uint256 epoch)"):
    """The epoch's points have not expired."""

    epoch: int


class EpochAlreadyClosed(ContractRefused, abi="EpochAlreadyClosed(uint256 epoch)"):
    """The epoch is closed already."""

    epoch: int


class EpochNotClosed(ContractRefused, abi="EpochNotClosed(uint256 epoch)"):
    """The epoch is not closed."""

    epoch: int


class AlreadyClaimed(ContractRefused, abi="AlreadyClaimed(uint256 epoch, uint32 merchant)"):
    """The merchant has had its share of this epoch."""

    epoch: int
    merchant: int


class IncomeTooLow(ContractRefused, abi="IncomeTooLow(uint256 available, uint256 amount)"):
    """Less of the operator's income may be withdrawn now."""

    available: Money
    amount: Money


class ZeroAddress(ContractRefused, abi="ZeroAddress()"):
    """An address is missing."""


class ZeroAmount(ContractRefused, abi="ZeroAmount()"):
    """An amount of nothing."""
