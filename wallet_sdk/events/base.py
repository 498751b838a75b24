"""How a log becomes an event: slices at fixed offsets, no ABI at run time.

All event data of ours is static but for one trailing `bytes` or `string` (`Rejected.reason`), so
word i of the data is parameter i. The tests hold the declarations against the exported ABIs and the
slices against eth_abi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, TypeAlias

from wallet_sdk.errors import InputInvalid
from wallet_sdk.names import Declaration, parse_declaration
from wallet_sdk.types import Address, Digest, from_hex, keccak256, to_address, to_hex
from wallet_sdk.words import WordReader, raw_reader, reader

RawValue: TypeAlias = int | bool | bytes | str
"""As SQL keeps it: addresses 20 bytes, bytes32 32 bytes, numbers int (signed where the ABI says
so).
"""

DYNAMIC: Final = frozenset({"bytes", "string"})


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one parameter stands: `topic` counts from 1, `word` is the data's 32-byte word."""

    attribute: str
    abi_type: str
    topic: int | None
    word: int | None
    read: WordReader
    read_raw: WordReader


@dataclass(frozen=True, slots=True)
class Layout:
    """The slices of one event. `data_bytes` is exact, or the least where a dynamic tail follows."""

    topic0: bytes
    topics: int
    data_bytes: int
    slots: tuple[Slot, ...]
    tail: str | None
    """Attribute of the trailing `bytes` or `string`, if any."""
    tail_type: str


def _layout(declaration: Declaration) -> Layout:
    slots: list[Slot] = []
    topic, word, tail, tail_type = 0, 0, None, ""
    for param in declaration.params:
        if param.type in DYNAMIC:
            tail, tail_type = param.attribute, param.type
            word += 1
            continue
        if tail is not None and not param.indexed:
            raise ValueError(
                f"{declaration.name}: a dynamic parameter must be the last in the data"
            )
        if param.indexed:
            topic += 1
        slots.append(
            Slot(
                attribute=param.attribute,
                abi_type=param.type,
                topic=topic if param.indexed else None,
                word=None if param.indexed else word,
                read=reader(param.type),
                read_raw=raw_reader(param.type),
            )
        )
        if not param.indexed:
            word += 1
    topic0 = keccak256(declaration.signature.encode("ascii"))
    return Layout(topic0, topic + 1, 32 * word, tuple(slots), tail, tail_type)


class Event:
    """Base of all events: frozen dataclasses with the Solidity event's fields, in its order."""

    DECLARATION: ClassVar[Declaration]
    LAYOUT: ClassVar[Layout]
    ENUMS: ClassVar[Mapping[str, type[IntEnum]]] = {}

    def __init_subclass__(
        cls, *, abi: str, enums: Mapping[str, type[IntEnum]] | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.DECLARATION = parse_declaration(abi)
        cls.LAYOUT = _layout(cls.DECLARATION)
        cls.ENUMS = enums or {}
        key = (cls.LAYOUT.topic0, cls.LAYOUT.topics)
        if key in EVENTS:
            raise ValueError(f"{abi} is declared twice")
        EVENTS[key] = cls
        _TOPICS.add(cls.LAYOUT.topic0)


EVENTS: Final[dict[tuple[bytes, int], type[Event]]] = {}
"""By topic0 and number of topics: ERC-20 and ERC-721 share the topic0 of Transfer and Approval."""
_TOPICS: Final[set[bytes]] = set()


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a log stands on chain."""

    address: Address
    block_number: int
    block_hash: Digest
    transaction_hash: Digest
    transaction_index: int
    log_index: int


def place_of(log: Mapping[str, Any]) -> LogPlace:
    """The place of a log as eth_getLogs gives it. Raises InputInvalid when a part is missing."""
    try:
        return LogPlace(
            to_address(log["address"]),
            int(log["blockNumber"], 16),
            log["blockHash"],
            log["transactionHash"],
            int(log["transactionIndex"], 16),
            int(log["logIndex"], 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputInvalid(f"not a log of a mined block: {error!r}") from error


def _event_of(topics: list[bytes]) -> type[Event] | None:
    if not topics:
        return None
    event = EVENTS.get((topics[0], len(topics)))
    if event is None and topics[0] in _TOPICS:
        raise InputInvalid(f"log of {to_hex(topics[0])} with {len(topics)} topics")
    return event


def _tail(layout: Layout, data: bytes) -> bytes:
    head = layout.data_bytes
    offset = int.from_bytes(data[head - 32 : head], "big")
    size = int.from_bytes(data[offset : offset + 32], "big")
    tail = data[offset + 32 : offset + 32 + size]
    if offset != head or len(tail) != size:
        raise InputInvalid(f"log data cut short: {len(data)} bytes")
    return tail


def _read(log: Mapping[str, Any], *, raw: bool) -> tuple[type[Event], dict[str, Any]] | None:
    try:
        topics = [from_hex(topic, 32) for topic in log["topics"]]
        event = _event_of(topics)
        if event is None:
            return None
        data = from_hex(log["data"])
    except (KeyError, TypeError) as error:
        raise InputInvalid(f"not a log: {error!r}") from error
    layout = event.LAYOUT
    if (
        len(data) != layout.data_bytes
        if layout.tail is None
        else len(data) < layout.data_bytes + 32
    ):
        raise InputInvalid(f"{event.__name__}: {len(data)} bytes of data")
    values: dict[str, Any] = {}
    for slot in layout.slots:
        if slot.topic is not None:
            word = topics[slot.topic]
        else:
            assert slot.word is not None
            word = data[32 * slot.word : 32 * slot.word + 32]
        values[slot.attribute] = slot.read_raw(word) if raw else slot.read(word)
    if layout.tail is not None:
        tail = _tail(layout, data)
        values[layout.tail] = (
            tail.decode("utf-8", "replace") if layout.tail_type == "string" else tail
        )
    return event, values


def decode_log(log: Mapping[str, Any]) -> Event | None:
    """The event of a log in eth_getLogs' JSON form; None when its topic0 is none of ours.

    The emitting address is not looked at: filter by address first. Raises InputInvalid when a log
    of a known topic0 has another shape than the event, which a contract of ours never emits.
    """
    found = _read(log, raw=False)
    if found is None:
        return None
    event, values = found
    for attribute, enum in event.ENUMS.items():
        values[attribute] = enum(values[attribute])
    return event(**values)


def decode_raw(log: Mapping[str, Any]) -> tuple[type[Event], dict[str, RawValue]] | None:
    """As `decode_log`, but fields as SQL keeps them, without checksums: for bulk reading."""
    return _read(log, raw=True)
