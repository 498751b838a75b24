// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPoints} from "../../../contracts/interfaces/IPoints.sol";
import {Laws} from "./Laws.sol";

/// @dev What a campaign drives: all actions of all parties, and the laws that are asked after each.
contract Handler is Laws {
    constructor() {
        _deploy(IPoints.Policy.MEMBERS);
        _setUp();
    }

    /// @dev The end of the world: every live point is redeemed, every position paid out. That the money is there is what the reserve is for.
    function windUp() external {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            uint256 amount = _balance(person(i));
            if (amount == 0) continue;
            uint24 nonce = uint24(((points.accountOf(person(i)) >> 216) & 0xFFFFFF) + 1);
            uint256 buckets = _take(person(i), amount);
            _effective(_signed(_redeem(person(i), 1, uint40(amount), nonce), keyOf(i)));
            _moveLive(buckets, false);
            totalRedeemed += amount;
            position[1] += int256(_redeemPrice(buckets));
        }
        require(points.totalSupply() == 0, "points are left that nobody holds");
        for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
            if (position[merchant] <= 0) continue;
            uint128 amount = uint128(uint256(position[merchant]));
            _effective(
                _signed(_withdraw(merchant, address(0xCA54), amount, _merchantNonce(1)), ownerKey[merchant])
            );
            position[merchant] = 0;
        }
        checkLaws();
    }
}
