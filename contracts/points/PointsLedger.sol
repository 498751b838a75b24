// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPoints} from "../interfaces/IPoints.sol";
import {EpochClock} from "./EpochClock.sol";
import {
    Account,
    LANES_MASK,
    LANE_BITS,
    LANE_MASK,
    NonceState,
    VALIDITY_EPOCHS,
    bucketsWord
} from "../types/Account.sol";
import {Supply} from "../types/Supply.sol";

/// @dev Accounts, supply by epoch, and every way in which points move. Nothing here asks who is calling.
abstract contract PointsLedger is IPoints, EpochClock {
    mapping(address account => Account) internal _accounts;
    mapping(uint256 epoch => Supply) internal _supply;

    /// @dev Fixed for ever: no role can close the doors on points that were earned while they were open.
    Policy private immutable POLICY;
    /// @dev The policy as the two questions that it answers: the compiler checks the range of an enum whenever it is read.
    bool internal immutable OPEN_TO_ALL;
    bool internal immutable TRANSFERS_CLOSED;

    constructor(Policy policy_) {
        POLICY = policy_;
        OPEN_TO_ALL = policy_ == Policy.OPEN;
        TRANSFERS_CLOSED = policy_ == Policy.CLOSED;
    }

    // ---- reads

    /// @inheritdoc IPoints
    function accountOf(address account) external view returns (uint256) {
        return Account.unwrap(_accounts[account]);
    }

    /// @inheritdoc IPoints
    function bucketsOf(address account) external view returns (uint256) {
        return _accounts[account].accountAged(_currentEpoch()).accountBuckets();
    }

    /// @inheritdoc IPoints
    function isMember(address account) external view returns (bool) {
        return _accounts[account].accountIsMember();
    }

    /// @inheritdoc IPoints
    function isNonceUsed(address account, uint256 nonce) external view returns (bool) {
        return _accounts[account].accountNonceState(nonce) == NonceState.USED;
    }

    /// @inheritdoc IPoints
    function policy() external view returns (Policy) {
        return POLICY;
    }

    /// @inheritdoc IPoints
    function supplyOfEpoch(uint256 epoch) external view returns (uint256 issuedNet, uint256 live) {
        Supply supply = _supply[epoch];
        return (supply.supplyIssuedNet(), supply.supplyLive());
    }

    // ---- accounts

    /// @dev The account in the current epoch with the order's nonce used up. Every order passes here first, so that a used one is
    /// told apart from all other refusals.
    function _openByOrder(address owner, uint256 nonce, uint256 epoch) internal view returns (Account account) {
        account = _accounts[owner].accountAged(epoch);
        if (!account.accountMayUseNonce(nonce)) _revertNonce(owner, nonce, account);
        account = account.accountNonceUsed(nonce);
    }

    function _credit(address owner, Account account, uint256 lanes) internal pure returns (Account) {
        (Account credited, uint256 full) = account.accountCredited(lanes);
        if (full != 0) _revertBucketFull(owner, account, lanes);
        return credited;
    }

    /// @dev Reverts unless `to` may hold points under the policy.
    function _requireMayHold(address to, Account account) internal view {
        if (!account.accountIsMember() && !OPEN_TO_ALL) revert NotMember(to);
    }

    /// @dev Soonest to expire first, from an account that is opened already (aged, its nonce used).
    function _moveOldest(address from, Account account, address to, uint256 points, uint256 epoch) internal {
        (Account rest, uint256 taken, uint256 missing) = account.accountSpent(points);
        if (missing != 0) revert ERC20InsufficientBalance(from, points - missing, points);
        _settleMove(from, account, rest, to, taken, epoch);
        emit Transfer(from, to, points);
    }

    /// @dev Out of one bucket: not the order of expiry, so the buckets are told as well.
    function _moveAtEpoch(address from, address to, uint256 points, uint256 bucketEpoch) internal {
        uint256 epoch = _currentEpoch();
        if (_isExpired(bucketEpoch, epoch)) revert ERC7818TransferredExpiredToken();
        Account account = _accounts[from].accountAged(epoch);
        (Account rest, uint256 taken, uint256 missing) = account.accountSpentAt(bucketEpoch, points);
        if (missing != 0) revert BucketTooLow(from, bucketEpoch, points - missing, points);
        _settleMove(from, account, rest, to, taken, epoch);
        emit Transfer(from, to, points);
        emit BucketsMoved(from, to, bucketsWord(epoch, taken));
    }

    /// @dev Stores both ends of a transfer. Self-transfer: the points do not move, the nonce (if any) stays used.
    function _settleMove(
        address from,
        Account account,
        Account rest,
        address to,
        uint256 taken,
        uint256 epoch
    ) private {
        if (from == to) {
            _accounts[from] = account;
            return;
        }
        Account receiver = _accounts[to].accountAged(epoch);
        _requireMayHold(to, receiver);
        receiver = _credit(to, receiver, taken);
        _accounts[from] = rest;
        _accounts[to] = receiver;
    }

    // ---- supply

    /// @dev Lanes that came alive (refund) or ceased to live (redeem) in their epochs.
    function _addLive(uint256 epoch, uint256 lanes) internal {
        while (lanes != 0) {
            uint256 points = lanes & LANE_MASK;
            if (points != 0) _supply[epoch] = _supply[epoch].supplyRefunded(points);
            lanes >>= LANE_BITS;
            // A lane that is not empty belongs to an epoch from 1 on; below that nothing is read.
            unchecked {
                --epoch;
            }
        }
    }

    function _subtractLive(uint256 epoch, uint256 lanes) internal {
        while (lanes != 0) {
            uint256 points = lanes & LANE_MASK;
            if (points != 0) _supply[epoch] = _supply[epoch].supplyRedeemed(points);
            lanes >>= LANE_BITS;
            unchecked {
                --epoch;
            }
        }
    }

    /// @dev Live supply: the sum over the six live epochs.
    function _liveSupply() internal view returns (uint256 points) {
        uint256 current = _currentEpoch();
        uint256 oldest = current < VALIDITY_EPOCHS ? 1 : current - VALIDITY_EPOCHS + 1;
        for (uint256 epoch = oldest; epoch <= current; ++epoch) {
            points += _supply[epoch].supplyLive();
        }
    }

    // ---- refusals, out of the way of the paths that succeed

    function _revertNonce(address owner, uint256 nonce, Account account) private pure {
        NonceState state = account.accountNonceState(nonce);
        if (state == NonceState.USED) revert NonceUsed(owner, nonce);
        if (state == NonceState.TOO_HIGH) revert NonceTooHigh(owner, nonce, account.accountHighestNonce());
        revert NoncesExhausted(owner);
    }

    /// @dev Names the lane that is full: the newest one, where there are several.
    function _revertBucketFull(address owner, Account account, uint256 lanes) private pure {
        uint256 held = Account.unwrap(account) & LANES_MASK;
        uint256 epoch = account.accountEpoch();
        while ((held & LANE_MASK) + (lanes & LANE_MASK) <= LANE_MASK) {
            held >>= LANE_BITS;
            lanes >>= LANE_BITS;
            --epoch;
        }
        revert BucketFull(owner, epoch, lanes & LANE_MASK);
    }
}
