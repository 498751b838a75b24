// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {PositionOutOfRange, Standing} from "../types/Standing.sol";
import {TermsBook} from "./TermsBook.sol";

/// @dev What merchants have with the network: credits and debits, exact in integers.
abstract contract Positions is TermsBook {
    using SafeERC20 for IERC20;

    /// @dev Takes `amount` from a position, never under minus `limit`.
    function _debit(uint32 merchant, Standing standing, uint256 amount, uint256 limit) internal {
        int256 position = standing.standingPosition();
        // Amounts are products of at most 2^40 points, 600 entries and two 2^33 prices, or uint128: int256 holds them.
        int256 next = position - int256(amount);
        if (next < -int256(limit)) revert CreditLimitExceeded(merchant, position, amount, limit);
        _standings[merchant] = standing.standingWithPosition(next);
    }

    function _creditPosition(uint32 merchant, Standing standing, uint256 amount) internal {
        _standings[merchant] = standing.standingWithPosition(standing.standingPosition() + int256(amount));
    }

    /// @dev Counts what arrived, not what was asked for.
    function _pull(uint256 amount) internal returns (uint256 arrived) {
        if (amount == 0) revert ZeroAmount();
        uint256 before = ASSET.balanceOf(address(this));
        ASSET.safeTransferFrom(msg.sender, address(this), amount);
        arrived = ASSET.balanceOf(address(this)) - before;
        // More than positions can hold: no asset has so many units, but this one is not ours.
        if (arrived > uint128(type(int128).max)) revert PositionOutOfRange(int256(uint256(type(uint128).max)));
    }
}
