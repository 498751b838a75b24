"""Signers: whoever holds a key. They sign 32-byte digests and, for relayers, transactions."""

from wallet_sdk.signers.base import TRANSACTION_GAS_MAX, Signer, TransactionSigner, recover
from wallet_sdk.signers.hd import HDWallets, new_mnemonic
from wallet_sdk.signers.kms import KmsSigner, kms_client, named_kms_key, new_kms_key
from wallet_sdk.signers.local import KeystoreSigner, LocalSigner

__all__ = [
    "TRANSACTION_GAS_MAX",
    "HDWallets",
    "KeystoreSigner",
    "KmsSigner",
    "LocalSigner",
    "Signer",
    "TransactionSigner",
    "kms_client",
    "named_kms_key",
    "new_kms_key",
    "new_mnemonic",
    "recover",
]
