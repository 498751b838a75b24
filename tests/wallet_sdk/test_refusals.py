"""Every Solidity error has a Python one, and revert data finds it."""

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from wallet_sdk import abi
from wallet_sdk.refusals import (
    REFUSALS,
    AccessManagedUnauthorized,
    ContractRefused,
    ContractRefusedUnknown,
    CreditLimitExceeded,
    MerchantNotActive,
    Panic,
    Reverted,
    ZeroPoints,
    refusal_of,
)
from wallet_sdk.types import Status, keccak256

DECLARED = [
    (name, item)
    for name in abi.names()
    for item in abi.load(name)["abi"]
    if item["type"] == "error"
]
ADA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize(
    ("contract", "item"), DECLARED, ids=[f"{name}.{item['name']}" for name, item in DECLARED]
)
def test_refusals__every_error_of_every_abi__has_its_class(
    contract: str, item: dict[str, list[dict[str, str]]]
) -> None:
    types = [part["type"] for part in item["inputs"]]
    selector = keccak256(f"{item['name']}({','.join(types)})".encode())[:4]
    found = REFUSALS[selector]
    assert found.__name__ == item["name"]
    assert [(p.type, p.name) for p in found.DECLARATION.params] == [
        (part["type"], part["name"]) for part in item["inputs"]
    ]
    annotated = [name for name in found.__annotations__ if name.islower()]
    assert annotated == [p.attribute for p in found.DECLARATION.params]


def test_refusals__declared_contracts__are_all_five() -> None:
    assert {"AccessManager", "BankReceipt", "Points", "MembershipPass", "Coalition"} <= set(
        abi.names()
    )


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xde\xad\xbe\xef" + bytes(64)])
def test_refusal_of__nothing_we_know__keeps_the_data(data: bytes) -> None:
    found = refusal_of(data)
    assert isinstance(found, ContractRefusedUnknown)
    assert (found.code, found.data, found.encode()) == ("contract_refused", data, data)


def test_refusal_of__a_text__is_told() -> None:
    found = refusal_of(keccak256(b"Error(string)")[:4] + encode(["string"], ["no way"]))
    assert isinstance(found, Reverted)
    assert found.reason == "no way"


def test_refusal_of__a_text_cut_off__keeps_the_data() -> None:
    data = Reverted(reason="no way").encode()[:80]
    assert refusal_of(data).encode() == data


def test_refusal_of__a_panic__says_its_number() -> None:
    found = refusal_of(keccak256(b"Panic(uint256)")[:4] + (0x11).to_bytes(32, "big"))
    assert isinstance(found, Panic)
    assert found.reason == 0x11


def test_refusal_of__data_cut_at_100_bytes__leaves_the_fourth_value_out() -> None:
    whole = CreditLimitExceeded(merchant=3, position=-5, charge=110, limit=100)
    found = refusal_of(whole.encode()[:100])
    assert isinstance(found, CreditLimitExceeded)
    assert (found.merchant, found.position, found.charge, found.limit) == (3, -5, 110, None)
    assert "limit cut off" in str(found)


def test_refusal__told__names_what_was_wrong() -> None:
    refusal = CreditLimitExceeded(merchant=3, position=-5, charge=110, limit=100)
    assert refusal.code == "credit_limit_exceeded"
    assert "merchant 3, position -5, charge 110, limit 100" in str(refusal)
    assert ZeroPoints().code == "zero_points"
    assert AccessManagedUnauthorized(caller=ADA).code == "access_managed_unauthorized"


def test_refusal__a_status__is_comparable_to_the_enum() -> None:
    found = refusal_of(MerchantNotActive(merchant=1, status=2).encode())
    assert isinstance(found, MerchantNotActive)
    assert found.status == Status.SUSPENDED


@given(st.sampled_from(sorted(REFUSALS.values(), key=lambda r: r.__name__)), st.data())
def test_refusal_of__any_error__is_what_eth_abi_encodes(
    refusal: type[ContractRefused], data: st.DataObject
) -> None:
    values: dict[str, object] = {}
    for param in refusal.DECLARATION.params:
        if param.type == "address":
            values[param.attribute] = ADA
        elif param.type == "string":
            values[param.attribute] = data.draw(st.text("aé✓🌳", max_size=40))
        elif param.type.startswith("bytes"):
            size = int(param.type.removeprefix("bytes"))
            raw = data.draw(st.binary(min_size=size, max_size=size))
            values[param.attribute] = "0x" + raw.hex()
        else:
            bits = int(param.type.lstrip("uint"))
            low, high = (
                (0, 2**bits) if param.type[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
            )
            values[param.attribute] = data.draw(st.integers(low, high - 1))
    encodable = [
        bytes.fromhex(v[2:]) if p.type.startswith("bytes") and isinstance(v, str) else v
        for p, v in zip(refusal.DECLARATION.params, values.values(), strict=True)
    ]
    encoded = refusal.SELECTOR + encode([p.type for p in refusal.DECLARATION.params], encodable)
    found = refusal_of(encoded)
    assert type(found) is refusal
    assert found.values == values
    assert found.encode() == encoded
