import json
import pickle
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet_sdk import signers
from wallet_sdk.errors import InputInvalid, SignerError, TransactionTooLarge
from wallet_sdk.signers import (
    TRANSACTION_GAS_MAX,
    HDWallets,
    KeystoreSigner,
    LocalSigner,
    Signer,
    TransactionSigner,
    new_mnemonic,
    recover,
)
from wallet_sdk.types import to_hex

KEY = bytes(range(1, 33))
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

# https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki's words; addresses as every wallet
# shows them.
JUNK = "test test test test test test test test test test test junk"
JUNK_ADDRESSES = [
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
]

TRANSFER = {
    "type": 2,
    "chainId": 31337,
    "nonce": 7,
    "gas": 21_000,
    "maxFeePerGas": 0,
    "maxPriorityFeePerGas": 0,
    "to": JUNK_ADDRESSES[1],
    "value": 0,
    "data": b"\x01\x02",
}


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), ORDER.to_bytes(32, "big")])
def test_local_signer__no_key__refused_without_showing_it(key: bytes) -> None:
    with pytest.raises(SignerError) as refusal:
        LocalSigner(key)
    assert len(key) < 2 or key.hex() not in str(refusal.value)


def test_local_signer__hex_of_another_length__refused() -> None:
    with pytest.raises(InputInvalid):
        LocalSigner("0x1234")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_sign__no_digest__refused(length: int) -> None:
    with pytest.raises(SignerError, match=f"got {length}"):
        LocalSigner(KEY).sign(bytes(length))


@pytest.mark.parametrize(
    "changed", [{"to": "0x12"}, {"nonce": -1}, {"gas": None}, {"chainId": "here"}]
)
def test_sign_transaction__a_field_is_wrong__refused(changed: dict[str, object]) -> None:
    with pytest.raises(SignerError):
        LocalSigner(KEY).sign_transaction({**TRANSFER, **changed})


@pytest.mark.parametrize("gas", [16_777_217, "0x1000001", b"\x01\x00\x00\x01", 2**64])
def test_sign_transaction__over_the_gas_that_one_may_have__refused(gas: int | str | bytes) -> None:
    with pytest.raises(TransactionTooLarge) as refusal:
        LocalSigner(KEY).sign_transaction({**TRANSFER, "gas": gas})
    assert refusal.value.code == "transaction_too_large"
    assert refusal.value.gas == (2**64 if gas == 2**64 else TRANSACTION_GAS_MAX + 1)


@pytest.mark.parametrize("gas", [16_777_216, "0x1000000"])
def test_sign_transaction__of_all_the_gas_that_one_may_have__signed(gas: int | str) -> None:
    signer = LocalSigner(KEY)
    raw, _ = signer.sign_transaction({**TRANSFER, "gas": gas})
    assert Account.recover_transaction(raw) == signer.address


def test_signers__whatever_signs_transactions__asks_for_the_gas_first() -> None:
    """Every class of the package that has `sign_transaction`: a new one is found here."""
    found = {
        name
        for name, kind in vars(signers).items()
        if isinstance(kind, type) and hasattr(kind, "sign_transaction")
    }
    assert found == {"KeystoreSigner", "KmsSigner", "LocalSigner", "TransactionSigner"}
    assert "sign_transaction" not in vars(signers.KeystoreSigner)


def test_sign_transaction__empty__refused() -> None:
    with pytest.raises(SignerError):
        LocalSigner(KEY).sign_transaction({})


def test_signer__pickled__refused(wallets: HDWallets) -> None:
    for secret in (LocalSigner(KEY), wallets):
        with pytest.raises(SignerError):
            pickle.dumps(secret)


def test_signer__shown__is_its_address(wallets: HDWallets) -> None:
    signer = LocalSigner(KEY)
    assert repr(signer) == f"LocalSigner({signer.address})"
    assert KEY.hex() not in repr(signer) + str(vars(signer))
    assert repr(wallets) == f"HDWallets({JUNK_ADDRESSES[0]}, ...)"


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        bytes(66),
        bytes(64) + b"\x00",  # v must be 27 or 28
        bytes(64) + b"\x01",
        bytes(64) + b"\x1d",
        bytes(64) + b"\x1b",  # r and s are zero
        b"\xff" * 64 + b"\x1b",
    ],
)
def test_recover__no_signature__refused(signature: bytes) -> None:
    with pytest.raises(SignerError):
        recover(bytes(32), signature)


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_recover__good_but_for_v__refused(v: int) -> None:
    signature = LocalSigner(KEY).sign(bytes(32))
    with pytest.raises(SignerError):
        recover(bytes(32), signature[:64] + bytes([v]))


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.integers(1, ORDER - 1))
def test_sign__any_key_and_digest__recovers_low_s_and_repeats(digest: bytes, key: int) -> None:
    signer = LocalSigner(key.to_bytes(32, "big"))
    signature = signer.sign(digest)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= HALF_ORDER
    assert recover(digest, signature) == signer.address
    assert signer.sign(digest) == signature


