// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IBankReceipt} from "./interfaces/IBankReceipt.sol";

/// @dev Minting takes two people and a bank reference, burning takes a holder's request: nobody can burn what a holder keeps.
contract BankReceipt is IBankReceipt, ERC20, AccessManaged {
    struct Proposal {
        address to;
        address proposer;
        uint256 amount;
    }

    struct Payout {
        address holder;
        uint256 amount;
    }

    uint256 private immutable DAILY_LIMIT;

    mapping(bytes32 bankReference => Proposal) private _proposals;
    mapping(bytes32 bankReference => bool) private _usedReferences;
    mapping(uint256 day => uint256) private _mintedOnDay;
    mapping(uint256 payout => Payout) private _payouts;
    uint256 private _payoutCount;

    /// @param dailyLimit_ Units that may be minted in one UTC day; it cannot be raised afterwards.
    constructor(string memory name_, string memory symbol_, uint256 dailyLimit_, address authority_)
        ERC20(name_, symbol_)
        AccessManaged(authority_)
    {
        DAILY_LIMIT = dailyLimit_;
    }

    /// @inheritdoc IBankReceipt
    function dailyLimit() external view returns (uint256) {
        return DAILY_LIMIT;
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public pure override(ERC20, IERC20Metadata) returns (uint8) {
        return 6;
    }

    /// @inheritdoc IBankReceipt
    function proposeMint(bytes32 bankReference, address to, uint256 amount) external restricted {
        if (amount == 0) revert ZeroAmount();
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        _requireFresh(bankReference);
        _proposals[bankReference] = Proposal({to: to, proposer: msg.sender, amount: amount});
        emit MintProposed(bankReference, to, amount, msg.sender);
    }

    /// @inheritdoc IBankReceipt
    function confirmMint(bytes32 bankReference) external restricted {
        Proposal memory proposal = _proposals[bankReference];
        if (proposal.amount == 0) revert MintUnknown(bankReference);
        if (proposal.proposer == msg.sender) revert SamePerson(msg.sender);
        uint256 day = block.timestamp / 1 days;
        uint256 minted = _mintedOnDay[day];
        if (minted + proposal.amount > DAILY_LIMIT) {
            revert DailyLimitExceeded(DAILY_LIMIT, minted, proposal.amount);
        }
        _mintedOnDay[day] = minted + proposal.amount;
        _usedReferences[bankReference] = true;
        delete _proposals[bankReference];
        emit MintConfirmed(bankReference, proposal.to, proposal.amount, msg.sender);
        _mint(proposal.to, proposal.amount);
    }

    /// @inheritdoc IBankReceipt
    function rejectMint(bytes32 bankReference) external restricted {
        if (_proposals[bankReference].amount == 0) revert MintUnknown(bankReference);
        delete _proposals[bankReference];
        emit MintRejected(bankReference, msg.sender);
    }

    /// @inheritdoc IBankReceipt
    function requestPayout(uint256 amount, bytes32 accountHash) external returns (uint256 payout) {
        if (amount == 0) revert ZeroAmount();
        payout = ++_payoutCount;
        _payouts[payout] = Payout({holder: msg.sender, amount: amount});
        emit PayoutRequested(payout, msg.sender, amount, accountHash);
        // Locked here: what is being paid out cannot be spent meanwhile.
        _transfer(msg.sender, address(this), amount);
    }

    /// @inheritdoc IBankReceipt
    function cancelPayout(uint256 payout) external {
        Payout memory request = _payouts[payout];
        if (request.amount == 0) revert PayoutUnknown(payout);
        if (request.holder != msg.sender) revert NotHolder(payout, msg.sender);
        delete _payouts[payout];
        emit PayoutCancelled(payout);
        _transfer(address(this), request.holder, request.amount);
    }

    /// @inheritdoc IBankReceipt
    function settlePayout(uint256 payout, bytes32 bankReference) external restricted {
        Payout memory request = _payouts[payout];
        if (request.amount == 0) revert PayoutUnknown(payout);
        _requireFresh(bankReference);
        _usedReferences[bankReference] = true;
        delete _payouts[payout];
        emit PayoutSettled(payout, bankReference);
        _burn(address(this), request.amount);
    }

    /// @inheritdoc IBankReceipt
    function attestBalance(uint256 date, uint256 amount, bytes32 documentHash) external restricted {
        emit BalanceAttested(date, amount, documentHash, msg.sender);
    }

    /// @dev Refused also while a proposal waits: nobody can change under the attestor's hand what the attestor has checked, and a pay-out cannot
    /// take the reference under which the attestor is about to mint.
    function _requireFresh(bytes32 bankReference) private view {
        bool waiting = _proposals[bankReference].amount != 0;
        if (waiting || _usedReferences[bankReference]) revert BankReferenceUsed(bankReference);
    }
}
