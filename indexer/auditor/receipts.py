"""Receipts: their encoding, and the bloom filter rebuilt out of the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from indexer.auditor.codec import (
    data_of,
    encode_bytes,
    encode_int,
    encode_list,
    keccak,
    quantity,
)
from indexer.auditor.errors import AuditError
from indexer.auditor.transactions import kind_of

RECEIPTS: Final = "receipts"
BLOOM: Final = "bloom"
_CACHED_MAX: Final = 65_536  # about 10 MB; members come again and again, and a bloom costs a Keccak
_bits_of: dict[bytes, int] = {}


class RawLog(NamedTuple):
    """One log out of an encoded receipt: the very bytes that were hashed."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Receipt(NamedTuple):
    """One receipt, encoded as it stands in the trie, and its logs."""

    encoded: bytes
    bloom: int
    status: int
    logs: list[RawLog]


def bloom_bits(item: bytes) -> int:
    """The three bits of an address or topic, of 2,048. Source: the Yellow Paper, 4.3.1."""
    bits = _bits_of.get(item)
    if bits is None:
        h = keccak(item)
        bits = 1 << (((h[0] << 8) | h[1]) & 2047)
        bits |= 1 << (((h[2] << 8) | h[3]) & 2047)
        bits |= 1 << (((h[4] << 8) | h[5]) & 2047)
        if len(_bits_of) >= _CACHED_MAX:
            _bits_of.clear()
        _bits_of[item] = bits
    return bits


def bloom_of(logs: Sequence[RawLog]) -> int:
    """The bloom filter over these logs as a number of 2,048 bits."""
    items = {log.address for log in logs}
    for log in logs:
        items.update(log.topics)
    bloom = 0
    for item in items:
        bloom |= bloom_bits(item)
    return bloom


_TOPIC_HEADS: Final = tuple(bytes.fromhex(h) for h in ("c0", "e1", "f842", "f863", "f884"))


def _encode_log(log: RawLog) -> bytes:
    topics = b"".join([b"\xa0" + t for t in log.topics])
    head = b"\x94" + log.address + _TOPIC_HEADS[len(log.topics)] + topics
    return encode_list((head, encode_bytes(log.data)))


def _raw_log(log: Mapping[str, Any]) -> RawLog:
    topics = tuple([data_of(t, 32) for t in log["topics"]])
    if len(topics) > 4:
        raise AuditError(f"a log with {len(topics)} topics")
    return RawLog(data_of(log["address"], 20), topics, data_of(log["data"]))


def encode_receipt(receipt: Mapping[str, Any]) -> Receipt:
    """The receipt as it stands in the trie, its bloom rebuilt. Raises AuditError: malformed."""
    logs = [_raw_log(log) for log in receipt["logs"]]
    bloom = bloom_of(logs)
    status = quantity(receipt["status"])
    parts = [
        encode_int(status),
        encode_int(quantity(receipt["cumulativeGasUsed"])),
        b"\xb9\x01\x00" + bloom.to_bytes(256, "big"),
        encode_list([_encode_log(log) for log in logs]),
    ]
    kind = kind_of(receipt)
    if kind == 0x7E and receipt.get("depositReceiptVersion") is not None:
        # Before the Canyon fork a node tells the nonce, and the root leaves it out.
        names = ("depositNonce", "depositReceiptVersion")
        parts += [encode_int(quantity(receipt[name])) for name in names]
    body = encode_list(parts)
    return Receipt(bytes([kind]) + body if kind else body, bloom, status, logs)