def test_signer__address__is_eth_accounts() -> None:
    assert LocalSigner(KEY).address == Account.from_key(KEY).address
    assert LocalSigner(to_hex(KEY)).address == LocalSigner(KEY).address


def test_signers__all__fit_the_protocol(wallets: HDWallets) -> None:
    for signer in (LocalSigner(KEY), wallets.signer(5)):
        assert isinstance(signer, Signer)
        assert isinstance(signer, TransactionSigner)


def test_sign_transaction__complete__is_the_signers_own() -> None:
    signer = LocalSigner(KEY)
    raw, tx_hash = signer.sign_transaction(TRANSFER)
    assert Account.recover_transaction(raw) == signer.address
    assert tx_hash == to_hex(Account.sign_transaction(TRANSFER, KEY).hash)


# ---- keystores


@pytest.fixture(scope="module")
def keystore() -> dict[str, object]:
    # 2 iterations of scrypt: the format is tested here, not its slowness.
    return LocalSigner(KEY).keystore("correct horse", iterations=2)


def test_keystore__wrong_password__refused(keystore: dict[str, object]) -> None:
    with pytest.raises(SignerError, match="password"):
        KeystoreSigner(keystore, "correct hors")


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"version": 3}', '{"version": 9}'])
def test_keystore__file_that_is_none__refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    with pytest.raises(SignerError):
        KeystoreSigner(file, "correct horse")


def test_keystore__no_file__refused(tmp_path: Path) -> None:
    with pytest.raises(SignerError, match="No such file"):
        KeystoreSigner(tmp_path / "none.json", "correct horse")


def test_keystore__opened__is_the_key(keystore: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(keystore))
    assert KEY.hex() not in file.read_text()
    for opened in (
        KeystoreSigner(file, "correct horse"),
        KeystoreSigner(keystore, "correct horse"),
    ):
        assert opened.address == LocalSigner(KEY).address
        assert opened.sign(bytes(32)) == LocalSigner(KEY).sign(bytes(32))


# ---- HD wallets


@pytest.mark.parametrize(
    "words", ["", "test", JUNK.replace("junk", "test"), JUNK.replace("junk", "jnuk")]
)
def test_from_mnemonic__no_mnemonic__refused(words: str) -> None:
    with pytest.raises(SignerError):
        HDWallets.from_mnemonic(words)


@pytest.mark.parametrize("length", [0, 15, 65])
def test_hd_wallets__no_seed__refused(length: int) -> None:
    with pytest.raises(SignerError, match=f"got {length}"):
        HDWallets(bytes(length))


@pytest.mark.parametrize("index", [-1, 2**31])
def test_hd_wallets__no_such_index__refused(wallets: HDWallets, index: int) -> None:
    with pytest.raises(SignerError, match=str(index)):
        wallets.signer(index)
    with pytest.raises(SignerError, match=str(index)):
        wallets.address(index)


def test_hd_wallets__known_words__give_the_known_addresses(wallets: HDWallets) -> None:
    assert wallets.addresses(range(3)) == JUNK_ADDRESSES
    assert [wallets.signer(i).address for i in range(3)] == JUNK_ADDRESSES


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_hd_wallets__any_index__is_the_account_of_bip_44(index: int) -> None:
    Account.enable_unaudited_hdwallet_features()
    wallets = HDWallets.from_mnemonic(JUNK)
    known = Account.from_mnemonic(JUNK, account_path=f"m/44'/60'/0'/0/{index}").address
    assert wallets.signer(index).address == wallets.address(index) == known


def test_new_mnemonic__each_time__is_another_and_opens() -> None:
    first, second = new_mnemonic(), new_mnemonic()
    assert first != second
    assert len(first.split()) == 24
    assert HDWallets.from_mnemonic(first).address(0) != HDWallets.from_mnemonic(second).address(0)
    assert HDWallets.from_mnemonic(first, "p").address(0) != HDWallets.from_mnemonic(first).address(
        0
    )
