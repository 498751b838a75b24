// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICoalitionOffice} from "../interfaces/ICoalition.sol";
import {Positions} from "../coalition/Positions.sol";
import {VALIDITY_EPOCHS} from "../types/Account.sol";

/// @dev What the operator decides about merchants, and nothing else: no call here moves a point or a position.
abstract contract Merchants is ICoalitionOffice, Positions {
    using SafeCast for uint256;

    /// @inheritdoc ICoalitionOffice
    function registerMerchant(uint32 merchant, address owner, address till, bytes32 profileHash)
        external
        restricted
        current
    {
        if (merchant == 0) revert MerchantUnknown(merchant);
        if (owner == address(0)) revert ZeroAddress();
        if (_merchantOf(merchant).status != Status.NONE) revert MerchantExists(merchant);
        _merchants[merchant].status = Status.ACTIVE;
        _owners[merchant] = owner;
        _profiles[merchant] = profileHash;
        emit MerchantRegistered(merchant, owner, profileHash);
        // No order asked for this key, so there is no digest to name.
        if (till != address(0)) _setTillKey(bytes32(0), merchant, till, true);
    }

    /// @inheritdoc ICoalitionOffice
    function setMerchantStatus(uint32 merchant, Status status) external restricted current {
        MerchantState storage state = _merchant(merchant);
        Status previous = state.status;
        // Closed is for ever; nobody is put back into the time before registration.
        if (previous == Status.CLOSED || status == Status.NONE) revert MerchantNotActive(merchant, previous);
        uint256 epoch = _currentEpoch();
        if (status == Status.CLOSED) _requireLeft(merchant, state, epoch);
        if (status == Status.LEAVING && previous != Status.LEAVING) state.leavingSince = uint16(epoch);
        state.status = status;
        emit MerchantStatusSet(merchant, status);
    }

    /// @inheritdoc ICoalitionOffice
    function setCreditLimit(uint32 merchant, uint256 limit) external restricted current {
        MerchantState storage state = _merchant(merchant);
        int256 position = state.position;
        if (position < -int256(uint256(limit.toUint96()))) revert LimitUnderDrawn(merchant, uint256(-position), limit);
        uint256 limits = _ledger.sumOfLimits - state.creditLimit + limit;
        if (limits > _ledger.guarantee) revert GuaranteeTooLow(_ledger.guarantee, limits);
        _ledger.sumOfLimits = uint128(limits);
        state.creditLimit = uint96(limit);
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
    function _requireLeft(uint32 merchant, MerchantState storage state, uint256 epoch) private view {
        bool left = state.status == Status.LEAVING && epoch >= uint256(state.leavingSince) + VALIDITY_EPOCHS;
        if (!left) revert MerchantNotActive(merchant, state.status);
    }
}
