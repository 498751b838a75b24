"""Orders as bytes and digests, written from contracts/types/Orders.sol alone.

A second implementation beside wallet_sdk.orders on purpose: each is the other's oracle, and the
contracts are both's. Slow and plain; nothing here refuses a senseless order, so that tests can send
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

# Kind -> (number, name, fields in wire order: name, EIP-712 type, width on the wire in bytes).
MEMBERS_TAIL = [("nonce", "uint24", 3), ("deadline", "uint40", 5)]
MERCHANTS_TAIL = [("nonce", "uint64", 8), ("deadline", "uint40", 5)]
FIELDS: dict[str, tuple[int, list[tuple[str, str, int]]]] = {
    "Join": (1, [("member", "address", 20), *MEMBERS_TAIL]),
    "Leave": (2, [("member", "address", 20), *MEMBERS_TAIL]),
    "IssueBatch": (
        3,
        [
            ("merchant", "uint32", 4),
            *MERCHANTS_TAIL,
            ("entriesHash", "bytes32", 0),
            ("referencesRoot", "bytes32", 32),
        ],
    ),
    "Redeem": (
        4,
        [
            ("member", "address", 20),
            ("merchant", "uint32", 4),
            ("points", "uint40", 5),
            *MEMBERS_TAIL,
            ("ref", "bytes32", 32),
        ],
    ),
    "Refund": (
        5,
        [
            ("merchant", "uint32", 4),
            ("leaf", "bytes32", 0),
            ("points", "uint40", 5),
            *MERCHANTS_TAIL,
        ],
    ),
    "Return": (
        6,
        [
            ("member", "address", 20),
            ("merchant", "uint32", 4),
            ("points", "uint40", 5),
            ("epoch", "uint16", 2),
            *MERCHANTS_TAIL,
            ("ref", "bytes32", 32),
        ],
    ),
    "Transfer": (
        7,
        [
            ("from", "address", 20),
            ("to", "address", 20),
            ("points", "uint40", 5),
            *MEMBERS_TAIL,
        ],
    ),
    "Cancel": (8, [("signer", "address", 20), ("merchant", "uint32", 4), *MERCHANTS_TAIL]),
    "Withdraw": (
        9,
        [
            ("merchant", "uint32", 4),
            ("to", "address", 20),
            ("amount", "uint128", 16),
            *MERCHANTS_TAIL,
        ],
    ),
    "SetTillKey": (
        10,
        [
            ("merchant", "uint32", 4),
            ("key", "address", 20),
            ("active", "bool", 1),
            *MERCHANTS_TAIL,
        ],
    ),
    "SetOwner": (11, [("merchant", "uint32", 4), ("owner", "address", 20), *MERCHANTS_TAIL]),
    "SetProfile": (
        12,
        [("merchant", "uint32", 4), ("profileHash", "bytes32", 32), *MERCHANTS_TAIL],
    ),
    "NameRecovery": (13, [("member", "address", 20), ("recovery", "address", 20), *MEMBERS_TAIL]),
    "Recover": (14, [("member", "address", 20), ("recovery", "address", 20), *MEMBERS_TAIL]),
}


def to_bytes(value: Any, width: int) -> bytes:
    """An int big endian in `width` bytes; bytes and hex text as they are; bool as 0 or 1."""
    if isinstance(value, str):
        value = bytes.fromhex(value.removeprefix("0x"))
    if isinstance(value, bytes):
        return value
    return int(value).to_bytes(width, "big")


def address_of(public_key: PublicKey) -> str:
    """Lower-case 0x address of a public key."""
    return "0x" + keccak(public_key.format(compressed=False)[1:])[-20:].hex()


@dataclass(frozen=True)
class Key:
    """A private key with its address."""

    private: PrivateKey
    address: str

    @staticmethod
    def from_seed(seed: str) -> Key:
        """The same key for the same words, so that a failing test fails again."""
        private = PrivateKey(keccak(seed.encode()))
        return Key(private, address_of(private.public_key))

    def sign(self, digest: bytes) -> bytes:
        """r32 s32 v1, v 27 or 28, low s."""
        signature = self.private.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])


def type_text(name: str) -> str:
    """The EIP-712 type as one line."""
    _, fields = FIELDS[name]
    return f"{name}({','.join(f'{kind} {field}' for field, kind, _ in fields)})"


def domain_separator(chain_id: int, coalition: str) -> bytes:
    """EIP-712 domain: name Banyan, version 1."""
    kind = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return keccak(
        keccak(kind)
        + keccak(b"Banyan")
        + keccak(b"1")
        + chain_id.to_bytes(32, "big")
        + to_bytes(coalition, 20).rjust(32, b"\0")
    )


def pack_entries(entries: Sequence[tuple[str, int]]) -> bytes:
    """25 bytes an entry: address, points."""
    return b"".join(to_bytes(member, 20) + points.to_bytes(5, "big") for member, points in entries)


def redemption_leaf(digest: bytes, buckets: int) -> bytes:
    """What a relay's root is made of."""
    return keccak(b"\0" + digest + buckets.to_bytes(32, "big"))


