// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Redemptions} from "../coalition/Redemptions.sol";
import {ICoalitionOffice} from "../interfaces/ICoalition.sol";
import {IPoints} from "../interfaces/IPoints.sol";
import {EPOCH_SHIFT, LANE_BITS, LANE_MASK, VALIDITY_EPOCHS, bucketsWord} from "../types/Account.sol";
import {Standing} from "../types/Standing.sol";
import {Wire} from "../types/Wire.sol";
import {Recoveries} from "./Recoveries.sol";

/// @dev Effects of the orders that are seldom: refunds, returns, and what a merchant's owner signs.
abstract contract SeldomOrders is Recoveries, Redemptions {
    using SafeERC20 for IERC20;
    using Wire for bytes;

    function _refund(bytes calldata order, bytes32 digest) internal {
        uint32 merchant = order.merchant(1);
        uint256 amount = order.uint40At(5);
        Standing standing = _standing(merchant);
        if (standing.standingStatus() == CLOSED) _revertNotActive(merchant, standing);
        _useMerchantNonce(merchant, order.uint64At(10));
        if (amount == 0) revert ZeroAmount();
        (bytes32 leaf, bool rooted) = _redemptionOf(order);
        if (!rooted) revert RedemptionUnknown(leaf);
        uint256 before = _refundedOf(leaf);
        uint256 taken = uint256(order.word(88));
        uint256 redeemed = order.uint40At(43);
        if (amount > redeemed - before) revert RefundExceedsRedemption(leaf, redeemed - before, amount);
        _refunded[leaf] = before + amount;
        uint256 buckets = _longestLived(taken, before, amount);
        uint256 charged = _redeemValue(buckets);
        _debit(merchant, standing, charged, standing.standingLimit());
        address member = order.account(REDEMPTION_OFFSET);
        POINTS.refund(member, buckets);
        emit Refunded(digest, member, merchant, leaf, amount, charged, buckets);
    }

    function _return(bytes calldata order, bytes32 digest) internal {
        uint32 merchant = order.merchant(21);
        uint256 amount = order.uint40At(25);
        uint256 epoch = order.unsigned(30, 2);
        Standing standing = _standing(merchant);
        if (standing.standingStatus() == CLOSED) _revertNotActive(merchant, standing);
        _useMerchantNonce(merchant, order.uint64At(32));
        _countReturn(merchant, epoch, amount);
        address member = order.account(1);
        POINTS.returnPoints(member, epoch, amount);
        uint256 credited = amount * (FACE_VALUE + _issueFeeIn(epoch));
        _creditPosition(merchant, standing, credited);
        emit Returned(digest, member, merchant, epoch, amount, credited, order.word(45));
    }

    /// @dev Never on credit: the limit is there to issue on, and the guarantee behind it is not the merchant's money.
    function _withdraw(bytes calldata order, bytes32 digest) internal {
        uint32 merchant = order.merchant(1);
        (address to, uint256 amount) = (order.account(5), order.unsigned(25, 16));
        Standing standing = _standing(merchant);
        _useMerchantNonce(merchant, order.uint64At(41));
        if (to == address(0)) revert ZeroAddress();
        if (amount == 0) revert ZeroAmount();
        _debit(merchant, standing, amount, 0);
        emit Withdrawn(digest, merchant, to, amount);
        ASSET.safeTransfer(to, amount);
    }

    function _setTillKeyByOrder(bytes calldata order, bytes32 digest) internal {
        uint32 merchant = order.merchant(1);
        _standing(merchant);
        _useMerchantNonce(merchant, order.uint64At(26));
        _setTillKey(digest, merchant, order.account(5), uint8(order[25]) == 1);
    }

    function _setOwner(bytes calldata order, bytes32 digest) internal {
        (uint32 merchant, address owner) = (order.merchant(1), order.account(5));
        _standing(merchant);
        _useMerchantNonce(merchant, order.uint64At(25));
        if (owner == address(0)) revert ZeroAddress();
        _owners[merchant] = owner;
        emit OwnerSet(digest, merchant, owner);
    }

    function _setProfile(bytes calldata order, bytes32 digest) internal {
        (uint32 merchant, bytes32 profileHash) = (order.merchant(1), order.word(5));
        _standing(merchant);
        _useMerchantNonce(merchant, order.uint64At(37));
        _profiles[merchant] = profileHash;
        emit ProfileSet(digest, merchant, profileHash);
    }

    /// @dev Window, what the merchant issued in the epoch, and the cap on what of it may come back: so that a return cannot serve as a
    /// redemption at the issue price.
    function _countReturn(uint32 merchant, uint256 epoch, uint256 amount) private {
        uint256 epochNow = _currentEpoch();
        if (epoch > epochNow || epoch + 1 < epochNow) revert ReturnWindowOver(epoch, epochNow);
        Issues storage issues = _issuesOf(epoch, merchant);
        uint256 cap = uint256(issues.issued) * RETURN_CAP_BPS / BPS;
        // More than the cap may have come back to a predecessor with a higher one.
        uint256 left = cap > issues.returned ? cap - issues.returned : 0;
        if (amount > left) revert ReturnExceedsIssued(merchant, epoch, left, amount);
        issues.returned += uint112(amount);
    }

    /// @dev Of the buckets that a redemption took, the `amount` that come after the first `skipped`, newest first: so a refund gives the
    /// longest life it can, and the parts of one redemption never overlap. Reverts when that reaches an expired epoch.
    function _longestLived(uint256 taken, uint256 skipped, uint256 amount)
        private
        view
        returns (uint256 buckets)
    {
        uint256 newest = taken >> EPOCH_SHIFT;
        uint256 epochNow = _currentEpoch();
        uint256 lanes;
        for (uint256 lane = 0; lane < VALIDITY_EPOCHS && amount != 0; ++lane) {
            uint256 available = (taken >> (LANE_BITS * lane)) & LANE_MASK;
            uint256 skip = skipped < available ? skipped : available;
            skipped -= skip;
            available -= skip;
            uint256 give = amount < available ? amount : available;
            if (give == 0) continue;
            if (_isExpired(newest - lane, epochNow)) revert IPoints.EpochExpired(newest - lane);
            lanes |= give << (LANE_BITS * lane);
            amount -= give;
        }
        return bucketsWord(newest, lanes);
    }

    /// @dev What is written here includes what the predecessor gave back.
    function _refundedOf(bytes32 leaf) internal view returns (uint256 refunded) {
        refunded = _refunded[leaf];
        if (refunded == 0 && _hasPredecessor()) return PREDECESSOR.refundedOf(leaf);
    }
}
