"""Refusals of Coalition: why an order cannot take effect."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Address, Digest, Money, Points, Seconds


class OrderMalformed(ContractRefused, abi="OrderMalformed(uint256 length)"):
    """The bytes are no order."""

    length: int


class OrderKindUnknown(ContractRefused, abi="OrderKindUnknown(uint256 kind)"):
    """No order has this kind."""

    kind: int


class OrderKindUnsupported(ContractRefused, abi="OrderKindUnsupported(uint256 kind)"):
    """This Coalition does not handle orders of this kind yet."""

    kind: int


class SignatureInvalid(ContractRefused, abi="SignatureInvalid(address signer)"):
    """The signature is not the signer's."""

    signer: Address


class OrderExpired(ContractRefused, abi="OrderExpired(uint256 deadline)"):
    """The order's deadline has passed."""

    deadline: Seconds


class DeadlineBeyondEpoch(
    ContractRefused,
    abi="DeadlineBeyondEpoch(uint256 deadline, uint256 epochEnd)",
):
    """A deadline may not lie beyond the end of the epoch."""

    deadline: Seconds
    epoch_end: Seconds


class MerchantNonceUsed(ContractRefused, abi="MerchantNonceUsed(uint32 merchant, uint256 nonce)"):
    """The nonce was used by another order of this merchant."""

    merchant: int
    nonce: int


class MerchantUnknown(ContractRefused, abi="MerchantUnknown(uint32 merchant)"):
    """No merchant has this id."""

    merchant: int


class MerchantNotActive(ContractRefused, abi="MerchantNotActive(uint32 merchant, uint8 status)"):
    """The merchant's status does not allow this order."""

    merchant: int
    status: int


class NotTillKey(ContractRefused, abi="NotTillKey(uint32 merchant, address key)"):
    """The key is no till key of the merchant."""

    merchant: int
    key: Address


class TillKeyTaken(ContractRefused, abi="TillKeyTaken(address key, uint32 merchant)"):
    """The key signs for another merchant already."""

    key: Address
    merchant: int


class NotOwner(ContractRefused, abi="NotOwner(uint32 merchant, address signer)"):
    """Only the merchant's owner may sign this order."""

    merchant: int
    signer: Address


class CreditLimitExceeded(
    ContractRefused,
    abi=("CreditLimitExceeded(uint32 merchant, int256 position, uint256 charge, uint256 limit)"),
):
    """The charge would take the merchant's position under minus its credit limit."""

    merchant: int
    position: Money
    charge: Money
    limit: Money | None


class TooManyEntries(ContractRefused, abi="TooManyEntries(uint256 count)"):
    """A batch holds more entries than one transaction can carry."""

    count: int


class IssuingIsPaused(ContractRefused, abi="IssuingIsPaused()"):
    """The operator has paused issuing."""


class RedemptionUnknown(ContractRefused, abi="RedemptionUnknown(bytes32 leaf)"):
    """No relay stored this redemption."""

    leaf: Digest


class RefundExceedsRedemption(
    ContractRefused,
    abi="RefundExceedsRedemption(bytes32 leaf, uint256 left, uint256 points)",
):
    """The redemption has fewer points left to give back."""

    leaf: Digest
    left: Points
    points: Points


class ReturnExceedsIssued(
    ContractRefused,
    abi=("ReturnExceedsIssued(uint32 merchant, uint256 epoch, uint256 left, uint256 points)"),
):
    """The merchant may take back fewer points of this epoch."""

    merchant: int
    epoch: int
    left: Points
    points: Points | None


class ReturnWindowOver(
    ContractRefused, abi="ReturnWindowOver(uint256 epoch, uint256 currentEpoch)"
):
    """Goods of this epoch can no longer come back."""

    epoch: int
    current_epoch: int


class RecoveryUnknown(ContractRefused, abi="RecoveryUnknown(address member)"):
    """No recovery runs for this member, or another address was named."""

    member: Address


class RecoveryTooEarly(ContractRefused, abi="RecoveryTooEarly(uint256 finishableAt)"):
    """The recovery can be finished only after its delay."""

    finishable_at: Seconds


class NotCurrentCoalition(ContractRefused, abi="NotCurrentCoalition(address current)"):
    """Another Coalition has taken over."""

    current: Address


class GasTooLow(
    ContractRefused, abi="GasTooLow(uint256 index, uint256 gasLeft, uint256 gasNeeded)"
):
    """The transaction carries too little gas for the order at this index."""

    index: int
    gas_left: int
    gas_needed: int


class NotSelf(ContractRefused, abi="NotSelf(address caller)"):
    """Only the Coalition itself may call this."""

    caller: Address


class OfficeMismatch(ContractRefused, abi="OfficeMismatch(address office)"):
    """The office was made for another Coalition."""

    office: Address


class PredecessorMismatch(ContractRefused, abi="PredecessorMismatch(address predecessor)"):
    """The predecessor has other points, another asset or another face value."""

    predecessor: Address


class FaceValueOutOfRange(ContractRefused, abi="FaceValueOutOfRange(uint256 faceValue)"):
    """A face value of nothing, or of more than 64 bits."""

    face_value: Money


class ReturnCapOutOfRange(ContractRefused, abi="ReturnCapOutOfRange(uint256 returnCapBps)"):
    """More than all of what was issued cannot come back."""

    return_cap_bps: int


class PositionOutOfRange(ContractRefused, abi="PositionOutOfRange(int256 position)"):
    """A position of more than 127 bits."""

    position: Money


class LimitOutOfRange(ContractRefused, abi="LimitOutOfRange(uint256 limit)"):
    """A credit limit of more than 96 bits."""

    limit: Money
