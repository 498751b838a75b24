"""Master keys: 32 random bytes in a file, a passphrase through scrypt, or a key inside AWS KMS.

Whoever has the master key and the database has every key; a backup keeps the two apart.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.custody.envelope import FIRST_MASTER, KEY_BYTES, Master, Place
from gateway.custody.files import read_secret, write_key
from gateway.errors import MasterKeyUnsafe, NotReady
from wallet_sdk.errors import SignerUnavailable
from wallet_sdk.signers.kms import kms_client, translated

_NONCE_BYTES: Final = 12

# scrypt at the strength that OWASP names for stored passwords: 128 MiB and a third of a second,
# once a start.
SCRYPT_N: Final = 2**17
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
SCRYPT_MEMORY_MAX: Final = 256 * 2**20

PASSPHRASE_LENGTH_MIN: Final = 20
"""Characters: six words drawn by dice, or 20 random letters and digits, and no less."""


class MasterKind(StrEnum):
    """Where a master key is kept."""

    FILE = "file"
    PASSPHRASE = "passphrase"
    KMS = "kms"


@dataclass(frozen=True, slots=True)
class MasterSources:
    """Where this process finds master keys.

    Attributes:
        kind: what a new master key is made of.
        secrets_dir: folder of key files, mode 0700.
        passphrase_file: the present passphrase.
        passphrase_file_before: the one before it, while a rotation runs.
        kms_key: id, ARN or alias of the symmetric key of a new master.
        kms: makes a client of KMS, when one is first needed.
        scrypt_n: cost of a new passphrase master.
    """

    secrets_dir: Path
    kind: MasterKind = MasterKind.FILE
    passphrase_file: Path | None = None
    passphrase_file_before: Path | None = None
    kms_key: str | None = None
    kms: Callable[[], Any] = field(default=kms_client, repr=False)
    scrypt_n: int = SCRYPT_N

    def prepare(self, number: int) -> dict[str, Any]:
        """Makes master `number`; what its row remembers of it (nothing secret)."""
        if self.kind is MasterKind.FILE:
            path = self.key_file(number)
            write_key(path, KEY_BYTES)
            return {"check": _check(_key_of(path))}
        if self.kind is MasterKind.PASSPHRASE:
            return self._prepare_passphrase()
        if self.kms_key is None:
            raise MasterKeyUnsafe("a master key in KMS needs BANYAN_MASTER_KMS_KEY")
        place = Place("network", "master_check", bytes(20))
        with _kms_answers():
            # The full ARN is kept: an alias may later point to another key.
            arn = self.kms().describe_key(KeyId=self.kms_key)["KeyMetadata"]["Arn"]
        master = KmsMaster(self.kms, arn, number)
        probe = secrets.token_bytes(KEY_BYTES)
        if master.unwrap(master.wrap(probe, place), place) != probe:
            raise MasterKeyUnsafe(f"{arn} does not decrypt what it encrypted")
        return {"key": arn}

    def _prepare_passphrase(self) -> dict[str, Any]:
        if self.passphrase_file is None:
            raise MasterKeyUnsafe("a passphrase needs BANYAN_MASTER_PASSPHRASE_FILE")
        made: dict[str, Any] = {
            "salt": secrets.token_bytes(16).hex(),
            "n": self.scrypt_n,
            "r": SCRYPT_R,
            "p": SCRYPT_P,
        }
        return made | {"check": _check(_derive(_passphrase(self.passphrase_file), made))}

    def load(self, number: int, kind: str, parameters: Mapping[str, Any]) -> Master:
        """Master `number` as its row describes it. Raises MasterKeyUnsafe, NotReady."""
        if kind == MasterKind.KMS:
            return KmsMaster(self.kms, parameters["key"], number)
        if kind == MasterKind.FILE:
            key = _key_of(self.key_file(number))
            if not hmac.compare_digest(_check(key), parameters["check"]):
                raise MasterKeyUnsafe(
                    f"{self.key_file(number)} is not master key {number} of this database"
                )
            return LocalMaster(key, number)
        return LocalMaster(self._fitting_passphrase(number, parameters), number)

    def _fitting_passphrase(self, number: int, parameters: Mapping[str, Any]) -> bytes:
        for path in (self.passphrase_file, self.passphrase_file_before):
            if path is not None:
                key = _derive(_passphrase(path), parameters)
                if hmac.compare_digest(_check(key), parameters["check"]):
                    return key
        raise MasterKeyUnsafe(
            f"no passphrase fits master key {number}: name its file in "
            "BANYAN_MASTER_PASSPHRASE_FILE, or in BANYAN_MASTER_PASSPHRASE_FILE_BEFORE"
        )

    def key_file(self, number: int) -> Path:
        """The file of master `number`, where it is kept in one."""
        name = "master.key" if number == FIRST_MASTER else f"master-{number}.key"
        return self.secrets_dir / name


class LocalMaster:
    """A master key in this process's memory: AES-256-GCM."""

    __slots__ = ("_aead", "_number")

    def __init__(self, key: bytes, number: int) -> None:
        if len(key) != KEY_BYTES:
            raise MasterKeyUnsafe(f"a master key has {KEY_BYTES} bytes, got {len(key)}")
        self._aead = AESGCM(key)
        self._number = number

    def wrap(self, data_key: bytes, place: Place) -> bytes:
        """nonce 12 ‖ data key ‖ tag 16."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, data_key, b"key:" + place.bound())

    def unwrap(self, wrapped: bytes, place: Place) -> bytes:
        """The data key. Raises SecretDamaged."""
        nonce, rest = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return self._aead.decrypt(nonce, rest, b"key:" + place.bound())
        except (InvalidTag, ValueError):
            raise place.damaged() from None

    def __repr__(self) -> str:
        return f"LocalMaster({self._number})"

    def __reduce__(self) -> str:
        raise MasterKeyUnsafe("a master key is not pickled")


class KmsMaster:
    """A master key that never leaves AWS KMS: it wraps data keys by Encrypt and Decrypt.

    The place goes along as encryption context, so that KMS itself refuses a moved row, and its
    trail says whose secret was opened when.
    """

    __slots__ = ("_arn", "_client", "_number")

    def __init__(self, client: Callable[[], Any], arn: str, number: int) -> None:
        self._client = client
        self._arn = arn
        self._number = number

    def wrap(self, data_key: bytes, place: Place) -> bytes:
        """What Encrypt answers. Raises NotReady, MasterKeyUnsafe."""
        with _kms_answers():
            answer = self._client().encrypt(
                KeyId=self._arn, Plaintext=data_key, EncryptionContext=_context(place)
            )
        return bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, place: Place) -> bytes:
        """What Decrypt answers. Raises SecretDamaged, NotReady, MasterKeyUnsafe."""
        with _kms_answers(place):
            answer = self._client().decrypt(
                KeyId=self._arn, CiphertextBlob=wrapped, EncryptionContext=_context(place)
            )
        return bytes(answer["Plaintext"])

    def __repr__(self) -> str:
        return f"KmsMaster({self._number}, {self._arn})"


@contextmanager
def _kms_answers(place: Place | None = None) -> Iterator[None]:
    """What KMS refuses, as errors of ours."""
    try:
        yield
    except Exception as error:  # boto3 makes its error classes at run time
        meant = translated(error)
        if isinstance(meant, SignerUnavailable):
            raise NotReady(f"the master key cannot be asked: {meant.message}") from None
        if place is not None and "InvalidCiphertext" in meant.message:
            raise place.damaged() from None
        raise MasterKeyUnsafe(f"KMS refuses: {meant.message}") from None


def _context(place: Place) -> dict[str, str]:
    return {
        "banyan:tenant": place.tenant,
        "banyan:purpose": place.purpose,
        "banyan:address": place.address.hex(),
    }


def _key_of(path: Path) -> bytes:
    key = read_secret(path, "master key")
    if len(key) != KEY_BYTES:
        raise MasterKeyUnsafe(f"a master key has {KEY_BYTES} bytes, {path} has {len(key)}")
    return key


def _passphrase(path: Path) -> bytes:
    # An editor's line end is no part of it.
    phrase = read_secret(path, "passphrase").rstrip(b"\r\n")
    if len(phrase) < PASSPHRASE_LENGTH_MIN:
        raise MasterKeyUnsafe(
            f"the passphrase in {path} is shorter than {PASSPHRASE_LENGTH_MIN} characters"
        )
    return phrase


def _derive(phrase: bytes, parameters: Mapping[str, Any]) -> bytes:
    return hashlib.scrypt(
        phrase,
        salt=bytes.fromhex(parameters["salt"]),
        n=parameters["n"],
        r=parameters["r"],
        p=parameters["p"],
        maxmem=SCRYPT_MEMORY_MAX,
        dklen=KEY_BYTES,
    )


def _check(key: bytes) -> str:
    """Tells a wrong key from a damaged secret; says no more of the key than any envelope does."""
    return hmac.digest(key, b"banyan master key", "sha256")[:8].hex()
