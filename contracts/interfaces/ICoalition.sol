// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPoints} from "./IPoints.sol";
import {IMembershipPass} from "./IMembershipPass.sol";

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

/// @title Coalition, the doors: what carries orders out
interface ICoalitionDoors is ICoalitionTypes {
    /// @notice Carries the orders out in array order, each isolated from the others; what fails leaves no trace but `Rejected`.
    /// @return effective How many took effect.
    function relay(bytes[] calldata orders) external returns (uint256 effective);

    /// @notice Carries one order out or reverts with the reason: for contracts that compose.
    function execute(bytes calldata order) external returns (bytes32 digest);

    /// @notice The part of the code that is seldom used, called for by delegation: one contract in two, each under the size limit.
    function office() external view returns (address);

    /// @notice Pulls `amount` of the settlement asset from the caller; what arrived is added to the merchant's position.
    function deposit(uint32 merchant, uint256 amount) external;

    function domainSeparator() external view returns (bytes32);

    /// @notice The digest that the signer of this wire order must have signed.
    function digestOf(bytes calldata order) external view returns (bytes32);

    function points() external view returns (IPoints);

    function asset() external view returns (IERC20);

    function pass() external view returns (IMembershipPass);

    function faceValue() external view returns (uint256);

    function returnCapBps() external view returns (uint256);

    function predecessor() external view returns (address);

    function merchantOf(uint32 merchant) external view returns (Merchant memory);

    function positionOf(uint32 merchant) external view returns (int256);

    /// @notice The merchant a till key signs for; 0 when it signs for none.
    function tillKeyMerchant(address key) external view returns (uint32);

    function isMerchantNonceUsed(uint32 merchant, uint256 nonce) external view returns (bool);
}

/// @title Coalition, the office: clearing, the operator, succession, reads
interface ICoalitionOffice is ICoalitionTypes {
    // ---- clearing, under no role

    function depositGuarantee(uint256 amount) external;

    function closeEpoch(uint256 epoch) external;

    function claimBreakage(uint256 epoch, uint32 merchant) external returns (uint256 amount);

    function finishRecovery(address member) external;

    // ---- succession, under no role: Points holds the delay and the veto

    /// @notice The successor takes over: Points obeys it from this block, and the predecessor pays its balance to it.
    function accept() external;

    /// @notice Pays the whole balance to the Coalition that Points obeys now; refused while that is this one.
    function handOver() external;

    // ---- the operator, under AccessManager

    /// @notice The operator chooses the id, so a repeated call changes nothing and reverts. `till` 0: no till key yet.
    function registerMerchant(uint32 merchant, address owner, address till, bytes32 profileHash) external;

    function setMerchantStatus(uint32 merchant, Status status) external;

    function setCreditLimit(uint32 merchant, uint256 limit) external;

    /// @notice Terms of an epoch and of all that follow it, at least 30 days ahead and at most eight epochs beyond that.
    function setTerms(uint256 fromEpoch, Terms calldata terms) external;

    function pauseIssuing(bool paused) external;

    function withdrawGuarantee(address to, uint256 amount) external;

    function withdrawIncome(address to, uint256 amount) external;

    // ---- reads

    function termsOf(uint256 epoch) external view returns (Terms memory);

    /// @notice Issued by the merchant in the epoch, and returned to it.
    function issuedBy(uint256 epoch, uint32 merchant) external view returns (uint256 issued, uint256 returned);

    /// @notice Whether this root of redemptions was stored by a relay.
    function isRedemptionRoot(bytes32 root) external view returns (bool);

    /// @notice Points already given back out of a redemption's leaf.
    function refundedOf(bytes32 leaf) external view returns (uint256);

    /// @notice live points x face value.
    function reserve() external view returns (uint256);

    /// @notice Sum of all merchants' credit limits; never above `guarantee`.
    function sumOfLimits() external view returns (uint256);

    function guarantee() external view returns (uint256);

    /// @notice Fees and closed breakage earned by the operator so far less what was withdrawn, and the part that may be withdrawn now.
    function income() external view returns (uint256 earned, uint256 withdrawable);

    /// @notice Face value of points that expired and are not closed, or closed and not claimed.
    function breakage() external view returns (uint256);

    function issuingPaused() external view returns (bool);

    // ---- reads that a successor copies

    function ledger() external view returns (Ledger memory);

    function closingOf(uint256 epoch) external view returns (Closing memory);

    function hasClaimed(uint256 epoch, uint32 merchant) external view returns (bool);

    /// @notice How often terms were set, those of the first epoch included.
    function termsChanges() external view returns (uint256 count);

    function termsChangeAt(uint256 index) external view returns (uint256 fromEpoch, Terms memory terms);

    /// @return recovery The address that the member named; 0: none.
    /// @return finishableAt When a running recovery may be finished; 0: none runs.
    function recoveryOf(address member) external view returns (address recovery, uint256 finishableAt);

    function RECOVERY_DELAY() external view returns (uint256);
}

/// @title Coalition: the front door. Merchants, signed orders, clearing
/// @notice Every order is signed by the party it charges; anyone may relay it, and `msg.sender` means nothing.
/// The wire format and the EIP-712 types stand in `types/Orders.sol`; the domain is name "Banyan", version "1", chain id, this contract.
/// Money is in units of the settlement asset, points are whole.
interface ICoalition is ICoalitionDoors, ICoalitionOffice {}
