// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Standing} from "../types/Standing.sol";
import {Wire} from "../types/Wire.sol";
import {Signatures} from "./Signatures.sol";

/// @dev Effects of the orders of every day: joining, issuing, redeeming, transferring, cancelling. A member's nonce is used up in Points, in
/// the same call that moves the points.
abstract contract DailyOrders is Signatures {
    using Wire for bytes;

    /// @dev What one transaction can carry under a cap of 16,777,216 gas when every recipient is new.
    uint256 private constant ENTRIES_MAX = 600;

    function _join(bytes calldata order, bytes32 digest) internal {
        address member = order.account(1);
        POINTS.join(member, order.uint24At(21));
        PASS.mint(member);
        emit Joined(digest, member);
    }

    function _issueBatch(bytes calldata order, bytes32 digest) internal {
        uint32 merchant = order.merchant(1);
        uint256 nonce = order.uint64At(5);
        Standing standing = _standing(merchant);
        if (standing.standingStatus() != ACTIVE) _revertNotActive(merchant, standing);
        if (_paused) revert IssuingIsPaused();
        _useMerchantNonce(merchant, nonce);
        uint256 count = order.unsigned(50, 2);
        if (count == 0) revert ZeroAmount();
        if (count > ENTRIES_MAX) revert TooManyEntries(count);
        uint256 epoch = _currentEpoch();
        uint256 issued = POINTS.mintBatch(order[ENTRIES_OFFSET:ENTRIES_OFFSET + ENTRY_BYTES * count]);
        uint256 charged = issued * (FACE_VALUE + _issueFeeIn(epoch));
        _debit(merchant, standing, charged, standing.standingLimit());
        _issuesOf(epoch, merchant).issued += uint112(issued);
        emit Issued(digest, merchant, nonce, epoch, issued, charged, order.word(18));
    }

    /// @return leaf For the Merkle root over the redemptions of this relay.
    function _redeem(bytes calldata order, bytes32 digest) internal returns (bytes32 leaf) {
        address member = order.account(1);
        uint32 merchant = order.merchant(21);
        uint256 amount = order.uint40At(25);
        Standing standing = _standing(merchant);
        if (standing.standingStatus() > SUSPENDED) _revertNotActive(merchant, standing);
        uint256 buckets = POINTS.redeem(member, amount, order.uint24At(30));
        uint256 paid = _redeemValue(buckets);
        _creditPosition(merchant, standing, paid);
        emit Redeemed(digest, member, merchant, amount, paid, buckets, order.word(38));
        return _leaf(digest, buckets);
    }

    function _transfer(bytes calldata order, bytes32 digest) internal {
        (address from, address to, uint256 amount) = (order.account(1), order.account(21), order.uint40At(41));
        POINTS.transferByOrder(from, to, amount, order.uint24At(46));
        emit Transferred(digest, from, to, amount);
    }

    /// @dev Merchant 0: the nonce of a member, which Points keeps.
    function _cancel(bytes calldata order, bytes32 digest) internal {
        (address signer, uint32 merchant) = (order.account(1), order.merchant(21));
        uint256 nonce = order.uint64At(25);
        if (merchant == 0) {
            POINTS.useNonce(signer, nonce);
        } else {
            _standing(merchant);
            _useMerchantNonce(merchant, nonce);
        }
        emit Cancelled(digest, signer, merchant, nonce);
    }
}
