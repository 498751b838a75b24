"""The chain as the indexer reads it: headers and logs that belong together.

A range of blocks is sized by the logs it is expected to hold, and halved on any error of the node:
limits on logs, bytes and time differ from node to node, and hints in error texts are not to be
trusted. Every answer is held against the headers: block hashes, links between parents, and the
bloom of blocks that are said to hold nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

from indexer.capabilities import FINAL, Capabilities, answered
from indexer.chunk import Chunk, Head
from indexer.decode import BlockLogs
from indexer.endpoints import Endpoints
from indexer.errors import SourceContradicts, WrongNetwork
from indexer.headers import check_links, header_at, header_of, numbers_of, shown_number
from indexer.project import Header
from indexer.succession import Tenures
from indexer.tables import block_of
from indexer.watched import Watched
from wallet_sdk.contracts import Deployment
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Call, Rpc
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
        self._can = Capabilities()
        self._watched = Watched(deployment)
        self._span = _FIRST_SPAN
        self._requests = _REQUESTS_MAX

    # ---- where the chain stands

    def head(self) -> Head:
        """The newest block, after making sure that this is the deployment's chain.

        Raises WrongNetwork, RpcUnavailable, RpcError, SourceContradicts.
        """
        return self._nodes.ask(self._head)

    def _head(self, node: Rpc) -> Head:
        headers: list[Call] = [("eth_getBlockByNumber", [tag, False]) for tag in ("0x0", "latest")]
        calls = [("eth_chainId", []), *headers, FINAL]
        *identity, last = self._can.settled(node, calls)
        chain_id, genesis, newest = map(answered, identity)
        wanted = self._deployment
        if shown_number(chain_id) != wanted.chain_id:
            raise WrongNetwork(
                f"the node serves chain {shown_number(chain_id)}, "
                f"the deployment is on {wanted.chain_id}"
            )
        first = to_hex(header_of(genesis).hash)
        if first != wanted.genesis_hash:
            raise WrongNetwork(
                f"the node's genesis is {first}, the deployment's {wanted.genesis_hash}"
            )
        header = header_of(newest)
        if isinstance(self._confirmations, int):
            return Head(header, header.number - self._confirmations)
        final = self._can.final(node, last)
        return Head(header, min(header_of(final).number, header.number) if final else 0)

    def header(self, number: int) -> Header | None:
        """The header of a block, None above the head."""

        def ask(node: Rpc) -> Header | None:
            block = node.call("eth_getBlockByNumber", [hex(number), False])
            return None if block is None else header_at(block, number)

        return self._nodes.ask(ask)

    # ---- logs

    def follow(self, tenures: Tenures) -> None:
        """From now on logs of these Coalitions are asked for. Not while ranges are on their way."""
        if tenures != self._watched.decoder.tenures:
            self._watched = Watched(self._deployment, tenures)

    def ranges(self, first: int, last: int) -> Iterator[Chunk]:
        """The final blocks `first` to `last` in pieces of about LOGS_PER_RANGE logs, in order.

        A few ranges are asked for at once; after an error one at a time, and then more again.
        Raises RpcUnavailable, RpcError (of one single block), SourceContradicts.
        """
        while first <= last:
            with closing(self._ahead(first, last)) as pieces:
                for chunk in pieces:
                    yield chunk
                    first = chunk.last.number + 1
                    if chunk.watched is not None:
                        # What is on its way was asked for without the successor.
                        self._watched = chunk.watched
                        break

    def _ahead(self, first: int, last: int) -> Generator[Chunk]:
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
            if chunks[-1].watched is not None:
                break
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
            self._resize(chunk.last.number - first + 1, chunk.logs)
            self._requests = min(self._requests + 1, _REQUESTS_MAX)
            return chunk

    def _resize(self, span: int, logs: int) -> None:
        wanted = span * LOGS_PER_RANGE // max(logs, 1)
        self._span = max(1, min(wanted, span * _GROWTH_MAX, BLOCKS_PER_RANGE_MAX))

    def block(self, number: int) -> Chunk | None:
        """One block above finality, read by its hash; None when there is none (any more)."""
        chunk = self._nodes.ask(lambda node: self._block(node, number))
        if chunk is not None and chunk.watched is not None:
            self._watched = chunk.watched
        return chunk

    def _block(self, node: Rpc, number: int) -> Chunk | None:
        watched = self._watched
        raw = node.call("eth_getBlockByNumber", [hex(number), False])
        if raw is None:
            return None
        raws = {number: (header_at(raw, number), raw)}
        by_hash = {"blockHash": raw["hash"]}
        chunk = self._chunk(node, watched, raws, self._logs(node, watched, by_hash))
        if not (changes := watched.successors([block for _, block in chunk.blocks])):
            return chunk
        # Again, with the logs of the Coalition that took over in it.
        wider = watched.followed_by(changes)
        chunk = self._chunk(node, wider, raws, self._logs(node, wider, by_hash))
        if watched.successors([block for _, block in chunk.blocks]) != changes:
            raise SourceContradicts(f"block {number} has another succession when asked again")
        chunk.watched = wider
        return chunk

    def _fetch(self, node: Rpc, first: int, last: int) -> Chunk:
        watched = self._watched
        criteria = watched.criteria({"fromBlock": hex(first), "toBlock": hex(last)})
        numbers = list(range(first, last + 1))
        if len(numbers) <= _ALL_HEADERS_BLOCKS:
            # One round trip for both.
            asked = [("eth_getLogs", [criteria]), *_headers_of(numbers)]
            logs, *answers = self._can.batch(node, asked)
            logs = _list(logs)
        else:
            logs = _list(node.call("eth_getLogs", [criteria]))
            numbers = sorted({first, last, *numbers_of(logs)})
            answers = self._can.batch(node, _headers_of(numbers))
        raws: dict[int, tuple[Header, dict[str, Any]]] = {}
        for number, raw in zip(numbers, answers, strict=True):
            if raw is None:
                raise SourceContradicts(f"the node has no block {number} below its own head")
            raws[number] = (header_at(raw, number), raw)
        chunk = self._chunk(node, watched, raws, logs)
        if not (changes := watched.successors([block for _, block in chunk.blocks])):
            return chunk
        # Up to the block in which a successor takes over, or that block alone.
        at = block_of(changes[0][0])
        return self._fetch(node, first, at - 1) if at > first else self._whole_block(node, at)

    def _whole_block(self, node: Rpc, number: int) -> Chunk:
        chunk = self._block(node, number)
        if chunk is None or chunk.watched is None:
            raise SourceContradicts(f"block {number} has no succession when asked again")
        return chunk

    def _logs(self, node: Rpc, watched: Watched, blocks: dict[str, str]) -> list[dict[str, Any]]:
        return _list(node.call("eth_getLogs", [watched.criteria(blocks)]))

    def _chunk(
        self,
        node: Rpc,
        watched: Watched,
        raws: dict[int, tuple[Header, dict[str, Any]]],
        logs: Sequence[dict[str, Any]],
    ) -> Chunk:
        blocks: list[tuple[Header, BlockLogs]] = []
        for block in watched.decoder.decode(logs):
            found = raws.get(block.number)
            if found is None or digest_bytes(block.hash) != found[0].hash:
                raise SourceContradicts(
                    f"logs of block {block.number} belong to {block.hash}, not to its header"
                )
            blocks.append((found[0], block))
        check_links([header for header, _ in raws.values()])
        self._check_blooms(node, watched, raws, {block.number for _, block in blocks})
        first, last = min(raws), max(raws)
        return Chunk(first, raws[last][0], raws[first][0].parent_hash, blocks)

    def _check_blooms(
        self,
        node: Rpc,
        watched: Watched,
        raws: dict[int, tuple[Header, dict[str, Any]]],
        with_logs: set[int],
    ) -> None:
        """A block whose bloom may hold one of our addresses, and no logs: asked once more by hash,
        here and of the other nodes.

        Blooms have false positives; an omitted log has none.
        """
        for number, (_, raw) in raws.items():
            if number in with_logs or not watched.may_be_in(raw):
                continue
            for asked in (node, *self._nodes.others(node)):
                if logs := self._second_opinion(asked, watched, raw["hash"]):
                    raise SourceContradicts(f"the node left out {len(logs)} logs of block {number}")

    def _second_opinion(self, node: Rpc, watched: Watched, block_hash: str) -> list[dict[str, Any]]:
        """The logs of a block, none when this node cannot tell: it may be behind."""
        try:
            return self._logs(node, watched, {"blockHash": block_hash})
        except (RpcUnavailable, RpcError):
            return []


def _headers_of(numbers: Sequence[int]) -> list[tuple[str, list[Any]]]:
    return [("eth_getBlockByNumber", [hex(n), False]) for n in numbers]


def _list(logs: Any) -> list[dict[str, Any]]:
    if not isinstance(logs, list):
        raise SourceContradicts("eth_getLogs gave no list")
    return logs
