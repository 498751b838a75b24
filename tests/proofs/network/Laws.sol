// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {vm} from "../Vm.sol";
import {IntruderActions} from "./IntruderActions.sol";

/// @dev The laws of docs/INVARIANTS.md, each under its number: the contracts on the left, the model on the right. Written so that a law that
/// is broken says which one.
abstract contract Laws is IntruderActions {
    error LawBroken(uint256 law, string what, uint256 left, uint256 right);

    function checkLaws() public view {
        law01_live_supply_is_what_members_hold();
        law02_reserve_is_live_points_at_face_value();
        law03_assets_cover_all_that_is_owed();
        law04_no_position_under_its_limit();
        law05_each_order_took_effect_once();
        law06_refunds_stay_within_their_redemption();
        law07_returns_undo_issues();
        law08_breakage_is_booked_once();
        law09_only_signed_orders_moved_anything();
        law10_points_of_a_merchant_that_left_are_funded();
        law16_terms_of_an_epoch_never_change();
        receipts_are_what_was_minted_and_not_paid_out();
    }

    function law01_live_supply_is_what_members_hold() public view {
        uint256 held;
        for (uint256 i = 0; i < PEOPLE; ++i) {
            held += points.balanceOf(person(i));
        }
        _same(1, "supply = sum of balances", points.totalSupply(), held);
        uint256 expired;
        uint256 oldest = _oldestLive();
        for (uint256 epoch = 1; epoch < oldest; ++epoch) {
            expired += live[epoch];
        }
        _same(
            1,
            "supply + expired = issued - returned - redeemed + refunded",
            held + expired,
            totalIssued + totalRefunded - totalReturned - totalRedeemed
        );
        _same(1, "supply = the model's", held, _liveSupply());
    }

    function law02_reserve_is_live_points_at_face_value() public view {
        _same(2, "reserve = live points x face value", coalition.reserve(), _liveSupply() * FACE);
    }

    function law03_assets_cover_all_that_is_owed() public view {
        (uint256 positive, uint256 drawn) = _positions();
        (uint256 earned, uint256 withdrawable) = coalition.income();
        uint256 held = asset.balanceOf(address(coalition));
        uint256 owed = positive + coalition.reserve() + coalition.breakage() + earned + coalition.guarantee() + gifts;
        _same(3, "assets + drawn = positions + reserve + breakage + income + guarantee + gifts", held + drawn, owed);
        _atMost(3, "drawn <= guarantee", drawn, coalition.guarantee());
        _atMost(3, "withdrawable <= earned", withdrawable, earned);
        _same(3, "income = the model's", earned, _income());
        _same(3, "guarantee = the model's", coalition.guarantee(), guarantee);
    }

    function law04_no_position_under_its_limit() public view {
        uint256 limits;
        for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
            ICoalitionTypes.Merchant memory found = coalition.merchantOf(merchant);
            if (found.position < -int256(found.creditLimit)) {
                revert LawBroken(4, "position >= -limit", uint256(-found.position), found.creditLimit);
            }
            _same(4, "limit = the model's", found.creditLimit, limit[merchant]);
            limits += found.creditLimit;
        }
        _same(4, "sum of limits", coalition.sumOfLimits(), limits);
        _atMost(4, "limits <= guarantee", limits, coalition.guarantee());
    }

    /// @dev A second effect, or one that no order asked for, would move a position away from the model's.
    function law05_each_order_took_effect_once() public view {
        for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
            int256 found = coalition.positionOf(merchant);
            if (found != position[merchant]) {
                revert LawBroken(5, "position = deposits + redemptions - issues ...", uint256(found), uint256(position[merchant]));
            }
        }
    }

    function law06_refunds_stay_within_their_redemption() public view {
        uint256 given;
        uint256 first = redemptions.length > 8 ? redemptions.length - 8 : 0;
        for (uint256 i = first; i < redemptions.length; ++i) {
            Redemption storage found = redemptions[i];
            given = coalition.refundedOf(found.leaf);
            _same(6, "refunded of a leaf = the model's", given, found.refunded);
            _atMost(6, "refunded <= redeemed", given, found.points);
        }
        // Into the original epochs, and by any other movement too: no point ever changes its epoch.
        uint256 epochNow = _epoch();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            address who = person(i);
            uint256 buckets = points.bucketsOf(who);
            for (uint256 lane = 0; lane < VALIDITY && lane < epochNow; ++lane) {
                _same(6, "bucket = the model's", (buckets >> (35 * lane)) & LANE_MAX, bucket[who][epochNow - lane]);
            }
        }
    }

    function law07_returns_undo_issues() public view {
        // Older epochs can no longer be issued in nor returned to.
        uint256 epochNow = _epoch();
        for (uint256 epoch = epochNow > 2 ? epochNow - 2 : 1; epoch <= epochNow; ++epoch) {
            uint256 net;
            for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
                (uint256 out, uint256 back) = coalition.issuedBy(epoch, merchant);
                _same(7, "issued = the model's", out, issued[epoch][merchant]);
                _same(7, "returned = the model's", back, returned[epoch][merchant]);
                _atMost(7, "returned <= cap of issued", back, out * RETURN_CAP_BPS / 10_000);
                net += out - back;
            }
            (uint256 issuedNet_,) = points.supplyOfEpoch(epoch);
            _same(7, "issued net of an epoch = sum over merchants", issuedNet_, net);
        }
    }

    function law08_breakage_is_booked_once() public view {
        uint256 owed;
        (uint256 epochNow, uint256 oldest) = (_epoch(), _oldestLive());
        for (uint256 epoch = 1; epoch <= epochNow; ++epoch) {
            (, uint256 alive) = points.supplyOfEpoch(epoch);
            _same(8, "live of an epoch = the model's", alive, live[epoch]);
            if (epoch >= oldest) continue;
            ICoalitionTypes.Closing memory closing = coalition.closingOf(epoch);
            if (closing.closed != closed[epoch]) revert LawBroken(8, "closed", epoch, 0);
            _same(8, "pool = the model's", closing.pool, poolOf[epoch]);
            _same(8, "paid = the model's", closing.paid, paidOf[epoch]);
            _atMost(8, "paid <= pool", closing.paid, closing.pool);
            if (claimedPoints[epoch] == issuedNet[epoch] && issuedNet[epoch] != 0) {
                _same(8, "all claimed: nothing of the pool is left", closing.paid, closing.pool);
            }
            owed += closed[epoch] ? poolOf[epoch] - paidOf[epoch] : live[epoch] * FACE;
        }
        _same(8, "breakage = expired and not closed + closed and not claimed", coalition.breakage(), owed);
    }

    /// @dev Who owns and signs for a merchant is what the owners' orders made it.
    function law09_only_signed_orders_moved_anything() public view {
        for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
            address owner = coalition.merchantOf(merchant).owner;
            _same(9, "owner", uint160(owner), uint160(vm.addr(ownerKey[merchant])));
            _same(9, "till", coalition.tillKeyMerchant(vm.addr(tillKey[merchant])), merchant);
        }
    }

    /// @dev What live points of one merchant are worth is in the reserve whatever became of that merchant: the reserve asks nobody's status.
    function law10_points_of_a_merchant_that_left_are_funded() public view {
        (uint256 positive, uint256 drawn) = _positions();
        uint256 held = asset.balanceOf(address(coalition));
        _atMost(10, "reserve + positions <= assets + drawn", coalition.reserve() + positive, held + drawn);
    }

    function law16_terms_of_an_epoch_never_change() public view {
        uint256 last = _epoch() + 2;
        for (uint256 epoch = 1; epoch <= last; ++epoch) {
            ICoalitionTypes.Terms memory found = coalition.termsOf(epoch);
            Prices memory terms = _pricesOf(epoch);
            _same(16, "issue fee", found.issueFee, terms.issueFee);
            _same(16, "redeem fee", found.redeemFee, terms.redeemFee);
            _same(16, "issuers' share", found.issuersShareBps, terms.shareBps);
        }
    }

    function receipts_are_what_was_minted_and_not_paid_out() public view {
        _same(0, "receipts = minted - paid out", asset.totalSupply(), MONEY - settledSum);
        _same(0, "locked receipts = open pay-outs", asset.balanceOf(address(asset)), lockedSum);
    }

    function _positions() private view returns (uint256 positive, uint256 drawn) {
        for (uint32 merchant = 1; merchant <= MERCHANTS; ++merchant) {
            int256 found = coalition.positionOf(merchant);
            if (found > 0) positive += uint256(found);
            else drawn += uint256(-found);
        }
    }

    /// @dev Income as domain.md derives it: fees of every epoch, the operator's part of closed ones, less what was taken.
    function _income() private view returns (uint256 earned) {
        earned = operatorsBreakage;
        uint256 epochNow = _epoch();
        for (uint256 epoch = 1; epoch <= epochNow; ++epoch) {
            Prices memory terms = _pricesOf(epoch);
            earned += issuedNet[epoch] * terms.issueFee + (issuedNet[epoch] - live[epoch]) * terms.redeemFee;
        }
        earned -= incomeTaken;
    }

    function _same(uint256 law, string memory what, uint256 left, uint256 right) private pure {
        if (left != right) revert LawBroken(law, what, left, right);
    }

    function _atMost(uint256 law, string memory what, uint256 left, uint256 right) private pure {
        if (left > right) revert LawBroken(law, what, left, right);
    }
}
