"""The node: JSON-RPC with limits, and blocks fetched ahead of the checks.

Nothing that the node says is believed here; this module only carries bytes. What it answers is
checked in `blocks` and `storage`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import orjson

from indexer.auditor.codec import quantity
from indexer.auditor.errors import CannotRun, NodeRefused, NodeUnavailable

_TRIES: Final = 5
_PAUSE_S: Final = 0.25  # doubled at each try: gives a node about 8 s to come back
_BATCH_MAX: Final = 500
_WORTH_ANOTHER_TRY: Final = frozenset((408, 425, 429))
"""Of the answers 4xx, those that speak of now and not of what was asked."""


class Rpc:
    """A JSON-RPC node over HTTP. Thread safe. Retries what reading can retry."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        # Workers only read answers: they need not wait a third of a second for this import.
        import httpx

        self.url = url
        self._batch_max = _BATCH_MAX
        self._failure = httpx.HTTPError
        self._http = httpx.Client(
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=8),
            trust_env=False,
            # Reading the machine's certificates takes as long as checking a thousand events.
            verify=not url.startswith("http://"),
        )

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """One call's result. Raises NodeRefused, NodeUnavailable."""
        raw = self.post(_envelope(0, method, params))
        return _result(_parsed(raw), method)

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results in the order of the calls, however many the node takes at once: some take none.
        Raises NodeRefused for the first that was refused, NodeUnavailable.
        """
        results: list[Any] = []
        while len(results) < len(calls):
            part = calls[len(results) : len(results) + self._batch_max]
            if len(part) == 1:
                results.append(self.call(*part[0]))
                continue
            try:
                raw = self.post(batch_request(part))
                refused = raw.lstrip()[:1] != b"["
            except NodeRefused:
                refused = True
            if refused:
                self._batch_max = max(1, len(part) // 2)
                continue
            answers = batch_answers(raw, len(part))
            results += [_result(a, call[0]) for call, a in zip(part, answers, strict=True)]
        return results

    def post(self, body: Any) -> bytes:
        """The raw answer to one JSON-RPC document. Raises NodeUnavailable after some tries, and
        NodeRefused where the status says that asking again is of no use.
        """
        content = orjson.dumps(body)
        pause = _PAUSE_S
        for attempt in range(_TRIES):
            try:
                reply = self._http.post(
                    self.url, content=content, headers={"content-type": "application/json"}
                )
                if reply.status_code == 200:
                    return reply.content
                problem = f"HTTP {reply.status_code}"
                if reply.status_code // 100 == 4 and reply.status_code not in _WORTH_ANOTHER_TRY:
                    raise NodeRefused("the request", reply.status_code, problem)
            except self._failure as error:
                problem = f"{type(error).__name__}: {error}"
            if attempt + 1 < _TRIES:
                time.sleep(pause)
                pause *= 2
        raise NodeUnavailable(f"{self.url} does not answer: {problem}")


def _envelope(number: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def batch_request(calls: Sequence[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
    """The document that asks all of these at once."""
    return [_envelope(i, method, params) for i, (method, params) in enumerate(calls)]


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NodeUnavailable(f"the node's answer is not JSON: {raw[:60]!r}") from error


def batch_answers(raw: bytes, count: int) -> list[Any]:
    """The answers of a batch by the order of the calls, whatever order the node chose.

    Raises NodeUnavailable: not JSON, or other ids than were asked; NodeRefused: the whole batch.
    """
    answers = _parsed(raw)
    if isinstance(answers, dict):
        _result(answers, "a batch")
    if not isinstance(answers, list):
        raise NodeUnavailable("the node's answer to a batch is no list")
    by_id = {a.get("id"): a for a in answers if isinstance(a, dict)}
    if len(answers) != count or set(by_id) != set(range(count)):
        raise NodeUnavailable(f"{count} calls asked, {len(answers)} answers with other ids given")
    return [by_id[i] for i in range(count)]


def _result(answer: Any, method: str) -> Any:
    if not isinstance(answer, dict):
        raise NodeUnavailable(f"the answer to {method} is no JSON-RPC")
    if answer.get("error") is not None:
        error = answer["error"]
        code = error.get("code") if isinstance(error, dict) else None
        message = error.get("message") if isinstance(error, dict) else error
        raise NodeRefused(method, code if isinstance(code, int) else 0, str(message)[:300])
    if "result" not in answer:
        raise NodeUnavailable(f"the answer to {method} has no result")
    return answer["result"]


def result_of(answer: Any, method: str) -> Any:
    """One answer's result. Raises NodeRefused, NodeUnavailable."""
    return _result(answer, method)


