"""The chain as the indexer reads it: headers and logs that belong together.

A range of blocks is sized by the logs it is expected to hold, and halved on any error of the node:
limits on logs, bytes and time differ from node to node, and hints in error texts are not to be
trusted. Every answer is held against the headers: block hashes, links between parents, and the
bloom of blocks that are said to hold nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from indexer.decode import BlockLogs, Decoder
from indexer.endpoints import Endpoints
from indexer.errors import SourceContradicts, WrongNetwork
from indexer.headers import bloom_bits, check_links, header_of
from indexer.project import Header
from wallet_sdk.contracts import Deployment
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import digest_bytes, to_hex

LOGS_PER_RANGE: Final = 2_500
"""Logs that one request should bring: 1.5 MB of JSON, and 5 MB while it is parsed; under the
10,000 that many nodes allow. More at once was no quicker, and three are on their way."""
BLOCKS_PER_RANGE_MAX: Final = 10_000
"""A common limit of public nodes."""
_ALL_HEADERS_BLOCKS: Final = 256
"""Up to so many blocks every header is read and every bloom looked at; over longer ranges, which
hold few logs, the headers of blocks with logs alone."""
_GROWTH_MAX: Final = 4
_FIRST_SPAN: Final = 16
"""Blocks of the first range, before anything is known of how many logs a block holds."""
_REQUESTS_MAX: Final = 3
"""Ranges asked for at once: the node works, and its answer travels, while another is decoded."""


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's newest block and the number of its last final one."""

    header: Header
    final_block: int


@dataclass(slots=True)
class Chunk:
    """Blocks `first` to `last.number`: the headers of those with logs, and their logs.

    `parent_hash` is the hash that the block before `first` must have.
    """

    first: int
    last: Header
    parent_hash: bytes
    blocks: list[tuple[Header, BlockLogs]] = field(default_factory=list)

    @property
    def logs(self) -> int:
        return sum(len(block.items) for _, block in self.blocks)

    def extend(self, following: Chunk) -> None:
        """Takes the next blocks in. Raises SourceContradicts when they do not follow."""
        if following.parent_hash != self.last.hash:
            raise SourceContradicts(
                f"block {following.first} does not follow block {self.last.number}"
            )
        self.last = following.last
        self.blocks += following.blocks


