"""How each event of ours lies in its topics and data, as slices of their hex text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson

from wallet_sdk import events as sdk
from wallet_sdk.events import clearing, effects
from wallet_sdk.events.base import DYNAMIC, Event, RawValue
from wallet_sdk.types import to_hex

_JSON_INTEGER_MAX: Final = 2**53 - 1
"""Beyond it a reader of JSON may round."""

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
class Shape:
    """The slices of one event: attribute, JSON name, topic or None, offset in the data's text."""

    name: str
    topics: int
    data_chars: int
    slices: tuple[tuple[str, str, int | None, int, _Convert], ...]
    tail: tuple[str, str, bool] | None
    """Attribute, JSON name, whether it is text: the trailing dynamic parameter."""
    is_coalitions: bool
    """Whether the Coalition alone says it: from anybody else it would look like an effect."""

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


def _shape(event: type[Event]) -> Shape:
    layout = event.LAYOUT
    json_names = {p.attribute: p.name.lstrip("_") for p in event.DECLARATION.params}
    return Shape(
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
        is_coalitions=event.__module__ in (clearing.__name__, effects.__name__),
    )


SHAPES: Final = {
    (to_hex(topic0), topics): _shape(event) for (topic0, topics), event in sdk.EVENTS.items()
}
TOPICS: Final = {topic0 for topic0, _ in SHAPES}
assert {"bytes", "string"} == DYNAMIC, "another dynamic type needs a reader in Shape"
