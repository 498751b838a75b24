// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICoalitionTypes} from "./ICoalitionTypes.sol";
import {IMembershipPass} from "./IMembershipPass.sol";
import {IPoints} from "./IPoints.sol";

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
