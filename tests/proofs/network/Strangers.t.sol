// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalition, ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {IBankReceipt} from "../../../contracts/interfaces/IBankReceipt.sol";
import {IPoints} from "../../../contracts/interfaces/IPoints.sol";
import {Kind} from "../../../contracts/types/Orders.sol";
import {Log, vm} from "../Vm.sol";
import {People} from "./People.sol";

/// @dev A wallet whose check reads the first 65 bytes and never asks how long the signature is, as several in use do.
contract CarelessWallet {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        address signer = ecrecover(
            digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64])
        );
        return signer == OWNER ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @title What a stranger might try, each once a fault or nearly one
contract StrangersTest is People {
    uint256 private constant OWNERS_NONCES = 1 << 63;

    function setUp() public {
        _deploy(IPoints.Policy.MEMBERS);
        _setUp();
    }

    // ---- forged and premature rejections

    function test_relay__refund_with_a_strangers_proof__says_nothing() external {
        (bytes memory redemption, uint256 buckets) = _redeemed();
        bytes32[] memory none = new bytes32[](0);
        bytes memory good = _signed(_refund(1, 10, 77, redemption, buckets, none), tillKey[1]);
        bytes32[] memory rubbish = new bytes32[](1);
        rubbish[0] = "rubbish";
        bytes memory fields = _refund(1, 10, 77, redemption, buckets, rubbish);
        // The till's own signature, for its leaf is the same.
        bytes memory stolen = bytes.concat(fields, _tail(good, 65));
        require(coalition.digestOf(stolen) == coalition.digestOf(good), "the digest does not cover the proof");
        _silent(stolen);
        _effective(good);
    }

    function test_relay__wallet_signature_padded_by_a_stranger__is_never_starved() external {
        CarelessWallet wallet = new CarelessWallet(vm.addr(tillKey[1]));
        bytes memory registration = _setTillKey(1, address(wallet), true, uint64(OWNERS_NONCES));
        _effective(_signed(registration, ownerKey[1]));
        bytes memory fields = _cancel(address(wallet), 1, 5);
        bytes memory order = _signed(fields, tillKey[1]);
        _neverSpeaks(bytes.concat(order, new bytes(400_000)), 400_000, 30_000);
        _effective(order);
    }

    /// @dev Whatever gas a relayer brings, an order that is good takes effect, or the whole call reverts. It never fails for want of gas.
    function test_relay__any_kind_at_any_gas__takes_effect_or_reverts_whole() external {
        (bytes memory redemption, uint256 buckets) = _redeemed();
        bytes32[] memory none = new bytes32[](0);
        bytes memory entries;
        for (uint256 i = 0; i < 40; ++i) {
            entries = abi.encodePacked(entries, person(i % 4), uint40(7));
        }
        _deposit(1, 1_000_000);
        _neverSpeaks(_signed(_issueBatch(1, 900, 40, entries), tillKey[1]), 150_000, 20_000);
        _neverSpeaks(_signed(_refund(1, 10, 901, redemption, buckets, none), tillKey[1]), 150_000, 20_000);
        _neverSpeaks(_signed(_redeem(person(0), 1, 5, 4), keyOf(0)), 50_000, 10_000);
        _neverSpeaks(_signed(_transfer(person(0), person(1), 5, 4), keyOf(0)), 50_000, 10_000);
        _neverSpeaks(_signed(_membership(Kind.JOIN, person(6), 1), keyOf(6)), 50_000, 10_000);
        _neverSpeaks(_signed(_membership(Kind.LEAVE, person(0), 4), keyOf(0)), 50_000, 10_000);
        bytes memory money = _withdraw(1, person(0), 1, uint64(OWNERS_NONCES + 1));
        _neverSpeaks(_signed(money, ownerKey[1]), 50_000, 10_000);
        bytes memory goods = _returnGoods(person(0), 1, 10, 1, 902);
        _neverSpeaks(_signedByBoth(goods, keyOf(0), tillKey[1]), 50_000, 10_000);
    }

    // ---- replay in another form

    function test_relay__one_kinds_signature_on_another__says_nothing() external {
        bytes memory leave = _signed(_membership(Kind.LEAVE, person(0), 4), keyOf(0));
        leave[0] = bytes1(uint8(Kind.JOIN));
        _silent(leave);
        bytes memory name = _signed(_recovery(Kind.NAME_RECOVERY, person(0), person(1), 4), keyOf(0));
        name[0] = bytes1(uint8(Kind.RECOVER));
        _silent(name);
    }

    function test_relay__bytes_behind_a_keys_signature__says_nothing() external {
        bytes memory order = _signed(_transfer(person(0), person(1), 1, 4), keyOf(0));
        _silent(bytes.concat(order, hex"00"));
    }

    function test_relay__the_twin_of_a_signature__says_nothing() external {
        bytes memory fields = _membership(Kind.LEAVE, person(0), 4);
        bytes32 digest = coalition.digestOf(bytes.concat(fields, hex"00"));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf(0), digest);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory twin = abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _silent(bytes.concat(fields, twin));
        _silent(bytes.concat(fields, abi.encodePacked(r, s, v - 27)));
        _silent(bytes.concat(fields, abi.encodePacked(r, s)));
        _silent(bytes.concat(fields, new bytes(65)));
    }

    // ---- keys

    function test_cancel__of_an_owners_nonce_by_a_till__says_nothing() external {
        uint64 nonce = uint64(OWNERS_NONCES + 3);
        _silent(_signed(_cancel(vm.addr(tillKey[1]), 1, nonce), tillKey[1]));
        bytes memory entries = abi.encodePacked(person(0), uint40(1));
        _silent(_signed(_issueBatch(1, nonce, 1, entries), tillKey[1]));
        _effective(_signed(_setTillKey(1, vm.addr(tillKey[1]), false, nonce), ownerKey[1]));
    }

    function test_set_till_key__of_another_merchants_till__reverts() external {
        bytes memory order = _setTillKey(2, vm.addr(tillKey[1]), true, uint64(OWNERS_NONCES));
        order = _signed(order, ownerKey[2]);
        vm.expectPartialRevert(ICoalitionTypes.TillKeyTaken.selector);
        coalition.execute(order);
    }

    // ---- recovery

    function test_name_recovery__of_oneself__reverts() external {
        bytes memory order = _signed(_recovery(Kind.NAME_RECOVERY, person(0), person(0), 4), keyOf(0));
        vm.expectPartialRevert(ICoalitionTypes.RecoveryUnknown.selector);
        coalition.execute(order);
    }

    function test_follow_recovery__to_an_address_of_an_earlier_life__reverts() external {
        _effective(_signed(_recovery(Kind.NAME_RECOVERY, person(0), person(6), 2), keyOf(0)));
        _effective(_signed(_recovery(Kind.RECOVER, person(0), person(6), 1), keyOf(6)));
        vm.warp(_now() + coalition.RECOVERY_DELAY());
        coalition.finishRecovery(person(0));
        _effective(_signed(_membership(Kind.JOIN, person(0), 3), keyOf(0)));
        vm.prank(vm.addr(tillKey[1]));
        pass.enroll(1, person(0), 0);
        (bool moved,) = address(pass).call(abi.encodeCall(pass.followRecovery, (1, person(0))));
        require(!moved, "a stranger moved the pass of a member who had joined anew");
    }

    // ---- succession

    function test_accept__of_a_successor_to_another_than_the_current__reverts() external {
        ICoalition first = _newCoalition(address(coalition));
        ICoalition second = _newCoalition(address(coalition));
        points.proposeCoalition(address(first));
        vm.warp(_now() + points.SUCCESSION_DELAY());
        first.accept();
        points.proposeCoalition(address(second));
        vm.warp(_now() + points.SUCCESSION_DELAY());
        vm.expectPartialRevert(ICoalitionTypes.PredecessorMismatch.selector);
        second.accept();
    }

    // ---- receipts, reads

    function test_propose_mint__over_a_waiting_proposal__reverts() external {
        asset.proposeMint("wire 7", person(0), 1);
        vm.expectPartialRevert(IBankReceipt.BankReferenceUsed.selector);
        asset.proposeMint("wire 7", person(1), 1);
    }

    function test_is_epoch_expired__of_the_largest_number__answers() external view {
        require(!points.isEpochExpired(type(uint256).max), "an epoch that never comes has expired");
    }

    // ---- law 7, for any amount: a purchase that is returned in full leaves nothing

    function testFuzz_return__of_all_that_may_come_back__nets_to_zero(uint40 amount) external {
        vm.assume(amount >= 10 && amount < LANE_MAX);
        uint256 back = amount / 10;
        uint256 price = FACE + 10;
        _deposit(1, uint256(amount) * price);
        int256 before = coalition.positionOf(1);
        bytes memory entries = abi.encodePacked(person(0), amount);
        _effective(_signed(_issueBatch(1, 900, 1, entries), tillKey[1]));
        _effective(_signedByBoth(_returnGoods(person(0), 1, back, 1, 901), keyOf(0), tillKey[1]));
        require(coalition.positionOf(1) == before - int256((amount - back) * price), "money was lost");
        require(points.balanceOf(person(0)) == amount - back, "points were lost");
        (uint256 net, uint256 alive) = points.supplyOfEpoch(1);
        require(net == amount - back && alive == net, "the epoch remembers what was undone");
    }

    // ---- tools

    /// @dev Ada earned 1,000 and redeemed 100 of them: what a refund repeats of it.
    function _redeemed() private returns (bytes memory redemption, uint256 buckets) {
        _deposit(1, 1_000 * 110);
        bytes memory entries = abi.encodePacked(person(0), uint40(1_000));
        _effective(_signed(_issueBatch(1, 1, 1, entries), tillKey[1]));
        bytes memory order = _signed(_redeem(person(0), 1, 100, 2), keyOf(0));
        _effective(order);
        redemption = bytes.concat(_part(order, 1, 20), _part(order, 25, 45));
        return (redemption, (_epoch() << 240) | 100);
    }

    /// @dev Relays the order with more and more gas, each time from the same state: it takes effect, or all of it reverts.
    function _neverSpeaks(bytes memory order, uint256 from, uint256 step) private {
        bytes[] memory orders = new bytes[](1);
        orders[0] = order;
        bytes memory call_ = abi.encodeCall(coalition.relay, (orders));
        uint256 start = vm.snapshotState();
        require(coalition.relay(orders) == 1, "the order is not good");
        vm.revertToState(start);
        bool effective;
        bool starved;
        for (uint256 gas_ = from; gas_ < from + 60 * step; gas_ += step) {
            uint256 before = vm.snapshotState();
            (bool done, bytes memory answer) = address(coalition).call{gas: gas_}(call_);
            if (done) require(abi.decode(answer, (uint256)) == 1, "a good order failed for want of gas");
            (effective, starved) = (effective || done, starved || !done);
            vm.revertToState(before);
        }
        require(effective, "the gas tried is never enough");
        require(starved, "the gas tried is always enough");
    }

    /// @dev No effect, and not a word about it.
    function _silent(bytes memory order) private {
        vm.recordLogs();
        _refused(order);
        Log[] memory logs = vm.getRecordedLogs();
        require(logs.length == 0, "the coalition spoke of an order that nobody signed so");
    }

    function _tail(bytes memory whole, uint256 length) private pure returns (bytes memory) {
        return _part(whole, whole.length - length, length);
    }

    function _part(bytes memory whole, uint256 from, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = whole[from + i];
        }
    }
}
