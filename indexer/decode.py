"""Logs of our contracts, from the JSON of eth_getLogs to values, by slicing at fixed offsets.

The layouts are the SDK's (`wallet_sdk.events`); here each becomes a list of slices of the hex text,
so that nothing is converted twice. Transfers of Points, 99 of 100 logs, have a path of their own.
The tests hold both against eth_abi, an independent decoder, on random and hostile payloads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias

from indexer.errors import SourceContradicts
from indexer.shapes import SHAPES, TOPICS
from indexer.succession import COALITION, PREDECESSOR, Tenures
from indexer.tables import IDS_PER_BLOCK
from wallet_sdk import events as sdk
from wallet_sdk.types import address_bytes, digest_bytes, to_hex

Move: TypeAlias = tuple[int, int, bytes | None, bytes | None, int]
"""A Transfer of Points: id, position of its transaction, sender, receiver, points; None is the zero
address: points coming into being or ending."""


@dataclass(slots=True)
class Other:
    """Any other log. `name` is None where no ABI of ours has it, or not of this contract;
    `arguments` is JSON.
    """

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


_HANDED_OVER: Final = sdk.HandedOver.DECLARATION.name
_NONE: Final = object()
_TRANSFER: Final = to_hex(sdk.Transfer.LAYOUT.topic0)
_ZERO_TOPIC: Final = "0x" + "00" * 32
_FIELDS: Final = itemgetter(
    "blockNumber", "blockHash", "transactionIndex", "logIndex", "address", "topics", "data"
)


class Decoder:
    """Decodes logs of one deployment's contracts; `addresses` by contract name, the first Coalition
    among them. After a succession `tenures` tells which Coalition counts when.
    """

    def __init__(self, addresses: Mapping[str, str], tenures: Tenures | None = None) -> None:
        self._names = {address.lower(): name for name, address in addresses.items()}
        self._points = addresses["Points"].lower()
        self.tenures = tenures or Tenures(address_bytes(addresses[COALITION]))
        # As long as there was one Coalition alone, nobody asks which.
        self._succeeded = len(self.tenures.addresses) > 1
        for successor in self.tenures.addresses:
            self._names.setdefault(successor, COALITION)
        self.addresses = list(self._names)

    def decode(self, logs: Sequence[Mapping[str, Any]]) -> list[BlockLogs]:
        """The blocks that hold these logs, ascending. Raises SourceContradicts when the logs are
        not strictly in order, not ours, removed, or not whole.
        """
        found: list[BlockLogs] = []
        try:
            self._decode(logs, found)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            where = found[-1].number if found else "unknown"
            raise SourceContradicts(f"a log of block {where} is malformed: {error}") from error
        return found

    def _decode(self, logs: Sequence[Mapping[str, Any]], found: list[BlockLogs]) -> None:
        points_address = self._points
        # Texts that no node gives: the first log is always read.
        number_text: object = _NONE
        position_text: object = _NONE
        block_hash = ""
        position = base = -1
        last_id = -1
        items: list[Item] = []
        from_hex = bytes.fromhex
        for log in logs:
            log_block, log_hash, log_position, log_index, address, topics, data = _FIELDS(log)
            if log_block != number_text:
                number_text = log_block
                number = int(log_block, 16)
                base = number * IDS_PER_BLOCK
                block_hash = log_hash
                digest_bytes(block_hash)
                block = BlockLogs(number, block_hash)
                found.append(block)
                items = block.items
                position_text, position = _NONE, -1
            index = int(log_index, 16)
            log_id = base + index
            # A repeated log, or one out of order, would be counted twice or wrongly.
            if log_id <= last_id or not 0 <= index < IDS_PER_BLOCK:
                raise ValueError(f"log {index} is repeated or out of order")
            last_id = log_id
            if log_position != position_text:
                position_text, before = log_position, position
                position = int(log_position, 16)
                # Logs are counted through the transactions in their order.
                if not before < position < IDS_PER_BLOCK:
                    raise ValueError(f"transaction {position} follows transaction {before}")
                digest_bytes(log["transactionHash"])
                block.transactions[position] = log["transactionHash"]
            if log_hash != block_hash or log.get("removed"):
                raise ValueError(f"log {index} belongs to another block of the same number")
            if address != points_address:
                # Some nodes answer with checksummed addresses.
                address = address.lower()
            if address == points_address and topics[0] == _TRANSFER:
                _, sender, receiver = topics
                if not len(data) == len(sender) == len(receiver) == 66 or data[1] != "x":
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
                if self._succeeded and contract == COALITION:
                    contract = self.tenures.name_at(address, log_id)
                    if contract is None:
                        if _forget(block, position):
                            position_text, position = _NONE, before
                        continue
                if log["transactionHash"] != block.transactions[position]:
                    raise ValueError(f"two hashes for transaction {position}")
                other = _read_other(log_id, position, contract, topics, data)
                items.append(other)
                block.others.append(other)


def _forget(block: BlockLogs, position: int) -> bool:
    """Whether a log that does not count is the first of its transaction, which then makes no row
    either.
    """
    newest = block.items[-1] if block.items else None
    first = newest is None or position != (
        newest.position if isinstance(newest, Other) else newest[1]
    )
    if first:
        block.transactions.pop(position, None)
    return first


def read_other(log_id: int, position: int, contract: str, topics: bytes, data: bytes) -> Other:
    """A log again from its raw form, topics joined. Raises ValueError on a malformed one."""
    words = [to_hex(topics[at : at + 32]) for at in range(0, len(topics), 32)]
    return _read_other(log_id, position, contract, words, to_hex(data))


def _read_other(
    log_id: int, position: int, contract: str, topics: Sequence[str], data: str
) -> Other:
    if not isinstance(topics, list) or any(len(topic) != 66 for topic in topics):
        raise ValueError(f"log {log_id} has a topic that is no word")
    if data[:2] != "0x":
        raise ValueError(f"log {log_id} has data that are none")
    shape = SHAPES.get((topics[0], len(topics))) if topics else None
    if shape is None and topics and topics[0] in TOPICS and contract != PREDECESSOR:
        raise ValueError(f"log {log_id} of a known event has {len(topics)} topics")
    if shape is not None and shape.is_coalitions and contract != COALITION:
        handed_over = contract == PREDECESSOR and shape.name == _HANDED_OVER
        shape = shape if handed_over else None
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
