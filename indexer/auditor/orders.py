"""Signed orders out of calldata: the wire read anew, and the EIP-712 digests computed anew.

The wire and the types are those of `contracts/types/Orders.sol`; nothing here comes from the SDK's
own reader, so that a mistake of one is found by the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from indexer.auditor.codec import keccak
from indexer.auditor.signatures import recover_order

JOIN, LEAVE, ISSUE_BATCH, REDEEM, REFUND, RETURN, TRANSFER = range(1, 8)
CANCEL, WITHDRAW, SET_TILL_KEY, SET_OWNER, SET_PROFILE, NAME_RECOVERY, RECOVER = range(8, 15)

ENTRY_BYTES: Final = 25
Fields: TypeAlias = dict[str, Any]

# What is signed, and in the same order what stands on the wire, with widths in bytes. Addresses and
# bytes32 are bytes, all else numbers.
_MEMBER: Final = ("member", 20)
_MERCHANT: Final = ("merchant", 4)
_DEADLINE: Final = ("deadline", 5)
_NONCE3: Final = ("nonce", 3)
_NONCE8: Final = ("nonce", 8)
_REF: Final = ("ref", 32)
_POINTS: Final = ("points", 5)
_Shape: TypeAlias = "tuple[tuple[str, int], ...]"

_SHAPES: Final[dict[int, tuple[str, _Shape]]] = {
    JOIN: (
        "Join(address member,uint24 nonce,uint40 deadline)",
        (_MEMBER, _NONCE3, _DEADLINE),
    ),
    LEAVE: (
        "Leave(address member,uint24 nonce,uint40 deadline)",
        (_MEMBER, _NONCE3, _DEADLINE),
    ),
    ISSUE_BATCH: (
        "IssueBatch(uint32 merchant,uint64 nonce,uint40 deadline,bytes32 entriesHash,"
        "bytes32 referencesRoot)",
        (_MERCHANT, _NONCE8, _DEADLINE, ("entriesHash", 32), ("referencesRoot", 32)),
    ),
    REDEEM: (
        "Redeem(address member,uint32 merchant,uint40 points,uint24 nonce,uint40 deadline,"
        "bytes32 ref)",
        (_MEMBER, _MERCHANT, _POINTS, _NONCE3, _DEADLINE, _REF),
    ),
    REFUND: (
        "Refund(uint32 merchant,bytes32 leaf,uint40 points,uint64 nonce,uint40 deadline)",
        (_MERCHANT, ("leaf", 32), _POINTS, _NONCE8, _DEADLINE),
    ),
    RETURN: (
        "Return(address member,uint32 merchant,uint40 points,uint16 epoch,uint64 nonce,"
        "uint40 deadline,bytes32 ref)",
        (_MEMBER, _MERCHANT, _POINTS, ("epoch", 2), _NONCE8, _DEADLINE, _REF),
    ),
    TRANSFER: (
        "Transfer(address from,address to,uint40 points,uint24 nonce,uint40 deadline)",
        (("from", 20), ("to", 20), _POINTS, _NONCE3, _DEADLINE),
    ),
    CANCEL: (
        "Cancel(address signer,uint32 merchant,uint64 nonce,uint40 deadline)",
        (("signer", 20), _MERCHANT, _NONCE8, _DEADLINE),
    ),
    WITHDRAW: (
        "Withdraw(uint32 merchant,address to,uint128 amount,uint64 nonce,uint40 deadline)",
        (_MERCHANT, ("to", 20), ("amount", 16), _NONCE8, _DEADLINE),
    ),
    SET_TILL_KEY: (
        "SetTillKey(uint32 merchant,address key,bool active,uint64 nonce,uint40 deadline)",
        (_MERCHANT, ("key", 20), ("active", 1), _NONCE8, _DEADLINE),
    ),
    SET_OWNER: (
        "SetOwner(uint32 merchant,address owner,uint64 nonce,uint40 deadline)",
        (_MERCHANT, ("owner", 20), _NONCE8, _DEADLINE),
    ),
    SET_PROFILE: (
        "SetProfile(uint32 merchant,bytes32 profileHash,uint64 nonce,uint40 deadline)",
        (_MERCHANT, ("profileHash", 32), _NONCE8, _DEADLINE),
    ),
    NAME_RECOVERY: (
        "NameRecovery(address member,address recovery,uint24 nonce,uint40 deadline)",
        (_MEMBER, ("recovery", 20), _NONCE3, _DEADLINE),
    ),
    RECOVER: (
        "Recover(address member,address recovery,uint24 nonce,uint40 deadline)",
        (_MEMBER, ("recovery", 20), _NONCE3, _DEADLINE),
    ),
}
NAMES: Final = {kind: text[: text.index("(")] for kind, (text, _) in _SHAPES.items()}
_TYPEHASH: Final = {kind: keccak(text.encode()) for kind, (text, _) in _SHAPES.items()}
_RAW: Final = frozenset(
    (
        *("member", "ref", "entriesHash", "referencesRoot", "leaf", "from", "to", "signer"),
        *("key", "owner", "profileHash", "recovery", "buckets"),
    )
)
_DOMAIN_TYPEHASH: Final = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


class Order(NamedTuple):
    """One order as it stood in calldata.

    `signer`: whose key signed; None: not a signature of a key, and then `signature` is what an
    ERC-1271 wallet was asked. `member_*`: the second signature, of a Return.
    """

    kind: int
    digest: bytes
    fields: Fields
    signer: bytes | None
    signature: bytes
    wire: bytes
    member_signer: bytes | None = None
    member_signature: bytes = b""


def domain_separator(chain_id: int, coalition: bytes) -> bytes:
    """EIP-712 domain: name "Banyan", version "1"."""
    words = (_DOMAIN_TYPEHASH, keccak(b"Banyan"), keccak(b"1"))
    return keccak(b"".join(words) + chain_id.to_bytes(32, "big") + coalition.rjust(32, b"\0"))


def digest_of(kind: int, fields: Fields, domain: bytes) -> bytes:
    """The 32 bytes that were signed."""
    words = [_TYPEHASH[kind]]
    for name, _ in _SHAPES[kind][1]:
        value = fields[name]
        words.append(
            value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")
        )
    return keccak(b"\x19\x01" + domain + keccak(b"".join(words)))


def redemption_leaf(digest: bytes, buckets: int) -> bytes:
    """keccak(0x00, digest, buckets): what a refund points at."""
    return keccak(b"\0" + digest + buckets.to_bytes(32, "big"))


def redemptions_root(leaves: list[bytes]) -> bytes:
    """Sorted pairs, inner nodes keccak(0x01, smaller, larger), the odd one rises unchanged."""
    level = leaves
    while len(level) > 1:
        above = [_pair(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def proven_root(leaf: bytes, proof: list[bytes]) -> bytes:
    """Where a proof of sorted pairs leads."""
    for step in proof:
        leaf = _pair(leaf, step)
    return leaf


def references_root(references: list[bytes]) -> bytes:
    """Root over salted references in entry order: leaf keccak(0x00, reference), inner node
    keccak(0x01, left, right), the odd one rises unchanged.
    """
    level = [keccak(b"\0" + r) for r in references]
    while len(level) > 1:
        above = [keccak(b"\1" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def _pair(a: bytes, b: bytes) -> bytes:
    return keccak(b"\1" + a + b) if a < b else keccak(b"\1" + b + a)


class _TooShort(Exception):
    """The bytes end inside an order."""


@dataclass(slots=True)
class _Cursor:
    data: bytes
    at: int

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise _TooShort
        part = self.data[self.at : end]
        self.at = end
        return part

    def fields(self, shape: _Shape, into: Fields) -> None:
        for name, width in shape:
            raw = self.take(width)
            into[name] = raw if name in _RAW else int.from_bytes(raw, "big")


_ISSUE_HEAD: Final[_Shape] = (_MERCHANT, _NONCE8, _DEADLINE, ("referencesRoot", 32), ("count", 2))
_REFUND_WIRE: Final[_Shape] = (
    *(_MERCHANT, _POINTS, _NONCE8, _DEADLINE),
    *(_MEMBER, ("redeemedPoints", 5), ("redeemedNonce", 3), ("redeemedDeadline", 5), _REF),
    *(("buckets", 32), ("proofLength", 1)),
)


def _number(fields: Fields, name: str) -> int:
    value = fields[name]
    assert isinstance(value, int)
    return value


def read_order(
    data: bytes,
    domain: bytes,
    at: int = 0,
    end: int | None = None,
    redeemed_for: bytes | None = None,
) -> Order | None:
    """The order that begins at `at` and ends at `end`; None: no order can be read there.

    The digest is for `domain`; the signer is recovered, and whether it is the right one is asked
    when the order is replayed. `redeemed_for`: the domain of a refund's redemption, where it is
    another.
    """
    end = len(data) if end is None else end
    kind = data[at] if at < end else 0
    if kind not in _SHAPES:
        return None
    cursor = _Cursor(data[:end], at + 1)
    fields: Fields = {}
    member_signature = b""
    try:
        if kind == ISSUE_BATCH:
            cursor.fields(_ISSUE_HEAD, fields)
            entries = cursor.take(ENTRY_BYTES * _number(fields, "count"))
            fields["entries"], fields["entriesHash"] = entries, keccak(entries)
        elif kind == REFUND:
            _read_refund(cursor, fields, redeemed_for or domain)
        else:
            cursor.fields(_SHAPES[kind][1], fields)
            if kind == RETURN:
                member_signature = cursor.take(int.from_bytes(cursor.take(2), "big"))
    except _TooShort:
        return None
    signature = cursor.data[cursor.at :]
    digest = digest_of(kind, fields, domain)
    return Order(
        kind=kind,
        digest=digest,
        fields=fields,
        signer=recover_order(digest, signature),
        signature=signature,
        wire=cursor.data[at:],
        member_signer=recover_order(digest, member_signature) if member_signature else None,
        member_signature=member_signature,
    )


def _read_refund(cursor: _Cursor, fields: Fields, domain: bytes) -> None:
    cursor.fields(_REFUND_WIRE, fields)
    steps = [cursor.take(32) for _ in range(_number(fields, "proofLength"))]
    redeem: Fields = {
        "member": fields["member"],
        "merchant": fields["merchant"],
        "points": fields["redeemedPoints"],
        "nonce": fields["redeemedNonce"],
        "deadline": fields["redeemedDeadline"],
        "ref": fields["ref"],
    }
    leaf = redemption_leaf(digest_of(REDEEM, redeem, domain), _buckets(fields))
    fields["leaf"] = leaf
    fields["root"] = proven_root(leaf, steps)


def _buckets(fields: Fields) -> int:
    raw = fields["buckets"]
    assert isinstance(raw, bytes)
    number = int.from_bytes(raw, "big")
    fields["buckets"] = number
    return number
