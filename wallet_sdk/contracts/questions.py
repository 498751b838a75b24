"""The view functions that the SDK asks, as the interfaces declare them."""

from __future__ import annotations

from typing import Final

from wallet_sdk.contracts.functions import function

_POINTS: Final = "Points"
_COALITION: Final = "Coalition"
_PASS: Final = "MembershipPass"
_RECEIPT: Final = "BankReceipt"

BALANCE_OF: Final = function(_POINTS, "balanceOf(address account)", "uint256")
BALANCE_OF_AT_EPOCH: Final = function(
    _POINTS, "balanceOfAtEpoch(uint256 epoch, address account)", "uint256"
)
TOTAL_SUPPLY: Final = function(_POINTS, "totalSupply()", "uint256")
ACCOUNT_OF: Final = function(_POINTS, "accountOf(address account)", "uint256")
BUCKETS_OF: Final = function(_POINTS, "bucketsOf(address account)", "uint256")
IS_MEMBER: Final = function(_POINTS, "isMember(address account)", "bool")
IS_NONCE_USED: Final = function(_POINTS, "isNonceUsed(address account, uint256 nonce)", "bool")
POLICY: Final = function(_POINTS, "policy()", "uint8")
SUPPLY_OF_EPOCH: Final = function(_POINTS, "supplyOfEpoch(uint256 epoch)", "uint256", "uint256")
CURRENT_EPOCH: Final = function(_POINTS, "currentEpoch()", "uint256")
EPOCH_START: Final = function(_POINTS, "epochStart(uint256 epoch)", "uint256")
EPOCH_END: Final = function(_POINTS, "epochEnd(uint256 epoch)", "uint256")
EPOCH_LENGTH: Final = function(_POINTS, "epochLength()", "uint256")
IS_EPOCH_EXPIRED: Final = function(_POINTS, "isEpochExpired(uint256 epoch)", "bool")
COALITION: Final = function(_POINTS, "coalition()", "address")
SUCCESSOR: Final = function(_POINTS, "successor()", "address", "uint256")

MERCHANT_OF: Final = function(
    _COALITION, "merchantOf(uint32 merchant)", "address", "uint8", "int256", "uint256", "bytes32"
)
POSITION_OF: Final = function(_COALITION, "positionOf(uint32 merchant)", "int256")
TILL_KEY_MERCHANT: Final = function(_COALITION, "tillKeyMerchant(address key)", "uint32")
IS_MERCHANT_NONCE_USED: Final = function(
    _COALITION, "isMerchantNonceUsed(uint32 merchant, uint256 nonce)", "bool"
)
TERMS_OF: Final = function(_COALITION, "termsOf(uint256 epoch)", "uint32", "uint32", "uint16")
ISSUED_BY: Final = function(
    _COALITION, "issuedBy(uint256 epoch, uint32 merchant)", "uint256", "uint256"
)
IS_REDEMPTION_ROOT: Final = function(_COALITION, "isRedemptionRoot(bytes32 root)", "bool")
REFUNDED_OF: Final = function(_COALITION, "refundedOf(bytes32 leaf)", "uint256")
RESERVE: Final = function(_COALITION, "reserve()", "uint256")
SUM_OF_LIMITS: Final = function(_COALITION, "sumOfLimits()", "uint256")
GUARANTEE: Final = function(_COALITION, "guarantee()", "uint256")
INCOME: Final = function(_COALITION, "income()", "uint256", "uint256")
BREAKAGE: Final = function(_COALITION, "breakage()", "uint256")
ISSUING_PAUSED: Final = function(_COALITION, "issuingPaused()", "bool")
FACE_VALUE: Final = function(_COALITION, "faceValue()", "uint256")
RETURN_CAP_BPS: Final = function(_COALITION, "returnCapBps()", "uint256")
PREDECESSOR: Final = function(_COALITION, "predecessor()", "address")
DOMAIN_SEPARATOR: Final = function(_COALITION, "domainSeparator()", "bytes32")
DIGEST_OF: Final = function(_COALITION, "digestOf(bytes order)", "bytes32")

OFFICE: Final = function(_COALITION, "office()", "address")
RECOVERY_OF: Final = function(_COALITION, "recoveryOf(address member)", "address", "uint256")
CLOSING_OF: Final = function(
    _COALITION, "closingOf(uint256 epoch)", "uint128", "uint128", "uint128", "bool"
)
HAS_CLAIMED: Final = function(_COALITION, "hasClaimed(uint256 epoch, uint32 merchant)", "bool")
LEDGER: Final = function(
    _COALITION, "ledger()", "uint128", "uint128", "uint128", "uint128", "uint128", "uint16"
)

PASS_OF: Final = function(_PASS, "passOf(uint256 tokenId)", "address", "uint256", "uint256")
TOKEN_URI: Final = function(_PASS, "tokenURI(uint256 tokenId)", "string")
RECEIPTS_OF: Final = function(_RECEIPT, "balanceOf(address account)", "uint256")
RECEIPTS_SUPPLY: Final = function(_RECEIPT, "totalSupply()", "uint256")
DAILY_LIMIT: Final = function(_RECEIPT, "dailyLimit()", "uint256")
