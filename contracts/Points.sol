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
    EPOCH_SHIFT,
    LANE_BITS,
    LANE_MASK,
    MEMBER_BIT,
    MIDDLE_MASK,
    bucketsWord
} from "./types/Account.sol";

/// @dev The shell: what the Coalition alone may do. Time, accounts, the token and the succession are parents.
contract Points is PointsToken, Succession {
    uint256 private constant ENTRY_BYTES = 25;
    bytes32 private constant TRANSFER_TOPIC = 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef;

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
        points = _mintEach(entries, epoch);
        _supply[epoch] = _supply[epoch].supplyIssued(points);
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
        _supply[epoch] = _supply[epoch].supplyReturned(points);
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

    /// @dev The loop that the price of the network hangs on. It is written out because the compiler's mapping, event and branches cost 500
    /// gas an entry over what the machine itself asks (7,213). Lane 0 is the lowest, so an issue is one addition to the word, and one
    /// comparison covers all that can be wrong with it: each part is at most LANE_MASK when it is right and more when it is not.
    function _mintEach(bytes calldata entries, uint256 epoch) private returns (uint256 points) {
        uint256 demanded = OPEN_TO_ALL ? 0 : MEMBER_BIT;
        uint256 offset;
        uint256 end;
        assembly ("memory-safe") {
            offset := entries.offset
            end := add(offset, entries.length)
            // The slot of _accounts[to] by Solidity's rule for a mapping: keccak256(to . slot of the mapping).
            mstore(0x20, _accounts.slot)
            for {} lt(offset, end) { offset := add(offset, ENTRY_BYTES) } {
                let entry := calldataload(offset)
                let to := shr(96, entry)
                let amount := and(shr(56, entry), 0xffffffffff)
                mstore(0x00, to)
                let slot := keccak256(0x00, 0x40)
                let word := sload(slot)
                let newest := shr(EPOCH_SHIFT, word)
                if xor(newest, epoch) {
                    // accountAged, in place. An account from the future has no place in any epoch: it is told apart below.
                    if gt(newest, epoch) { break }
                    let lanes := and(shl(mul(LANE_BITS, sub(epoch, newest)), and(word, LANES_MASK)), LANES_MASK)
                    word := or(or(shl(EPOCH_SHIFT, epoch), and(word, MIDDLE_MASK)), lanes)
                }
                // Zero points wrap to the largest number; a missing member bit stays where it is, above the lanes; address 0 becomes bit 40.
                let wrong := or(sub(amount, 1), add(and(word, LANE_MASK), amount))
                wrong := or(wrong, or(and(not(word), demanded), shl(40, iszero(to))))
                if gt(wrong, LANE_MASK) { break }
                sstore(slot, add(word, amount))
                mstore(0x00, amount)
                log3(0x00, 0x20, TRANSFER_TOPIC, 0, to)
                // At most 2^40 an entry: the sum over one transaction cannot overflow.
                points := add(points, amount)
            }
        }
        if (offset < end) _refuseEntry(entries[entries.length - (end - offset):], epoch);
    }

    /// @dev Says why the first of these entries was refused.
    function _refuseEntry(bytes calldata entries, uint256 epoch) private view {
        address to = address(bytes20(entries));
        uint256 points = uint40(bytes5(entries[20:25]));
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        if (points == 0) revert ZeroPoints();
        _requireMayHold(to, _accounts[to].accountAged(epoch));
        revert BucketFull(to, epoch, points);
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
