"""Keys in this process: given as bytes, or opened from an encrypted keystore."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from coincurve import PrivateKey
from eth_account import Account
from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from wallet_sdk.errors import SignerError
from wallet_sdk.signers.base import address_of_key, check_gas
from wallet_sdk.types import Address, Digest, from_hex, to_hex


class LocalSigner:
    """A private key of 32 bytes (or 0x hex) in memory. Neither `repr` nor an error shows it."""

    __slots__ = ("__dict__", "_key")

    def __init__(self, key: bytes | str) -> None:
        secret = from_hex(key, 32) if isinstance(key, str) else key
        if len(secret) != 32:
            raise SignerError(f"a private key has 32 bytes, got {len(secret)}")
        try:
            self._key = PrivateKey(secret)
        except ValueError as error:
            raise SignerError("the 32 bytes are no private key") from error

    @cached_property
    def address(self) -> Address:
        """Whom the contracts recover from this key's signatures."""
        return address_of_key(self._key.public_key)

    def sign(self, digest: bytes) -> bytes:
        """r32 s32 v1, deterministic (RFC 6979), low s. Raises SignerError on another length."""
        if len(digest) != 32:
            raise SignerError(f"a digest has 32 bytes, got {len(digest)}")
        recoverable = self._key.sign_recoverable(digest, hasher=None)
        return recoverable[:64] + bytes([27 + recoverable[64]])

    def sign_transaction(self, transaction: Mapping[str, Any]) -> tuple[bytes, Digest]:
        """Signs a complete transaction (chainId, nonce, gas, fees, to, data); nothing is filled in.

        Returns the raw bytes and the hash. Raises SignerError when a field is missing or wrong,
        TransactionTooLarge when it asks for more gas than a transaction may have.
        """
        check_gas(transaction)
        negative = [name for name, v in transaction.items() if isinstance(v, int) and v < 0]
        if negative:
            raise SignerError(f"not a complete transaction: {', '.join(negative)} under zero")
        try:
            signed = Account.sign_transaction(dict(transaction), self._key.secret)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise SignerError(f"not a complete transaction: {error}") from error
        return bytes(signed.raw_transaction), to_hex(bytes(signed.hash))

    def keystore(self, password: str, *, iterations: int | None = None) -> dict[str, Any]:
        """The key as an encrypted keystore (Web3 Secret Storage, scrypt): a JSON object."""
        return dict(
            create_keyfile_json(self._key.secret, password, kdf="scrypt", iterations=iterations)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address})"

    def __reduce__(self) -> str:
        # A pickled key would land in queues, caches and crash reports.
        raise SignerError("a signer is not pickled")


class KeystoreSigner(LocalSigner):
    """A key from an encrypted keystore (Web3 Secret Storage).

    Opening takes about a second of CPU (scrypt): do it off an event loop, once.
    """

    __slots__ = ()

    def __init__(self, keystore: Path | Mapping[str, Any], password: str) -> None:
        """Raises SignerError: no such file, no keystore, wrong password."""
        if isinstance(keystore, Path):
            try:
                content = orjson.loads(keystore.read_bytes())
            except OSError as error:
                raise SignerError(f"{keystore}: {error.strerror}") from error
            except orjson.JSONDecodeError as error:
                raise SignerError(f"{keystore} is no keystore") from error
        else:
            content = dict(keystore)
        try:
            secret = decode_keyfile_json(content, password)
        except ValueError as error:
            raise SignerError("the keystore does not open with this password") from error
        except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
            raise SignerError("not a keystore of version 3") from error
        super().__init__(bytes(secret))
