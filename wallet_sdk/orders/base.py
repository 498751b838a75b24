"""What every order shares: the EIP-712 domain, typed fields, the digest and the wire.

Source of layout and type hashes: `contracts/types/Orders.sol`. On the wire a field has exactly the
width of its EIP-712 type; in the digest each is one 32-byte word. Both are written by hand here (a
digest in microseconds); the tests hold them against eth_account's EIP-712 for every order type.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property
from typing import Any, ClassVar, Final

from wallet_sdk.errors import InputInvalid, OrderInvalid
from wallet_sdk.names import snake_case
from wallet_sdk.types import (
    Address,
    Digest,
    address_bytes,
    address_of,
    from_hex,
    keccak256,
    to_address,
)

DOMAIN_NAME: Final = "Banyan"
DOMAIN_VERSION: Final = "1"
_DOMAIN_FIELDS: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
)
_DOMAIN_TYPEHASH: Final = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
SIGNATURE_BYTES: Final = 65
"""r32 s32 v1 of a key; a contract's signature may have any other length."""
CONTRACT_SIGNATURE_BYTES_MAX: Final = 8_192
"""More than any wallet in use needs; keeps a relay's calldata bounded."""


class Kind(IntEnum):
    """First byte of an order on the wire. Never renumber: stored orders depend on it."""

    JOIN = 1
    LEAVE = 2
    ISSUE_BATCH = 3
    REDEEM = 4
    REFUND = 5
    RETURN = 6
    TRANSFER = 7
    CANCEL = 8
    WITHDRAW = 9
    SET_TILL_KEY = 10
    SET_OWNER = 11
    SET_PROFILE = 12
    NAME_RECOVERY = 13
    RECOVER = 14


@dataclass(frozen=True)
class Domain:
    """What binds a signature to one network: its chain id and its Coalition."""

    chain_id: int
    coalition: Address

    def __post_init__(self) -> None:
        if not 0 < self.chain_id < 2**256:
            raise InputInvalid(f"a chain id is a positive 256-bit number, got {self.chain_id}")
        object.__setattr__(self, "coalition", to_address(self.coalition))

    @cached_property
    def separator(self) -> bytes:
        """The EIP-712 domain separator, as `Coalition.domainSeparator()`."""
        return keccak256(
            _DOMAIN_TYPEHASH
            + keccak256(DOMAIN_NAME.encode())
            + keccak256(DOMAIN_VERSION.encode())
            + self.chain_id.to_bytes(32, "big")
            + address_bytes(self.coalition).rjust(32, b"\0")
        )

    @cached_property
    def _prefix(self) -> bytes:
        return b"\x19\x01" + self.separator

    def digest(self, struct_hash: bytes) -> bytes:
        """keccak256(0x1901 ‖ separator ‖ struct hash): what a key signs."""
        return keccak256(self._prefix + struct_hash)

    def typed(self) -> dict[str, object]:
        """The domain as EIP-712 JSON."""
        return {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": self.chain_id,
            "verifyingContract": self.coalition,
        }


@dataclass(frozen=True, slots=True)
class Field:
    """One EIP-712 field: its Solidity name and type, and the dataclass attribute that holds it."""

    name: str
    type: str
    attribute: str
    width: int
    """Bytes on the wire."""

    def encode(self, value: Any) -> bytes:
        """The field in its own width."""
        if self.type == "address":
            return address_bytes(value)
        if self.type == "bytes32":
            return from_hex(value, 32)
        return int(value).to_bytes(self.width, "big")

    def decode(self, data: bytes) -> Any:
        """The attribute's value from exactly `width` bytes. Raises OrderInvalid."""
        if self.type == "address":
            return address_of(data)
        if self.type == "bytes32":
            return "0x" + data.hex()
        if self.type == "bool":
            if data not in (b"\0", b"\1"):
                raise OrderInvalid(f"{self.name}: a bool is 0 or 1 on the wire, got {data.hex()}")
            return data == b"\1"
        return int.from_bytes(data, "big")

    def typed(self, value: Any) -> object:
        """The value as EIP-712 JSON wants it."""
        return value if self.type in ("address", "bytes32", "bool") else int(value)

    def checked(self, value: Any) -> Any:
        """The value in border form (EIP-55, lower-case hex). Raises OrderInvalid: wrong type or out
        of range.
        """
        try:
            if self.type == "address":
                return to_address(value)
            if self.type == "bytes32":
                return "0x" + from_hex(value, 32).hex()
        except InputInvalid as error:
            raise OrderInvalid(f"{self.attribute}: {error}") from error
        if self.type == "bool":
            if not isinstance(value, bool):
                raise OrderInvalid(f"{self.attribute}: expected a bool, got {value!r}")
            return value
        # bool is an int in Python; `points=True` is a mistake, not one point.
        if isinstance(value, bool) or not isinstance(value, int):
            raise OrderInvalid(f"{self.attribute}: expected an int, got {value!r}")
        if not 0 <= value < 1 << (8 * self.width):
            raise OrderInvalid(f"{self.attribute}: {value} does not fit {self.type}")
        return value


