// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The kinds of signed orders. The first byte of an order on the wire. Never renumber: digests and stored orders depend on it.
enum Kind {
    NONE,
    JOIN,
    LEAVE,
    ISSUE_BATCH,
    REDEEM,
    REFUND,
    RETURN,
    TRANSFER,
    CANCEL,
    WITHDRAW,
    SET_TILL_KEY,
    SET_OWNER,
    SET_PROFILE,
    NAME_RECOVERY,
    RECOVER
}

// The same as plain numbers: the compiler checks the range of an enum at every comparison, which costs a redemption 2,000 gas.
uint256 constant JOIN = uint256(Kind.JOIN);
uint256 constant LEAVE = uint256(Kind.LEAVE);
uint256 constant ISSUE_BATCH = uint256(Kind.ISSUE_BATCH);
uint256 constant REDEEM = uint256(Kind.REDEEM);
uint256 constant REFUND = uint256(Kind.REFUND);
uint256 constant RETURN = uint256(Kind.RETURN);
uint256 constant TRANSFER = uint256(Kind.TRANSFER);
uint256 constant CANCEL = uint256(Kind.CANCEL);
uint256 constant WITHDRAW = uint256(Kind.WITHDRAW);
uint256 constant SET_TILL_KEY = uint256(Kind.SET_TILL_KEY);
uint256 constant SET_OWNER = uint256(Kind.SET_OWNER);
uint256 constant SET_PROFILE = uint256(Kind.SET_PROFILE);
uint256 constant NAME_RECOVERY = uint256(Kind.NAME_RECOVERY);
uint256 constant RECOVER = uint256(Kind.RECOVER);

/*
 The wire: kind (1 byte), then the fields, each big endian in exactly the width of its EIP-712 type, then the signature to the end.

 JOIN           member20 nonce3 deadline5                                            sig of the member
 LEAVE          member20 nonce3 deadline5                                            sig of the member
 ISSUE_BATCH    merchant4 nonce8 deadline5 referencesRoot32 count2 entries(25*count) sig of a till key; entry = address20 points5
 REDEEM         member20 merchant4 points5 nonce3 deadline5 ref32                    sig of the member
 REFUND         merchant4 points5 nonce8 deadline5                                   sig of a till key
                + the redemption: member20 points5 nonce3 deadline5 ref32 buckets32 proofLength1 proof(32*n, n <= 16), before the sig
 RETURN         member20 merchant4 points5 epoch2 nonce8 deadline5 ref32 memberSigLength2 memberSig   sig of a till key
 TRANSFER       from20 to20 points5 nonce3 deadline5                                 sig of the sender
 CANCEL         signer20 merchant4 nonce8 deadline5                                  sig of the signer; merchant 0: a member's nonce
 WITHDRAW       merchant4 to20 amount16 nonce8 deadline5                             sig of the merchant's owner
 SET_TILL_KEY   merchant4 key20 active1 nonce8 deadline5                             sig of the merchant's owner
 SET_OWNER      merchant4 owner20 nonce8 deadline5                                   sig of the merchant's owner
 SET_PROFILE    merchant4 profileHash32 nonce8 deadline5                             sig of the merchant's owner
 NAME_RECOVERY  member20 recovery20 nonce3 deadline5                                 sig of the member (ends a running recovery)
 RECOVER        member20 recovery20 nonce3 deadline5                                 sig of the recovery address, its own nonce

 A signature of a key is r32 s32 v1 (v 27 or 28, low s). Anything else is asked of the signer by ERC-1271. Where the signer is not
 itself a field (a till key), a contract's signature is its address20 followed by the bytes for isValidSignature.
*/

bytes32 constant JOIN_TYPEHASH = keccak256("Join(address member,uint24 nonce,uint40 deadline)");
bytes32 constant LEAVE_TYPEHASH = keccak256("Leave(address member,uint24 nonce,uint40 deadline)");
bytes32 constant ISSUE_BATCH_TYPEHASH =
    keccak256("IssueBatch(uint32 merchant,uint64 nonce,uint40 deadline,bytes32 entriesHash,bytes32 referencesRoot)");
bytes32 constant REDEEM_TYPEHASH =
    keccak256("Redeem(address member,uint32 merchant,uint40 points,uint24 nonce,uint40 deadline,bytes32 ref)");
bytes32 constant REFUND_TYPEHASH =
    keccak256("Refund(uint32 merchant,bytes32 leaf,uint40 points,uint64 nonce,uint40 deadline)");
bytes32 constant RETURN_TYPEHASH = keccak256(
    "Return(address member,uint32 merchant,uint40 points,uint16 epoch,uint64 nonce,uint40 deadline,bytes32 ref)"
);
bytes32 constant TRANSFER_TYPEHASH =
    keccak256("Transfer(address from,address to,uint40 points,uint24 nonce,uint40 deadline)");
bytes32 constant CANCEL_TYPEHASH =
    keccak256("Cancel(address signer,uint32 merchant,uint64 nonce,uint40 deadline)");
bytes32 constant WITHDRAW_TYPEHASH =
    keccak256("Withdraw(uint32 merchant,address to,uint128 amount,uint64 nonce,uint40 deadline)");
bytes32 constant SET_TILL_KEY_TYPEHASH =
    keccak256("SetTillKey(uint32 merchant,address key,bool active,uint64 nonce,uint40 deadline)");
bytes32 constant SET_OWNER_TYPEHASH =
    keccak256("SetOwner(uint32 merchant,address owner,uint64 nonce,uint40 deadline)");
bytes32 constant SET_PROFILE_TYPEHASH =
    keccak256("SetProfile(uint32 merchant,bytes32 profileHash,uint64 nonce,uint40 deadline)");
bytes32 constant NAME_RECOVERY_TYPEHASH =
    keccak256("NameRecovery(address member,address recovery,uint24 nonce,uint40 deadline)");
bytes32 constant RECOVER_TYPEHASH =
    keccak256("Recover(address member,address recovery,uint24 nonce,uint40 deadline)");
