// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {ICoalition} from "./interfaces/ICoalition.sol";
import {IERC5192, IMembershipPass} from "./interfaces/IMembershipPass.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {PassCard} from "./pass/PassCard.sol";

/// @dev A token id names its holder, so a token is one word under its id:
///
///   bit 255 exists · bits 64-103 joining time · bits 48-63 tier · bits 0-15 (programme 0 alone) how many passes the member holds
///
/// The count rides in the word of programme 0, also when that pass does not exist, so that a mint writes one slot.
contract MembershipPass is IMembershipPass, AccessManaged {
    bytes4 private constant ERC4906_ID = 0x49064906;
    uint256 private constant EXISTS = 1 << 255;
    uint256 private constant COUNT_MASK = type(uint16).max;
    uint256 private constant TIER_SHIFT = 48;
    uint256 private constant TIER_MASK = type(uint16).max;
    uint256 private constant JOINED_SHIFT = 64;
    uint256 private constant JOINED_MASK = type(uint40).max;

    IPoints private immutable POINTS;
    string private _name;
    string private _symbol;
    mapping(uint256 tokenId => uint256) private _passes;
    /// @dev Where a member's pass went, so that the passes of programmes can follow it.
    mapping(address from => address to) private _recoveredTo;

    constructor(IPoints points_, address authority_, string memory name_, string memory symbol_)
        AccessManaged(authority_)
    {
        POINTS = points_;
        _name = name_;
        _symbol = symbol_;
    }

    modifier onlyCoalition() {
        if (msg.sender != POINTS.coalition()) revert NotCoalition(msg.sender);
        _;
    }

    // ---- the Coalition alone

    /// @inheritdoc IMembershipPass
    function mint(address member) external onlyCoalition {
        // A member of its own again: passes of programmes no longer follow an earlier recovery.
        delete _recoveredTo[member];
        _mint(member, 0, 0, block.timestamp);
    }

    /// @inheritdoc IMembershipPass
    function burn(address member) external onlyCoalition {
        _burn(member, 0);
    }

    /// @inheritdoc IMembershipPass
    function recover(address from, address to) external onlyCoalition {
        (uint256 tier, uint256 joinedAt) = _burn(from, 0);
        _mint(to, 0, tier, joinedAt);
        _recoveredTo[from] = to;
    }

    // ---- merchants and the operator

    /// @inheritdoc IMembershipPass
    function enroll(uint256 programme, address member, uint256 tier) external {
        // A membership of the coalition is the member's own order, never somebody else's call.
        if (programme == 0) revert NotIssuer(programme, msg.sender);
        _requireIssuer(programme);
        _requirePass(tokenIdOf(0, member));
        _requireTier(tier);
        _mint(member, programme, tier, block.timestamp);
        if (tier != 0) emit TierSet(tokenIdOf(programme, member), tier);
    }

    /// @inheritdoc IMembershipPass
    function setTier(uint256 tokenId, uint256 tier) external {
        _requireIssuer(tokenId >> 160);
        uint256 word = _requirePass(tokenId);
        _requireTier(tier);
        _passes[tokenId] = (word & ~(TIER_MASK << TIER_SHIFT)) | (tier << TIER_SHIFT);
        emit TierSet(tokenId, tier);
        emit MetadataUpdate(tokenId);
    }

    /// @inheritdoc IMembershipPass
    function discard(uint256 programme) external {
        // A membership of the coalition ends by the signed order, which ends the member bit too.
        if (programme == 0) revert NotIssuer(programme, msg.sender);
        _burn(msg.sender, programme);
    }

    /// @inheritdoc IMembershipPass
    function followRecovery(uint256 programme, address from) external {
        address to = _recoveredTo[from];
        if (programme == 0 || to == address(0)) revert ERC721NonexistentToken(tokenIdOf(programme, from));
        (uint256 tier, uint256 joinedAt) = _burn(from, programme);
        _mint(to, programme, tier, joinedAt);
    }

    // ---- ERC-721: what a soulbound token never does

    /// @inheritdoc IERC721
    function approve(address, uint256 tokenId) external pure {
        revert Soulbound(tokenId);
    }

    /// @inheritdoc IERC721
    function setApprovalForAll(address, bool) external pure {
        revert Soulbound(0);
    }

    /// @inheritdoc IERC721
    function transferFrom(address, address, uint256 tokenId) external pure {
        revert Soulbound(tokenId);
    }

    /// @inheritdoc IERC721
    function safeTransferFrom(address, address, uint256 tokenId) external pure {
        revert Soulbound(tokenId);
    }

    /// @inheritdoc IERC721
    function safeTransferFrom(address, address, uint256 tokenId, bytes calldata) external pure {
        revert Soulbound(tokenId);
    }

    // ---- reads

    /// @inheritdoc IMembershipPass
    function points() external view returns (IPoints) {
        return POINTS;
    }

    /// @inheritdoc IERC721Metadata
    function name() external view returns (string memory) {
        return _name;
    }

    /// @inheritdoc IERC721Metadata
    function symbol() external view returns (string memory) {
        return _symbol;
    }

    /// @inheritdoc IERC721Metadata
    function tokenURI(uint256 tokenId) external view returns (string memory) {
        uint256 word = _requirePass(tokenId);
        uint256 tier = (word >> TIER_SHIFT) & TIER_MASK;
        return PassCard.uri(_name, tokenId >> 160, tier, (word >> JOINED_SHIFT) & JOINED_MASK);
    }

    /// @inheritdoc IERC721
    function balanceOf(address owner) external view returns (uint256) {
        if (owner == address(0)) revert ERC721InvalidOwner(owner);
        return _passes[tokenIdOf(0, owner)] & COUNT_MASK;
    }

    /// @inheritdoc IERC721
    function ownerOf(uint256 tokenId) external view returns (address) {
        _requirePass(tokenId);
        return address(uint160(tokenId));
    }

    /// @inheritdoc IERC721
    function getApproved(uint256 tokenId) external view returns (address) {
        _requirePass(tokenId);
        return address(0);
    }

    /// @inheritdoc IERC721
    function isApprovedForAll(address, address) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requirePass(tokenId);
        return true;
    }

    /// @inheritdoc IMembershipPass
    function passOf(uint256 tokenId) external view returns (address member, uint256 tier, uint256 joinedAt) {
        uint256 word = _requirePass(tokenId);
        return (address(uint160(tokenId)), (word >> TIER_SHIFT) & TIER_MASK, (word >> JOINED_SHIFT) & JOINED_MASK);
    }

    /// @inheritdoc IMembershipPass
    function tokenIdOf(uint256 programme, address member) public pure returns (uint256) {
        return (programme << 160) | uint160(member);
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC721).interfaceId
            || interfaceId == type(IERC721Metadata).interfaceId || interfaceId == type(IERC5192).interfaceId
            || interfaceId == ERC4906_ID;
    }

    // ---- inside

    function _mint(address member, uint256 programme, uint256 tier, uint256 joinedAt) private {
        if (member == address(0)) revert ERC721InvalidReceiver(member);
        uint256 tokenId = tokenIdOf(programme, member);
        uint256 word = _passes[tokenId];
        if (word & EXISTS != 0) revert PassExists(tokenId);
        _passes[tokenId] = EXISTS | (joinedAt << JOINED_SHIFT) | (tier << TIER_SHIFT) | (word & COUNT_MASK);
        uint256 counted = _passes[tokenIdOf(0, member)];
        // One more than 16 bits hold would carry into the tier.
        if (counted & COUNT_MASK == COUNT_MASK) revert ERC721InvalidReceiver(member);
        _passes[tokenIdOf(0, member)] = counted + 1;
        emit Transfer(address(0), member, tokenId);
        emit Locked(tokenId);
    }

    function _burn(address member, uint256 programme) private returns (uint256 tier, uint256 joinedAt) {
        uint256 tokenId = tokenIdOf(programme, member);
        uint256 word = _requirePass(tokenId);
        _passes[tokenId] = word & (programme == 0 ? COUNT_MASK : 0);
        _passes[tokenIdOf(0, member)] -= 1;
        emit Transfer(member, address(0), tokenId);
        return ((word >> TIER_SHIFT) & TIER_MASK, (word >> JOINED_SHIFT) & JOINED_MASK);
    }

    function _requirePass(uint256 tokenId) private view returns (uint256 word) {
        word = _passes[tokenId];
        if (word & EXISTS == 0) revert ERC721NonexistentToken(tokenId);
    }

    /// @dev Programme 0: the operator, under AccessManager. Others: a till key or the owner of that merchant, at the Coalition of the day.
    function _requireIssuer(uint256 programme) private {
        if (programme == 0) return _checkCanCall(msg.sender, msg.data);
        if (programme > type(uint32).max) revert NotIssuer(programme, msg.sender);
        ICoalition coalition = ICoalition(POINTS.coalition());
        if (coalition.tillKeyMerchant(msg.sender) == programme) return;
        if (coalition.merchantOf(uint32(programme)).owner != msg.sender) revert NotIssuer(programme, msg.sender);
    }

    function _requireTier(uint256 tier) private pure {
        if (tier > TIER_MASK) revert TierTooHigh(tier);
    }
}
