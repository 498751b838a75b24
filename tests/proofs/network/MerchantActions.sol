// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {vm} from "../Vm.sol";
import {MemberActions} from "./MemberActions.sol";

/// @dev What tills and owners do.
abstract contract MerchantActions is MemberActions {
    function issue(uint256 where, uint256 who, uint256 seed) external {
        uint32 merchant = _merchant(where, ICoalitionTypes.Status.ACTIVE);
        uint256 epoch = _epoch();
        bytes memory entries;
        uint256 total;
        uint16 count = uint16(1 + seed % 4);
        for (uint256 i = 0; i < count; ++i) {
            // Every second entry may be the same person again.
            address to = person(_somebody(who % PEOPLE + i / 2, _isMember));
            uint256 room = LANE_MAX - bucket[to][epoch];
            vm.assume(room > 0);
            // One in sixteen fills the lane to its edge.
            uint256 amount = (seed >> (8 * i)) % 16 == 0 ? room : _between(seed >> (16 * i), 1, 1_000_000);
            if (amount > room) amount = room;
            entries = abi.encodePacked(entries, to, uint40(amount));
            bucket[to][epoch] += amount;
            total += amount;
        }
        uint256 charge = total * (FACE + _pricesOf(epoch).issueFee);
        _cover(merchant, charge, seed % 3 == 0);
        _effectiveBySeed(
            _signed(_issueBatch(merchant, _merchantNonce(seed), count, entries), tillKey[merchant]), seed
        );
        position[merchant] -= int256(charge);
        issued[epoch][merchant] += total;
        issuedNet[epoch] += total;
        live[epoch] += total;
        totalIssued += total;
    }

    function refund(uint256 which, uint256 seed) external {
        for (uint256 k = 0; k < redemptions.length; ++k) {
            Redemption memory found = redemptions[(which % redemptions.length + k) % redemptions.length];
            if (coalition.merchantOf(found.merchant).status == ICoalitionTypes.Status.CLOSED) continue;
            uint256 alive = _refundable(found);
            if (alive == 0) continue;
            uint256 amount = _between(seed, 1, alive);
            uint256 buckets = _refundBuckets(found, amount);
            if (!_fits(found.member, buckets)) continue;
            uint256 charge = _redeemPrice(buckets);
            _cover(found.merchant, charge, seed % 3 == 0);
            bytes memory order = _refund(
                found.merchant, uint40(amount), _merchantNonce(seed), found.redemption, found.buckets, found.proof
            );
            _effectiveBySeed(_signed(order, tillKey[found.merchant]), seed);
            redemptions[(which % redemptions.length + k) % redemptions.length].refunded += amount;
            position[found.merchant] -= int256(charge);
            _give(found.member, buckets);
            _moveLive(buckets, true);
            totalRefunded += amount;
            return;
        }
        vm.assume(false);
    }

    /// @dev Law 6 from the other side: what exceeds the redemption, or has expired, is never given back.
    function refundTooMuch(uint256 which, uint256 seed) external {
        vm.assume(redemptions.length > 0);
        Redemption memory found = redemptions[which % redemptions.length];
        uint256 alive = _refundable(found);
        uint256 amount = alive + 1 + seed % 3;
        vm.assume(amount <= LANE_MAX);
        _cover(found.merchant, amount * FACE, false);
        _refused(
            _signed(
                _refund(found.merchant, uint40(amount), _merchantNonce(seed), found.redemption, found.buckets, found.proof),
                tillKey[found.merchant]
            )
        );
    }

    function returnGoods(uint256 where, uint256 who, uint256 seed) external {
        uint32 merchant = _merchant(where, ICoalitionTypes.Status.LEAVING);
        for (uint256 k = 0; k < 2 * PEOPLE; ++k) {
            uint256 epoch = _epoch() - k / PEOPLE;
            uint256 i = (who % PEOPLE + k) % PEOPLE;
            uint256 left = issued[epoch][merchant] * RETURN_CAP_BPS / 10_000 - returned[epoch][merchant];
            uint256 most = bucket[person(i)][epoch] < left ? bucket[person(i)][epoch] : left;
            if (most == 0 || epoch == 0) continue;
            uint256 amount = _between(seed, 1, most);
            bytes memory order = _returnGoods(person(i), merchant, amount, epoch, _merchantNonce(seed));
            _effectiveBySeed(_signedByBoth(order, keyOf(i), tillKey[merchant]), seed);
            bucket[person(i)][epoch] -= amount;
            returned[epoch][merchant] += amount;
            issuedNet[epoch] -= amount;
            live[epoch] -= amount;
            totalReturned += amount;
            position[merchant] += int256(amount * (FACE + _pricesOf(epoch).issueFee));
            return;
        }
        vm.assume(false);
    }

    function withdraw(uint256 where, uint256 seed) external {
        uint32 merchant = uint32(where % MERCHANTS) + 1;
        vm.assume(position[merchant] > 0);
        uint256 amount = _between(seed, 1, uint256(position[merchant]));
        address to = address(uint160(0xCA54));
        uint256 before = asset.balanceOf(to);
        _effectiveBySeed(
            _signed(_withdraw(merchant, to, uint128(amount), _merchantNonce(seed)), ownerKey[merchant]), seed
        );
        require(asset.balanceOf(to) == before + amount, "the money did not arrive");
        position[merchant] -= int256(amount);
    }

    function cancelMerchantNonce(uint256 where, uint256 seed) external {
        uint32 merchant = uint32(where % MERCHANTS) + 1;
        uint256 key = seed % 2 == 0 ? tillKey[merchant] : ownerKey[merchant];
        uint64 nonce = _merchantNonce(seed);
        _effectiveBySeed(_signed(_cancel(vm.addr(key), merchant, nonce), key), seed);
        _refused(_signed(_setOwner(merchant, person(0), nonce), ownerKey[merchant]));
    }

    function rotateTill(uint256 where, uint256 seed) external {
        uint32 merchant = uint32(where % MERCHANTS) + 1;
        uint256 old = tillKey[merchant];
        uint256 next = _newKey();
        uint256 owner = ownerKey[merchant];
        _effectiveBySeed(_signed(_setTillKey(merchant, vm.addr(next), true, _merchantNonce(seed)), owner), seed);
        _effective(_signed(_setTillKey(merchant, vm.addr(old), false, _merchantNonce(seed)), owner));
        tillKey[merchant] = next;
        _refused(_signed(_cancel(vm.addr(old), merchant, _merchantNonce(seed)), old));
    }

    function changeOwner(uint256 where, uint256 seed) external {
        uint32 merchant = uint32(where % MERCHANTS) + 1;
        uint256 next = _newKey();
        uint256 old = ownerKey[merchant];
        _effectiveBySeed(_signed(_setOwner(merchant, vm.addr(next), _merchantNonce(seed)), old), seed);
        ownerKey[merchant] = next;
        _refused(_signed(_setOwner(merchant, vm.addr(old), _merchantNonce(seed)), old));
    }
}
