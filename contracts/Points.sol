// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPoints} from "./interfaces/IPoints.sol";
import {PointsLedger} from "./points/PointsLedger.sol";
import {PointsToken} from "./points/PointsToken.sol";
import {EpochClock} from "./points/EpochClock.sol";
import {Succession} from "./points/Succession.sol";
import {
    Account,
    LANES_MASK,
    LANE_BITS,
    LANE_MASK,
    bucketsWord
} from "./types/Account.sol";

/// @dev The shell: what the Coalition alone may do. Time, accounts, the token and the succession are parents.
contract Points is PointsToken, Succession {
    uint256 private constant ENTRY_BYTES = 25;

    constructor(
        string memory name_,
        string memory symbol_,
        uint256 firstEpochStart,
        uint256 epochLength_,
        Policy policy_,
        address coalition_,
        address authority_
    )
        EpochClock(firstEpochStart, epochLength_)
        PointsLedger(policy_)
        PointsToken(name_, symbol_)
        Succession(coalition_, authority_)
    {}

    /// @inheritdoc IPoints
    function join(address member, uint256 nonce) external onlyCoalition {
        Account account = _openByOrder(member, nonce, _currentEpoch());
        if (account.accountIsMember()) revert AlreadyMember(member);
        _accounts[member] = account.accountWithMember(true);
        emit MemberSet(member, true);
    }

    /// @inheritdoc IPoints
    function leave(address member, uint256 nonce) external onlyCoalition {
        Account account = _openByOrder(member, nonce, _currentEpoch());
        if (!account.accountIsMember()) revert NotMember(member);
        _accounts[member] = account.accountWithMember(false);
        emit MemberSet(member, false);
    }

    /// @inheritdoc IPoints
    function useNonce(address account, uint256 nonce) external onlyCoalition {
        _accounts[account] = _openByOrder(account, nonce, _currentEpoch());
    }

    /// @inheritdoc IPoints
    function mintBatch(bytes calldata entries) external onlyCoalition returns (uint256 points) {
        if (entries.length % ENTRY_BYTES != 0) revert EntriesMalformed(entries.length);
        uint256 epoch = _currentEpoch();
        // A batch is at most calldata of one transaction: the sum of 40-bit numbers cannot overflow, nor the offsets.
        unchecked {
            for (uint256 offset = 0; offset < entries.length; offset += ENTRY_BYTES) {
                uint256 entry;
                assembly ("memory-safe") {
                    entry := calldataload(add(entries.offset, offset))
                }
                address to = address(uint160(entry >> 96));
                uint256 amount = (entry >> 56) & 0xFFFFFFFFFF;
                _mint(to, amount, epoch);
                points += amount;
            }
        }
        Supply storage supply = _supply[epoch];
        (supply.issuedNet, supply.live) = (supply.issuedNet + uint128(points), supply.live + uint128(points));
    }

    /// @inheritdoc IPoints
    function redeem(address member, uint256 points, uint256 nonce)
        external
        onlyCoalition
        returns (uint256 buckets)
    {
        uint256 epoch = _currentEpoch();
        Account account = _openByOrder(member, nonce, epoch);
        if (points == 0) revert ZeroPoints();
        (Account rest, uint256 taken, uint256 missing) = account.accountSpent(points);
        if (missing != 0) revert ERC20InsufficientBalance(member, points - missing, points);
        _accounts[member] = rest;
        _subtractLive(epoch, taken);
        emit Transfer(member, address(0), points);
        return bucketsWord(epoch, taken);
    }

    /// @inheritdoc IPoints
    function refund(address member, uint256 buckets) external onlyCoalition {
        uint256 epoch = _currentEpoch();
        Account given = Account.wrap(buckets);
        uint256 points = given.accountBalance();
        if (points == 0) revert ZeroPoints();
        Account aged = given.accountAged(epoch);
        // Ageing drops what has expired; a refund must be whole.
        if (aged.accountBalance() != points) revert EpochExpired(_oldestEpoch(given));
        _accounts[member] = _credit(member, _accounts[member].accountAged(epoch), aged.accountLanes());
        _addLive(epoch, aged.accountLanes());
        emit Transfer(address(0), member, points);
        emit BucketsMoved(address(0), member, aged.accountBuckets());
    }

    /// @inheritdoc IPoints
    function returnPoints(address member, uint256 epoch, uint256 points) external onlyCoalition {
        if (points == 0) revert ZeroPoints();
        uint256 current = _currentEpoch();
        if (_isExpired(epoch, current)) revert EpochExpired(epoch);
        (Account rest, uint256 taken, uint256 missing) =
            _accounts[member].accountAged(current).accountSpentAt(epoch, points);
        if (missing != 0) revert BucketTooLow(member, epoch, points - missing, points);
        _accounts[member] = rest;
        Supply storage supply = _supply[epoch];
        // A bucket holds 35 bits, so the cast loses nothing.
        (supply.issuedNet, supply.live) = (supply.issuedNet - uint128(points), supply.live - uint128(points));
        emit Transfer(member, address(0), points);
        emit BucketsMoved(member, address(0), bucketsWord(current, taken));
    }

    /// @inheritdoc IPoints
    function transferByOrder(address from, address to, uint256 points, uint256 nonce) external onlyCoalition {
        uint256 epoch = _currentEpoch();
        Account account = _openByOrder(from, nonce, epoch);
        if (points == 0) revert ZeroPoints();
        _requireTransferable(to);
        _moveOldest(from, account, to, points, epoch);
    }

    /// @inheritdoc IPoints
    function recover(address from, address to) external onlyCoalition {
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        if (from == to) return;
        uint256 epoch = _currentEpoch();
        Account source = _accounts[from].accountAged(epoch);
        Account target = _accounts[to].accountAged(epoch);
        uint256 lanes = source.accountLanes();
        _accounts[from] = Account.wrap(Account.unwrap(source) & ~LANES_MASK).accountWithMember(false);
        if (source.accountIsMember()) {
            emit MemberSet(from, false);
            if (!target.accountIsMember()) emit MemberSet(to, true);
            target = target.accountWithMember(true);
        }
        _accounts[to] = _credit(to, target, lanes);
        emit Transfer(from, to, source.accountBalance());
    }

    /// @dev One entry of a batch: `points` of the current epoch to `to`.
    function _mint(address to, uint256 points, uint256 epoch) private {
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        if (points == 0) revert ZeroPoints();
        Account account = _accounts[to].accountAged(epoch);
        _requireMayHold(to, account);
        // 40 bits on the wire, 35 in a lane.
        if (points > LANE_MASK) revert BucketFull(to, epoch, points);
        _accounts[to] = _credit(to, account, points);
        emit Transfer(address(0), to, points);
    }

    /// @dev Epoch of the soonest-to-expire bucket that is not empty; there is one.
    function _oldestEpoch(Account buckets) private pure returns (uint256 epoch) {
        uint256 lanes = buckets.accountLanes();
        epoch = buckets.accountEpoch();
        while (lanes > LANE_MASK) {
            lanes >>= LANE_BITS;
            --epoch;
        }
    }
}
