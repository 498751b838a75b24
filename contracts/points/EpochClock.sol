// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EPOCH_MAX, EpochTooHigh, VALIDITY_EPOCHS} from "../types/Account.sol";

/// @dev Time of the points: epochs of fixed length, the first is 1. A point lives through the epoch in which it was earned and the
/// five that follow, so the last second in which it can be spent is the last of epoch (earned + 5).
abstract contract EpochClock {
    uint256 internal immutable FIRST_START;
    uint256 internal immutable EPOCH_LENGTH;

    /// @dev Reverts (division by zero, underflow) for a length of 0 and for a first epoch that has not begun.
    constructor(uint256 firstStart, uint256 length) {
        FIRST_START = firstStart;
        EPOCH_LENGTH = length;
        // Checked here, once.
        if ((block.timestamp - firstStart) / length >= EPOCH_MAX) revert EpochTooHigh(EPOCH_MAX);
    }

    function _currentEpoch() internal view returns (uint256 epoch) {
        (uint256 start, uint256 length) = (FIRST_START, EPOCH_LENGTH);
        // The constructor has checked that the first epoch has begun and that the length is not 0; time does not run backwards.
        assembly ("memory-safe") {
            epoch := add(div(sub(timestamp(), start), length), 1)
        }
        if (epoch > EPOCH_MAX) revert EpochTooHigh(epoch);
    }

    /// @dev First second of an epoch.
    function _epochStart(uint256 epoch) internal view returns (uint256) {
        return FIRST_START + (epoch - 1) * EPOCH_LENGTH;
    }

    /// @dev Last second of an epoch.
    function _epochEnd(uint256 epoch) internal view returns (uint256) {
        return FIRST_START + epoch * EPOCH_LENGTH - 1;
    }

    function _isExpired(uint256 epoch, uint256 current) internal pure returns (bool) {
        return current >= VALIDITY_EPOCHS && epoch <= current - VALIDITY_EPOCHS;
    }
}
