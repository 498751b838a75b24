// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title BankReceipt: a receipt for money that a bank holds for the coalition (ERC-20, decimals 6)
/// @notice For coalitions that settle by bank transfer. Two different people are needed to mint; a bank reference is used once.
/// Proofs say "receipts cover the points; whether the bank covers the receipts is attested by X on DATE".
interface IBankReceipt is IERC20Metadata {
    event MintProposed(bytes32 indexed bankReference, address indexed to, uint256 amount, address proposer);
    event MintConfirmed(bytes32 indexed bankReference, address indexed to, uint256 amount, address attestor);
    event MintRejected(bytes32 indexed bankReference, address attestor);
    event PayoutRequested(uint256 indexed payout, address indexed holder, uint256 amount, bytes32 accountHash);
    event PayoutSettled(uint256 indexed payout, bytes32 indexed bankReference);
    event PayoutCancelled(uint256 indexed payout);
    event BalanceAttested(uint256 indexed date, uint256 amount, bytes32 documentHash, address attestor);

    error BankReferenceUsed(bytes32 bankReference);
    error MintUnknown(bytes32 bankReference);
    error SamePerson(address person);
    error DailyLimitExceeded(uint256 limit, uint256 mintedToday, uint256 amount);
    error PayoutUnknown(uint256 payout);
    error NotHolder(uint256 payout, address caller);
    error ZeroAmount();

    function dailyLimit() external view returns (uint256);

    /// @notice Role TREASURER. A reference that waits or was used is refused: a proposal never changes.
    function proposeMint(bytes32 bankReference, address to, uint256 amount) external;

    /// @notice Role ATTESTOR, another person than the proposer.
    function confirmMint(bytes32 bankReference) external;

    /// @notice Role ATTESTOR: ends a proposal that is wrong; its reference may be proposed again.
    function rejectMint(bytes32 bankReference) external;

    /// @notice Any holder: locks `amount` until it is settled or cancelled by the holder.
    function requestPayout(uint256 amount, bytes32 accountHash) external returns (uint256 payout);

    function cancelPayout(uint256 payout) external;

    /// @notice Role TREASURER: the bank has paid; burns what the request locked.
    function settlePayout(uint256 payout, bytes32 bankReference) external;

    /// @notice Role ATTESTOR: what the bank held on `date` (yyyymmdd), and the hash of the document that says so.
    function attestBalance(uint256 date, uint256 amount, bytes32 documentHash) external;
}
