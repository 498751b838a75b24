"""Our events out of raw logs, by the committed ABIs. The auditor's own decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from indexer.auditor.codec import keccak
from indexer.auditor.errors import AuditError
from indexer.auditor.receipts import RawLog

Value: TypeAlias = "int | bytes"


class Event(NamedTuple):
    """One decoded log. `args` in the order of the ABI: addresses and bytes as bytes, all else as
    numbers; `log_index` counts the logs of the block.
    """

    log_index: int
    contract: str
    name: str
    address: bytes
    args: tuple[Any, ...]


class LogMalformed(AuditError):
    """A log that does not have the shape of its event."""


@dataclass(frozen=True, slots=True)
class _Spec:
    name: str
    indexed: tuple[bool, ...]
    readers: tuple[Callable[[bytes], Value] | None, ...]  # None: dynamic bytes

    def read(self, log: RawLog) -> tuple[Value, ...]:
        topics = iter(log.topics[1:])
        data, at = log.data, 0
        args: list[Value] = []
        if len(log.topics) != 1 + sum(self.indexed):
            raise LogMalformed(f"{self.name} with {len(log.topics)} topics")
        for is_indexed, reader in zip(self.indexed, self.readers, strict=True):
            if is_indexed:
                word = next(topics)
            else:
                word = data[at : at + 32]
                at += 32
                if len(word) != 32:
                    raise LogMalformed(f"{self.name} with {len(data)} bytes of data")
            args.append(_tail(data, word) if reader is None else reader(word))
        if None not in self.readers and at != len(data):
            raise LogMalformed(f"{self.name} with {len(data)} bytes of data")
        return tuple(args)


def _tail(data: bytes, word: bytes) -> bytes:
    start = int.from_bytes(word, "big")
    length = int.from_bytes(data[start : start + 32], "big")
    if start > len(data) or start + 32 + length > len(data):
        raise LogMalformed("dynamic data reaches beyond the log")
    return data[start + 32 : start + 32 + length]


def _address(word: bytes) -> bytes:
    if word[:12] != bytes(12):
        raise LogMalformed("an address with more than 20 bytes")
    return word[12:]


def _unsigned(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _signed(word: bytes) -> int:
    return int.from_bytes(word, "big", signed=True)


def _raw(word: bytes) -> bytes:
    return word


def _reader(kind: str) -> Callable[[bytes], Value] | None:
    if kind == "address":
        return _address
    if kind.startswith("uint") or kind in ("bool", "enum"):
        return _unsigned
    if kind.startswith("int"):
        return _signed
    if kind in ("bytes", "string"):
        return None
    if kind.startswith("bytes"):
        return _raw
    raise LogMalformed(f"no reader for {kind}")


def event_specs(abi: Iterable[Mapping[str, Any]]) -> dict[bytes, _Spec]:
    """Reader of each event of an ABI by its first topic."""
    specs = {}
    for entry in abi:
        if entry["type"] != "event" or entry.get("anonymous"):
            continue
        types = [parameter["type"] for parameter in entry["inputs"]]
        topic = keccak(f"{entry['name']}({','.join(types)})".encode())
        specs[topic] = _Spec(
            entry["name"],
            tuple(bool(p["indexed"]) for p in entry["inputs"]),
            tuple(_reader(kind) for kind in types),
        )
    return specs


CONTRACTS: Final = ("AccessManager", "BankReceipt", "Points", "MembershipPass", "Coalition")


class Decoder:
    """Decodes the logs of the watched contracts; all others pass by."""

    def __init__(self, watched: Mapping[bytes, str]) -> None:
        from wallet_sdk.abi import load  # read from disk once a process

        specs = {name: event_specs(load(name)["abi"]) for name in set(watched.values())}
        self._by_address = {address: (name, specs[name]) for address, name in watched.items()}

    def decode(self, log_index: int, log: RawLog) -> Event | None:
        """The event; None: not a watched contract. Raises LogMalformed: a watched contract logged
        what its ABI does not know.
        """
        found = self._by_address.get(log.address)
        if found is None:
            return None
        contract, specs = found
        spec = specs.get(log.topics[0]) if log.topics else None
        if spec is None and contract == "BankReceipt":
            return None  # where the asset is somebody's token, it has events of its own
        if spec is None:
            raise LogMalformed(f"{contract} logged an event that its ABI does not have")
        return Event(log_index, contract, spec.name, log.address, spec.read(log))
