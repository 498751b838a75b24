"""Refusals of MembershipPass."""

from __future__ import annotations

from wallet_sdk.refusals.base import ContractRefused
from wallet_sdk.types import Address


class Soulbound(ContractRefused, abi="Soulbound(uint256 tokenId)"):
    """A pass never moves and cannot be approved."""

    token_id: int


class NotCoalition(ContractRefused, abi="NotCoalition(address caller)"):
    """Only the Coalition may call this."""

    caller: Address


class NotIssuer(ContractRefused, abi="NotIssuer(uint256 programme, address caller)"):
    """The caller may not give passes of this programme."""

    programme: int
    caller: Address


class PassExists(ContractRefused, abi="PassExists(uint256 tokenId)"):
    """The member has this pass already."""

    token_id: int


class TierTooHigh(ContractRefused, abi="TierTooHigh(uint256 tier)"):
    """The tier does not fit the pass."""

    tier: int
