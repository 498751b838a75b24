"""Many wallets from one seed (BIP-32, BIP-39, BIP-44): custody of members.

The parent node m/44'/60'/0'/0 is derived once; a wallet then costs one HMAC-SHA512 and, for its
address, one point multiplication. PBKDF2 of the mnemonic (2,048 rounds) is paid once too, never per
wallet.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from coincurve import PrivateKey, PublicKey
from eth_account.hdaccount.mnemonic import Mnemonic

from wallet_sdk.errors import SignerError
from wallet_sdk.signers.base import address_of_key
from wallet_sdk.signers.local import LocalSigner
from wallet_sdk.types import Address

_CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_HARDENED: Final = 2**31
_PARENT_PATH: Final = (44 + _HARDENED, 60 + _HARDENED, _HARDENED, 0)
"""m/44'/60'/0'/0, as every Ethereum wallet derives its accounts: a member's key can be moved."""
INDEX_MAX: Final = _HARDENED - 1
MNEMONIC_WORDS: Final = 24


def new_mnemonic() -> str:
    """24 fresh English words (256 bits). Whoever has them has every wallet below."""
    return str(Mnemonic().generate(MNEMONIC_WORDS))


def _split(key: bytes, data: bytes) -> tuple[int, bytes]:
    digest = hmac.new(key, data, hashlib.sha512).digest()
    return int.from_bytes(digest[:32], "big"), digest[32:]


def _child(secret: int, chain_code: bytes, index: int) -> tuple[int, bytes]:
    """CKDpriv of BIP-32."""
    if index >= _HARDENED:
        head = b"\0" + secret.to_bytes(32, "big")
    else:
        head = PrivateKey(secret.to_bytes(32, "big")).public_key.format(compressed=True)
    return _tweak(secret, chain_code, head, index)


def _tweak(secret: int, chain_code: bytes, head: bytes, index: int) -> tuple[int, bytes]:
    left, child_code = _split(chain_code, head + index.to_bytes(4, "big"))
    child = (left + secret) % _CURVE_ORDER
    if left >= _CURVE_ORDER or child == 0:
        # 1 in 2^127; BIP-32 says to take the next index, which would shift every later wallet.
        raise SignerError(f"no key at index {index}")
    return child, child_code


class HDWallets:
    """Wallets 0 to 2^31 - 1 of one seed. Thread safe: nothing changes after it is made.

    Source: https://github.com/bitcoin/bips/blob/master/bip-0032.mediawiki
    """

    __slots__ = ("_chain_code", "_public", "_public_bytes", "_secret")

    def __init__(self, seed: bytes) -> None:
        """`seed`: 16 to 64 bytes (BIP-32). Raises SignerError."""
        if not 16 <= len(seed) <= 64:
            raise SignerError(f"a seed has 16 to 64 bytes, got {len(seed)}")
        secret, code = _split(b"Bitcoin seed", seed)
        if not 0 < secret < _CURVE_ORDER:
            raise SignerError("the seed gives no master key")
        for index in _PARENT_PATH:
            secret, code = _child(secret, code, index)
        self._secret = secret
        self._chain_code = code
        self._public = PrivateKey(secret.to_bytes(32, "big")).public_key
        self._public_bytes = self._public.format(compressed=True)

    @classmethod
    def from_mnemonic(cls, mnemonic: str, passphrase: str = "") -> HDWallets:
        """From BIP-39 English words. Raises SignerError: wrong words, or a wrong checksum."""
        words = Mnemonic()
        if not words.is_mnemonic_valid(mnemonic):
            raise SignerError("the words are no BIP-39 mnemonic")
        return cls(bytes(words.to_seed(mnemonic, passphrase)))

    def signer(self, index: int) -> LocalSigner:
        """The wallet at m/44'/60'/0'/0/index. Raises SignerError out of range."""
        secret, _ = _tweak(self._secret, self._chain_code, self._public_bytes, _check(index))
        return LocalSigner(secret.to_bytes(32, "big"))

    def address(self, index: int) -> Address:
        """The wallet's address, from public keys alone."""
        left, _ = _split(self._chain_code, self._public_bytes + _check(index).to_bytes(4, "big"))
        if not 0 < left < _CURVE_ORDER:
            raise SignerError(f"no key at index {index}")
        return address_of_key(_add(self._public, left))

    def addresses(self, indexes: Iterable[int]) -> list[Address]:
        """Addresses of many wallets, in the order asked."""
        return [self.address(index) for index in indexes]

    def __repr__(self) -> str:
        return f"HDWallets({self.address(0)}, ...)"

    def __reduce__(self) -> str:
        raise SignerError("a seed is not pickled")


def _check(index: int) -> int:
    if not 0 <= index <= INDEX_MAX:
        raise SignerError(f"a wallet's index is 0 to {INDEX_MAX}, got {index}")
    return index


def _add(public: PublicKey, tweak: int) -> PublicKey:
    return public.add(tweak.to_bytes(32, "big"))
