// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "../Vm.sol";
import "../../../contracts/types/Account.sol";

/// @title Faults that the prover must find
/// @dev Each `check_` is a property of AccountProofs over a variant with one fault of the kind that review overlooks. halmos has to refute
/// every one: a prover that finds nothing here proves nothing there. `tools/run-proofs` fails when one of them passes.
contract Refuted {
    /// @dev Overflow looked for in the highest lane alone: the others carry into their neighbour.
    function check_credit__watching_the_last_lane_alone(uint256 word, uint256 lanes) external pure {
        vm.assume(lanes <= LANES_MASK);
        unchecked {
            uint256 sum = (word & LANES_MASK) + lanes;
            bool full = sum > LANES_MASK;
            if (full) return;
            for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
                assert(lane(sum, i) == lane(word, i) + lane(lanes, i));
            }
        }
    }

    /// @dev A full adder without the carry that comes in from below.
    function check_credit__forgetting_the_carry_that_comes_in(uint256 word, uint256 lanes) external pure {
        vm.assume(lanes <= LANES_MASK);
        unchecked {
            uint256 held = word & LANES_MASK;
            uint256 full = (held & lanes) & LANE_TOPS;
            if (full != 0) return;
            for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
                assert(lane(held + lanes, i) == lane(word, i) + lane(lanes, i));
            }
        }
    }

    /// @dev A spend that looks at lanes 4 and 5 to know whether there is anything old: what lies in lane 3 alone cannot be spent.
    function check_spend__overlooking_lane_3(uint256 word, uint256 points) external pure {
        uint256 missing = points;
        unchecked {
            bool old = word & (LANES_MASK ^ ((1 << 140) - 1)) != 0;
            for (uint256 i = old ? 6 : 3; i-- > 0;) {
                uint256 held = lane(word, i);
                missing = missing > held ? missing - held : 0;
            }
        }
        vm.assume(points <= lane(word, 3));
        assert(missing == 0);
    }

    /// @dev A spend that takes the youngest lane first: it leaves the older points to expire.
    function check_spend__youngest_first(uint256 word, uint256 points) external pure {
        uint256 oldest = lane(word, 5);
        vm.assume(points <= oldest && points != 0);
        uint256 youngest = lane(word, 0);
        uint256 taken = points < youngest ? points : youngest;
        assert(taken == 0);
    }

    /// @dev Ageing by a shift that is not cut off: lane 5 grows into the member bit.
    function check_age__without_cutting_off(uint256 word, uint16 epoch) external pure {
        uint256 newest = word >> 240;
        vm.assume(newest < epoch);
        uint256 middle = word & (((1 << 30) - 1) << 210);
        uint256 lanes = (word & LANES_MASK) << (LANE_BITS * (epoch - newest));
        uint256 aged = (uint256(epoch) << 240) | middle | lanes;
        assert(aged & MEMBER_BIT == word & MEMBER_BIT);
    }

    /// @dev An age off by one: points of the oldest live epoch refreshed by one.
    function check_age__one_epoch_short(uint256 word, uint16 epoch) external pure {
        uint256 newest = word >> 240;
        vm.assume(newest < epoch);
        uint256 lanes = ((word & LANES_MASK) << (LANE_BITS * (epoch - newest - 1))) & LANES_MASK;
        Account aged = Account.wrap((uint256(epoch) << 240) | lanes);
        assert(aged.accountBucket(newest) == Account.wrap(word).accountBucket(newest) || epoch - newest > 5);
    }

    /// @dev A window that loses the old highest.
    function check_nonce_use__forgetting_the_old_highest(uint256 word, uint256 nonce) external pure {
        Account account = Account.wrap(word);
        uint256 highest = account.accountHighestNonce();
        vm.assume(nonce > highest && nonce <= highest + NONCE_AHEAD_MAX && nonce <= NONCE_MAX);
        uint256 window = (((word >> WINDOW_SHIFT) & WINDOW_MASK) << (nonce - highest)) & WINDOW_MASK;
        uint256 cleared = word & ~((WINDOW_MASK << WINDOW_SHIFT) | (NONCE_MAX << NONCE_SHIFT));
        Account used = Account.wrap(cleared | (nonce << NONCE_SHIFT) | (window << WINDOW_SHIFT));
        assert(used.accountNonceState(highest) == NonceState.USED);
    }

    /// @dev Seven ahead of a window of five: a nonce between is lost.
    function check_nonce_use__one_too_far_ahead(uint256 word, uint256 between) external pure {
        Account account = Account.wrap(word);
        uint256 highest = account.accountHighestNonce();
        vm.assume(highest < NONCE_MAX - 7 && between > highest && between < highest + 7);
        assert(account.accountNonceUsed(highest + 7).accountNonceState(between) == NonceState.UNUSED);
    }

    function lane(uint256 word, uint256 index) private pure returns (uint256) {
        return (word >> (35 * index)) & 0x7FFFFFFFF;
    }
}
