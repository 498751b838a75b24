// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Handler} from "./Handler.sol";

/// @title A campaign over the whole network
/// @dev Each call is an action that must take effect (or is discarded because nobody is in the state for it); `fail_on_revert` is on.
/// `tools/run-proofs` reads how often each action succeeded and fails when one never did.
contract CampaignTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private handler;

    function setUp() public {
        handler = new Handler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory daily = new bytes4[](34);
        uint256 n;
        // The trade of every day, twice: so that there is something to refund, return, expire and claim.
        for (uint256 i = 0; i < 2; ++i) {
            daily[n++] = handler.issue.selector;
            daily[n++] = handler.redeem.selector;
        }
        daily[n++] = handler.join.selector;
        daily[n++] = handler.leave.selector;
        daily[n++] = handler.relayMany.selector;
        daily[n++] = handler.transferByOrder.selector;
        daily[n++] = handler.transfer.selector;
        daily[n++] = handler.transferFrom.selector;
        daily[n++] = handler.transferAtEpoch.selector;
        daily[n++] = handler.cancel.selector;
        daily[n++] = handler.nameRecovery.selector;
        daily[n++] = handler.startRecovery.selector;
        daily[n++] = handler.finishRecovery.selector;
        daily[n++] = handler.refund.selector;
        daily[n++] = handler.refundTooMuch.selector;
        daily[n++] = handler.returnGoods.selector;
        daily[n++] = handler.withdraw.selector;
        daily[n++] = handler.cancelMerchantNonce.selector;
        daily[n++] = handler.rotateTill.selector;
        daily[n++] = handler.changeOwner.selector;
        daily[n++] = handler.someTime.selector;
        daily[n++] = handler.nextEpoch.selector;
        daily[n++] = handler.severalEpochs.selector;
        daily[n++] = handler.deposit.selector;
        daily[n++] = handler.closeEpoch.selector;
        daily[n++] = handler.claimBreakage.selector;
        daily[n++] = handler.depositGuarantee.selector;
        daily[n++] = handler.setCreditLimit.selector;
        daily[n++] = handler.withdrawGuarantee.selector;
        daily[n++] = handler.withdrawIncome.selector;
        daily[n++] = handler.setTerms.selector;
        daily[n++] = handler.setStatus.selector;
        bytes4[] memory rare = new bytes4[](8);
        rare[0] = handler.gift.selector;
        rare[1] = handler.requestPayout.selector;
        rare[2] = handler.endPayout.selector;
        rare[3] = handler.succeed.selector;
        rare[4] = handler.replay.selector;
        rare[5] = handler.forge.selector;
        rare[6] = handler.tamper.selector;
        rare[7] = handler.trespass.selector;
        targets = new FuzzSelector[](2);
        targets[0] = FuzzSelector(address(handler), daily);
        targets[1] = FuzzSelector(address(handler), rare);
    }

    function invariant_laws_hold() public view {
        handler.checkLaws();
    }

    function afterInvariant() public {
        handler.windUp();
    }
}