def merkle_node(left: bytes, right: bytes) -> bytes:
    """Sorted pair."""
    return keccak(b"\1" + min(left, right) + max(left, right))


def merkle_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels, leaves first; a node without partner rises unchanged."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        row = levels[-1]
        above = [merkle_node(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        levels.append(above + row[len(row) - 1 :] * (len(row) % 2))
    return levels


def merkle_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Siblings from the leaf up."""
    proof = []
    for row in merkle_levels(leaves)[:-1]:
        sibling = index ^ 1
        if sibling < len(row):
            proof.append(row[sibling])
        index //= 2
    return proof


@dataclass(frozen=True)
class Wire:
    """Makes orders for one Coalition on one chain."""

    chain_id: int
    coalition: str

    def struct_hash(self, name: str, values: dict[str, Any]) -> bytes:
        """EIP-712 hash of the struct; each value padded to a word."""
        _, fields = FIELDS[name]
        words = [
            to_bytes(values[field], max(width, 1)).rjust(32, b"\0") for field, _, width in fields
        ]
        return keccak(keccak(type_text(name).encode()) + b"".join(words))

    def digest(self, name: str, **values: Any) -> bytes:
        """What the signer signs."""
        if name == "IssueBatch":
            values.setdefault("referencesRoot", bytes(32))
            values["entriesHash"] = keccak(pack_entries(values["entries"]))
        if name == "Refund":
            values["leaf"] = self.leaf_of(values["redemption"], values["merchant"])
        separator = domain_separator(self.chain_id, self.coalition)
        return keccak(b"\x19\x01" + separator + self.struct_hash(name, values))

    def leaf_of(self, redemption: dict[str, Any], merchant: int) -> bytes:
        """Leaf of a redemption given by its fields and its `buckets`."""
        fields = {key: redemption[key] for key in ("member", "points", "nonce", "deadline", "ref")}
        digest = self.digest("Redeem", merchant=merchant, **fields)
        return redemption_leaf(digest, redemption["buckets"])

    def encode(self, name: str, signature: bytes, **values: Any) -> bytes:
        """The order on the wire."""
        kind, fields = FIELDS[name]
        values.setdefault("referencesRoot", bytes(32))
        body = bytes([kind]) + b"".join(
            to_bytes(values[field], width) for field, _, width in fields if width
        )
        if name == "IssueBatch":
            body += len(values["entries"]).to_bytes(2, "big") + pack_entries(values["entries"])
        if name == "Refund":
            body += self.encode_redemption(values["redemption"])
        if name == "Return":
            member_signature = values["member_signature"]
            body += len(member_signature).to_bytes(2, "big") + member_signature
        return body + signature

    def encode_redemption(self, redemption: dict[str, Any]) -> bytes:
        """The part of a refund that names the redemption."""
        proof = redemption["proof"]
        return (
            to_bytes(redemption["member"], 20)
            + to_bytes(redemption["points"], 5)
            + to_bytes(redemption["nonce"], 3)
            + to_bytes(redemption["deadline"], 5)
            + to_bytes(redemption["ref"], 32)
            + to_bytes(redemption["buckets"], 32)
            + bytes([len(proof)])
            + b"".join(proof)
        )

    def signed(self, name: str, key: Key, /, **values: Any) -> bytes:
        """The order with the signature of `key`; a Return also takes the member's `member_key`."""
        digest = self.digest(name, **values)
        if name == "Return":
            values["member_signature"] = values.pop("member_key").sign(digest)
        return self.encode(name, key.sign(digest), **values)
