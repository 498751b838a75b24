// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CoalitionState} from "./CoalitionState.sol";
import {EPOCH_SHIFT, LANES_MASK, LANE_BITS, LANE_MASK} from "../types/Account.sol";

/// @dev Prices of an epoch. Append-only, fixed 30 days ahead: old points keep the terms under which they were earned.
abstract contract TermsBook is CoalitionState {
    /// @dev Terms and the epoch from which they hold.
    struct Change {
        uint16 fromEpoch;
        uint32 issueFee;
        uint32 redeemFee;
        uint16 issuersShareBps;
    }

    function _append(uint16 fromEpoch, Terms memory terms) internal {
        if (_termsCount > 1) _olderTerms[_termsCount - 2] = _termsBefore;
        if (_termsCount > 0) _termsBefore = _lastTerms;
        _lastTerms = _pack(Change(fromEpoch, terms.issueFee, terms.redeemFee, terms.issuersShareBps));
        ++_termsCount;
        emit TermsSet(fromEpoch, terms.issueFee, terms.redeemFee, terms.issuersShareBps);
    }

    function _requireSound(Terms memory terms) internal view {
        if (terms.redeemFee > FACE_VALUE || terms.issuersShareBps > BPS) {
            revert TermsUnsound(terms.issueFee, terms.redeemFee, terms.issuersShareBps);
        }
    }

    function _redeemFeeIn(uint256 epoch) private view returns (uint256) {
        return uint32(_packedTermsIn(epoch) >> 16);
    }

    function _issueFeeIn(uint256 epoch) internal view returns (uint256) {
        return uint32(_packedTermsIn(epoch) >> 48);
    }

    function _termsIn(uint256 epoch) internal view returns (Change memory found) {
        return _unpack(_packedTermsIn(epoch));
    }

    function _packedTermsIn(uint256 epoch) private view returns (uint96 packed) {
        packed = _lastTerms;
        if (epoch >= packed >> 80) return packed;
        for (uint256 index = _termsCount; epoch < packed >> 80 && index > 1; --index) {
            packed = _packedAt(index - 2);
        }
    }

    /// @dev What the points of a movement are worth when redeemed: the sum over its buckets of (face value - redeem fee of that epoch).
    function _redeemValue(uint256 buckets) internal view returns (uint256 amount) {
        uint256 epoch = buckets >> EPOCH_SHIFT;
        uint256 lanes = buckets & LANES_MASK;
        while (lanes != 0) {
            uint256 lane = lanes & LANE_MASK;
            if (lane != 0) amount += lane * (FACE_VALUE - _redeemFeeIn(epoch));
            lanes >>= LANE_BITS;
            // A lane that is not empty belongs to an epoch from 1 on.
            unchecked {
                --epoch;
            }
        }
    }

    function _changeAt(uint256 index) internal view returns (Change memory) {
        return _unpack(_packedAt(index));
    }

    function _packedAt(uint256 index) private view returns (uint96) {
        if (index + 1 == _termsCount) return _lastTerms;
        if (index + 2 == _termsCount) return _termsBefore;
        return _olderTerms[index];
    }

    function _pack(Change memory change) private pure returns (uint96) {
        return (uint96(change.fromEpoch) << 80) | (uint96(change.issueFee) << 48)
            | (uint96(change.redeemFee) << 16) | change.issuersShareBps;
    }

    function _unpack(uint96 packed) private pure returns (Change memory) {
        return Change(uint16(packed >> 80), uint32(packed >> 48), uint32(packed >> 16), uint16(packed));
    }
}
