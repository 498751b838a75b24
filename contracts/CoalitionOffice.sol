// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {CoalitionState} from "./coalition/CoalitionState.sol";
import {ICoalitionOffice} from "./interfaces/ICoalition.sol";
import {IMembershipPass} from "./interfaces/IMembershipPass.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {SeldomOrders} from "./office/SeldomOrders.sol";
import {
    LEAVE,
    NAME_RECOVERY,
    RECOVER,
    REFUND,
    RETURN,
    SET_OWNER,
    SET_PROFILE,
    SET_TILL_KEY,
    WITHDRAW
} from "./types/Orders.sol";

/// @dev The half of the Coalition that is seldom called. `Coalition` is given it at its creation and runs its code on its own state by delegation; called by
/// itself it has no state and refuses (`NotCurrentCoalition`, `NotSelf`).
contract CoalitionOffice is SeldomOrders {
    using SafeERC20 for IERC20;

    constructor(
        IPoints points_,
        IERC20 asset_,
        IMembershipPass pass_,
        uint256 faceValue_,
        uint256 returnCapBps_,
        address predecessor_,
        address authority_
    ) CoalitionState(points_, asset_, pass_, faceValue_, returnCapBps_, predecessor_, authority_) {}

    /// @notice Hash of all that was fixed at creation; the Coalition accepts no office with another.
    function configuration() external view returns (bytes32) {
        return _configuration();
    }

    /// @notice The effect of one seldom order, authenticated before. The Coalition alone, from within itself.
    function carryOut(bytes calldata order, bytes32 digest) external returns (bytes32) {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        uint256 kind = uint8(order[0]);
        if (kind == LEAVE) _leave(order, digest);
        else if (kind == REFUND) _refund(order, digest);
        else if (kind == RETURN) _return(order, digest);
        else if (kind == WITHDRAW) _withdraw(order, digest);
        else if (kind == SET_TILL_KEY) _setTillKeyByOrder(order, digest);
        else if (kind == SET_OWNER) _setOwner(order, digest);
        else if (kind == SET_PROFILE) _setProfile(order, digest);
        else if (kind == NAME_RECOVERY) _nameRecovery(order, digest);
        else if (kind == RECOVER) _recover(order, digest);
        else revert OrderKindUnsupported(kind);
        return 0;
    }

    // ---- succession

    /// @inheritdoc ICoalitionOffice
    function accept() external nonReentrant {
        // Only the Coalition of the day hands over: what an earlier one remembers is no longer true. This also ends a second acceptance.
        if (!_hasPredecessor() || POINTS.coalition() != address(PREDECESSOR)) {
            revert PredecessorMismatch(address(PREDECESSOR));
        }
        POINTS.acceptCoalition();
        _inheritedThrough = _currentEpoch();
        _ledger = PREDECESSOR.ledger();
        _paused = PREDECESSOR.issuingPaused();
        uint256 count = PREDECESSOR.termsChanges();
        for (uint256 i = 0; i < count; ++i) {
            (uint256 fromEpoch, Terms memory terms) = PREDECESSOR.termsChangeAt(i);
            _append(uint16(fromEpoch), terms);
        }
        PREDECESSOR.handOver();
    }

    /// @inheritdoc ICoalitionOffice
    function handOver() external nonReentrant {
        address obeyed = POINTS.coalition();
        if (obeyed == address(this)) revert NotCurrentCoalition(obeyed);
        uint256 amount = ASSET.balanceOf(address(this));
        emit HandedOver(obeyed, amount);
        ASSET.safeTransfer(obeyed, amount);
    }

    // ---- reads

    /// @inheritdoc ICoalitionOffice
    function ledger() external view returns (Ledger memory) {
        return _ledger;
    }

    /// @inheritdoc ICoalitionOffice
    function guarantee() external view returns (uint256) {
        return _ledger.guarantee;
    }

    /// @inheritdoc ICoalitionOffice
    function sumOfLimits() external view returns (uint256) {
        return _ledger.sumOfLimits;
    }

    /// @inheritdoc ICoalitionOffice
    function issuingPaused() external view returns (bool) {
        return _paused;
    }

    /// @inheritdoc ICoalitionOffice
    function issuedBy(uint256 epoch, uint32 merchant) external view returns (uint256, uint256) {
        Issues memory issues = _issues[epoch][merchant];
        if (!issues.known && epoch <= _inheritedThrough) return PREDECESSOR.issuedBy(epoch, merchant);
        return (issues.issued, issues.returned);
    }

    /// @inheritdoc ICoalitionOffice
    function hasClaimed(uint256 epoch, uint32 merchant) external view returns (bool) {
        Issues memory issues = _issues[epoch][merchant];
        if (!issues.known && epoch <= _inheritedThrough) return PREDECESSOR.hasClaimed(epoch, merchant);
        return issues.claimed;
    }

    /// @inheritdoc ICoalitionOffice
    function closingOf(uint256 epoch) external view returns (Closing memory) {
        return _closingOf(epoch);
    }

    /// @inheritdoc ICoalitionOffice
    function isRedemptionRoot(bytes32 root) external view returns (bool) {
        return _isRedemptionRoot(root);
    }

    /// @inheritdoc ICoalitionOffice
    function refundedOf(bytes32 leaf) external view returns (uint256) {
        return _refundedOf(leaf);
    }
}
