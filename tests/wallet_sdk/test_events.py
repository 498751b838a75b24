"""Events: the declarations are the ABIs', the slices are eth_abi's, odd logs are refused."""

from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet_sdk import abi
from wallet_sdk.errors import InputInvalid
from wallet_sdk.events import (
    EVENTS,
    Event,
    Issued,
    Joined,
    LogPlace,
    MerchantStatusSet,
    PassTransfer,
    Rejected,
    Transfer,
    decode_log,
    decode_raw,
    place_of,
)
from wallet_sdk.refusals import MerchantNotActive, refusal_of
from wallet_sdk.types import Status, address_bytes, address_of, from_hex, keccak256, to_hex

ADA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
BEN = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
DIGEST = "0x" + "d1" * 32

DECLARED = [
    (name, item)
    for name in abi.names()
    for item in abi.load(name)["abi"]
    if item["type"] == "event"
]


def word(value: int | str) -> str:
    return to_hex((int(value, 16) if isinstance(value, str) else value).to_bytes(32, "big"))


def log(event: type[Event], *topics: str, data: str = "0x") -> dict[str, Any]:
    return {"topics": [to_hex(event.LAYOUT.topic0), *topics], "data": data}


JOINED = log(Joined, DIGEST, word(ADA))


@pytest.mark.parametrize(
    ("contract", "item"), DECLARED, ids=[f"{name}.{item['name']}" for name, item in DECLARED]
)
def test_events__every_event_of_every_abi__has_its_class(
    contract: str, item: dict[str, Any]
) -> None:
    inputs = item["inputs"]
    signature = f"{item['name']}({','.join(part['type'] for part in inputs)})"
    key = (keccak256(signature.encode()), 1 + sum(part["indexed"] for part in inputs))
    found = EVENTS[key]
    assert [(p.type, p.name, p.indexed) for p in found.DECLARATION.params] == [
        (part["type"], part["name"], part["indexed"]) for part in inputs
    ]
    assert list(found.__annotations__) == [p.attribute for p in found.DECLARATION.params]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"topics": JOINED["topics"]},
        {"data": "0x"},
        {"topics": None, "data": "0x"},
        {"topics": JOINED["topics"][:2], "data": "0x"},  # a topic is missing
        {"topics": [*JOINED["topics"], DIGEST], "data": "0x"},
        {"topics": JOINED["topics"], "data": "0x" + "00" * 32},  # more data than the event has
        {"topics": JOINED["topics"], "data": "0x0"},
        {"topics": [JOINED["topics"][0], DIGEST[:-2], word(ADA)], "data": "0x"},
    ],
)
def test_decode_log__a_known_topic_in_another_shape__refused(broken: dict[str, Any]) -> None:
    with pytest.raises(InputInvalid):
        decode_log(broken)
    with pytest.raises(InputInvalid):
        decode_raw(broken)


# 100 bytes of reason are followed by 28 of padding.
@pytest.mark.parametrize("cut", [29, 32, 64, 127, 128, 160])
def test_decode_log__dynamic_data_cut_short__refused(cut: int) -> None:
    data = encode(["bytes"], [bytes(100)])[:-cut]
    whole = log(Rejected, DIGEST, word(ADA), data=to_hex(data))
    with pytest.raises(InputInvalid):
        decode_log(whole)


@pytest.mark.parametrize("topics", [[], [DIGEST], [DIGEST, DIGEST]])
def test_decode_log__not_ours__is_none(topics: list[str]) -> None:
    assert decode_log({"topics": topics, "data": "0x"}) is None
    assert decode_raw({"topics": topics, "data": "0x"}) is None


def test_place_of__pending_log__refused() -> None:
    with pytest.raises(InputInvalid):
        place_of({"address": ADA, "blockNumber": None})


