"""Events of MembershipPass. Token id = programme << 160 | member address."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.events.base import Event
from wallet_sdk.types import Address


@dataclass(frozen=True)
class PassTransfer(
    Event,
    abi="Transfer(address indexed from, address indexed to, uint256 indexed tokenId)",
):
    """ERC-721 Transfer: a pass was minted (from zero) or burnt (to zero); it never moves."""

    from_: Address
    to: Address
    token_id: int


@dataclass(frozen=True)
class PassApproval(
    Event,
    abi="Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)",
):
    """ERC-721 Approval; never emitted by us, a pass is soulbound."""

    owner: Address
    approved: Address
    token_id: int


@dataclass(frozen=True)
class PassApprovalForAll(
    Event,
    abi="ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
):
    """ERC-721 ApprovalForAll; never emitted by us, a pass is soulbound."""

    owner: Address
    operator: Address
    approved: bool


@dataclass(frozen=True)
class Locked(Event, abi="Locked(uint256 tokenId)"):
    """ERC-5192: the pass never moves; emitted once, when it is minted."""

    token_id: int


@dataclass(frozen=True)
class Unlocked(Event, abi="Unlocked(uint256 tokenId)"):
    """ERC-5192; never emitted by us."""

    token_id: int


@dataclass(frozen=True)
class MetadataUpdate(Event, abi="MetadataUpdate(uint256 _tokenId)"):
    """ERC-4906: the drawing of a pass changed."""

    token_id: int


@dataclass(frozen=True)
class BatchMetadataUpdate(
    Event, abi="BatchMetadataUpdate(uint256 _fromTokenId, uint256 _toTokenId)"
):
    """ERC-4906: the drawings of a range of passes changed."""

    from_token_id: int
    to_token_id: int


@dataclass(frozen=True)
class TierSet(Event, abi="TierSet(uint256 indexed tokenId, uint256 tier)"):
    """A pass has another tier."""

    token_id: int
    tier: int
