// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC7818} from "./IERC7818.sol";

/// @title Points: the one currency of the coalition (ERC-20, ERC-2612, ERC-7818), decimals 0
/// @notice A point lives through the epoch in which it was earned and the five that follow; then it expires silently (no Transfer).
/// Spending takes the soonest-to-expire first, and a transfer never refreshes age.
/// @dev "buckets" is always one word laid out like the account: bits 240-255 the epoch of the newest bucket, bits 0-209 six
/// 35-bit lanes, lane i (bits 35i to 35i+34) the points of epoch (newest - i).
interface IPoints is IERC20Metadata, IERC20Permit, IERC20Errors, IERC7818 {
    /// @notice Who may hold points: anyone, members alone, or nobody may transfer (points are earned and redeemed only).
    enum Policy {
        OPEN,
        MEMBERS,
        CLOSED
    }

    /// @notice Says which buckets moved, beside the Transfer, whenever a movement is not soonest-to-expire first:
    /// `transferAtEpoch`, a return (to = 0) and a refund (from = 0).
    event BucketsMoved(address indexed from, address indexed to, uint256 buckets);
    event MemberSet(address indexed member, bool isMember);
    event CoalitionProposed(address indexed successor, uint256 acceptableAt);
    event CoalitionVetoed(address indexed successor);
    event CoalitionChanged(address indexed previous, address indexed current);

    error NotCoalition(address caller);
    error NotMember(address account);
    error TransfersClosed();
    error AlreadyMember(address account);
    /// @notice The lane of `epoch` in the account cannot take `points` more: 35 bits are full.
    error BucketFull(address account, uint256 epoch, uint256 points);
    /// @notice The account's bucket of `epoch` holds `available`, less than asked.
    error BucketTooLow(address account, uint256 epoch, uint256 available, uint256 points);
    error EpochExpired(uint256 epoch);
    error NonceUsed(address account, uint256 nonce);
    /// @notice More than 6 above the highest nonce used.
    error NonceTooHigh(address account, uint256 nonce, uint256 highest);
    error NoncesExhausted(address account);
    error EntriesMalformed(uint256 length);
    error ZeroPoints();
    error NoSuccessor();
    error NotSuccessor(address caller, address successor);
    error SuccessionTooEarly(uint256 acceptableAt);
    error PermitExpired(uint256 deadline);
    error PermitSignerInvalid(address signer, address owner);

    // ---- reads

    /// @notice The packed account: 16-bit newest epoch, 24-bit highest order nonce, 5-bit window, 1 member bit, six 35-bit buckets.
    function accountOf(address account) external view returns (uint256 word);

    /// @notice The live buckets of `account` aged to the current epoch, in the layout above.
    function bucketsOf(address account) external view returns (uint256 buckets);

    function isMember(address account) external view returns (bool);

    function isNonceUsed(address account, uint256 nonce) external view returns (bool);

    function policy() external view returns (Policy);

    /// @notice `issuedNet`: issued in `epoch` less returned. `live`: of these, neither redeemed nor returned (refunds added).
    /// For an expired epoch `live` is what expired unspent.
    function supplyOfEpoch(uint256 epoch) external view returns (uint256 issuedNet, uint256 live);

    /// @notice Unix second at which `epoch` begins.
    function epochStart(uint256 epoch) external view returns (uint256);

    /// @notice Last unix second of `epoch`.
    function epochEnd(uint256 epoch) external view returns (uint256);

    // ---- the coalition, its only minter, and its successor

    function coalition() external view returns (address);

    function successor() external view returns (address proposed, uint256 acceptableAt);

    function SUCCESSION_DELAY() external view returns (uint256);

    /// @notice Proposes a successor of the Coalition contract (role ADMIN); it may accept after SUCCESSION_DELAY.
    function proposeCoalition(address proposed) external;

    /// @notice Ends the proposal (role GUARDIAN).
    function vetoCoalition() external;

    /// @notice Called by the successor itself once the delay has passed.
    function acceptCoalition() external;

    // ---- the Coalition alone

    function join(address member, uint256 nonce) external;

    function leave(address member, uint256 nonce) external;

    /// @notice Mints to each packed 25-byte entry (20-byte address, 5-byte points) in the current epoch.
    /// @return points The sum.
    function mintBatch(bytes calldata entries) external returns (uint256 points);

    /// @notice Burns soonest-to-expire first and uses the nonce up.
    /// @return buckets What was taken, by epoch.
    function redeem(address member, uint256 points, uint256 nonce) external returns (uint256 buckets);

    /// @notice Gives points back into the epochs named; expired ones revert.
    function refund(address member, uint256 buckets) external;

    /// @notice Burns from the bucket of one epoch: goods came back.
    function returnPoints(address member, uint256 epoch, uint256 points) external;

    function transferByOrder(address from, address to, uint256 points, uint256 nonce) external;

    /// @notice Moves every live bucket and the member bit of an account to the address its member named for recovery.
    function recover(address from, address to) external;

    function useNonce(address account, uint256 nonce) external;
}
