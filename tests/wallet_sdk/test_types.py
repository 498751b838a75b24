import importlib
import sys

import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from wallet_sdk import _keccak
from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import (
    address_bytes,
    address_of,
    create_address,
    digest_bytes,
    digest_of,
    from_hex,
    to_address,
    to_hex,
)

# https://eips.ethereum.org/EIPS/eip-55
EIP_55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]


@pytest.mark.parametrize(
    "text", ["", "12", "0x1", "0xzz", "0x12 34", "0x12\n34", None, 12, b"\x12"]
)
def test_from_hex__not_hex__refused(text: object) -> None:
    with pytest.raises(InputInvalid):
        from_hex(text)  # type: ignore[arg-type]


def test_from_hex__another_length__refused_with_both_lengths() -> None:
    with pytest.raises(InputInvalid, match="expected 3 bytes, got 2"):
        from_hex("0x1234", 3)


def test_address_bytes__one_letter_in_the_wrong_case__refused() -> None:
    with pytest.raises(InputInvalid, match="checksum"):
        address_bytes(EIP_55[4].replace("BeAed", "Beaed"))


@pytest.mark.parametrize("length", [0, 19, 21, 32])
def test_address_of__another_length_than_20__refused(length: int) -> None:
    with pytest.raises(InputInvalid, match=f"got {length}"):
        address_of(bytes(length))


def test_digest_of__another_length_than_32__refused() -> None:
    with pytest.raises(InputInvalid, match="got 31"):
        digest_of(bytes(31))


@pytest.mark.parametrize("address", EIP_55)
def test_to_address__any_single_case__gives_the_checksum(address: str) -> None:
    assert address_of(bytes.fromhex(address[2:])) == address
    assert to_address("0x" + address[2:].lower()) == address
    assert to_address("0x" + address[2:].upper()) == address
    assert to_address(address) == address


@given(st.binary(min_size=32, max_size=32))
def test_digest__both_ways__is_the_same(data: bytes) -> None:
    assert digest_bytes(digest_of(data)) == data
    assert from_hex(to_hex(data)) == data


def test_create_address__negative_nonce__refused() -> None:
    with pytest.raises(InputInvalid):
        create_address(EIP_55[0], -1)


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**64 - 1))
def test_create_address__any_nonce__is_the_hash_of_the_rlp(sender: bytes, nonce: int) -> None:
    expected = keccak(rlp.encode([sender, nonce]))[12:]
    assert address_bytes(create_address(address_of(sender), nonce)) == expected


def test_keccak256__with_and_without_the_quick_one__is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sha3", None)
    plain = importlib.reload(_keccak).keccak256
    monkeypatch.undo()
    quick = importlib.reload(_keccak).keccak256
    assert plain is not quick
    for data in (b"", b"a", bytes(135), bytes(136), bytes(15_000)):
        assert plain(data) == quick(data) == keccak(data)
