"""Logs of our contracts, from the JSON of eth_getLogs to values, by slicing at fixed offsets.

The layouts are the SDK's (`wallet_sdk.events`); here each becomes a list of slices of the hex text,
so that nothing is converted twice. Transfers of Points, 99 of 100 logs, have a path of their own.
The tests hold both against eth_abi, an independent decoder, on random and hostile payloads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias

import orjson

from indexer.errors import SourceContradicts
from indexer.tables import IDS_PER_BLOCK
from wallet_sdk import events as sdk
from wallet_sdk.events.base import DYNAMIC, Event, RawValue
from wallet_sdk.types import to_hex

Move: TypeAlias = tuple[int, int, bytes | None, bytes | None, int]
"""A Transfer of Points: id, position of its transaction, sender, receiver, points; None is the zero
address: points coming into being or ending."""


@dataclass(slots=True)
class Other:
    """Any other log. `name` is None for a topic that no ABI of ours has; `arguments` is JSON."""

    id: int
    position: int
    contract: str
    name: str | None
    values: Mapping[str, Any]
    arguments: str
    topics: bytes
    data: bytes


Item: TypeAlias = Move | Other


@dataclass(slots=True)
class BlockLogs:
    """The logs of one block in their order; `others` are those that are no Transfer of Points.
    `hash` and `transactions` (by position) as hex.
    """

    number: int
    hash: str
    items: list[Item] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    transactions: dict[int, str] = field(default_factory=dict)


_TRANSFER: Final = to_hex(sdk.Transfer.LAYOUT.topic0)
_ZERO_TOPIC: Final = "0x" + "00" * 32
_JSON_INTEGER_MAX: Final = 2**53 - 1
"""Beyond it a reader of JSON may round."""

_FIELDS: Final = itemgetter(
    "blockNumber", "blockHash", "transactionIndex", "logIndex", "address", "topics", "data"
)

_Convert: TypeAlias = Callable[[str], tuple[RawValue, object]]


def _integer(word: str) -> tuple[RawValue, object]:
    value = int(word, 16)
    return value, value if value <= _JSON_INTEGER_MAX else str(value)


def _signed(bits: int) -> _Convert:
    def convert(word: str) -> tuple[RawValue, object]:
        value = int.from_bytes(bytes.fromhex(word), "big", signed=True)
        return value, value if abs(value) <= _JSON_INTEGER_MAX else str(value)

    return convert


def _boolean(word: str) -> tuple[RawValue, object]:
    value = word[-1] == "1"
    return value, value


def _address(word: str) -> tuple[RawValue, object]:
    return bytes.fromhex(word[24:]), "0x" + word[24:]


def _fixed(size: int) -> _Convert:
    def convert(word: str) -> tuple[RawValue, object]:
        text = word[: 2 * size]
        return bytes.fromhex(text), "0x" + text

    return convert


def _converter(abi_type: str) -> _Convert:
    if abi_type == "address":
        return _address
    if abi_type == "bool":
        return _boolean
    if abi_type.startswith("bytes"):
        return _fixed(int(abi_type.removeprefix("bytes")))
    if abi_type.startswith("int"):
        return _signed(int(abi_type.removeprefix("int")))
    return _integer


@dataclass(frozen=True, slots=True)
class _Shape:
    """The slices of one event: attribute, JSON name, topic or None, offset in the data's text."""

    name: str
    topics: int
    data_chars: int
    slices: tuple[tuple[str, str, int | None, int, _Convert], ...]
    tail: tuple[str, str, bool] | None
    """Attribute, JSON name, whether it is text: the trailing dynamic parameter."""

    def read(self, topics: Sequence[str], data: str) -> tuple[dict[str, RawValue], str]:
        """The values, and the arguments as JSON. Raises ValueError: not this event's shape."""
        short = len(data) < self.data_chars if self.tail else len(data) != self.data_chars
        if short or len(topics) != self.topics:
            raise ValueError(f"{self.name}: {len(topics)} topics, {len(data)} characters of data")
        values: dict[str, RawValue] = {}
        arguments: dict[str, object] = {}
        for attribute, name, topic, at, convert in self.slices:
            word = topics[topic][2:] if topic is not None else data[at : at + 64]
            values[attribute], arguments[name] = convert(word)
        if self.tail:
            attribute, name, is_text = self.tail
            tail = self._tail(data)
            text = tail.decode("utf-8", "replace")
            values[attribute] = text if is_text else tail
            arguments[name] = text if is_text else to_hex(tail)
        return values, orjson.dumps(arguments).decode()

    def _tail(self, data: str) -> bytes:
        head = self.data_chars
        if int(data[head - 64 : head], 16) * 2 != head - 2:
            raise ValueError(f"{self.name}: the dynamic part does not follow the fixed one")
        size = int(data[head : head + 64], 16)
        tail = bytes.fromhex(data[head + 64 : head + 64 + 2 * size])
        if len(tail) != size:
            raise ValueError(f"{self.name}: the dynamic part is cut short")
        return tail


