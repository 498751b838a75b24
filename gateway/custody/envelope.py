"""The envelope around a secret: AES-256-GCM under a data key of its own, which a master key wraps.

A new master key re-wraps the data key and never touches what is inside. Tenant, purpose and
address are bound as additional data, inside and outside: a row moved to another tenant does not
open.

Version 2: 2 ‖ master u16 ‖ length u16 of what follows ‖ wrapped data key ‖ nonce 12 ‖ secret, tag.
Version 1 (before there was a second master key): 1 ‖ nonce 12, data key 32, tag 16 ‖ nonce 12 ‖
secret, tag; wrapped by master 1.
"""

import secrets
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import SecretDamaged

KEY_BYTES: Final = 32
FIRST_MASTER: Final = 1

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_V1_WRAPPED_BYTES: Final = _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
_HEADER_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs; it opens nowhere else."""

    tenant: str
    purpose: str
    address: bytes

    def bound(self) -> bytes:
        """The additional data. Lengths come first, so that no two places run together."""
        parts = (self.tenant.encode(), self.purpose.encode(), self.address)
        return b"banyan:1" + b"".join(len(p).to_bytes(2, "big") + p for p in parts)

    def damaged(self) -> SecretDamaged:
        """The refusal to open; says which secret, never what was seen of it."""
        return SecretDamaged(
            f"the {self.purpose} secret of {self.tenant} at 0x{self.address.hex()} does not open"
        )


class Master(Protocol):
    """What wraps data keys. Raises SecretDamaged (by place), NotReady when it cannot be asked."""

    def wrap(self, data_key: bytes, place: Place) -> bytes:
        """The data key, wrapped for this place."""
        ...

    def unwrap(self, wrapped: bytes, place: Place) -> bytes:
        """The data key again."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Envelope:
    """A sealed secret in its parts."""

    version: int
    master: int
    wrapped: bytes
    inner: bytes

    @classmethod
    def seal(cls, secret: bytes, place: Place, number: int, master: Master) -> "Envelope":
        """The secret under a fresh data key, wrapped by master `number`."""
        data_key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE_BYTES)
        inner = nonce + AESGCM(data_key).encrypt(nonce, secret, place.bound())
        return cls(2, number, master.wrap(data_key, place), inner)

    @classmethod
    def parse(cls, sealed: bytes, place: Place) -> "Envelope":
        """The parts of the stored bytes. Raises SecretDamaged."""
        if sealed[:1] == b"\x01" and len(sealed) > _V1_WRAPPED_BYTES:
            end = 1 + _V1_WRAPPED_BYTES
            return cls(1, FIRST_MASTER, sealed[1:end], sealed[end:])
        if sealed[:1] == b"\x02" and len(sealed) > _HEADER_BYTES:
            end = _HEADER_BYTES + int.from_bytes(sealed[3:5], "big")
            return cls(
                2, int.from_bytes(sealed[1:3], "big"), sealed[_HEADER_BYTES:end], sealed[end:]
            )
        raise place.damaged()

    def open(self, place: Place, master: Master) -> bytes:
        """The secret. Raises SecretDamaged: another key, place or bit; NotReady."""
        data_key = self._data_key(place, master)
        try:
            nonce, rest = self.inner[:_NONCE_BYTES], self.inner[_NONCE_BYTES:]
            return AESGCM(data_key).decrypt(nonce, rest, place.bound())
        except (InvalidTag, ValueError):
            # From here nothing of the foreign error is passed on: it could carry what it saw.
            raise place.damaged() from None

    def rewrapped(self, place: Place, old: Master, number: int, new: Master) -> "Envelope":
        """The same secret under another master; what is inside stays bit for bit."""
        self.open(place, old)
        return Envelope(2, number, new.wrap(self._data_key(place, old), place), self.inner)

    def to_bytes(self) -> bytes:
        """The bytes to be stored."""
        if self.version == 1:
            return b"\x01" + self.wrapped + self.inner
        length = len(self.wrapped).to_bytes(2, "big")
        return b"\x02" + self.master.to_bytes(2, "big") + length + self.wrapped + self.inner

    def _data_key(self, place: Place, master: Master) -> bytes:
        data_key = master.unwrap(self.wrapped, place)
        if len(data_key) != KEY_BYTES:
            raise place.damaged()
        return data_key


def header(number: int) -> bytes:
    """How the stored bytes of master `number` begin; what begins otherwise is another master's."""
    return b"\x02" + number.to_bytes(2, "big")
