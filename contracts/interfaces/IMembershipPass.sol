// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IPoints} from "./IPoints.sol";

/// @title ERC-5192, minimal soulbound token (interface id 0xb45a3c0e)
interface IERC5192 {
    event Locked(uint256 tokenId);
    event Unlocked(uint256 tokenId);

    function locked(uint256 tokenId) external view returns (bool);
}

/// @title MembershipPass: the soulbound token of a membership (ERC-721, ERC-5192, ERC-4906)
/// @notice Token id = programme << 160 | member. Programme 0 is the coalition, others the merchant's id. Never moves; recovery burns and mints.
interface IMembershipPass is IERC721Metadata, IERC721Errors, IERC5192, IERC4906 {
    event TierSet(uint256 indexed tokenId, uint256 tier);

    error Soulbound(uint256 tokenId);
    error NotCoalition(address caller);
    error NotIssuer(uint256 programme, address caller);
    error PassExists(uint256 tokenId);
    error TierTooHigh(uint256 tier);

    function points() external view returns (IPoints);

    function tokenIdOf(uint256 programme, address member) external pure returns (uint256);

    /// @return member The holder.
    /// @return tier 0 when none was given.
    /// @return joinedAt Unix second of the mint.
    function passOf(uint256 tokenId) external view returns (address member, uint256 tier, uint256 joinedAt);

    /// @notice The Coalition alone: the pass of programme 0.
    function mint(address member) external;

    function burn(address member) external;

    /// @notice The Coalition alone: burns the pass and mints it at the new address with tier and joining time.
    function recover(address from, address to) external;

    /// @notice A till key or the owner of the merchant: a pass of its own programme for a member of the coalition. Programme 0 is refused:
    /// a member joins the coalition by the member's own order.
    function enroll(uint256 programme, address member, uint256 tier) external;

    /// @notice Operator (programme 0, under AccessManager), or a till key or the owner of the merchant (its own programme).
    function setTier(uint256 tokenId, uint256 tier) external;

    /// @notice The holder gives up a pass of a merchant's programme.
    function discard(uint256 programme) external;

    /// @notice After a recovery, anyone: the pass of a merchant's programme follows to the address that the member recovered to.
    function followRecovery(uint256 programme, address from) external;
}
