// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalitionOffice} from "../interfaces/ICoalition.sol";
import {Positions} from "../coalition/Positions.sol";
import {Standing} from "../types/Standing.sol";
import {VALIDITY_EPOCHS} from "../types/Account.sol";

/// @dev What the operator decides about merchants, and nothing else: no call here moves a point or a position.
abstract contract Merchants is ICoalitionOffice, Positions {
    /// @inheritdoc ICoalitionOffice
    function registerMerchant(uint32 merchant, address owner, address till, bytes32 profileHash)
        external
        restricted
        current
    {
        if (merchant == 0) revert MerchantUnknown(merchant);
        if (owner == address(0)) revert ZeroAddress();
        if (_merchantOf(merchant).status != Status.NONE) revert MerchantExists(merchant);
        _standings[merchant] = Standing.wrap(0).standingWithStatus(ACTIVE);
        _owners[merchant] = owner;
        _profiles[merchant] = profileHash;
        emit MerchantRegistered(merchant, owner, profileHash);
        // No order asked for this key, so there is no digest to name.
        if (till != address(0)) _setTillKey(bytes32(0), merchant, till, true);
    }

    /// @inheritdoc ICoalitionOffice
    function setMerchantStatus(uint32 merchant, Status status) external restricted current {
        Standing standing = _standing(merchant);
        uint256 previous = standing.standingStatus();
        // Closed is for ever; nobody is put back into the time before registration.
        if (previous == CLOSED || status == Status.NONE) _revertNotActive(merchant, standing);
        uint256 epoch = _currentEpoch();
        if (status == Status.CLOSED) _requireLeft(merchant, standing, epoch);
        if (status == Status.LEAVING && previous != LEAVING) standing = standing.standingWithLeavingSince(epoch);
        _standings[merchant] = standing.standingWithStatus(uint256(status));
        emit MerchantStatusSet(merchant, status);
    }

    /// @inheritdoc ICoalitionOffice
    function setCreditLimit(uint32 merchant, uint256 limit) external restricted current {
        Standing standing = _standing(merchant);
        Standing changed = standing.standingWithLimit(limit);
        int256 position = standing.standingPosition();
        if (position < -int256(limit)) revert LimitUnderDrawn(merchant, uint256(-position), limit);
        uint256 limits = _ledger.sumOfLimits - standing.standingLimit() + limit;
        if (limits > _ledger.guarantee) revert GuaranteeTooLow(_ledger.guarantee, limits);
        _ledger.sumOfLimits = uint128(limits);
        _standings[merchant] = changed;
        emit CreditLimitSet(merchant, limit);
    }

    /// @inheritdoc ICoalitionOffice
    function pauseIssuing(bool paused) external restricted current {
        _paused = paused;
        emit IssuingPaused(paused);
    }

    function _setTillKey(bytes32 digest, uint32 merchant, address key, bool active) internal {
        if (key == address(0)) revert ZeroAddress();
        uint32 holder = _tillKeyMerchant(key);
        if (holder != 0 && holder != merchant) revert TillKeyTaken(key, holder);
        _tillKeys[key] = TillKey(merchant, active);
        emit TillKeySet(digest, merchant, key, active);
    }

    /// @dev A merchant is closed when no redemption at it can be refunded any more: all points that were redeemed there have expired.
    function _requireLeft(uint32 merchant, Standing standing, uint256 epoch) private pure {
        bool left = standing.standingStatus() == LEAVING
            && epoch >= standing.standingLeavingSince() + VALIDITY_EPOCHS;
        if (!left) _revertNotActive(merchant, standing);
    }
}
