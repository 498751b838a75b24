"""The master key: 32 random bytes in a file that its owner alone can read.

Whoever has this file and the database has every key; a backup keeps the two apart.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import MasterKeyUnsafe, SecretDamaged

KEY_BYTES: Final = 32
FILE_NAME: Final = "master.key"

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_WRAPPED_BYTES: Final = _NONCE_BYTES + KEY_BYTES + _TAG_BYTES


class MasterKey:
    """Seals and opens secrets: AES-256-GCM, each under a data key of its own.

    The data key is wrapped by the master key, so that a new master key re-wraps 60 bytes a secret
    and never touches what is inside. Tenant, purpose and address are bound as additional data: a
    row moved to another tenant does not open.

    Layout: version 1 ‖ wrapped data key (nonce 12, key 32, tag 16) ‖ nonce 12 ‖ secret ‖ tag 16.
    """

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise MasterKeyUnsafe(f"a master key has {KEY_BYTES} bytes, got {len(key)}")
        self._aead = AESGCM(key)

    @classmethod
    def from_file(cls, folder: Path, *, create: bool) -> "MasterKey":
        """The key in `folder`; with `create`, a fresh one where there is none.

        Raises MasterKeyUnsafe: missing, readable by others, or of another size.
        """
        path = folder / FILE_NAME
        if create and not path.exists():
            _create(path)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise MasterKeyUnsafe(f"there is no master key at {path}") from error
        if stat.S_IMODE(mode) & 0o077:
            raise MasterKeyUnsafe(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}); chmod 600 it"
            )
        return cls(path.read_bytes())

    def seal(self, secret: bytes, *, tenant: str, purpose: str, address: bytes) -> bytes:
        """The secret, to be stored under exactly this tenant, purpose and address."""
        bound = _bound(tenant, purpose, address)
        data_key = secrets.token_bytes(KEY_BYTES)
        outer, inner = secrets.token_bytes(_NONCE_BYTES), secrets.token_bytes(_NONCE_BYTES)
        wrapped = outer + self._aead.encrypt(outer, data_key, b"key:" + bound)
        return _VERSION + wrapped + inner + AESGCM(data_key).encrypt(inner, secret, bound)

    def open(self, sealed: bytes, *, tenant: str, purpose: str, address: bytes) -> bytes:
        """The secret again. Raises SecretDamaged: another key, tenant, purpose, address or bit."""
        bound = _bound(tenant, purpose, address)
        wrapped, rest = sealed[1 : 1 + _WRAPPED_BYTES], sealed[1 + _WRAPPED_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise InvalidTag
            data_key = self._aead.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], b"key:" + bound
            )
            return AESGCM(data_key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], bound)
        except (InvalidTag, ValueError):
            # From here nothing of the foreign error is passed on: it could carry what it saw.
            raise SecretDamaged(
                f"the {purpose} secret of {tenant} at 0x{address.hex()} does not open"
            ) from None

    def __repr__(self) -> str:
        return "MasterKey(...)"

    def __reduce__(self) -> str:
        raise MasterKeyUnsafe("a master key is not pickled")


def _bound(tenant: str, purpose: str, address: bytes) -> bytes:
    # Lengths come first, so that no two triples run together into the same bytes.
    parts = (tenant.encode(), purpose.encode(), address)
    return b"banyan:1" + b"".join(len(p).to_bytes(2, "big") + p for p in parts)


def _create(path: Path) -> None:
    """Writes a fresh key whole or not at all, and keeps it through a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # A link fails where a key is already there: two first starts cannot take each other's.
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
