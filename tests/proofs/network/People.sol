// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kind} from "../../../contracts/types/Orders.sol";
import {ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {vm} from "../Vm.sol";
import {Model} from "./Model.sol";

/// @dev Who acts: eight people, four merchants with an owner and a till each, and how a valid order finds its signer, nonce and cover.
abstract contract People is Model {
    struct Done {
        bytes order;
        address relayedAt;
    }

    mapping(uint32 merchant => uint256) internal tillKey;
    mapping(uint32 merchant => uint256) internal ownerKey;
    uint256 internal keysMade;
    uint64 internal lastMerchantNonce;
    /// @dev Worked out once: a key's address costs a curve multiplication.
    address[] private _people;
    /// @dev Orders that took effect, to be offered again.
    Done[] internal doneOrders;

    function _setUp() internal {
        prices.push(Prices(1, 10, 2, 5_000));
        for (uint256 i = 0; i < PEOPLE; ++i) {
            _people.push(vm.addr(keyOf(i)));
        }
        for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
            (tillKey[merchant], ownerKey[merchant]) = (_newKey(), _newKey());
            coalition.registerMerchant(merchant, vm.addr(ownerKey[merchant]), vm.addr(tillKey[merchant]), "profile");
        }
        for (uint256 i = 0; i < PEOPLE / 2; ++i) {
            _effective(_signed(_membership(Kind.JOIN, person(i), 1), keyOf(i)));
        }
    }

    function keyOf(uint256 index) public pure returns (uint256) {
        return uint256(keccak256(abi.encode("person", index)));
    }

    function person(uint256 index) public view returns (address) {
        return _people[index];
    }

    function _newKey() internal returns (uint256) {
        return uint256(keccak256(abi.encode("merchant key", ++keysMade)));
    }

    // ---- carrying out: what does not take effect ends the run

    function _effective(bytes memory order) internal {
        coalition.execute(order);
        _remember(order);
    }

    function _remember(bytes memory order) internal {
        doneOrders.push(Done(order, address(coalition)));
    }

    /// @dev Alternates the two doors.
    function _effectiveBySeed(bytes memory order, uint256 seed) internal {
        if (seed % 2 == 0) return _effective(order);
        bytes[] memory orders = new bytes[](1);
        orders[0] = order;
        require(coalition.relay(orders) == 1, "a valid order took no effect");
        _remember(order);
    }

    function _refused(bytes memory order) internal {
        bytes[] memory orders = new bytes[](1);
        orders[0] = order;
        require(coalition.relay(orders) == 0, "an invalid order took effect");
    }

    // ---- choosing

    /// @dev The first of the people, from a chosen one on, for whom `wanted` is true; the call is discarded when there is none.
    function _somebody(uint256 seed, function(address) view returns (bool) wanted) internal view returns (uint256) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            uint256 index = (seed % PEOPLE + i) % PEOPLE;
            if (wanted(person(index))) return index;
        }
        vm.assume(false);
        return 0;
    }

    function _isMember(address who) internal view returns (bool) {
        return points.isMember(who);
    }

    function _isStranger(address who) internal view returns (bool) {
        return !points.isMember(who);
    }

    function _hasPoints(address who) internal view returns (bool) {
        return _balance(who) > 0;
    }

    function _anybody(address) internal pure returns (bool) {
        return true;
    }

    /// @dev The first merchant, from a chosen one on, whose status lies between the two; merchant 1 is always active.
    function _merchant(uint256 seed, ICoalitionTypes.Status worst) internal view returns (uint32) {
        for (uint32 i = 0; i < MERCHANTS; ++i) {
            uint32 merchant = uint32((seed % MERCHANTS + i) % MERCHANTS) + 1;
            if (coalition.merchantOf(merchant).status <= worst) return merchant;
        }
        return 1;
    }

    function _between(uint256 seed, uint256 low, uint256 high) internal pure returns (uint256) {
        uint256 span = high - low + 1;
        // Edges are where faults live: one in eight calls each.
        if (seed % 8 == 0) return low;
        if (seed % 8 == 1) return high;
        return low + (seed >> 3) % span;
    }

    /// @dev Any nonce that may be used now: one of the window left behind, or up to six ahead.
    function _nonce(address who, uint256 seed) internal view returns (uint24) {
        uint256 highest = (points.accountOf(who) >> 216) & 0xFFFFFF;
        uint256 back = 1 + seed % 5;
        if (seed % 3 == 0 && back < highest && !points.isNonceUsed(who, highest - back)) {
            return uint24(highest - back);
        }
        return uint24(highest + 1 + (seed >> 8) % 6);
    }

    function _merchantNonce(uint256 seed) internal returns (uint64) {
        lastMerchantNonce += 1 + uint64(seed % 300);
        return lastMerchantNonce;
    }

    // ---- money

    /// @dev Pays in what a charge lacks, so that the order is covered; with `onCredit` as little as the limit allows.
    function _cover(uint32 merchant, uint256 charge, bool onCredit) internal {
        int256 floor = onCredit ? -int256(limit[merchant]) : int256(0);
        int256 lacking = floor + int256(charge) - position[merchant];
        if (lacking > 0) _deposit(merchant, uint256(lacking));
    }

    function _deposit(uint32 merchant, uint256 amount) internal {
        coalition.deposit(merchant, amount);
        position[merchant] += int256(amount);
    }
}
