// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {TermsBook} from "./TermsBook.sol";

/// @dev What merchants have with the network: credits and debits, exact in integers.
abstract contract Positions is TermsBook {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @dev Takes `amount` from a position, never under minus `limit`.
    function _debit(MerchantState storage state, uint32 merchant, uint256 amount, uint256 limit) internal {
        int256 position = state.position;
        // Amounts are at most 2^128 and positions fit 128 bits: no overflow in 256.
        int256 next = position - int256(amount);
        if (next < -int256(limit)) revert CreditLimitExceeded(merchant, position, amount, limit);
        state.position = int128(next);
    }

    function _creditPosition(MerchantState storage state, uint256 amount) internal {
        state.position = (int256(state.position) + amount.toInt256()).toInt128();
    }

    /// @dev Counts what arrived, not what was asked for.
    function _pull(uint256 amount) internal returns (uint256 arrived) {
        if (amount == 0) revert ZeroAmount();
        uint256 before = ASSET.balanceOf(address(this));
        ASSET.safeTransferFrom(msg.sender, address(this), amount);
        arrived = ASSET.balanceOf(address(this)) - before;
    }
}
