// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Words, events and errors of the Coalition
interface ICoalitionTypes {
    enum Status {
        NONE,
        ACTIVE,
        SUSPENDED,
        LEAVING,
        CLOSED
    }

    struct Merchant {
        address owner;
        Status status;
        int256 position;
        uint256 creditLimit;
        bytes32 profileHash;
    }

    /// @dev Units of the settlement asset per point; the share in hundredths of a percent of the face value of unspent points.
    struct Terms {
        uint32 issueFee;
        uint32 redeemFee;
        uint16 issuersShareBps;
    }

    /// @dev What is written down of the money; all else follows from points, terms and positions.
    struct Ledger {
        uint128 guarantee;
        uint128 sumOfLimits;
        /// Fees and breakage of closed epochs, ever.
        uint128 earnedClosed;
        uint128 incomeWithdrawn;
        /// Issuers' pools of closed epochs, not claimed yet.
        uint128 breakageUnclaimed;
        /// Every epoch before this one is closed.
        uint16 firstOpenEpoch;
    }

    /// @dev A closed epoch: the issuers' pool, what was claimed from it, and the points that claimed it.
    struct Closing {
        uint128 pool;
        uint128 paid;
        uint128 claimedPoints;
        bool closed;
    }

    // ---- effects of orders; digest is the EIP-712 digest that was signed

    event Joined(bytes32 indexed digest, address indexed member);
    event Left(bytes32 indexed digest, address indexed member);
    /// @param charged points x (face value + issue fee of the epoch), taken from the merchant's position.
    event Issued(
        bytes32 indexed digest,
        uint32 indexed merchant,
        uint256 nonce,
        uint256 epoch,
        uint256 points,
        uint256 charged,
        bytes32 referencesRoot
    );
    /// @param paid Sum over buckets of points x (face value - redeem fee of that epoch), added to the merchant's position.
    event Redeemed(
        bytes32 indexed digest,
        address indexed member,
        uint32 indexed merchant,
        uint256 points,
        uint256 paid,
        uint256 buckets,
        bytes32 ref
    );
    /// @notice One Merkle root over the redemptions of one relay: leaf = keccak256(0x00, digest, buckets), sorted-pair inner nodes
    /// keccak256(0x01, smaller, larger); a leaf without partner rises unchanged.
    event RedemptionsRooted(bytes32 indexed root, uint256 count);
    event Refunded(
        bytes32 indexed digest,
        address indexed member,
        uint32 indexed merchant,
        bytes32 leaf,
        uint256 points,
        uint256 charged,
        uint256 buckets
    );
    event Returned(
        bytes32 indexed digest,
        address indexed member,
        uint32 indexed merchant,
        uint256 epoch,
        uint256 points,
        uint256 credited,
        bytes32 ref
    );
    event Transferred(bytes32 indexed digest, address indexed from, address indexed to, uint256 points);
    event Cancelled(bytes32 indexed digest, address indexed signer, uint32 indexed merchant, uint256 nonce);
    event Withdrawn(bytes32 indexed digest, uint32 indexed merchant, address indexed to, uint256 amount);
    event TillKeySet(bytes32 indexed digest, uint32 indexed merchant, address indexed key, bool active);
    event OwnerSet(bytes32 indexed digest, uint32 indexed merchant, address indexed owner);
    event ProfileSet(bytes32 indexed digest, uint32 indexed merchant, bytes32 profileHash);
    event RecoveryNamed(bytes32 indexed digest, address indexed member, address indexed recovery);
    event RecoveryStarted(bytes32 indexed digest, address indexed member, address indexed recovery, uint256 finishableAt);
    event Recovered(address indexed member, address indexed recovery);
    /// @notice An authentic, unused, unexpired order could not take effect now. News, never proof: it may be relayed again.
    /// @param reason The error that `execute` would have reverted with, cut at 100 bytes.
    event Rejected(bytes32 indexed digest, address indexed relayer, bytes reason);

