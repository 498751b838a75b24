"""The chain as the relay asks it: a few questions over JSON-RPC, in bytes and ints.

RpcUnavailable (no usable answer: unknown) passes through; what the node refuses when it is handed
a transaction is sorted into the few cases that matter.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from gateway.relay.nodes import Nodes
from indexer.capabilities import Capabilities
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import address_of, from_hex, to_hex


@dataclass(frozen=True, slots=True)
class Block:
    """A block's number, hash, parent and time (unix seconds)."""

    number: int
    hash: bytes
    time: int


@dataclass(frozen=True, slots=True)
class Log:
    """One log of a receipt: topics and data as bytes."""

    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction: `ok` False means it was mined and reverted."""

    ok: bool
    block_number: int
    block_hash: bytes
    gas_used: int
    logs: tuple[Log, ...]


class Sent(Enum):
    """What a node said to a transaction; none of it says whether it will be mined."""

    TAKEN = "taken"
    KNOWN = "known"
    NONCE_USED = "nonce_used"
    UNDERPRICED = "underpriced"
    NO_FUNDS = "no_funds"
    REFUSED = "refused"


# Fragments of the messages of anvil, geth, besu, nethermind and erigon, in lower case.
_SAYINGS = (
    (Sent.KNOWN, ("already known", "already imported", "known transaction", "alreadyknown")),
    (Sent.NONCE_USED, ("nonce too low", "nonce is too low", "oldnonce", "already used")),
    (
        Sent.UNDERPRICED,
        ("underpriced", "less than block base fee", "fee too low", "below current minimum"),
    ),
    (Sent.NO_FUNDS, ("insufficient funds", "upfront cost exceeds", "insufficientfunds")),
)


class Chain:
    """One node. Every decision of the relay is taken on answers of one of these."""

    def __init__(self, rpc: Rpc, *, finality: Literal["finalized"] | int) -> None:
        self.rpc = rpc
        self._finality = finality
        self._can = Capabilities()

    def decision(self) -> AbstractContextManager[None]:
        """Until its end all answers come from one node, where there are several."""
        return self.rpc.decision() if isinstance(self.rpc, Nodes) else nullcontext()

    def chain_id(self) -> int:
        """The chain that the node serves."""
        return int(self.rpc.call("eth_chainId"), 16)

    def block(self, at: int | str) -> Block | None:
        """The block of a number or tag; None: there is none."""
        block = self.rpc.call("eth_getBlockByNumber", [_at(at), False])
        return None if block is None else _block(block)

    def blocks(self, numbers: Sequence[int]) -> dict[int, Block]:
        """Canonical blocks by number; a missing number has no block (any more)."""
        method = "eth_getBlockByNumber"
        answers = self.rpc.batch([(method, [hex(n), False]) for n in numbers])
        found = {n: _block(a) for n, a in zip(numbers, answers, strict=True) if a is not None}
        for number, block in found.items():
            if block.number != number:
                # Not "there is no such block": that would take back what stands in it.
                raise RpcUnavailable(method, f"asked for {number}, answered {block.number}")
        return found

    def final_block(self) -> Block | None:
        """The last block that counts as final; None: none yet."""
        if self._finality == "finalized":
            answer = self._can.final_of(self.rpc)
            return None if answer is None else _block(answer)
        latest = self.block("latest")
        if latest is None or latest.number < self._finality:
            return None
        return latest if self._finality == 0 else self.block(latest.number - self._finality)

    def transaction_count(self, address: bytes, at: int | str | bytes = "latest") -> int:
        """How many nonces of the address are used up at that block (number, tag or hash)."""
        answer = self.rpc.call("eth_getTransactionCount", [address_of(address), _at(at)])
        return int(answer, 16)

    def balances(self, addresses: Sequence[bytes]) -> dict[bytes, int]:
        """Coin by address at the latest block, wei."""
        asked = [("eth_getBalance", [address_of(a), "latest"]) for a in addresses]
        return {
            address: int(answer, 16)
            for address, answer in zip(addresses, self.rpc.batch(asked), strict=True)
        }

    def base_fee(self) -> int:
        """Base fee of the latest block, wei a gas."""
        block = self.rpc.call("eth_getBlockByNumber", ["latest", False])
        return int(block.get("baseFeePerGas") or "0x0", 16)

    def send(self, raw: bytes) -> tuple[Sent, str]:
        """Hands the bytes over. Raises RpcUnavailable: unknown, the same bytes may go again."""
        try:
            self.rpc.call("eth_sendRawTransaction", [to_hex(raw)])
        except RpcError as refusal:
            return _understood(refusal), refusal.message[:300]
        return Sent.TAKEN, ""

    def receipts(self, hashes: Sequence[bytes], of: bytes) -> list[Receipt | None]:
        """Receipts in the order asked, with the logs of contract `of`; None: not in a block.

        A relay of 2,000 issues has 2,000 logs of Points, which nobody here looks at.
        """
        method = "eth_getTransactionReceipt"
        answers = self.rpc.batch([(method, [to_hex(h)]) for h in hashes])
        for asked, answer in zip(hashes, answers, strict=True):
            if answer is not None and answer["transactionHash"] != to_hex(asked):
                # Taken for ours it would end a nonce that no block has used.
                raise RpcUnavailable(method, "answered for another transaction")
        return [None if answer is None else _receipt(answer, of) for answer in answers]


def _at(at: int | str | bytes) -> Any:
    if isinstance(at, bytes):
        return {"blockHash": to_hex(at), "requireCanonical": True}
    return hex(at) if isinstance(at, int) else at


def _understood(refusal: RpcError) -> Sent:
    message = refusal.message.lower()
    for meaning, fragments in _SAYINGS:
        if any(fragment in message for fragment in fragments):
            return meaning
    return Sent.REFUSED


def _block(block: dict[str, Any]) -> Block:
    return Block(int(block["number"], 16), from_hex(block["hash"], 32), int(block["timestamp"], 16))


def _receipt(receipt: dict[str, Any], of: bytes) -> Receipt:
    wanted = to_hex(of)
    return Receipt(
        ok=int(receipt["status"], 16) == 1,
        block_number=int(receipt["blockNumber"], 16),
        block_hash=from_hex(receipt["blockHash"], 32),
        gas_used=int(receipt["gasUsed"], 16),
        logs=tuple(
            Log(tuple(from_hex(topic, 32) for topic in log["topics"]), from_hex(log["data"]))
            for log in receipt["logs"]
            if log["address"].lower() == wanted
        ),
    )