def _shape(event: type[Event]) -> _Shape:
    layout = event.LAYOUT
    json_names = {p.attribute: p.name.lstrip("_") for p in event.DECLARATION.params}
    return _Shape(
        name=event.DECLARATION.name,
        topics=layout.topics,
        data_chars=2 + 2 * layout.data_bytes,
        slices=tuple(
            (
                slot.attribute,
                json_names[slot.attribute],
                slot.topic,
                0 if slot.word is None else 2 + 64 * slot.word,
                _converter(slot.abi_type),
            )
            for slot in layout.slots
        ),
        tail=(layout.tail, json_names[layout.tail], layout.tail_type == "string")
        if layout.tail
        else None,
    )


_SHAPES: Final = {
    (to_hex(topic0), topics): _shape(event) for (topic0, topics), event in sdk.EVENTS.items()
}
_TOPICS: Final = {topic0 for topic0, _ in _SHAPES}
assert {"bytes", "string"} == DYNAMIC, "another dynamic type needs a reader in _Shape"


class Decoder:
    """Decodes logs of one deployment's contracts; `addresses` by contract name."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._names = {address.lower(): name for name, address in addresses.items()}
        self._points = addresses["Points"].lower()
        self.addresses = list(self._names)

    def decode(self, logs: Sequence[Mapping[str, Any]]) -> list[BlockLogs]:
        """The blocks that hold these logs, ascending. Raises SourceContradicts when the logs are
        not strictly in order, not ours, removed, or not whole.
        """
        found: list[BlockLogs] = []
        try:
            self._decode(logs, found)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            where = found[-1].number if found else "unknown"
            raise SourceContradicts(f"a log of block {where} is malformed: {error}") from error
        return found

    def _decode(self, logs: Sequence[Mapping[str, Any]], found: list[BlockLogs]) -> None:
        points_address = self._points
        number_text = position_text = block_hash = ""
        position = base = -1
        last_id = -1
        items: list[Item] = []
        from_hex = bytes.fromhex
        for log in logs:
            log_block, log_hash, log_position, log_index, address, topics, data = _FIELDS(log)
            if log_block != number_text:
                number_text = log_block
                number = int(number_text, 16)
                base = number * IDS_PER_BLOCK
                block_hash = log_hash
                block = BlockLogs(number, block_hash)
                found.append(block)
                items = block.items
                position_text = ""
            index = int(log_index, 16)
            log_id = base + index
            # A repeated log, or one out of order, would be counted twice or wrongly.
            if log_id <= last_id or index >= IDS_PER_BLOCK:
                raise ValueError(f"log {index} is repeated or out of order")
            last_id = log_id
            if log_position != position_text:
                position_text = log_position
                position = int(position_text, 16)
                block.transactions[position] = log["transactionHash"]
            if log_hash != block_hash or log.get("removed"):
                raise ValueError(f"log {index} belongs to another block of the same number")
            if address != points_address:
                # Some nodes answer with checksummed addresses.
                address = address.lower()
            if address == points_address and topics[0] == _TRANSFER:
                _, sender, receiver = topics
                if len(data) != 66:
                    raise ValueError(f"log {index} is no Transfer of Points")
                items.append(
                    (
                        log_id,
                        position,
                        None if sender == _ZERO_TOPIC else from_hex(sender[26:]),
                        None if receiver == _ZERO_TOPIC else from_hex(receiver[26:]),
                        int(data, 16),
                    )
                )
            else:
                contract = self._names.get(address)
                if contract is None:
                    raise ValueError(f"{address} is none of the contracts asked for")
                other = _read_other(log_id, position, contract, topics, data)
                items.append(other)
                block.others.append(other)


def read_other(log_id: int, position: int, contract: str, topics: bytes, data: bytes) -> Other:
    """A log again from its raw form, topics joined. Raises ValueError on a malformed one."""
    words = [to_hex(topics[at : at + 32]) for at in range(0, len(topics), 32)]
    return _read_other(log_id, position, contract, words, to_hex(data))


def _read_other(
    log_id: int, position: int, contract: str, topics: Sequence[str], data: str
) -> Other:
    shape = _SHAPES.get((topics[0], len(topics))) if topics else None
    if shape is None and topics and topics[0] in _TOPICS:
        raise ValueError(f"log {log_id} of a known event has {len(topics)} topics")
    values, arguments = ({}, "{}") if shape is None else shape.read(topics, data)
    return Other(
        id=log_id,
        position=position,
        contract=contract,
        name=None if shape is None else shape.name,
        values=values,
        arguments=arguments,
        topics=b"".join(bytes.fromhex(topic[2:]) for topic in topics),
        data=bytes.fromhex(data[2:]),
    )
