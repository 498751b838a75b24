// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalitionOffice} from "../interfaces/ICoalition.sol";
import {Wire} from "../types/Wire.sol";
import {Clearing} from "./Clearing.sol";

/// @dev Leaving, and the way back for a member who lost the key: an address named beforehand, a delay, and the old key's objection.
abstract contract Recoveries is Clearing {
    using Wire for bytes;

    /// @inheritdoc ICoalitionOffice
    uint256 public constant RECOVERY_DELAY = 7 days;

    function _leave(bytes calldata order, bytes32 digest) internal {
        address member = order.account(1);
        POINTS.leave(member, order.uint24At(21));
        PASS.burn(member);
        emit Left(digest, member);
    }

    /// @dev Naming (also naming nobody) ends a recovery that is running: that is how the old key objects.
    function _nameRecovery(bytes calldata order, bytes32 digest) internal {
        (address member, address recovery) = (order.account(1), order.account(21));
        // Recovering to oneself would burn the pass and keep the member bit.
        if (recovery == member) revert RecoveryUnknown(member);
        POINTS.useNonce(member, order.uint24At(41));
        _recoveries[member] = Recovery({recovery: recovery, finishableAt: 0, known: true});
        emit RecoveryNamed(digest, member, recovery);
    }

    function _recover(bytes calldata order, bytes32 digest) internal {
        (address member, address recovery) = (order.account(1), order.account(21));
        POINTS.useNonce(recovery, order.uint24At(41));
        Recovery storage named = _recovery(member);
        if (named.recovery != recovery) revert RecoveryUnknown(member);
        named.finishableAt = uint64(block.timestamp + RECOVERY_DELAY);
        emit RecoveryStarted(digest, member, recovery, named.finishableAt);
    }

    /// @inheritdoc ICoalitionOffice
    function finishRecovery(address member) external current {
        Recovery storage named = _recovery(member);
        (address recovery, uint256 finishableAt) = (named.recovery, named.finishableAt);
        if (finishableAt == 0) revert RecoveryUnknown(member);
        if (block.timestamp < finishableAt) revert RecoveryTooEarly(finishableAt);
        (named.recovery, named.finishableAt) = (address(0), 0);
        bool memberLeaves = POINTS.isMember(member);
        bool recoveryIsMember = POINTS.isMember(recovery);
        POINTS.recover(member, recovery);
        // A member who recovers to an address that is a member already keeps that one's pass.
        if (memberLeaves && recoveryIsMember) PASS.burn(member);
        else if (memberLeaves) PASS.recover(member, recovery);
        emit Recovered(member, recovery);
    }

    /// @inheritdoc ICoalitionOffice
    function recoveryOf(address member) external view returns (address, uint256) {
        Recovery memory found = _recoveries[member];
        if (!found.known && _hasPredecessor()) return PREDECESSOR.recoveryOf(member);
        return (found.recovery, found.finishableAt);
    }

    /// @dev Copied from the predecessor at first touch.
    function _recovery(address member) private returns (Recovery storage found) {
        found = _recoveries[member];
        if (found.known) return found;
        found.known = true;
        if (!_hasPredecessor()) return found;
        (address recovery, uint256 finishableAt) = PREDECESSOR.recoveryOf(member);
        (found.recovery, found.finishableAt) = (recovery, uint64(finishableAt));
    }
}
