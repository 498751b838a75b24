// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "../Vm.sol";
import "../../../contracts/types/Account.sol";
import "../../../contracts/types/Standing.sol";
import "../../../contracts/types/Supply.sol";

/// @title What holds of the other two packed words, a merchant's standing and an epoch's supply, for every word
/// @dev As in AccountProofs: every word is symbolic. Where a function reverts, the path ends and nothing is asserted of it; so what it
/// must refuse is asserted of the paths that did not.
contract LedgerProofs {
    // ---- the account once more: the short cut of the next nonce

    function check_may_use__of_any_nonce__is_the_state_unused(uint256 word, uint256 nonce) external pure {
        Account account = Account.wrap(word);
        assert(account.accountMayUseNonce(nonce) == (account.accountNonceState(nonce) == NonceState.UNUSED));
    }

    // ---- a merchant's standing

    function check_standing__with_a_position__keeps_all_else(uint256 word, int256 position) external pure {
        Standing changed = Standing.wrap(word).standingWithPosition(position);
        assert(changed.standingPosition() == position);
        assert((Standing.unwrap(changed) ^ word) >> 128 == 0);
        assert(position >= type(int128).min && position <= type(int128).max);
    }

    function check_standing__with_a_limit__keeps_all_else(uint256 word, uint256 limit) external pure {
        Standing changed = Standing.wrap(word).standingWithLimit(limit);
        assert(changed.standingLimit() == limit && limit <= type(uint96).max);
        assert((Standing.unwrap(changed) ^ word) & ~(uint256(type(uint96).max) << 128) == 0);
    }

    function check_standing__with_a_status__keeps_all_else(uint256 word, uint8 status) external pure {
        Standing changed = Standing.wrap(word).standingWithStatus(status);
        assert(changed.standingStatus() == status);
        assert((Standing.unwrap(changed) ^ word) & ~(uint256(0xFF) << 224) == 0);
    }

    function check_standing__with_an_epoch__keeps_all_else(uint256 word, uint16 epoch) external pure {
        Standing changed = Standing.wrap(word).standingWithLeavingSince(epoch);
        assert(changed.standingLeavingSince() == epoch);
        assert((Standing.unwrap(changed) ^ word) & ~(uint256(0xFFFF) << 232) == 0);
    }

    // ---- an epoch's supply: `live` above, `issuedNet` below, no carry or borrow between them

    /// @dev What the ledger never leaves: live was issued, and a batch is at most 600 entries of 2^35 points.
    function reachable(uint256 word, uint256 points) private pure {
        vm.assume(word >> 128 <= word & type(uint128).max);
        vm.assume(word & type(uint128).max < 1 << 120 && points < 1 << 50);
    }

    function check_supply__issued__adds_to_both(uint256 word, uint256 points) external pure {
        reachable(word, points);
        Supply next = Supply.wrap(word).supplyIssued(points);
        assert(next.supplyLive() == (word >> 128) + points);
        assert(next.supplyIssuedNet() == (word & type(uint128).max) + points);
    }

    function check_supply__returned__takes_from_both_what_is_live(uint256 word, uint256 points) external pure {
        reachable(word, points);
        Supply next = Supply.wrap(word).supplyReturned(points);
        assert(points <= word >> 128);
        assert(next.supplyLive() == (word >> 128) - points);
        assert(next.supplyIssuedNet() == (word & type(uint128).max) - points);
    }

    function check_supply__redeemed__takes_from_live_alone(uint256 word, uint256 points) external pure {
        reachable(word, points);
        Supply next = Supply.wrap(word).supplyRedeemed(points);
        assert(points <= word >> 128 && next.supplyLive() == (word >> 128) - points);
        assert(next.supplyIssuedNet() == word & type(uint128).max);
    }

    function check_supply__refunded__adds_to_live_alone(uint256 word, uint256 points) external pure {
        reachable(word, points);
        Supply next = Supply.wrap(word).supplyRefunded(points);
        assert(next.supplyLive() == (word >> 128) + points);
        assert(next.supplyIssuedNet() == word & type(uint128).max);
    }
}
