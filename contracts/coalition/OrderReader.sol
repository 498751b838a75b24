// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashing} from "../types/Hashing.sol";
import {Wire} from "../types/Wire.sol";
import {Redemptions} from "./Redemptions.sol";
import "../types/Orders.sol";

/// @dev Reads an order far enough to know who must have signed what. Offsets follow the table in `types/Orders.sol`; where the signature
/// begins is where the fields end, and that is the one check of an order's length.
abstract contract OrderReader is Redemptions {
    using Wire for bytes;

    // Whose signature an order needs.
    uint256 internal constant BY_MEMBER = 0;
    uint256 internal constant BY_TILL = 1;
    uint256 internal constant BY_OWNER = 2;
    uint256 internal constant BY_MEMBER_AND_TILL = 3;
    uint256 internal constant BY_TILL_OR_OWNER = 4;

    struct Signed {
        uint256 kind;
        /// Whose signature it needs.
        uint256 by;
        /// The member or the canceller; 0 where the signer is not a field.
        address signer;
        /// Place in the relay.
        uint256 index;
        /// 0: the nonce is the member's.
        uint32 merchant;
        uint256 nonce;
        uint256 deadline;
        bytes32 digest;
        uint256 signatureAt;
    }

    uint256 internal constant ENTRIES_OFFSET = 52;
    uint256 internal constant ENTRY_BYTES = 25;
    uint256 internal constant MEMBER_SIGNATURE_OFFSET = 79;
    /// @dev Enough for 65,536 redemptions in one relay, forty times what a transaction carries. A refund's proof is not under its signature, and
    /// every predecessor is asked with all of it: without an end to it a stranger could use up the gas that is kept for a live refund.
    uint256 private constant PROOF_NODES_MAX = 16;

    /// @return signed What the order says about itself; kind 0 when there is no such kind.
    /// @return whole False for an order that is too short for its kind, or that has a second form.
    function _read(bytes calldata order) internal view returns (Signed memory signed, bool whole) {
        if (order.length == 0) return (signed, false);
        uint256 kind = order.unsigned(0, 1);
        if (kind == 0 || kind > RECOVER) return (signed, true);
        uint256 signatureAt = _signatureAt(kind, order);
        (signed.kind, signed.signatureAt) = (kind, signatureAt);
        if (order.length <= signatureAt) return (signed, false);
        bytes32 structHash;
        if (kind == REDEEM) structHash = _readRedeem(order, signed);
        else if (kind == ISSUE_BATCH) structHash = _readIssueBatch(order, signed);
        else if (kind == TRANSFER) structHash = _readTransfer(order, signed);
        else if (kind <= LEAVE) structHash = _readMembership(order, signed);
        else if (kind == REFUND) structHash = _readRefund(order, signed);
        else if (kind == RETURN) structHash = _readReturn(order, signed);
        else if (kind == CANCEL) structHash = _readCancel(order, signed);
        else if (kind >= NAME_RECOVERY) structHash = _readRecovery(order, signed);
        else structHash = _readOwners(order, signed);
        signed.digest = _typedDigest(structHash);
        // Another byte than 0 or 1 would be a second wire form of the same order.
        whole = kind != SET_TILL_KEY || order.unsigned(25, 1) < 2;
    }

    /// @dev Where the fields of this kind end; beyond the order's end when a length inside it lies.
    function _signatureAt(uint256 kind, bytes calldata order) private pure returns (uint256) {
        if (kind == REDEEM) return 70;
        if (kind == ISSUE_BATCH) return ENTRIES_OFFSET + ENTRY_BYTES * order.unsigned(50, 2);
        if (kind == TRANSFER || kind == WITHDRAW) return 54;
        if (kind == JOIN || kind == LEAVE) return 29;
        if (kind == REFUND) {
            uint256 nodes = order.unsigned(120, 1);
            return nodes > PROOF_NODES_MAX ? type(uint256).max : PROOF_OFFSET + 32 * nodes;
        }
        if (kind == RETURN) return MEMBER_SIGNATURE_OFFSET + order.unsigned(77, 2);
        if (kind == CANCEL || kind == SET_OWNER) return 38;
        if (kind == SET_TILL_KEY) return 39;
        if (kind == SET_PROFILE) return 50;
        return 49;
    }

    function _readMembership(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.signer = order.account(1);
        signed.nonce = order.uint24At(21);
        signed.deadline = order.uint40At(24);
        bytes32 typeHash = signed.kind == JOIN ? JOIN_TYPEHASH : LEAVE_TYPEHASH;
        return Hashing.struct3(typeHash, uint160(signed.signer), signed.nonce, signed.deadline);
    }

    function _readIssueBatch(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.by = BY_TILL;
        signed.merchant = order.merchant(1);
        signed.nonce = order.uint64At(5);
        signed.deadline = order.uint40At(13);
        bytes32 entriesHash = keccak256(order[ENTRIES_OFFSET:signed.signatureAt]);
        return Hashing.struct5(
            ISSUE_BATCH_TYPEHASH,
            signed.merchant,
            signed.nonce,
            signed.deadline,
            uint256(entriesHash),
            uint256(order.word(18))
        );
    }

    function _readRedeem(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.signer = order.account(1);
        signed.nonce = order.uint24At(30);
        signed.deadline = order.uint40At(33);
        return Hashing.struct6(
            REDEEM_TYPEHASH,
            uint160(signed.signer),
            order.merchant(21),
            order.uint40At(25),
            signed.nonce,
            signed.deadline,
            uint256(order.word(38))
        );
    }

    function _readRefund(bytes calldata order, Signed memory signed) private view returns (bytes32) {
        signed.by = BY_TILL;
        signed.merchant = order.merchant(1);
        signed.nonce = order.uint64At(10);
        signed.deadline = order.uint40At(18);
        (bytes32 leaf,) = _redemptionOf(order);
        return keccak256(
            abi.encode(REFUND_TYPEHASH, signed.merchant, leaf, order.uint40At(5), signed.nonce, signed.deadline)
        );
    }

    function _readReturn(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.by = BY_MEMBER_AND_TILL;
        signed.signer = order.account(1);
        signed.merchant = order.merchant(21);
        signed.nonce = order.uint64At(32);
        signed.deadline = order.uint40At(40);
        return keccak256(
            abi.encode(
                RETURN_TYPEHASH,
                signed.signer,
                signed.merchant,
                order.uint40At(25),
                order.unsigned(30, 2),
                signed.nonce,
                signed.deadline,
                order.word(45)
            )
        );
    }

    function _readTransfer(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.signer = order.account(1);
        signed.nonce = order.uint24At(46);
        signed.deadline = order.uint40At(49);
        return Hashing.struct5(
            TRANSFER_TYPEHASH,
            uint160(signed.signer),
            uint160(order.account(21)),
            order.uint40At(41),
            signed.nonce,
            signed.deadline
        );
    }

    function _readCancel(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.signer = order.account(1);
        signed.merchant = order.merchant(21);
        signed.nonce = order.uint64At(25);
        signed.deadline = order.uint40At(33);
        if (signed.merchant != 0) signed.by = BY_TILL_OR_OWNER;
        return keccak256(
            abi.encode(CANCEL_TYPEHASH, signed.signer, signed.merchant, signed.nonce, signed.deadline)
        );
    }

    function _readRecovery(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        address member = order.account(1);
        address recovery = order.account(21);
        bool naming = signed.kind == NAME_RECOVERY;
        signed.signer = naming ? member : recovery;
        signed.nonce = order.uint24At(41);
        signed.deadline = order.uint40At(44);
        bytes32 typeHash = naming ? NAME_RECOVERY_TYPEHASH : RECOVER_TYPEHASH;
        return keccak256(abi.encode(typeHash, member, recovery, signed.nonce, signed.deadline));
    }

    /// @dev Orders of a merchant's owner: one or two fields between the merchant and the nonce.
    function _readOwners(bytes calldata order, Signed memory signed) private pure returns (bytes32) {
        signed.by = BY_OWNER;
        signed.merchant = order.merchant(1);
        // The nonce and the deadline are always the last 13 bytes before the signature.
        signed.nonce = order.uint64At(signed.signatureAt - 13);
        signed.deadline = order.uint40At(signed.signatureAt - 5);
        (uint32 merchant, uint256 nonce, uint256 deadline) = (signed.merchant, signed.nonce, signed.deadline);
        if (signed.kind == WITHDRAW) {
            uint256 amount = order.unsigned(25, 16);
            return keccak256(
                abi.encode(WITHDRAW_TYPEHASH, merchant, order.account(5), amount, nonce, deadline)
            );
        }
        if (signed.kind == SET_TILL_KEY) {
            uint256 active = order.unsigned(25, 1);
            return keccak256(
                abi.encode(SET_TILL_KEY_TYPEHASH, merchant, order.account(5), active, nonce, deadline)
            );
        }
        if (signed.kind == SET_OWNER) {
            return keccak256(abi.encode(SET_OWNER_TYPEHASH, merchant, order.account(5), nonce, deadline));
        }
        return keccak256(abi.encode(SET_PROFILE_TYPEHASH, merchant, order.word(5), nonce, deadline));
    }
}
