// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalition, ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {vm} from "../Vm.sol";
import {MerchantActions} from "./MerchantActions.sol";

/// @dev Time, the operator, clearing, and the hand-over to a successor.
abstract contract OperatorActions is MerchantActions {
    uint256 private constant NOTICE = 30 days;
    uint256 private constant SUCCESSIONS_MAX = 2;
    uint256 public successions;
    uint256[] internal locked;
    uint256 internal lockedSum;
    uint256 internal settledSum;

    // ---- time

    function someTime(uint256 seed) external {
        uint256 left = points.epochEnd(_epoch()) - _now();
        vm.warp(_now() + (seed % 3 == 0 ? left : seed % (left / 4 + 1)));
    }

    function nextEpoch(uint256 seed) external {
        vm.assume(seed % 2 == 0);
        vm.warp(points.epochEnd(_epoch()) + 1);
    }

    function severalEpochs(uint256 seed) external {
        vm.assume(seed % 8 == 0);
        vm.warp(_now() + (1 + (seed >> 3) % 4) * EPOCH_SECONDS);
    }

    // ---- clearing

    function deposit(uint256 where, uint256 seed) external {
        _deposit(uint32(where % MERCHANTS) + 1, 1 + seed % 10_000_000);
    }

    function closeEpoch(uint256 seed) external {
        uint256 oldest = _oldestLive();
        vm.assume(oldest > 1);
        for (uint256 k = 0; k < oldest - 1; ++k) {
            uint256 epoch = 1 + (seed % (oldest - 1) + k) % (oldest - 1);
            if (closed[epoch]) continue;
            coalition.closeEpoch(epoch);
            closed[epoch] = true;
            Prices memory terms = _pricesOf(epoch);
            uint256 unspent = live[epoch] * FACE;
            uint256 cap = (terms.issueFee + terms.redeemFee) * issuedNet[epoch];
            uint256 share = unspent * terms.shareBps / 10_000;
            poolOf[epoch] = share < cap ? share : cap;
            operatorsBreakage += unspent - poolOf[epoch];
            return;
        }
        vm.assume(false);
    }

    function claimBreakage(uint256 seed, uint256 where) external {
        uint256 oldest = _oldestLive();
        for (uint256 k = 0; k < (oldest - 1) * MERCHANTS; ++k) {
            uint256 epoch = 1 + (seed % (oldest - 1) + k / MERCHANTS) % (oldest - 1);
            uint32 merchant = uint32((where % MERCHANTS + k) % MERCHANTS) + 1;
            if (!closed[epoch] || claimed[epoch][merchant]) continue;
            uint256 amount = coalition.claimBreakage(epoch, merchant);
            claimed[epoch][merchant] = true;
            claimedPoints[epoch] += issued[epoch][merchant] - returned[epoch][merchant];
            uint256 due =
                issuedNet[epoch] == 0 ? 0 : poolOf[epoch] * claimedPoints[epoch] / issuedNet[epoch];
            require(amount == due - paidOf[epoch], "a claim is not the running floor");
            paidOf[epoch] = due;
            position[merchant] += int256(amount);
            return;
        }
        vm.assume(false);
    }

    // ---- the operator

    function depositGuarantee(uint256 seed) external {
        uint256 amount = 1 + seed % 1_000_000_000;
        coalition.depositGuarantee(amount);
        guarantee += amount;
    }

    function setCreditLimit(uint256 where, uint256 seed) external {
        uint32 merchant = uint32(where % MERCHANTS) + 1;
        uint256 others;
        for (uint32 m = 1; m <= MERCHANTS; ++m) {
            if (m != merchant) others += limit[m];
        }
        uint256 drawn = position[merchant] < 0 ? uint256(-position[merchant]) : 0;
        uint256 next = _between(seed, drawn, guarantee - others);
        coalition.setCreditLimit(merchant, next);
        limit[merchant] = next;
    }

    function withdrawGuarantee(uint256 seed) external {
        uint256 limits = limit[1] + limit[2] + limit[3] + limit[4];
        vm.assume(guarantee > limits);
        uint256 amount = _between(seed, 1, guarantee - limits);
        coalition.withdrawGuarantee(address(this), amount);
        guarantee -= amount;
    }

    function withdrawIncome(uint256 seed) external {
        (, uint256 withdrawable) = coalition.income();
        vm.assume(withdrawable > 0);
        uint256 amount = _between(seed, 1, withdrawable);
        coalition.withdrawIncome(address(this), amount);
        incomeTaken += amount;
    }

    function setTerms(uint256 seed) external {
        vm.assume(seed % 4 == 0);
        uint256 epoch = _epoch() + 1;
        while (points.epochStart(epoch) < _now() + NOTICE) ++epoch;
        uint256 last = prices[prices.length - 1].fromEpoch;
        if (epoch <= last) epoch = last + 1;
        Prices memory next = Prices(epoch, (seed >> 8) % 30, (seed >> 16) % (FACE + 1), (seed >> 24) % 10_001);
        coalition.setTerms(
            epoch,
            ICoalitionTypes.Terms(uint32(next.issueFee), uint32(next.redeemFee), uint16(next.shareBps))
        );
        prices.push(next);
    }

    function setStatus(uint256 where, uint256 seed) external {
        // Merchant 1 stays active, so that there is always somebody who honours.
        uint32 merchant = uint32(2 + where % (MERCHANTS - 1));
        ICoalitionTypes.Status now_ = coalition.merchantOf(merchant).status;
        vm.assume(now_ != ICoalitionTypes.Status.CLOSED);
        if (seed % 4 == 0 && now_ == ICoalitionTypes.Status.LEAVING) {
            try coalition.setMerchantStatus(merchant, ICoalitionTypes.Status.CLOSED) {
                return;
            } catch (bytes memory reason) {
                // Too early: the only refusal that may come here.
                require(bytes4(reason) == ICoalitionTypes.MerchantNotActive.selector, "refused for another reason");
            }
        }
        coalition.setMerchantStatus(merchant, ICoalitionTypes.Status(1 + seed % 3));
    }

    function gift(uint256 seed) external {
        uint256 amount = seed % 1_000_000;
        require(asset.transfer(address(coalition), amount), "transfer answered false");
        gifts += amount;
    }

    // ---- receipts for money

    function requestPayout(uint256 seed) external {
        uint256 amount = 1 + seed % 1_000_000;
        locked.push(asset.requestPayout(amount, "account"));
        require(locked[locked.length - 1] == locked.length, "payouts are not numbered");
        lockedSum += amount;
    }

    function endPayout(uint256 seed) external {
        vm.assume(locked.length > 0);
        uint256 index = seed % locked.length;
        vm.assume(locked[index] != 0);
        uint256 before = asset.balanceOf(address(asset));
        if (seed % 2 == 0) asset.cancelPayout(locked[index]);
        else asset.settlePayout(locked[index], bytes32(locked[index]));
        uint256 amount = before - asset.balanceOf(address(asset));
        lockedSum -= amount;
        if (seed % 2 == 1) settledSum += amount;
        locked[index] = 0;
    }

    // ---- succession

    function succeed(uint256 seed) external {
        vm.assume(seed % 16 == 0 && successions < SUCCESSIONS_MAX);
        ICoalition old = coalition;
        ICoalition next = _newCoalition(address(old));
        points.proposeCoalition(address(next));
        vm.warp(_now() + points.SUCCESSION_DELAY());
        uint256 money = asset.balanceOf(address(old));
        next.accept();
        require(asset.balanceOf(address(next)) == money, "not all of the money came over");
        asset.approve(address(next), type(uint256).max);
        coalition = next;
        ++successions;
    }
}