    // ---- clearing and the operator

    event Deposited(uint32 indexed merchant, address indexed from, uint256 amount);
    event MerchantRegistered(uint32 indexed merchant, address indexed owner, bytes32 profileHash);
    event MerchantStatusSet(uint32 indexed merchant, Status status);
    event CreditLimitSet(uint32 indexed merchant, uint256 limit);
    event GuaranteeDeposited(address indexed from, uint256 amount);
    event GuaranteeWithdrawn(address indexed to, uint256 amount);
    event TermsSet(uint256 indexed fromEpoch, uint256 issueFee, uint256 redeemFee, uint256 issuersShareBps);
    event IssuingPaused(bool paused);
    event EpochClosed(uint256 indexed epoch, uint256 unspent, uint256 issuersPool, uint256 operatorsPart);
    event BreakageClaimed(uint256 indexed epoch, uint32 indexed merchant, uint256 amount);
    event IncomeWithdrawn(address indexed to, uint256 amount);
    /// @notice All of the settlement asset went to the successor; this contract answers reads and nothing else.
    event HandedOver(address indexed successor, uint256 amount);

    // ---- why an order or a call is refused

    error OrderMalformed(uint256 length);
    error OrderKindUnknown(uint256 kind);
    /// @notice The kind is fixed and hashed, its handling comes with a later Coalition.
    error OrderKindUnsupported(uint256 kind);
    error SignatureInvalid(address signer);
    error OrderExpired(uint256 deadline);
    /// @notice A deadline may not lie beyond the end of the epoch.
    error DeadlineBeyondEpoch(uint256 deadline, uint256 epochEnd);
    error MerchantNonceUsed(uint32 merchant, uint256 nonce);
    error MerchantUnknown(uint32 merchant);
    error MerchantExists(uint32 merchant);
    error MerchantNotActive(uint32 merchant, Status status);
    error NotTillKey(uint32 merchant, address key);
    error TillKeyTaken(address key, uint32 merchant);
    error NotOwner(uint32 merchant, address signer);
    error CreditLimitExceeded(uint32 merchant, int256 position, uint256 charge, uint256 limit);
    error LimitUnderDrawn(uint32 merchant, uint256 drawn, uint256 limit);
    error GuaranteeTooLow(uint256 guarantee, uint256 limits);
    error TooManyEntries(uint256 count);
    error IssuingIsPaused();
    error TermsTooLate(uint256 fromEpoch, uint256 earliestEpoch);
    error TermsTooFar(uint256 fromEpoch, uint256 latestEpoch);
    error TermsUnsound(uint256 issueFee, uint256 redeemFee, uint256 issuersShareBps);
    error EpochNotExpired(uint256 epoch);
    error EpochAlreadyClosed(uint256 epoch);
    error EpochNotClosed(uint256 epoch);
    error AlreadyClaimed(uint256 epoch, uint32 merchant);
    error RedemptionUnknown(bytes32 leaf);
    error RefundExceedsRedemption(bytes32 leaf, uint256 left, uint256 points);
    error ReturnExceedsIssued(uint32 merchant, uint256 epoch, uint256 left, uint256 points);
    error ReturnWindowOver(uint256 epoch, uint256 currentEpoch);
    error RecoveryUnknown(address member);
    error RecoveryTooEarly(uint256 finishableAt);
    error IncomeTooLow(uint256 available, uint256 amount);
    error NotCurrentCoalition(address current);
    error GasTooLow(uint256 index, uint256 gasLeft, uint256 gasNeeded);
    error FaceValueOutOfRange(uint256 faceValue);
    error ReturnCapOutOfRange(uint256 returnCapBps);
    error NotSelf(address caller);
    error OfficeMismatch(address office);
    error PredecessorMismatch(address predecessor);
    error ZeroAddress();
    error ZeroAmount();
}