class Source:
    """The nodes, read for one deployment."""

    def __init__(
        self, nodes: Endpoints, deployment: Deployment, confirmations: int | str = "finalized"
    ) -> None:
        if confirmations != "finalized" and (isinstance(confirmations, str) or confirmations < 0):
            raise ValueError(f"confirmations: a number or 'finalized', not {confirmations!r}")
        self._nodes = nodes
        self._deployment = deployment
        self._confirmations = confirmations
        self._decoder = Decoder(deployment.addresses)
        self._blooms = [bloom_bits(bytes.fromhex(a[2:])) for a in self._decoder.addresses]
        self._span = _FIRST_SPAN
        self._requests = _REQUESTS_MAX

    # ---- where the chain stands

    def head(self) -> Head:
        """The newest block, after making sure that this is the deployment's chain.

        Raises WrongNetwork, RpcUnavailable, RpcError, SourceContradicts.
        """
        return self._nodes.ask(self._head)

    def _head(self, node: Rpc) -> Head:
        calls: list[tuple[str, list[Any]]] = [
            ("eth_chainId", []),
            ("eth_getBlockByNumber", ["0x0", False]),
            ("eth_getBlockByNumber", ["latest", False]),
        ]
        if self._confirmations == "finalized":
            calls.append(("eth_getBlockByNumber", ["finalized", False]))
        chain_id, genesis, newest, *final = node.batch(calls)
        wanted = self._deployment
        if not isinstance(chain_id, str) or int(chain_id, 16) != wanted.chain_id:
            raise WrongNetwork(
                f"the node serves chain {_number(chain_id)}, the deployment is on {wanted.chain_id}"
            )
        first = to_hex(header_of(genesis).hash)
        if first != wanted.genesis_hash:
            raise WrongNetwork(
                f"the node's genesis is {first}, the deployment's {wanted.genesis_hash}"
            )
        header = header_of(newest)
        if isinstance(self._confirmations, int):
            return Head(header, header.number - self._confirmations)
        # A young chain has no final block yet, and some nodes say so with null.
        final_block = header_of(final[0]).number if final[0] else 0
        return Head(header, min(final_block, header.number))

    def header(self, number: int) -> Header | None:
        """The header of a block, None above the head."""

        def ask(node: Rpc) -> Header | None:
            block = node.call("eth_getBlockByNumber", [hex(number), False])
            return None if block is None else header_of(block)

        return self._nodes.ask(ask)

    # ---- logs

    def ranges(self, first: int, last: int) -> Iterator[Chunk]:
        """The final blocks `first` to `last` in pieces of about LOGS_PER_RANGE logs, in order.

        A few ranges are asked for at once; after an error one at a time, and then more again.
        Raises RpcUnavailable, RpcError (of one single block), SourceContradicts.
        """
        pool = ThreadPoolExecutor(_REQUESTS_MAX, thread_name_prefix="mirror-fetch")
        asked: deque[Future[list[Chunk]]] = deque()
        try:
            while first <= last or asked:
                while first <= last and len(asked) < self._requests:
                    end = min(first + self._span - 1, last)
                    asked.append(pool.submit(self._whole, first, end))
                    first = end + 1
                yield from asked.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _whole(self, first: int, last: int) -> list[Chunk]:
        """These blocks, however many pieces they come in."""
        chunks: list[Chunk] = []
        while first <= last:
            chunks.append(self.range(first, last))
            first = chunks[-1].last.number + 1
        return chunks

    def range(self, first: int, last: int) -> Chunk:
        """Blocks from `first` on, at most to `last`, as many as should hold LOGS_PER_RANGE logs.

        For final blocks. Raises RpcUnavailable, RpcError (of one single block), SourceContradicts.
        """
        return self._nodes.ask(lambda node: self._range(node, first, last))

    def _range(self, node: Rpc, first: int, last: int) -> Chunk:
        span = min(self._span, last - first + 1)
        while True:
            try:
                chunk = self._fetch(node, first, first + span - 1)
            except (RpcError, RpcUnavailable, SourceContradicts):
                # A node that had enough gets less at once, too.
                self._requests = 1
                # One block is what cannot be halved; the caller waits and asks again.
                if span == 1:
                    self._span = 1
                    raise
                span //= 2
                continue
            self._resize(span, chunk.logs)
            self._requests = min(self._requests + 1, _REQUESTS_MAX)
            return chunk

    def _resize(self, span: int, logs: int) -> None:
        wanted = span * LOGS_PER_RANGE // max(logs, 1)
        self._span = max(1, min(wanted, span * _GROWTH_MAX, BLOCKS_PER_RANGE_MAX))

    def block(self, number: int) -> Chunk | None:
        """One block above finality, read by its hash; None when there is none (any more)."""
        return self._nodes.ask(lambda node: self._block(node, number))

    def _block(self, node: Rpc, number: int) -> Chunk | None:
        raw = node.call("eth_getBlockByNumber", [hex(number), False])
        if raw is None:
            return None
        header = header_of(raw)
        logs = self._logs(node, {"blockHash": raw["hash"]})
        return self._chunk(node, number, number, logs, {number: (header, raw)})

    def _fetch(self, node: Rpc, first: int, last: int) -> Chunk:
        criteria = self._criteria({"fromBlock": hex(first), "toBlock": hex(last)})
        numbers = list(range(first, last + 1))
        if len(numbers) <= _ALL_HEADERS_BLOCKS:
            # One round trip for both.
            logs, *answers = node.batch([("eth_getLogs", [criteria]), *_headers_of(numbers)])
            logs = _list(logs)
        else:
            logs = _list(node.call("eth_getLogs", [criteria]))
            numbers = sorted({first, last, *(int(n, 16) for n in {g["blockNumber"] for g in logs})})
            answers = node.batch(_headers_of(numbers))
        raws: dict[int, tuple[Header, dict[str, Any]]] = {}
        for number, raw in zip(numbers, answers, strict=True):
            if raw is None:
                raise SourceContradicts(f"the node has no block {number} below its own head")
            raws[number] = (header_of(raw), raw)
        return self._chunk(node, first, last, logs, raws)

    def _logs(self, node: Rpc, criteria: dict[str, str]) -> list[dict[str, Any]]:
        return _list(node.call("eth_getLogs", [self._criteria(criteria)]))

    def _criteria(self, blocks: dict[str, str]) -> dict[str, Any]:
        return {**blocks, "address": self._decoder.addresses}

    def _chunk(
        self,
        node: Rpc,
        first: int,
        last: int,
        logs: Sequence[dict[str, Any]],
        raws: dict[int, tuple[Header, dict[str, Any]]],
    ) -> Chunk:
        blocks: list[tuple[Header, BlockLogs]] = []
        for block in self._decoder.decode(logs):
            found = raws.get(block.number)
            if found is None or digest_bytes(block.hash) != found[0].hash:
                raise SourceContradicts(
                    f"logs of block {block.number} belong to {block.hash}, not to its header"
                )
            blocks.append((found[0], block))
        check_links([header for header, _ in raws.values()])
        self._check_blooms(node, raws, {block.number for _, block in blocks})
        return Chunk(
            first=first, last=raws[last][0], parent_hash=raws[first][0].parent_hash, blocks=blocks
        )

    def _check_blooms(
        self, node: Rpc, raws: dict[int, tuple[Header, dict[str, Any]]], with_logs: set[int]
    ) -> None:
        """A block whose bloom may hold one of our addresses, and no logs: asked once more by hash,
        here and of the other nodes.

        Blooms have false positives; an omitted log has none.
        """
        for number, (_, raw) in raws.items():
            if number in with_logs:
                continue
            bloom = int(raw.get("logsBloom") or "0x0", 16)
            if any(bloom & bits == bits for bits in self._blooms):
                for asked in (node, *self._nodes.others(node)):
                    if logs := self._second_opinion(asked, raw["hash"]):
                        raise SourceContradicts(
                            f"the node left out {len(logs)} logs of block {number}"
                        )

    def _second_opinion(self, node: Rpc, block_hash: str) -> list[dict[str, Any]]:
        """The logs of a block, none when this node cannot tell: it may be behind."""
        try:
            return self._logs(node, {"blockHash": block_hash})
        except (RpcUnavailable, RpcError):
            return []


def _headers_of(numbers: Sequence[int]) -> list[tuple[str, list[Any]]]:
    return [("eth_getBlockByNumber", [hex(n), False]) for n in numbers]


def _list(logs: Any) -> list[dict[str, Any]]:
    if not isinstance(logs, list):
        raise SourceContradicts("eth_getLogs gave no list")
    return logs


def _number(text: object) -> object:
    try:
        return int(str(text), 16)
    except ValueError:
        return text
