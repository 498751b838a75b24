// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICoalitionOffice} from "../interfaces/ICoalition.sol";
import {TermsKeeper} from "./TermsKeeper.sol";
import {Standing} from "../types/Standing.sol";
import {VALIDITY_EPOCHS} from "../types/Account.sol";

/// @dev The guarantee, the closing of epochs and the operator's income. Exact in integers; who is owed a fraction waits for it.
abstract contract Clearing is TermsKeeper {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @inheritdoc ICoalitionOffice
    function depositGuarantee(uint256 amount) external current nonReentrant {
        uint256 arrived = _pull(amount);
        _ledger.guarantee += arrived.toUint120();
        emit GuaranteeDeposited(msg.sender, arrived);
    }

    /// @inheritdoc ICoalitionOffice
    function withdrawGuarantee(address to, uint256 amount) external restricted current nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        (uint256 held, uint256 limits) = (_ledger.guarantee, _ledger.sumOfLimits);
        if (amount > held || held - amount < limits) revert GuaranteeTooLow(held, limits);
        _ledger.guarantee = uint128(held - amount);
        emit GuaranteeWithdrawn(to, amount);
        ASSET.safeTransfer(to, amount);
    }

    // ---- the end of an epoch

    /// @inheritdoc ICoalitionOffice
    function closeEpoch(uint256 epoch) external current {
        if (epoch == 0 || !_isExpired(epoch, _currentEpoch())) revert EpochNotExpired(epoch);
        Closing storage closing = _closing(epoch);
        if (closing.closed) revert EpochAlreadyClosed(epoch);
        Change memory terms = _termsIn(epoch);
        (uint256 issuedNet, uint256 unspentPoints) = POINTS.supplyOfEpoch(epoch);
        uint256 unspent = unspentPoints * FACE_VALUE;
        // The cap is what an issuer paid in fees: so issuing to oneself can never earn more than it cost.
        uint256 cap = (uint256(terms.issueFee) + terms.redeemFee) * issuedNet;
        uint256 pool = Math.min(unspent * terms.issuersShareBps / BPS, cap);
        uint256 operatorsPart = unspent - pool;
        (closing.closed, closing.pool) = (true, pool.toUint120());
        uint256 fees = issuedNet * terms.issueFee + (issuedNet - unspentPoints) * terms.redeemFee;
        _ledger.earnedClosed += (fees + operatorsPart).toUint120();
        _ledger.breakageUnclaimed += pool.toUint120();
        _advanceFirstOpen();
        emit EpochClosed(epoch, unspent, pool, operatorsPart);
    }

    /// @inheritdoc ICoalitionOffice
    function claimBreakage(uint256 epoch, uint32 merchant) external current returns (uint256 amount) {
        Standing standing = _standing(merchant);
        Closing storage closing = _closing(epoch);
        if (!closing.closed) revert EpochNotClosed(epoch);
        Issues storage issues = _issuesOf(epoch, merchant);
        if (issues.claimed) revert AlreadyClaimed(epoch, merchant);
        issues.claimed = true;
        uint256 claimed = closing.claimedPoints + (issues.issued - issues.returned);
        (uint256 issuedNet,) = POINTS.supplyOfEpoch(epoch);
        // The running floor: exact in sum, each within one unit of its quota, in any order of claims.
        uint256 due = issuedNet == 0 ? 0 : uint256(closing.pool) * claimed / issuedNet;
        amount = due - closing.paid;
        (closing.claimedPoints, closing.paid) = (uint128(claimed), uint128(due));
        _ledger.breakageUnclaimed -= uint128(amount);
        _creditPosition(merchant, standing, amount);
        emit BreakageClaimed(epoch, merchant, amount);
    }

    // ---- the operator's income

    /// @inheritdoc ICoalitionOffice
    function withdrawIncome(address to, uint256 amount) external restricted current nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        (, uint256 withdrawable) = _income();
        if (amount > withdrawable) revert IncomeTooLow(withdrawable, amount);
        _ledger.incomeWithdrawn += uint128(amount);
        emit IncomeWithdrawn(to, amount);
        ASSET.safeTransfer(to, amount);
    }

    /// @inheritdoc ICoalitionOffice
    function income() external view returns (uint256 earned, uint256 withdrawable) {
        return _income();
    }

    /// @inheritdoc ICoalitionOffice
    function reserve() external view returns (uint256) {
        return POINTS.totalSupply() * FACE_VALUE;
    }

    /// @inheritdoc ICoalitionOffice
    function breakage() external view returns (uint256 amount) {
        amount = _ledger.breakageUnclaimed;
        uint256 current_ = _currentEpoch();
        for (uint256 epoch = _ledger.firstOpenEpoch; epoch + VALIDITY_EPOCHS <= current_; ++epoch) {
            if (_closingOf(epoch).closed) continue;
            (, uint256 live) = POINTS.supplyOfEpoch(epoch);
            amount += live * FACE_VALUE;
        }
    }

    /// @dev Derived: fees of open epochs from issues and live points, those of closed epochs from the sum. An issue fee may be taken
    /// out when the return window (this epoch and the one before) has passed, a redeem fee when the epoch is closed.
    function _income() private view returns (uint256 earned, uint256 withdrawable) {
        Ledger memory book = _ledger;
        earned = book.earnedClosed;
        withdrawable = book.earnedClosed;
        uint256 current_ = _currentEpoch();
        for (uint256 epoch = book.firstOpenEpoch; epoch <= current_; ++epoch) {
            if (_closingOf(epoch).closed) continue;
            Change memory terms = _termsIn(epoch);
            (uint256 issuedNet, uint256 live) = POINTS.supplyOfEpoch(epoch);
            earned += issuedNet * terms.issueFee + (issuedNet - live) * terms.redeemFee;
            if (epoch + 2 <= current_) withdrawable += issuedNet * terms.issueFee;
        }
        earned -= book.incomeWithdrawn;
        withdrawable -= book.incomeWithdrawn;
    }

    /// @dev Copied from the predecessor at first touch.
    function _closing(uint256 epoch) private returns (Closing storage closing) {
        closing = _closings[epoch];
        if (!closing.closed && epoch <= _inheritedThrough) _closings[epoch] = PREDECESSOR.closingOf(epoch);
    }

    function _closingOf(uint256 epoch) internal view returns (Closing memory closing) {
        closing = _closings[epoch];
        if (!closing.closed && epoch <= _inheritedThrough) return PREDECESSOR.closingOf(epoch);
    }

    function _advanceFirstOpen() private {
        uint256 epoch = _ledger.firstOpenEpoch;
        while (_closingOf(epoch).closed) ++epoch;
        _ledger.firstOpenEpoch = uint16(epoch);
    }

}
