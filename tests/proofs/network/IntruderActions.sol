// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kind} from "../../../contracts/types/Orders.sol";
import {ICoalition} from "../../../contracts/interfaces/ICoalition.sol";
import {vm} from "../Vm.sol";
import {OperatorActions} from "./OperatorActions.sol";

/// @dev What a stranger tries. Nothing of it may take effect; what it changed would show in every law as well.
abstract contract IntruderActions is OperatorActions {
    /// @dev Law 5: an order that took effect, offered again by whichever door, at whichever Coalition.
    function replay(uint256 which) external {
        vm.assume(doneOrders.length > 0);
        bytes memory order = doneOrders[which % doneOrders.length].order;
        _refused(order);
        require(!_executes(order), "a replayed order took effect");
    }

    /// @dev Law 9: every kind, in perfect order but for who signed it.
    function forge(uint256 who, uint256 where, uint256 seed) external {
        uint256 i = _somebody(who, _anybody);
        uint32 merchant = uint32(where % MERCHANTS) + 1;
        uint256 thief = uint256(keccak256(abi.encode("thief", seed % 5)));
        // The till is a signer of its merchant, but not for the owner's orders, nor for another merchant.
        uint256 till = seed % 3 == 0 ? tillKey[merchant] : thief;
        uint256 otherTill = tillKey[merchant % MERCHANTS + 1];
        bytes memory order = _forged(1 + seed % 14, i, merchant, thief, till, otherTill);
        _refused(order);
        require(!_executes(order), "a forged order took effect");
    }

    /// @dev One bit of an order that is valid otherwise.
    function tamper(uint256 who, uint256 seed) external {
        uint256 i = _somebody(who, _hasPoints);
        uint24 nonce = uint24(((points.accountOf(person(i)) >> 216) & 0xFFFFFF) + 1);
        bytes memory order = _signed(_redeem(person(i), 1, 1, nonce), keyOf(i));
        order[seed % order.length] ^= bytes1(uint8(1 << ((seed >> 16) % 8)));
        // A flipped kind may make the order unknown or too short: also refused.
        _refused(order);
        require(!_executes(order), "a tampered order took effect");
    }

    /// @dev The doors that are the Coalition's alone, and the operator's.
    function trespass(uint256 seed, uint256 who) external {
        address stranger = address(uint160(uint256(keccak256(abi.encode("stranger", seed)))));
        address member = person(who % PEOPLE);
        bytes[12] memory calls = [
            abi.encodeCall(points.mintBatch, (abi.encodePacked(member, uint40(1)))),
            abi.encodeCall(points.refund, (member, (_epoch() << 240) | 1)),
            abi.encodeCall(points.redeem, (member, 1, 1)),
            abi.encodeCall(points.transferByOrder, (member, stranger, 1, 1)),
            abi.encodeCall(points.returnPoints, (member, _epoch(), 1)),
            abi.encodeCall(points.recover, (member, stranger)),
            abi.encodeCall(points.useNonce, (member, 1)),
            abi.encodeCall(points.join, (stranger, 1)),
            abi.encodeCall(points.leave, (member, 1)),
            abi.encodeCall(points.acceptCoalition, ()),
            abi.encodeCall(points.proposeCoalition, (stranger)),
            abi.encodeCall(points.vetoCoalition, ())
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(stranger);
            (bool done,) = address(points).call(calls[i]);
            require(!done, "a stranger was let in");
        }
        vm.prank(stranger);
        (bool carried,) =
            address(coalition).call(abi.encodeWithSignature("carryOut(bytes,bytes32)", hex"01", bytes32(0)));
        require(!carried, "a stranger carried an order out");
    }

    function _executes(bytes memory order) private returns (bool done) {
        (done,) = address(coalition).call(abi.encodeCall(coalition.execute, (order)));
    }

    function _forged(uint256 kind, uint256 i, uint32 merchant, uint256 thief, uint256 till, uint256 otherTill)
        private
        returns (bytes memory)
    {
        address member = person(i);
        address to = vm.addr(thief);
        uint24 nonce = uint24(((points.accountOf(member) >> 216) & 0xFFFFFF) + 1);
        uint64 merchantNonce = _merchantNonce(1);
        if (kind == 1 || kind == 2) return _signed(_membership(Kind(kind), member, nonce), thief);
        if (kind == 3) {
            bytes memory entries = abi.encodePacked(member, uint40(1));
            return _signed(_issueBatch(merchant, merchantNonce, 1, entries), otherTill);
        }
        if (kind == 4) return _signed(_redeem(member, merchant, 1, nonce), till);
        if (kind == 5) {
            if (redemptions.length == 0) return _signed(_redeem(member, merchant, 1, nonce), thief);
            // A refund at the till of another merchant than the one that honoured.
            bytes32[] memory proof = redemptions[0].proof;
            uint256 key = tillKey[redemptions[0].merchant % MERCHANTS + 1];
            uint32 where = redemptions[0].merchant;
            return _signed(
                _refund(where, 1, merchantNonce, redemptions[0].redemption, redemptions[0].buckets, proof), key
            );
        }
        if (kind == 6 || kind == 7) {
            bytes memory goods = _returnGoods(member, merchant, 1, _epoch(), merchantNonce);
            if (kind == 6) return _signedByBoth(goods, thief, tillKey[merchant]);
            return _signedByBoth(goods, keyOf(i), otherTill);
        }
        if (kind == 8) return _signed(_transfer(member, to, 1, nonce), till);
        if (kind == 9) return _signed(_cancel(member, 0, nonce), till);
        if (kind == 10) return _signed(_withdraw(merchant, to, 1, merchantNonce), till);
        if (kind == 11) return _signed(_setTillKey(merchant, to, true, merchantNonce), till);
        if (kind == 12) return _signed(_setOwner(merchant, to, merchantNonce), till);
        if (kind == 13) return _signed(_cancel(to, merchant, merchantNonce), thief);
        return _signed(_recovery(Kind.NAME_RECOVERY, member, to, nonce), till);
    }
}