@dataclass(frozen=True, slots=True)
class RawRange:
    """Blocks `first` to `last`: the node's raw answer to two calls a block."""

    first: int
    last: int
    raw: bytes


def range_calls(first: int, last: int) -> list[tuple[str, list[Any]]]:
    """What is asked for a range: block with bodies and receipts, block by block."""
    calls: list[tuple[str, list[Any]]] = []
    for number in range(first, last + 1):
        calls.append(("eth_getBlockByNumber", [hex(number), True]))
        calls.append(("eth_getBlockReceipts", [hex(number)]))
    return calls


class BlockFetcher:
    """Yields raw ranges in order, with a few requests under way ahead of the reader.

    Of a node that does not know `eth_getBlockReceipts`, receipts are asked transaction by
    transaction; of one that takes no batches, call by call. What is yielded has the same form.

    Ranges are sized to about `bytes_wanted` of answer, halved when the node refuses or fails, so
    memory is bounded by `ahead` x that, whatever stands in the blocks.
    """

    def __init__(
        self, rpc: Rpc, *, ahead: int = 3, bytes_wanted: int = 6_000_000, blocks_max: int = 256
    ) -> None:
        self._rpc = rpc
        self._ahead = ahead
        self._bytes_wanted = bytes_wanted
        self._blocks_max = blocks_max
        self._size = 4
        self._by_block = True

    def ranges(self, first: int, last: int) -> Iterator[RawRange]:
        """Raw ranges from `first` to `last`. Raises CannotRun."""
        pool = ThreadPoolExecutor(max_workers=self._ahead, thread_name_prefix="audit-fetch")
        under_way: deque[Future[list[RawRange]]] = deque()
        at = first
        try:
            self._rpc.call("eth_getBlockReceipts", [hex(first)])
        except NodeRefused:
            self._by_block = False
        try:
            while at <= last or under_way:
                while at <= last and len(under_way) < self._ahead:
                    end = min(last, at + self._size - 1)
                    under_way.append(pool.submit(self._fetch, at, end))
                    at = end + 1
                for raw_range in under_way.popleft().result():
                    self._learn(raw_range)
                    yield raw_range
        finally:
            for future in under_way:
                future.cancel()
            pool.shutdown(wait=True, cancel_futures=True)

    def _learn(self, got: RawRange) -> None:
        blocks = got.last - got.first + 1
        per_block = max(1, len(got.raw) // blocks)
        fits = max(1, self._bytes_wanted // per_block)
        self._size = max(1, min(self._blocks_max, self._size * 2, fits))

    def _fetch(self, first: int, last: int) -> list[RawRange]:
        try:
            if not self._by_block:
                return [RawRange(first, last, self._put_together(first, last))]
            raw = self._rpc.post(batch_request(range_calls(first, last)))
            if raw[:1] == b"[":
                return [RawRange(first, last, raw)]
            problem: CannotRun = NodeUnavailable(f"a batch was refused: {raw[:120]!r}")
        except (NodeUnavailable, NodeRefused) as error:
            problem = error
        if first == last:
            if not self._by_block:
                raise problem
            return [RawRange(first, last, self._put_together(first, last))]
        middle = (first + last) // 2
        self._size = max(1, (last - first + 1) // 2)
        return [*self._fetch(first, middle), *self._fetch(middle + 1, last)]

    def _put_together(self, first: int, last: int) -> bytes:
        """What one batch would have answered, out of as many calls as this node needs."""
        numbers = range(first, last + 1)
        blocks = self._rpc.batch([("eth_getBlockByNumber", [hex(n), True]) for n in numbers])
        if self._by_block:
            receipts = self._rpc.batch([("eth_getBlockReceipts", [hex(n)]) for n in numbers])
        else:
            receipts = [self._receipts_of(block) for block in blocks]
        results = [part for pair in zip(blocks, receipts, strict=True) for part in pair]
        return orjson.dumps([{"id": i, "result": result} for i, result in enumerate(results)])

    def _receipts_of(self, block: Any) -> list[Any] | None:
        if block is None:
            return None
        hashes = [tx["hash"] for tx in block["transactions"]]
        receipts = self._rpc.batch([("eth_getTransactionReceipt", [h]) for h in hashes])
        for tx_hash, receipt in zip(hashes, receipts, strict=True):
            if receipt is None:
                raise NodeUnavailable(f"the node has no receipt of transaction {tx_hash}")
        return receipts


def block_number(rpc: Rpc, tag: str) -> int | None:
    """The height that the node names by a tag; None when it knows no such tag."""
    try:
        block = rpc.call("eth_getBlockByNumber", [tag, False])
    except NodeRefused:
        return None
    return None if block is None else quantity(block["number"])