def test_place_of__mined_log__is_its_place() -> None:
    mined = {
        "address": ADA.lower(),
        "blockNumber": "0x10",
        "blockHash": DIGEST,
        "transactionHash": DIGEST,
        "transactionIndex": "0x2",
        "logIndex": "0x3",
    }
    assert place_of(mined) == LogPlace(ADA, 16, DIGEST, DIGEST, 2, 3)


def test_decode_log__issued__has_the_fields_of_solidity() -> None:
    data = encode(["uint256"] * 4 + ["bytes32"], [7, 3, 120, 13_200, bytes(32)])
    found = decode_log(log(Issued, DIGEST, word(3), data=to_hex(data)))
    assert found == Issued(
        digest=DIGEST,
        merchant=3,
        nonce=7,
        epoch=3,
        points=120,
        charged=13_200,
        references_root="0x" + "00" * 32,
    )


def test_decode_log__erc20_and_erc721_transfer__are_told_apart_by_topics() -> None:
    points = log(Transfer, word(ADA), word(BEN), data=word(5))
    a_pass = log(PassTransfer, word(ADA), word(BEN), word(5))
    assert points["topics"][0] == a_pass["topics"][0]
    assert decode_log(points) == Transfer(from_=ADA, to=BEN, value=5)
    assert decode_log(a_pass) == PassTransfer(from_=ADA, to=BEN, token_id=5)


def test_decode_log__a_status__is_the_enum() -> None:
    found = decode_log(log(MerchantStatusSet, word(3), data=word(2)))
    assert isinstance(found, MerchantStatusSet)
    assert found.status is Status.SUSPENDED


def test_decode_log__rejected__reason_is_a_refusal() -> None:
    reason = MerchantNotActive(merchant=3, status=2).encode()
    data = to_hex(encode(["bytes"], [reason]))
    found = decode_log(log(Rejected, DIGEST, word(ADA), data=data))
    assert found == Rejected(digest=DIGEST, relayer=ADA, reason=reason)
    assert refusal_of(reason).code == "merchant_not_active"


def test_decode_raw__joined__is_as_sql_keeps_it() -> None:
    assert decode_raw(JOINED) == (
        Joined,
        {"digest": from_hex(DIGEST), "member": address_bytes(ADA)},
    )


STRATEGIES = {
    "address": st.binary(min_size=20, max_size=20).map(address_of),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=100),
    "string": st.text("aé✓🌳", max_size=40),
}


def values_of(abi_type: str) -> st.SearchStrategy[Any]:
    if abi_type in STRATEGIES:
        return STRATEGIES[abi_type]
    if abi_type.startswith("bytes"):
        size = int(abi_type.removeprefix("bytes"))
        return st.binary(min_size=size, max_size=size)
    bits = int(abi_type.lstrip("uint"))
    if abi_type.startswith("int"):
        return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(0, 2**bits - 1)


@settings(max_examples=200)
@given(st.sampled_from(sorted(EVENTS.values(), key=lambda e: e.__name__)), st.data())
def test_decode__any_event__is_what_eth_abi_encodes(
    event: type[Event], drawn: st.DataObject
) -> None:
    params = event.DECLARATION.params
    values = []
    for param in params:
        choices = values_of(param.type)
        if param.attribute in event.ENUMS:
            choices = st.sampled_from([int(member) for member in event.ENUMS[param.attribute]])
        values.append(drawn.draw(choices))
    pairs = list(zip(params, values, strict=True))
    topics = [to_hex(encode([p.type], [v])) for p, v in pairs if p.indexed]
    data = encode([p.type for p in params if not p.indexed], [v for p, v in pairs if not p.indexed])
    found = log(event, *topics, data=to_hex(data))

    border = [to_hex(v) if isinstance(v, bytes) and p.type != "bytes" else v for p, v in pairs]
    assert decode_log(found) == event(*border)
    raw = [address_bytes(v) if p.type == "address" else v for p, v in pairs]
    assert decode_raw(found) == (event, {p.attribute: v for p, v in zip(params, raw, strict=True)})
