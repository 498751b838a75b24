// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ICoalitionOffice} from "../interfaces/ICoalition.sol";
import {Merchants} from "./Merchants.sol";
import {EPOCH_MAX} from "../types/Account.sol";

/// @dev The operator sets terms for epochs to come.
abstract contract TermsKeeper is Merchants {
    /// @dev In the bytecode: no role can shorten the notice.
    uint256 private constant NOTICE = 30 days;
    /// @dev Epochs beyond the notice for which terms may be set. An issue, a redemption and a successor's start walk over the changes that are
    /// newer than what they ask for; without an end to these the operator could make them cost more gas than a transaction has.
    uint256 private constant AHEAD_MAX = 8;

    /// @inheritdoc ICoalitionOffice
    function setTerms(uint256 fromEpoch, Terms calldata terms) external restricted current {
        _requireSound(terms);
        uint256 noticed = _noticedEpoch();
        uint256 earliest = Math.max(noticed, uint256(_lastTerms >> 80) + 1);
        if (fromEpoch < earliest) revert TermsTooLate(fromEpoch, earliest);
        uint256 latest = Math.min(noticed + AHEAD_MAX, EPOCH_MAX);
        if (fromEpoch > latest) revert TermsTooFar(fromEpoch, latest);
        _append(uint16(fromEpoch), terms);
    }

    /// @inheritdoc ICoalitionOffice
    function termsOf(uint256 epoch) external view returns (Terms memory) {
        Change memory found = _termsIn(epoch);
        return Terms(found.issueFee, found.redeemFee, found.issuersShareBps);
    }

    /// @inheritdoc ICoalitionOffice
    function termsChanges() external view returns (uint256) {
        return _termsCount;
    }

    /// @inheritdoc ICoalitionOffice
    function termsChangeAt(uint256 index) external view returns (uint256, Terms memory) {
        Change memory found = _changeAt(index);
        return (found.fromEpoch, Terms(found.issueFee, found.redeemFee, found.issuersShareBps));
    }

    /// @dev The first epoch that begins after the notice.
    function _noticedEpoch() private view returns (uint256 epoch) {
        epoch = _currentEpoch() + 1;
        uint256 start = _epochStart(epoch);
        uint256 noticed = block.timestamp + NOTICE;
        if (start < noticed) epoch += (noticed - start + EPOCH_LENGTH - 1) / EPOCH_LENGTH;
    }
}
