"""Static slices against eth_abi, an independent decoder, for every event there is."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from eth_abi import encode as abi_encode
from eth_abi.abi import decode as abi_decode
from mirror_model import ADDRESSES

from indexer.decode import Decoder, Other, read_other
from indexer.errors import SourceContradicts
from wallet_sdk import events as sdk
from wallet_sdk.types import to_hex

EVENTS = sorted(sdk.EVENTS.values(), key=lambda event: event.__name__)
CONTRACT = {
    "points": "Points",
    "effects": "Coalition",
    "clearing": "Coalition",
    "passes": "MembershipPass",
    "receipts": "BankReceipt",
    "access": "AccessManager",
}


def value(rng: random.Random, abi_type: str) -> Any:
    """A random value, often at an edge of its range."""
    if abi_type == "address":
        return to_hex(rng.choice((bytes(20), b"\xff" * 20, rng.randbytes(20))))
    if abi_type == "bool":
        return rng.random() < 0.5
    if abi_type == "string":
        return "".join(rng.choice('aé中\0"\\') for _ in range(rng.choice((0, 1, 31, 32, 33))))
    if abi_type == "bytes":
        return rng.randbytes(rng.choice((0, 1, 31, 32, 33, 100)))
    if abi_type.startswith("bytes"):
        size = int(abi_type[5:])
        return rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    bits = int(abi_type.removeprefix("u")[3:])
    low, high = (
        (0, 2**bits - 1) if abi_type[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    return rng.choice((low, high, min(high, 2**53), rng.randint(low, high)))


def encoded(rng: random.Random, event: type[sdk.Event]) -> dict[str, Any]:
    """A log that eth_abi encoded."""
    params = event.DECLARATION.params
    values = [value(rng, p.type) for p in params]
    topics = [to_hex(event.LAYOUT.topic0)]
    topics += [
        to_hex(abi_encode([p.type], [v])) for p, v in zip(params, values, strict=True) if p.indexed
    ]
    plain = [(p.type, v) for p, v in zip(params, values, strict=True) if not p.indexed]
    data = abi_encode([t for t, _ in plain], [v for _, v in plain])
    return {
        "address": ADDRESSES[CONTRACT[event.__module__.rsplit(".", 1)[1]]].lower(),
        "topics": topics,
        "data": to_hex(data),
        "blockNumber": "0x7",
        "blockHash": "0x" + "ab" * 32,
        "transactionHash": "0x" + "cd" * 32,
        "transactionIndex": "0x3",
        "logIndex": "0x5",
        "removed": False,
    }


def by_eth_abi(event: type[sdk.Event], log: dict[str, Any]) -> list[Any]:
    """The values in the order of the declaration, as eth_abi reads them."""
    indexed = iter(log["topics"][1:])
    params = event.DECLARATION.params
    plain = iter(
        abi_decode([p.type for p in params if not p.indexed], bytes.fromhex(log["data"][2:]))
    )
    return [
        abi_decode([p.type], bytes.fromhex(next(indexed)[2:]))[0] if p.indexed else next(plain)
        for p in params
    ]


DECODER = Decoder(ADDRESSES)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_decode__another_length_than_the_event_has__is_refused(event: type[sdk.Event]) -> None:
    log = encoded(random.Random(event.__name__), event)
    fixed = 2 + 2 * event.LAYOUT.data_bytes
    broken = [{**log, "topics": log["topics"] + ["0x" + "00" * 32] * 2}]
    broken += [{**log, "data": log["data"][:end]} for end in range(2, fixed, 64)]
    if event.LAYOUT.tail is None:
        broken.append({**log, "data": log["data"] + "00" * 32})
    else:
        broken.append({**log, "data": log["data"][:fixed] + "ff" * 32})
        broken.append({**log, "data": log["data"][: fixed - 2] + "01" + log["data"][fixed:]})
    for hostile in broken:
        with pytest.raises(SourceContradicts):
            DECODER.decode([hostile])


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_decode__every_event__reads_what_eth_abi_reads(event: type[sdk.Event]) -> None:
    rng = random.Random(event.__name__)
    for _ in range(25):
        log = encoded(rng, event)
        expected = by_eth_abi(event, log)
        (block,) = DECODER.decode([log])
        (item,) = block.items
        if isinstance(item, tuple):
            assert event is sdk.Transfer
            assert item[:2] == (7_000_005, 3)
            assert [to_hex(who or bytes(20)) for who in item[2:4]] + [item[4]] == expected
            continue
        names = [p.attribute for p in event.DECLARATION.params]
        assert {k: plain(v) for k, v in item.values.items()} == dict(
            zip(names, map(plain, expected), strict=True)
        )
        # JSON holds every integer exactly, however a reader keeps numbers.
        shown = json.loads(item.arguments)
        assert sorted(str(v) for v in shown.values()) == sorted(str(plain(v)) for v in expected)
        assert read_other(item.id, 3, item.contract, item.topics, item.data) == item


def plain(found: Any) -> Any:
    """Bytes as hex, so that addresses of both decoders compare."""
    return to_hex(found) if isinstance(found, bytes) else found


def test_decode__an_unknown_topic_of_ours__is_kept_raw() -> None:
    log = {
        "address": ADDRESSES["Coalition"].lower(),
        "topics": ["0x" + "12" * 32],
        "data": "0x0102",
        "blockNumber": "0x1",
        "blockHash": "0x" + "ab" * 32,
        "transactionHash": "0x" + "cd" * 32,
        "transactionIndex": "0x0",
        "logIndex": "0x0",
    }
    (block,) = DECODER.decode([log])
    (item,) = block.items
    assert isinstance(item, Other)
    assert (item.name, item.data, item.topics) == (None, b"\x01\x02", b"\x12" * 32)
