// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICoalition} from "../interfaces/ICoalition.sol";
import {ICoalitionTypes} from "../interfaces/ICoalitionTypes.sol";
import {IMembershipPass} from "../interfaces/IMembershipPass.sol";
import {IPoints} from "../interfaces/IPoints.sol";
import {TypedData} from "../types/TypedData.sol";
import {Standing} from "../types/Standing.sol";
import {EpochClock} from "../points/EpochClock.sol";

/// @dev Everything that is stored, and the first touch by which a successor takes over what its predecessor stored. The doors
/// (`Coalition`) and the office (`CoalitionOffice`, called by delegation) are two contracts over this one state, because one is too large
/// for EIP-170: so all storage is declared here, and nowhere below.
abstract contract CoalitionState is ICoalitionTypes, AccessManaged, TypedData, ReentrancyGuardTransient, EpochClock {
    // Statuses as plain numbers, as they stand in a `Standing`.
    uint256 internal constant NONE = uint256(Status.NONE);
    uint256 internal constant ACTIVE = uint256(Status.ACTIVE);
    uint256 internal constant SUSPENDED = uint256(Status.SUSPENDED);
    uint256 internal constant LEAVING = uint256(Status.LEAVING);
    uint256 internal constant CLOSED = uint256(Status.CLOSED);

    /// @dev A key that was revoked keeps its merchant, so that the predecessor is not asked again.
    struct TillKey {
        uint32 merchant;
        bool active;
    }

    /// @dev What a merchant issued in an epoch, what of it was returned, and whether it took its share of the breakage.
    struct Issues {
        uint112 issued;
        uint112 returned;
        bool claimed;
        /// Copied from the predecessor, or begun here.
        bool known;
    }

    struct Recovery {
        address recovery;
        uint64 finishableAt;
        bool known;
    }

    IPoints internal immutable POINTS;
    IERC20 internal immutable ASSET;
    IMembershipPass internal immutable PASS;
    /// @dev Units of the settlement asset per point; in the bytecode, so it never changes.
    uint256 internal immutable FACE_VALUE;
    uint256 internal immutable RETURN_CAP_BPS;
    ICoalition internal immutable PREDECESSOR;

    uint256 internal constant BPS = 10_000;

    mapping(uint32 merchant => Standing) internal _standings;
    mapping(uint32 merchant => address) internal _owners;
    mapping(uint32 merchant => bytes32) internal _profiles;
    mapping(address key => TillKey) internal _tillKeys;
    /// @dev Word (nonce >> 8), bit (nonce & 255): one map for all orders of a merchant, the till's and the owner's.
    mapping(uint32 merchant => mapping(uint256 word => uint256 bits)) internal _merchantNonces;
    mapping(uint256 epoch => mapping(uint32 merchant => Issues)) internal _issues;
    mapping(uint256 epoch => Closing) internal _closings;
    mapping(bytes32 root => bool) internal _roots;
    /// @dev Points given back out of a redemption; never cleared, so that nothing is given back twice.
    mapping(bytes32 leaf => uint256) internal _refunded;
    mapping(address member => Recovery) internal _recoveries;
    Ledger internal _ledger;
    // These four share one slot: every movement of points needs the terms of its epochs, and those are nearly always among the last
    // two changes, the one announced and the one in force. An issue asks for the pause as well.
    uint96 internal _lastTerms;
    uint96 internal _termsBefore;
    uint16 internal _termsCount;
    bool internal _paused;
    /// @dev Changes of terms older than those two, by index.
    mapping(uint256 index => uint96) internal _olderTerms;
    /// @dev Epochs up to this one may have a history at the predecessor; 0 where there is none.
    uint256 internal _inheritedThrough;

    constructor(
        IPoints points_,
        IERC20 asset_,
        IMembershipPass pass_,
        uint256 faceValue_,
        uint256 returnCapBps_,
        address predecessor_,
        address authority_
    )
        AccessManaged(authority_)
        TypedData("Banyan")
        EpochClock(points_.epochStart(1), points_.epochLength())
    {
        POINTS = points_;
        ASSET = asset_;
        PASS = pass_;
        FACE_VALUE = faceValue_;
        RETURN_CAP_BPS = returnCapBps_;
        PREDECESSOR = ICoalition(predecessor_);
        if (faceValue_ == 0 || faceValue_ > type(uint64).max) revert FaceValueOutOfRange(faceValue_);
        if (returnCapBps_ > BPS) revert ReturnCapOutOfRange(returnCapBps_);
        _ledger.firstOpenEpoch = 1;
    }

    /// @dev Both halves carry these in their bytecode, and must agree.
    function _configuration() internal view returns (bytes32) {
        return keccak256(
            abi.encode(POINTS, ASSET, PASS, FACE_VALUE, RETURN_CAP_BPS, PREDECESSOR, FIRST_START, EPOCH_LENGTH)
        );
    }

    /// @dev Refuses everything once a successor has taken over (and before this one has).
    modifier current() {
        _requireCurrent();
        _;
    }

    function _requireCurrent() internal view {
        address obeyed = POINTS.coalition();
        if (obeyed != address(this)) revert NotCurrentCoalition(obeyed);
    }

    function _hasPredecessor() internal view returns (bool) {
        return address(PREDECESSOR) != address(0);
    }

    // ---- first touch

    /// @dev The merchant's word, copied from the predecessor where it is not known here. Reverts when nobody knows it.
    function _standing(uint32 merchant) internal returns (Standing standing) {
        standing = _standings[merchant];
        if (standing.standingStatus() == NONE) return _inheritMerchant(merchant);
    }

    function _inheritMerchant(uint32 merchant) private returns (Standing standing) {
        if (!_hasPredecessor()) revert MerchantUnknown(merchant);
        Merchant memory known = PREDECESSOR.merchantOf(merchant);
        if (known.status == Status.NONE) revert MerchantUnknown(merchant);
        standing = Standing.wrap(0).standingWithPosition(known.position).standingWithLimit(known.creditLimit)
            .standingWithStatus(uint256(known.status));
        // When it began to leave is not told: counting from now can only lengthen the time for refunds.
        if (known.status == Status.LEAVING) standing = standing.standingWithLeavingSince(_currentEpoch());
        _standings[merchant] = standing;
        _owners[merchant] = known.owner;
        _profiles[merchant] = known.profileHash;
    }

    function _revertNotActive(uint32 merchant, Standing standing) internal pure {
        revert MerchantNotActive(merchant, Status(standing.standingStatus()));
    }

    function _issuesOf(uint256 epoch, uint32 merchant) internal returns (Issues storage issues) {
        issues = _issues[epoch][merchant];
        if (issues.known) return issues;
        issues.known = true;
        if (epoch > _inheritedThrough) return issues;
        (uint256 issued, uint256 returned) = PREDECESSOR.issuedBy(epoch, merchant);
        (issues.issued, issues.returned) = (uint112(issued), uint112(returned));
        issues.claimed = PREDECESSOR.hasClaimed(epoch, merchant);
    }

    // ---- reads that both halves need

    function _merchantOf(uint32 merchant) internal view returns (Merchant memory) {
        Standing standing = _standings[merchant];
        if (standing.standingStatus() == NONE && _hasPredecessor()) return PREDECESSOR.merchantOf(merchant);
        return Merchant({
            owner: _owners[merchant],
            status: Status(standing.standingStatus()),
            position: standing.standingPosition(),
            creditLimit: standing.standingLimit(),
            profileHash: _profiles[merchant]
        });
    }

    function _tillKeyMerchant(address key) internal view returns (uint32) {
        TillKey memory till = _tillKeys[key];
        if (till.merchant == 0 && _hasPredecessor()) return PREDECESSOR.tillKeyMerchant(key);
        return till.active ? till.merchant : 0;
    }

    function _isMerchantNonceUsed(uint32 merchant, uint256 nonce) internal view returns (bool) {
        return (_merchantNonces[merchant][nonce >> 8] >> (nonce & 255)) & 1 == 1;
    }

    function _useMerchantNonce(uint32 merchant, uint256 nonce) internal {
        uint256 bit = 1 << (nonce & 255);
        uint256 bits = _merchantNonces[merchant][nonce >> 8];
        if (bits & bit != 0) revert MerchantNonceUsed(merchant, nonce);
        _merchantNonces[merchant][nonce >> 8] = bits | bit;
    }
}
