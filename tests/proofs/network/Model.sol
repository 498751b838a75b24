// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OrderDesk} from "./OrderDesk.sol";

/// @dev What the network should look like, kept beside it in the plainest form: one number per person and epoch, no packing, no lanes.
/// It never asks the contracts for a balance, a position or a term.
abstract contract Model is OrderDesk {
    uint256 internal constant VALIDITY = 6;
    uint256 internal constant LANE_MAX = 2 ** 35 - 1;
    uint32 internal constant MERCHANTS = 4;
    uint256 internal constant PEOPLE = 8;

    struct Prices {
        uint256 fromEpoch;
        uint256 issueFee;
        uint256 redeemFee;
        uint256 shareBps;
    }

    struct Redemption {
        address member;
        uint32 merchant;
        uint256 buckets;
        uint256 points;
        uint256 refunded;
        bytes32 leaf;
        bytes redemption;
        bytes32[] proof;
    }

    mapping(address person => mapping(uint256 epoch => uint256)) internal bucket;
    mapping(uint256 epoch => mapping(uint32 merchant => uint256)) internal issued;
    mapping(uint256 epoch => mapping(uint32 merchant => uint256)) internal returned;
    mapping(uint256 epoch => uint256) internal issuedNet;
    mapping(uint256 epoch => uint256) internal live;
    mapping(uint256 epoch => bool) internal closed;
    mapping(uint256 epoch => mapping(uint32 merchant => bool)) internal claimed;
    mapping(uint256 epoch => uint256) internal poolOf;
    mapping(uint256 epoch => uint256) internal paidOf;
    mapping(uint256 epoch => uint256) internal claimedPoints;
    mapping(uint32 merchant => int256) internal position;
    mapping(uint32 merchant => uint256) internal limit;
    Prices[] internal prices;
    Redemption[] internal redemptions;
    uint256 internal guarantee;
    uint256 internal gifts;
    uint256 internal incomeTaken;
    uint256 internal operatorsBreakage;
    uint256 internal totalIssued;
    uint256 internal totalReturned;
    uint256 internal totalRedeemed;
    uint256 internal totalRefunded;

    function _pricesOf(uint256 epoch) internal view returns (Prices memory) {
        for (uint256 i = prices.length; i-- > 1;) {
            if (prices[i].fromEpoch <= epoch) return prices[i];
        }
        return prices[0];
    }

    function _oldestLive() internal view returns (uint256) {
        uint256 epoch = _epoch();
        return epoch < VALIDITY ? 1 : epoch - VALIDITY + 1;
    }

    function _balance(address person) internal view returns (uint256 sum) {
        uint256 epochNow = _epoch();
        for (uint256 epoch = _oldestLive(); epoch <= epochNow; ++epoch) {
            sum += bucket[person][epoch];
        }
    }

    function _liveSupply() internal view returns (uint256 sum) {
        uint256 epochNow = _epoch();
        for (uint256 epoch = _oldestLive(); epoch <= epochNow; ++epoch) {
            sum += live[epoch];
        }
    }

    /// @dev Soonest to expire first. As a movement: lane i is what the epoch (now - i) gave.
    function _take(address person, uint256 amount) internal returns (uint256 buckets) {
        uint256 epochNow = _epoch();
        for (uint256 epoch = _oldestLive(); epoch <= epochNow && amount > 0; ++epoch) {
            uint256 taken = bucket[person][epoch] < amount ? bucket[person][epoch] : amount;
            bucket[person][epoch] -= taken;
            amount -= taken;
            buckets += taken << (35 * (epochNow - epoch));
        }
        require(amount == 0, "the model was asked for more than there is");
        buckets += epochNow << 240;
    }

    function _give(address person, uint256 buckets) internal {
        for (uint256 i = 0; i < VALIDITY; ++i) {
            uint256 lane = (buckets >> (35 * i)) & LANE_MAX;
            if (lane != 0) bucket[person][(buckets >> 240) - i] += lane;
        }
    }

    function _redeemPrice(uint256 buckets) internal view returns (uint256 amount) {
        for (uint256 i = 0; i < VALIDITY; ++i) {
            uint256 lane = (buckets >> (35 * i)) & LANE_MAX;
            if (lane != 0) amount += lane * (FACE - _pricesOf((buckets >> 240) - i).redeemFee);
        }
    }

    /// @dev Adds to (or takes from) live supply what a movement holds.
    function _moveLive(uint256 buckets, bool alive) internal {
        for (uint256 i = 0; i < VALIDITY; ++i) {
            uint256 lane = (buckets >> (35 * i)) & LANE_MAX;
            if (lane == 0) continue;
            if (alive) live[(buckets >> 240) - i] += lane;
            else live[(buckets >> 240) - i] -= lane;
        }
    }

    /// @dev Whether no bucket of `person` would grow beyond a lane.
    function _fits(address person, uint256 buckets) internal view returns (bool) {
        for (uint256 i = 0; i < VALIDITY; ++i) {
            uint256 lane = (buckets >> (35 * i)) & LANE_MAX;
            if (lane != 0 && bucket[person][(buckets >> 240) - i] + lane > LANE_MAX) return false;
        }
        return true;
    }

    /// @dev What a spend of `amount` would take, without taking it.
    function _wouldTake(address person, uint256 amount) internal view returns (uint256 buckets) {
        uint256 epochNow = _epoch();
        for (uint256 epoch = _oldestLive(); epoch <= epochNow && amount > 0; ++epoch) {
            uint256 taken = bucket[person][epoch] < amount ? bucket[person][epoch] : amount;
            amount -= taken;
            buckets += taken << (35 * (epochNow - epoch));
        }
        buckets += epochNow << 240;
    }

    /// @dev Of a redemption's buckets the next `amount`, newest first, and how much of it still lives.
    function _refundable(Redemption memory redemption) internal view returns (uint256 alive) {
        uint256 oldest = _oldestLive();
        uint256 skipped = redemption.refunded;
        for (uint256 i = 0; i < VALIDITY; ++i) {
            uint256 lane = (redemption.buckets >> (35 * i)) & LANE_MAX;
            uint256 skip = skipped < lane ? skipped : lane;
            skipped -= skip;
            if (lane == skip) continue;
            if ((redemption.buckets >> 240) - i < oldest) break;
            alive += lane - skip;
        }
    }

    function _refundBuckets(Redemption memory redemption, uint256 amount) internal pure returns (uint256 buckets) {
        uint256 skipped = redemption.refunded;
        buckets = (redemption.buckets >> 240) << 240;
        for (uint256 i = 0; i < VALIDITY; ++i) {
            uint256 lane = (redemption.buckets >> (35 * i)) & LANE_MAX;
            uint256 skip = skipped < lane ? skipped : lane;
            skipped -= skip;
            uint256 give = amount < lane - skip ? amount : lane - skip;
            amount -= give;
            buckets += give << (35 * i);
        }
    }

    // ---- Merkle: sorted pairs, a leaf without partner rises

    function _node(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b
            ? keccak256(abi.encodePacked(bytes1(0x01), a, b))
            : keccak256(abi.encodePacked(bytes1(0x01), b, a));
    }

    function _proof(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory proof) {
        uint256 length;
        proof = new bytes32[](leaves.length);
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            bytes32[] memory next = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < next.length; ++i) {
                bool paired = 2 * i + 1 < level.length;
                next[i] = paired ? _node(level[2 * i], level[2 * i + 1]) : level[2 * i];
            }
            uint256 partner = index ^ 1;
            if (partner < level.length) proof[length++] = level[partner];
            (index, level) = (index / 2, next);
        }
        assembly {
            mstore(proof, length)
        }
    }
}
