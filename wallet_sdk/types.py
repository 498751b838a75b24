"""Bytes, hex and the few words that every module shares.

At public borders an address is an EIP-55 `str` and a digest a `0x` `str` of 32 bytes; in SQL they
are 20 and 32 `bytes`. The functions here are the only place that turns one into the other.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Final, TypeAlias

from wallet_sdk._keccak import keccak256
from wallet_sdk.errors import InputInvalid

Address: TypeAlias = str
"""EIP-55 checksummed, with 0x."""
Digest: TypeAlias = str
"""32 bytes as 0x and 64 lower-case hex digits: an EIP-712 digest, a hash, a Merkle root."""
Points: TypeAlias = int
"""Whole points; decimals 0."""
Money: TypeAlias = int
"""Whole units of the settlement asset."""
Seconds: TypeAlias = int
"""Unix seconds of network time."""

__all__ = [
    "ZERO_ADDRESS",
    "ZERO_DIGEST",
    "Address",
    "Digest",
    "Money",
    "Points",
    "Policy",
    "Seconds",
    "Status",
    "address_bytes",
    "address_of",
    "create_address",
    "digest_bytes",
    "digest_of",
    "from_hex",
    "keccak256",
    "to_address",
    "to_hex",
]

ZERO_ADDRESS: Final[Address] = "0x" + "00" * 20
ZERO_DIGEST: Final[Digest] = "0x" + "00" * 32


class Status(IntEnum):
    """`ICoalition.Status`: what a merchant may do."""

    NONE = 0
    ACTIVE = 1
    SUSPENDED = 2
    LEAVING = 3
    CLOSED = 4


class Policy(IntEnum):
    """`IPoints.Policy`: who may hold points."""

    OPEN = 0
    MEMBERS = 1
    CLOSED = 2


def to_hex(data: bytes) -> str:
    """`0x` and two lower-case digits a byte."""
    return "0x" + data.hex()


def from_hex(text: str, length: int | None = None) -> bytes:
    """The bytes of a `0x` string; with `length`, exactly that many. Raises InputInvalid."""
    if not isinstance(text, str) or text[:2] != "0x":
        raise InputInvalid(f"expected a 0x hex string, got {text!r:.80}")
    digits = text[2:]
    try:
        data = bytes.fromhex(digits)
    except ValueError as error:
        raise InputInvalid(f"not hexadecimal: {text[:80]!r}") from error
    # bytes.fromhex skips spaces; a string that holds some is not what the caller meant.
    if len(data) * 2 != len(digits):
        raise InputInvalid(f"not hexadecimal: {text[:80]!r}")
    if length is not None and len(data) != length:
        raise InputInvalid(f"expected {length} bytes, got {len(data)}: {text[:80]!r}")
    return data


def digest_bytes(digest: Digest) -> bytes:
    """The 32 bytes of a digest, as SQL keeps it. Raises InputInvalid."""
    return from_hex(digest, 32)


def digest_of(data: bytes) -> Digest:
    """The border form of 32 bytes. Raises InputInvalid on another length."""
    if len(data) != 32:
        raise InputInvalid(f"a digest has 32 bytes, got {len(data)}")
    return "0x" + data.hex()


# The two caches below hold about 30 MB when full. A checksum costs a Keccak: a batch
# of 600 entries to members seen before must not pay it 600 times.
_CACHED_ADDRESSES: Final = 131_072


@lru_cache(maxsize=_CACHED_ADDRESSES)
def address_of(data: bytes) -> Address:
    """The EIP-55 form of 20 bytes. Raises InputInvalid on another length.

    Source: https://eips.ethereum.org/EIPS/eip-55
    """
    if len(data) != 20:
        raise InputInvalid(f"an address has 20 bytes, got {len(data)}")
    digits = data.hex()
    mask = keccak256(digits.encode("ascii")).hex()
    return "0x" + "".join(c.upper() if m >= "8" else c for c, m in zip(digits, mask, strict=False))


@lru_cache(maxsize=_CACHED_ADDRESSES)
def address_bytes(address: Address) -> bytes:
    """The 20 bytes of an address in EIP-55, or in one case throughout.

    Raises InputInvalid on anything else: a mixed case whose checksum does not fit is a typing
    mistake.
    """
    data = from_hex(address, 20)
    digits = address[2:]
    if digits not in (digits.lower(), digits.upper()) and address_of(data)[2:] != digits:
        raise InputInvalid(f"the address's checksum does not fit: {address!r}")
    return data


def to_address(address: Address) -> Address:
    """The EIP-55 form of an address given in any valid case. Raises InputInvalid."""
    return address_of(address_bytes(address))


def create_address(sender: Address, nonce: int) -> Address:
    """Where the contract that a transaction creates stands: keccak(rlp([sender, nonce]))[12:]."""
    if nonce < 0:
        raise InputInvalid(f"a nonce is not negative, got {nonce}")
    number = b"" if nonce == 0 else nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    encoded = (
        number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    )
    payload = b"\x94" + address_bytes(sender) + encoded
    return address_of(keccak256(bytes([0xC0 + len(payload)]) + payload)[12:])
