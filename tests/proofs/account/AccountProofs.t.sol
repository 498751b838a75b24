// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "../Vm.sol";
import "../../../contracts/types/Account.sol";

/// @title What holds of the packed word for EVERY word: proven by halmos, not sampled
/// @dev Each `check_` takes symbolic words: all 2^256 of them unless it assumes less, so every lane is proven at both of its edges. The
/// specification reads lanes one by one with shifts and masks; the code under proof works on all six at once.
contract AccountProofs {
    // ---- the layout

    function check_unpack__of_any_word__packs_to_the_same_word(uint256 word) external pure {
        Account account = Account.wrap(word);
        uint256 packed = (account.accountEpoch() << EPOCH_SHIFT) | (account.accountHighestNonce() << NONCE_SHIFT)
            | (((word >> WINDOW_SHIFT) & WINDOW_MASK) << WINDOW_SHIFT)
            | (account.accountIsMember() ? MEMBER_BIT : 0);
        for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
            packed |= lane(word, i) << (LANE_BITS * i);
        }
        assert(packed == word);
    }

    function check_pack__of_any_fields__unpacks_to_the_same_fields(
        uint16 epoch,
        uint24 highest,
        uint8 window,
        bool member,
        uint256 lanes
    ) external pure {
        vm.assume(window <= WINDOW_MASK && lanes <= LANES_MASK);
        uint256 word = (uint256(epoch) << EPOCH_SHIFT) | (uint256(highest) << NONCE_SHIFT)
            | (uint256(window) << WINDOW_SHIFT) | (member ? MEMBER_BIT : 0) | lanes;
        Account account = Account.wrap(word);
        assert(account.accountEpoch() == epoch && account.accountHighestNonce() == highest);
        assert(account.accountIsMember() == member && account.accountLanes() == lanes);
        assert(account.accountBuckets() == bucketsWord(epoch, lanes));
    }

    function check_balance__of_any_word__is_the_sum_of_its_lanes(uint256 word) external pure {
        uint256 sum;
        for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
            sum += lane(word, i);
        }
        assert(Account.wrap(word).accountBalance() == sum);
    }

    function check_bucket__of_any_epoch__is_its_lane_or_nothing(uint256 word, uint256 epoch) external pure {
        uint256 newest = word >> 240;
        uint256 bucket = Account.wrap(word).accountBucket(epoch);
        if (epoch > newest || newest - epoch > 5) assert(bucket == 0);
        else assert(bucket == laneAt(word, newest - epoch));
    }

    function check_member__set_or_cleared__touches_one_bit(uint256 word, bool member) external pure {
        uint256 changed = Account.unwrap(Account.wrap(word).accountWithMember(member));
        assert(Account.wrap(changed).accountIsMember() == member);
        assert((changed ^ word) & ~MEMBER_BIT == 0);
    }

    // ---- adding and merging

    /// @dev Also a merge (recovery, transfer, refund): six lanes are added to six lanes.
    function check_credit__of_any_lanes__adds_each_lane_or_says_full(uint256 word, uint256 lanes) external pure {
        vm.assume(lanes <= LANES_MASK);
        (Account credited, uint256 full) = Account.wrap(word).accountCredited(lanes);
        bool fits = true;
        bool exact = true;
        for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
            uint256 sum = lane(word, i) + lane(lanes, i);
            fits = fits && sum <= LANE_MASK;
            exact = exact && lane(Account.unwrap(credited), i) == sum;
        }
        // `full` is silent exactly when all lanes fit, and then no lane carried into its neighbour.
        assert((full == 0) == fits);
        assert(!fits || exact);
        assert(Account.unwrap(credited) >> 210 == word >> 210);
    }

    /// @dev The wire may ask for more than a lane can hold; the newest lane alone is credited by an issue.
    function check_credit__of_one_issue__leaves_the_other_lanes(uint256 word, uint256 points) external pure {
        vm.assume(points <= LANE_MASK);
        (Account credited, uint256 full) = Account.wrap(word).accountCredited(points);
        if (full != 0) {
            assert(lane(word, 0) + points > LANE_MASK);
        } else {
            assert(Account.unwrap(credited) >> LANE_BITS == word >> LANE_BITS);
            assert(lane(Account.unwrap(credited), 0) == lane(word, 0) + points);
        }
    }

    // ---- spending: lane 5 first, and so on down; a case for every lane that a spend can end in, and one for what is not covered

    function check_spend__ending_in_lane_5__is_the_plain_loop(uint256 word, uint256 points) external pure {
        spendsAsTheLoop(word, points, 5);
    }

    function check_spend__ending_in_lane_4__is_the_plain_loop(uint256 word, uint256 points) external pure {
        spendsAsTheLoop(word, points, 4);
    }

    function check_spend__ending_in_lane_3__is_the_plain_loop(uint256 word, uint256 points) external pure {
        spendsAsTheLoop(word, points, 3);
    }

    function check_spend__ending_in_lane_2__is_the_plain_loop(uint256 word, uint256 points) external pure {
        spendsAsTheLoop(word, points, 2);
    }

    function check_spend__ending_in_lane_1__is_the_plain_loop(uint256 word, uint256 points) external pure {
        spendsAsTheLoop(word, points, 1);
    }

    function check_spend__ending_in_lane_0__is_the_plain_loop(uint256 word, uint256 points) external pure {
        spendsAsTheLoop(word, points, 0);
    }

    /// @dev Six lanes emptied and something is missing still: just that is said. Also of more points than the wire can name.
    function check_spend__not_covered__says_what_is_missing(uint256 word, uint256 points) external pure {
        uint256 left = points;
        unchecked {
            for (uint256 i = VALIDITY_EPOCHS; i-- > 0;) {
                vm.assume(left > lane(word, i));
                left -= lane(word, i);
            }
        }
        (,, uint256 missing) = Account.wrap(word).accountSpent(points);
        assert(missing == left && missing != 0);
    }

    /// @dev The plain loop of a spend, for all words and points with which it ends in lane `last`: each older lane holds less than what is
    /// left and goes whole, the last one gives what is left, the younger ones give nothing. The seven cases leave no word and no points out.
    function spendsAsTheLoop(uint256 word, uint256 points, uint256 last) private pure {
        uint256 left = points;
        uint256 expected;
        unchecked {
            for (uint256 i = VALIDITY_EPOCHS; i-- > last + 1;) {
                vm.assume(left > lane(word, i));
                left -= lane(word, i);
                expected |= lane(word, i) << (LANE_BITS * i);
            }
        }
        vm.assume(left <= lane(word, last));
        expected |= left << (LANE_BITS * last);
        (Account rest, uint256 taken, uint256 missing) = Account.wrap(word).accountSpent(points);
        assert(missing == 0);
        assert(taken == expected);
        assert(Account.unwrap(rest) + taken == word);
    }

    /// @dev ERC-20 lets any number be asked for. Six lanes hold less than 2^40, so all of them go, and the rest is missing.
    function check_spend__of_more_than_fits_the_wire__is_never_covered(uint256 word, uint256 points) external pure {
        vm.assume(points >> 40 != 0);
        (,, uint256 missing) = Account.wrap(word).accountSpent(points);
        assert(missing != 0);
    }

    function check_spend_at__one_epoch__takes_from_that_lane_alone(uint256 word, uint256 epoch, uint256 points)
        external
        pure
    {
        (Account rest, uint256 taken, uint256 missing) = Account.wrap(word).accountSpentAt(epoch, points);
        uint256 available = Account.wrap(word).accountBucket(epoch);
        assert(missing == (points > available ? points - available : 0));
        if (missing != 0) {
            assert(Account.unwrap(rest) == word && taken == 0);
            return;
        }
        uint256 newest = word >> 240;
        assert(Account.unwrap(rest) + taken == word && taken <= LANES_MASK);
        for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
            bool here = epoch <= newest && newest - epoch == i;
            assert(lane(taken, i) == (here ? points : 0));
            assert(lane(Account.unwrap(rest), i) + lane(taken, i) == lane(word, i));
        }
    }

    /// @dev A transfer: what one lane gave the same lane takes. For every `taken` that no lane of the giver lacks, as a spend takes it.
    function check_transfer__between_two__keeps_every_epochs_sum(uint256 from, uint256 to, uint256 taken) external pure {
        vm.assume(taken <= LANES_MASK);
        uint256 rest;
        uint256 borrowed;
        unchecked {
            rest = from - taken;
            for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
                borrowed |= atMost(lane(taken, i), lane(from, i)) ^ 1;
            }
        }
        vm.assume(borrowed == 0);
        (Account credited, uint256 full) = Account.wrap(to).accountCredited(taken);
        if (full != 0) return;
        uint256 wrong;
        unchecked {
            for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
                wrong |= (lane(from, i) + lane(to, i)) ^ (lane(rest, i) + lane(Account.unwrap(credited), i));
            }
        }
        assert(wrong == 0);
    }

    // ---- ageing

    /// @dev For every distance and every epoch asked: what still lives is where it was, what is older than six epochs is gone, and
    /// nothing appears in a younger bucket.
    function check_age__to_any_epoch__keeps_each_bucket_in_its_epoch(uint256 word, uint16 epoch, uint16 asked)
        external
        pure
    {
        uint256 newest = word >> 240;
        vm.assume(newest <= epoch);
        Account aged = Account.wrap(word).accountAged(epoch);
        assert(aged.accountEpoch() == epoch);
        // Bits 210 to 239: highest nonce, window, member.
        assert((Account.unwrap(aged) ^ word) & (((1 << 30) - 1) << 210) == 0);
        if (uint256(asked) + 5 < epoch) assert(aged.accountBucket(asked) == 0);
        else if (asked > newest) assert(aged.accountBucket(asked) == 0);
        else assert(aged.accountBucket(asked) == Account.wrap(word).accountBucket(asked));
    }

    /// @dev The same by lanes, without asking the function under proof for its buckets.
    function check_age__by_any_distance__moves_lanes_up(uint256 word, uint16 epoch) external pure {
        uint256 newest = word >> 240;
        vm.assume(newest <= epoch);
        uint256 aged = Account.unwrap(Account.wrap(word).accountAged(epoch));
        uint256 distance = epoch - newest;
        for (uint256 i = 0; i < VALIDITY_EPOCHS; ++i) {
            assert(lane(aged, i) == (i < distance ? 0 : laneAt(word, i - distance)));
        }
    }

    // ---- nonces

    function check_nonce_state__of_any_nonce__is_the_windows(uint256 word, uint256 nonce) external pure {
        uint256 highest = (word >> 216) & 0xFFFFFF;
        NonceState state = Account.wrap(word).accountNonceState(nonce);
        if (nonce > 0xFFFFFF) assert(state == NonceState.EXHAUSTED);
        else if (nonce > highest + 6) assert(state == NonceState.TOO_HIGH);
        else if (nonce > highest) assert(state == NonceState.UNUSED);
        else if (nonce == highest || nonce + 5 < highest) assert(state == NonceState.USED);
        else assert((state == NonceState.USED) == ((word >> (211 + (highest - nonce - 1))) & 1 == 1));
    }

    /// @dev One use uses one nonce: it is used from then on, no used one comes back, and an unused one is lost only by falling more than
    /// five behind.
    function check_nonce_use__of_an_unused__uses_it_for_ever(uint256 word, uint256 nonce, uint256 other) external pure {
        Account account = Account.wrap(word);
        vm.assume(account.accountNonceState(nonce) == NonceState.UNUSED);
        NonceState before = account.accountNonceState(other);
        Account used = account.accountNonceUsed(nonce);
        NonceState later = used.accountNonceState(other);
        uint256 highest = used.accountHighestNonce();
        assert(used.accountNonceState(nonce) == NonceState.USED);
        assert(highest >= account.accountHighestNonce());
        if (before == NonceState.USED || other == nonce) assert(later == NonceState.USED);
        else if (before == NonceState.EXHAUSTED) assert(later == NonceState.EXHAUSTED);
        else if (before == NonceState.UNUSED && other + 5 >= highest) assert(later == NonceState.UNUSED);
        else if (before == NonceState.TOO_HIGH) assert(later != NonceState.USED);
    }

    /// @dev Of the nonces that a jump leaves behind, none is lost: that is why a nonce may be at most six ahead of a window of five.
    function check_nonce_use__of_a_jump__loses_none_between(uint256 word, uint256 nonce, uint256 between) external pure {
        Account account = Account.wrap(word);
        vm.assume(account.accountNonceState(nonce) == NonceState.UNUSED);
        vm.assume(between > account.accountHighestNonce() && between < nonce);
        assert(account.accountNonceUsed(nonce).accountNonceState(between) == NonceState.UNUSED);
    }

    function check_nonce_use__of_any_unused__touches_nothing_else(uint256 word, uint256 nonce) external pure {
        Account account = Account.wrap(word);
        vm.assume(account.accountNonceState(nonce) == NonceState.UNUSED);
        uint256 used = Account.unwrap(account.accountNonceUsed(nonce));
        uint256 nonceBits = ((1 << 29) - 1) << 211;
        assert((used ^ word) & ~nonceBits == 0);
    }

    // ---- the specification's reading of a lane

    /// @dev `index` is a constant at every call.
    function lane(uint256 word, uint256 index) private pure returns (uint256) {
        return (word >> (35 * index)) & 0x7FFFFFFFF;
    }

    /// @dev A comparison that gives a number and does not fork.
    function atMost(uint256 a, uint256 b) private pure returns (uint256 yes) {
        assembly {
            yes := iszero(gt(a, b))
        }
    }

    /// @dev For an index that is itself unknown: six cases instead of a shift by an unknown distance.
    function laneAt(uint256 word, uint256 index) private pure returns (uint256) {
        if (index == 0) return lane(word, 0);
        if (index == 1) return lane(word, 1);
        if (index == 2) return lane(word, 2);
        if (index == 3) return lane(word, 3);
        if (index == 4) return lane(word, 4);
        if (index == 5) return lane(word, 5);
        return 0;
    }
}
