// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kind} from "../../../contracts/types/Orders.sol";
import {ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {vm} from "../Vm.sol";
import {People} from "./People.sol";

/// @dev What members do. Every action is valid by construction, or discarded because nobody is in the state for it.
abstract contract MemberActions is People {
    function join(uint256 who, uint256 seed) external {
        uint256 i = _somebody(who, _isStranger);
        _effectiveBySeed(_signed(_membership(Kind.JOIN, person(i), _nonce(person(i), seed)), keyOf(i)), seed);
    }

    function leave(uint256 who, uint256 seed) external {
        vm.assume(seed % 4 == 0);
        uint256 i = _somebody(who, _isMember);
        _effectiveBySeed(_signed(_membership(Kind.LEAVE, person(i), _nonce(person(i), seed)), keyOf(i)), seed);
    }

    function redeem(uint256 who, uint256 where, uint256 seed) external {
        uint256 i = _somebody(who, _hasPoints);
        uint32 merchant = _merchant(where, ICoalitionTypes.Status.SUSPENDED);
        uint256 amount = _between(seed, 1, _balance(person(i)));
        uint24 nonce = _nonce(person(i), seed);
        bytes memory order = _signed(_redeem(person(i), merchant, uint40(amount), nonce), keyOf(i));
        bytes32[] memory alone = new bytes32[](1);
        alone[0] = _noteRedemption(order, person(i), merchant, amount);
        redemptions[redemptions.length - 1].proof = _proof(alone, 0);
        _effectiveBySeed(order, seed);
        require(coalition.isRedemptionRoot(alone[0]), "the receipt of a redemption is missing");
    }

    /// @dev Several orders of several people in one relay: two that cannot take effect between those that can, and one that comes twice.
    function relayMany(uint256 who, uint256 where, uint256 seed) external {
        bytes[] memory orders = new bytes[](6);
        bytes32[] memory leaves = new bytes32[](3);
        uint256 first = redemptions.length;
        uint256 count;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 index = _somebody(who % PEOPLE + i, _hasPoints);
            address member = person(index);
            uint32 merchant = _merchant(where % MERCHANTS + i, ICoalitionTypes.Status.SUSPENDED);
            uint256 amount = _between(seed >> i, 1, (_balance(member) + 2) / 3);
            uint24 nonce = uint24(((points.accountOf(member) >> 216) & 0xFFFFFF) + 1 + i);
            orders[i * 2] = _signed(_redeem(member, merchant, uint40(amount), nonce), keyOf(index));
            leaves[count++] = _noteRedemption(orders[i * 2], member, merchant, amount);
        }
        uint256 poor = _somebody(where, _anybody);
        uint40 tooMuch = type(uint40).max;
        uint24 nonceOfPoor = uint24(((points.accountOf(person(poor)) >> 216) & 0xFFFFFF) + 6);
        orders[1] = _signed(_redeem(person(poor), 1, tooMuch, nonceOfPoor), keyOf(poor));
        orders[3] = orders[2];
        orders[5] = orders[0];
        require(coalition.relay(orders) == 3, "not exactly the three valid orders took effect");
        require(!points.isNonceUsed(person(poor), nonceOfPoor), "a refused order used its nonce up");
        for (uint256 i = 0; i < 3; ++i) {
            redemptions[first + i].proof = _proof(leaves, i);
            _remember(orders[i * 2]);
        }
    }

    function transferByOrder(uint256 who, uint256 whom, uint256 seed) external {
        (uint256 from, address to) = (_somebody(who, _hasPoints), person(_somebody(whom, _isMember)));
        uint256 amount = _between(seed, 1, _balance(person(from)));
        vm.assume(_fits(to, _wouldTake(person(from), amount)));
        uint24 nonce = _nonce(person(from), seed);
        _effectiveBySeed(_signed(_transfer(person(from), to, uint40(amount), nonce), keyOf(from)), seed);
        _give(to, _take(person(from), amount));
    }

    function transfer(uint256 who, uint256 whom, uint256 seed) external {
        (address from, address to) = (person(_somebody(who, _hasPoints)), person(_somebody(whom, _isMember)));
        uint256 amount = _between(seed, 0, _balance(from));
        vm.assume(_fits(to, _wouldTake(from, amount)));
        vm.prank(from);
        require(points.transfer(to, amount), "transfer answered false");
        _give(to, _take(from, amount));
    }

    function transferFrom(uint256 who, uint256 whom, uint256 seed) external {
        (address from, address to) = (person(_somebody(who, _hasPoints)), person(_somebody(whom, _isMember)));
        uint256 amount = _between(seed, 0, _balance(from));
        vm.assume(_fits(to, _wouldTake(from, amount)));
        vm.prank(from);
        points.approve(address(this), amount);
        require(points.transferFrom(from, to, amount), "transferFrom answered false");
        require(points.allowance(from, address(this)) == 0, "the allowance was not used up");
        _give(to, _take(from, amount));
    }

    function transferAtEpoch(uint256 who, uint256 whom, uint256 seed) external {
        (address from, address to) = (person(_somebody(who, _hasPoints)), person(_somebody(whom, _isMember)));
        uint256 oldest = _oldestLive();
        uint256 epoch = oldest + seed % (_epoch() - oldest + 1);
        vm.assume(bucket[from][epoch] > 0);
        uint256 amount = _between(seed, 1, bucket[from][epoch]);
        vm.assume(bucket[to][epoch] + amount <= LANE_MAX);
        vm.prank(from);
        points.transferAtEpoch(epoch, to, amount);
        bucket[from][epoch] -= amount;
        bucket[to][epoch] += amount;
    }

    function cancel(uint256 who, uint256 seed) external {
        uint256 i = who % PEOPLE;
        uint24 nonce = _nonce(person(i), seed);
        _effectiveBySeed(_signed(_cancel(person(i), 0, nonce), keyOf(i)), seed);
        // From here no order with that nonce can take effect.
        _refused(_signed(_transfer(person(i), person(0), 1, nonce), keyOf(i)));
    }

    function nameRecovery(uint256 who, uint256 whom, uint256 seed) external {
        (uint256 i, uint256 j) = (who % PEOPLE, whom % PEOPLE);
        vm.assume(i != j);
        bytes memory order = _recovery(Kind.NAME_RECOVERY, person(i), person(j), _nonce(person(i), seed));
        _effectiveBySeed(_signed(order, keyOf(i)), seed);
    }

    function startRecovery(uint256 who, uint256 seed) external {
        for (uint256 k = 0; k < PEOPLE * PEOPLE; ++k) {
            uint256 i = (who % PEOPLE + k) % PEOPLE;
            uint256 j = k / PEOPLE;
            (address named,) = coalition.recoveryOf(person(i));
            if (named != person(j)) continue;
            bytes memory order = _recovery(Kind.RECOVER, person(i), named, _nonce(named, seed));
            return _effectiveBySeed(_signed(order, keyOf(j)), seed);
        }
        vm.assume(false);
    }

    function finishRecovery(uint256 who) external {
        for (uint256 k = 0; k < PEOPLE; ++k) {
            address from = person((who % PEOPLE + k) % PEOPLE);
            (address to, uint256 at) = coalition.recoveryOf(from);
            if (at == 0) continue;
            uint256 buckets = _wouldTake(from, _balance(from));
            if (!_fits(to, buckets)) continue;
            if (_now() < at) vm.warp(at);
            // Time may have moved on into another epoch.
            buckets = _take(from, _balance(from));
            coalition.finishRecovery(from);
            _give(to, buckets);
            require(!points.isMember(from), "the old address is still a member");
            return;
        }
        vm.assume(false);
    }

    /// @return leaf Of the redemption, as the model expects it; the model's points are burned and paid for.
    function _noteRedemption(bytes memory order, address member, uint32 merchant, uint256 amount)
        private
        returns (bytes32 leaf)
    {
        uint256 buckets = _take(member, amount);
        _moveLive(buckets, false);
        position[merchant] += int256(_redeemPrice(buckets));
        totalRedeemed += amount;
        leaf = keccak256(abi.encodePacked(bytes1(0), coalition.digestOf(order), buckets));
        Redemption storage redemption = redemptions.push();
        (redemption.member, redemption.merchant, redemption.buckets) = (member, merchant, buckets);
        (redemption.points, redemption.leaf) = (amount, leaf);
        // member20 | merchant4 | points5 nonce3 deadline5 ref32: what a Refund repeats of a Redeem.
        redemption.redemption = bytes.concat(_slice(order, 1, 20), _slice(order, 25, 45));
    }

    function _slice(bytes memory whole, uint256 from, uint256 length) internal pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = whole[from + i];
        }
    }
}
