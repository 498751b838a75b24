"""Refusals of BankReceipt."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Address, Digest, Money


class BankReferenceUsed(ContractRefused, abi="BankReferenceUsed(bytes32 bankReference)"):
    """The bank reference was used before."""

    bank_reference: Digest


class MintUnknown(ContractRefused, abi="MintUnknown(bytes32 bankReference)"):
    """No mint is proposed under this bank reference."""

    bank_reference: Digest


class SamePerson(ContractRefused, abi="SamePerson(address person)"):
    """Proposer and attestor must be two people."""

    person: Address


class DailyLimitExceeded(
    ContractRefused,
    abi="DailyLimitExceeded(uint256 limit, uint256 mintedToday, uint256 amount)",
):
    """More receipts than may be minted in one day."""

    limit: Money
    minted_today: Money
    amount: Money


class PayoutUnknown(ContractRefused, abi="PayoutUnknown(uint256 payout)"):
    """No payout request is open under this number."""

    payout: int


class NotHolder(ContractRefused, abi="NotHolder(uint256 payout, address caller)"):
    """Only the holder may take a payout request back."""

    payout: int
    caller: Address
