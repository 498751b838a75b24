"""Block headers: the hash recomputed from the fields.

Fields in consensus order; later forks append. Sources: EIP-1559, EIP-4895, EIP-4844, EIP-4788,
EIP-7685. A header with a field that this list does not know hashes to something else and is
reported, never believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from indexer.auditor.codec import (
    EMPTY_LIST_HASH,
    data_of,
    encode_bytes,
    encode_int,
    encode_list,
    keccak,
    quantity,
)
from indexer.auditor.errors import Broken

HEADERS: Final = "headers"
PARENTS: Final = "parents"

_FIELDS: Final[tuple[tuple[str, int | None], ...]] = (
    # name in JSON-RPC, length in bytes; None: a number; -1: bytes of any length
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
_FIRST_OPTIONAL: Final = 15


@dataclass(frozen=True, slots=True)
class Header:
    """What the auditor uses of a header whose hash it has recomputed."""

    number: int
    hash: bytes
    parent_hash: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: int
    timestamp: int
    rlp: bytes


def encode_header(block: Mapping[str, Any]) -> bytes:
    """The RLP of a header given as eth_getBlockByNumber gives it. Raises AuditError."""
    parts: list[bytes] = []
    for i, (name, length) in enumerate(_FIELDS):
        value = block.get(name)
        if value is None and i >= _FIRST_OPTIONAL:
            break
        if length is None:
            parts.append(encode_int(quantity(value)))
        else:
            parts.append(encode_bytes(data_of(value, None if length < 0 else length)))
    return encode_list(parts)


def header_of(block: Mapping[str, Any], number: int) -> Header:
    """The header of the block that was asked for as `number`.

    Raises Broken: it hashes to something else than the node says, or is another block's.
    """
    encoded = encode_header(block)
    computed = keccak(encoded)
    said = data_of(block.get("hash"), 32)
    if computed != said:
        raise Broken(
            HEADERS,
            number,
            "the header does not hash to the block's hash",
            "0x" + said.hex(),
            "0x" + computed.hex(),
        )
    if quantity(block["number"]) != number:
        raise Broken(HEADERS, number, "another block was given", number, quantity(block["number"]))
    if data_of(block["sha3Uncles"], 32) != EMPTY_LIST_HASH:
        raise Broken(HEADERS, number, "the block names ommers, which no block since the merge has")
    return Header(
        number=number,
        hash=computed,
        parent_hash=data_of(block["parentHash"], 32),
        state_root=data_of(block["stateRoot"], 32),
        transactions_root=data_of(block["transactionsRoot"], 32),
        receipts_root=data_of(block["receiptsRoot"], 32),
        bloom=int.from_bytes(data_of(block["logsBloom"], 256), "big"),
        timestamp=quantity(block["timestamp"]),
        rlp=encoded,
    )


def check_parent(header: Header, parent_hash: bytes, parent_timestamp: int) -> None:
    """Raises Broken: the block does not stand on `parent_hash`, or its time runs backwards."""
    if header.parent_hash != parent_hash:
        raise Broken(
            PARENTS,
            header.number,
            "the block does not stand on the one before it",
            "0x" + parent_hash.hex(),
            "0x" + header.parent_hash.hex(),
        )
    if header.timestamp < parent_timestamp:
        raise Broken(
            PARENTS,
            header.number,
            "the block is older than its parent",
            f"{parent_timestamp} or later",
            header.timestamp,
        )
