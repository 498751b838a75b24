"""What a signer is, and who made a signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

from coincurve import PublicKey

from wallet_sdk.errors import SignerError, TransactionTooLarge
from wallet_sdk.types import Address, Digest, address_of, keccak256

TRANSACTION_GAS_MAX: Final = 16_777_216
"""EIP-7825: no transaction may have more, also where a network a fork behind would take it."""


@runtime_checkable
class Signer(Protocol):
    """Signs digests in the name of `address`."""

    @property
    def address(self) -> Address:
        """Whom the contracts recover from the signature."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """r32 s32 v1 (v 27 or 28, low s) over 32 bytes."""
        ...


@runtime_checkable
class TransactionSigner(Signer, Protocol):
    """Signs transactions too: a relayer, a deployer."""

    def sign_transaction(self, transaction: Mapping[str, Any]) -> tuple[bytes, Digest]:
        """The raw bytes for eth_sendRawTransaction and the transaction's hash.

        Raises TransactionTooLarge over TRANSACTION_GAS_MAX, before anything is signed.
        """
        ...


def check_gas(transaction: Mapping[str, Any]) -> None:
    """Every signer of transactions asks this first. Raises TransactionTooLarge.

    A gas that is no number is left to the signer, which refuses it as every other wrong field.
    """
    gas = transaction.get("gas")
    if isinstance(gas, str):
        try:
            gas = int(gas, 0)
        except ValueError:
            return
    elif isinstance(gas, bytes):
        gas = int.from_bytes(gas, "big")
    if isinstance(gas, int) and gas > TRANSACTION_GAS_MAX:
        raise TransactionTooLarge(gas, TRANSACTION_GAS_MAX)


def address_of_key(public_key: PublicKey) -> Address:
    """The address of a public key: the last 20 bytes of the Keccak of its 64 bytes."""
    return address_of(keccak256(public_key.format(compressed=False)[1:])[12:])


def recover(digest: bytes, signature: bytes) -> Address:
    """Who made this signature of a key. Raises SignerError: not r32 s32 v1 with v 27 or 28.

    A high s is recovered all the same; the contracts refuse it.
    """
    if len(digest) != 32:
        raise SignerError(f"a digest has 32 bytes, got {len(digest)}")
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise SignerError("a signature is r32 s32 v1 with v 27 or 28")
    recoverable = signature[:64] + bytes([signature[64] - 27])
    try:
        key = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception and ValueError alike
        raise SignerError("the signature fits no key") from error
    return address_of_key(key)