_WIDTHS: Final = {"address": 20, "bytes32": 32, "bool": 1}


def parse_type(signature: str) -> tuple[Field, ...]:
    """Fields of an EIP-712 type string such as `Leave(address member,uint24 nonce)`."""
    inner = signature[signature.index("(") + 1 : -1]
    found = []
    for part in inner.split(","):
        kind, name = part.split(" ")
        width = _WIDTHS[kind] if kind in _WIDTHS else int(kind.removeprefix("uint")) // 8
        found.append(Field(name, kind, snake_case(name), width))
    return tuple(found)


@dataclass(frozen=True)
class Order:
    """Base of the fourteen orders. Subclasses are frozen dataclasses whose attributes are the
    EIP-712 fields.

    Values are checked and brought to border form when the object is made (OrderInvalid), so that an
    object that exists can be signed.
    """

    KIND: ClassVar[Kind]
    TYPE: ClassVar[str]
    """The EIP-712 type string, letter by letter as in Orders.sol."""
    FIELDS: ClassVar[tuple[Field, ...]]
    TYPEHASH: ClassVar[bytes]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.FIELDS = parse_type(cls.TYPE)
        cls.TYPEHASH = keccak256(cls.TYPE.encode("ascii"))

    def __post_init__(self) -> None:
        own = {field.name for field in fields(self)}
        for field in self.FIELDS:
            if field.attribute in own:
                object.__setattr__(
                    self, field.attribute, field.checked(getattr(self, field.attribute))
                )
        self._check()

    def _check(self) -> None:
        """What the chain would refuse for ever, beyond the types' ranges. Raises OrderInvalid."""

    # The digest needs the domain only where a field is itself a digest of it (Refund's leaf).
    def _value(self, field: Field, domain: Domain) -> Any:
        return getattr(self, field.attribute)

    def struct_hash(self, domain: Domain) -> bytes:
        """EIP-712 hashStruct: 32 bytes."""
        words = [self.TYPEHASH]
        words += [f.encode(self._value(f, domain)).rjust(32, b"\0") for f in self.FIELDS]
        return keccak256(b"".join(words))

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that the order's signer signs."""
        return domain.digest(self.struct_hash(domain))

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The order as EIP-712 JSON (`eth_signTypedData_v4`), for wallets that show it."""
        name = self.TYPE[: self.TYPE.index("(")]
        return {
            "types": {
                "EIP712Domain": [{"name": n, "type": t} for n, t in _DOMAIN_FIELDS],
                name: [{"name": f.name, "type": f.type} for f in self.FIELDS],
            },
            "primaryType": name,
            "domain": domain.typed(),
            "message": {f.name: f.typed(self._value(f, domain)) for f in self.FIELDS},
        }

    def encode(self, signature: bytes) -> bytes:
        """The order on the wire, as `relay` and `execute` take it. Raises OrderInvalid on an
        impossible signature.
        """
        if not 0 < len(signature) <= CONTRACT_SIGNATURE_BYTES_MAX:
            raise OrderInvalid(
                f"a signature has 1 to {CONTRACT_SIGNATURE_BYTES_MAX} bytes, got {len(signature)}"
            )
        return bytes([self.KIND]) + self._body() + signature

    def _body(self) -> bytes:
        return b"".join(f.encode(getattr(self, f.attribute)) for f in self.FIELDS)

    @classmethod
    def _read(cls, reader: Reader) -> Order:
        return cls(**{f.attribute: f.decode(reader.take(f.width)) for f in cls.FIELDS})


class Reader:
    """Takes an order's bytes from the front. Raises OrderInvalid when they end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise OrderInvalid(f"an order ends after {len(self._data)} bytes where it needs {end}")
        part = self._data[self._at : end]
        self._at = end
        return part

    def number(self, width: int) -> int:
        """The next `width` bytes as an unsigned big-endian number."""
        return int.from_bytes(self.take(width), "big")

    def address(self) -> Address:
        """The next 20 bytes."""
        return address_of(self.take(20))

    def word(self) -> Digest:
        """The next 32 bytes."""
        return "0x" + self.take(32).hex()

    def rest(self) -> bytes:
        """All that is left."""
        part = self._data[self._at :]
        self._at = len(self._data)
        return part
