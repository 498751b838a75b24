"""Keys that never leave AWS KMS (key spec ECC_SECG_P256K1). Needs boto3: the extra `kms`.

KMS answers DER, with any s and without a recovery id: s is brought under half the order, and both
recovery ids are tried against the public key, which is asked for once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

from coincurve import PublicKey
from coincurve.ecdsa import der_to_cdata, serialize_compact, signature_normalize
from eth_account.typed_transactions.typed_transaction import TypedTransaction

from wallet_sdk.errors import SignerError, SignerUnavailable
from wallet_sdk.signers.base import address_of_key, check_gas, recover
from wallet_sdk.types import Address, Digest, keccak256, to_hex

# A relay is stored before it is sent and signed again after a time-out: waiting long gains nothing.
CONNECT_TIMEOUT_S: Final = 3
READ_TIMEOUT_S: Final = 5
ATTEMPTS_MAX: Final = 3

# SubjectPublicKeyInfo of an uncompressed point of secp256k1 (RFC 5480): this, then its 65 bytes.
_SPKI: Final = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")

# What KMS says when it may answer the same question later.
_PASSING: Final = ("Throttling", "TooManyRequests", "Timeout", "Internal", "Unavailable")


class KmsSigner:
    """A key inside AWS KMS. Raises SignerError: refused, another kind of key; SignerUnavailable.

    `address`, where it is known, saves the first question and is checked by every signature.
    """

    def __init__(self, key: str, client: Any, *, address: Address | None = None) -> None:
        self.key = key
        self._client = client
        if address is not None:
            self.address = address

    @cached_property
    def address(self) -> Address:
        """Whom the contracts recover from this key's signatures."""
        try:
            spki = bytes(self._client.get_public_key(KeyId=self.key)["PublicKey"])
        except Exception as error:  # boto3 makes its error classes at run time
            raise translated(error) from None
        if not spki.startswith(_SPKI):
            raise SignerError(f"{self.key} is no secp256k1 key")
        return address_of_key(PublicKey(spki[len(_SPKI) :]))

    def sign(self, digest: bytes) -> bytes:
        """r32 s32 v1, low s."""
        if len(digest) != 32:
            raise SignerError(f"a digest has 32 bytes, got {len(digest)}")
        try:
            answer = self._client.sign(
                KeyId=self.key,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        except Exception as error:
            raise translated(error) from None
        return self._recoverable(digest, bytes(answer["Signature"]))

    def _recoverable(self, digest: bytes, der: bytes) -> bytes:
        try:
            compact = bytes(serialize_compact(signature_normalize(der_to_cdata(der))[1]))
        except (ValueError, TypeError) as error:
            raise SignerError(f"{self.key} answered no signature") from error
        for v in (27, 28):
            signature = compact + bytes((v,))
            try:
                if recover(digest, signature) == self.address:
                    return signature
            except SignerError:  # this id fits no point of the curve
                continue
        raise SignerError(f"{self.key} signs for another address than {self.address}")

    def sign_transaction(self, transaction: Mapping[str, Any]) -> tuple[bytes, Digest]:
        """Signs a complete transaction of type 2; nothing is filled in. The bytes and the hash.

        Raises as `LocalSigner.sign_transaction`; KMS is not asked for one that is too large.
        """
        check_gas(transaction)
        try:
            unsigned = TypedTransaction.from_dict(dict(transaction))
            digest = bytes(unsigned.hash())
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise SignerError(f"not a complete transaction: {error}") from error
        signature = self.sign(digest)
        signed = unsigned.as_dict() | {
            "r": int.from_bytes(signature[:32], "big"),
            "s": int.from_bytes(signature[32:64], "big"),
            "v": signature[64] - 27,
        }
        raw = bytes(TypedTransaction.from_dict(signed).encode())
        return raw, to_hex(keccak256(raw))

    def __repr__(self) -> str:
        return f"KmsSigner({self.key})"


def kms_client(region: str | None = None, endpoint_url: str | None = None) -> Any:
    """A client of AWS KMS; credentials come from where boto3 looks for them.

    Raises SignerError: boto3 is not installed, or no region is known.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise SignerError("keys in AWS KMS need boto3: install banyan[kms]") from error
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS_MAX, "mode": "standard"},
    )
    try:
        return boto3.client("kms", region_name=region, endpoint_url=endpoint_url, config=config)
    except BotoCoreError as error:
        raise SignerError(f"no client of AWS KMS: {error}") from error


def new_kms_key(client: Any, tags: Mapping[str, str]) -> str:
    """Makes a signing key in KMS and returns its ARN. Raises SignerError, SignerUnavailable."""
    try:
        made = client.create_key(
            KeySpec="ECC_SECG_P256K1",
            KeyUsage="SIGN_VERIFY",
            Tags=[{"TagKey": name, "TagValue": value} for name, value in tags.items()],
        )
    except Exception as error:
        raise translated(error) from None
    return str(made["KeyMetadata"]["Arn"])


def named_kms_key(client: Any, alias: str, tags: Mapping[str, str]) -> str:
    """ARN of the signing key that the alias names; where there is none it is made, and named.

    Asked again, also after a crash or by another process, it gives the same key. Raises
    SignerError, SignerUnavailable.
    """
    found = _named(client, alias)
    if found is not None:
        return found
    made = new_kms_key(client, tags)
    try:
        client.create_alias(AliasName=alias, TargetKeyId=made)
    except Exception as error:
        if "AlreadyExists" not in str(translated(error)):
            raise translated(error) from None
    named = _named(client, alias)
    if named != made:
        # Somebody was quicker: theirs is the key of this name, and ours goes.
        with suppress(Exception):
            client.schedule_key_deletion(KeyId=made.rpartition("/")[2], PendingWindowInDays=7)
    if named is None:
        raise SignerUnavailable(f"{alias} names no key yet")
    return named


def _named(client: Any, alias: str) -> str | None:
    try:
        return str(client.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    except Exception as error:
        meant = translated(error)
        if meant.message.startswith("NotFound"):
            return None
        raise meant from None


def translated(error: Exception) -> SignerError:
    """boto3's error as one of ours: its code and message, never its request."""
    if isinstance(error, SignerError):
        return error
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        said = response.get("Error", {})
        code = str(said.get("Code", ""))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        passing = status >= 500 or any(word in code for word in _PASSING)
        kind = SignerUnavailable if passing else SignerError
        return kind(f"{code}: {said.get('Message', '')}"[:300])
    # No answer at all: connection, time-out, credentials not to be had just now.
    return SignerUnavailable(type(error).__name__)
