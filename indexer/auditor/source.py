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


class Rpc:
    """A JSON-RPC node over HTTP. Thread safe. Retries what reading can retry."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        # Workers only read answers: they need not wait a third of a second for this import.
        import httpx

        self.url = url
        self._failure = httpx.HTTPError
        self._http = httpx.Client(
            timeout=timeout_s, limits=httpx.Limits(max_connections=8), trust_env=False
        )

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """One call's result. Raises NodeRefused, NodeUnavailable."""
        raw = self.post(_envelope(0, method, params))
        return _result(_parsed(raw), method)

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Results in the order of the calls. Raises NodeRefused for the first that was refused."""
        answers = batch_answers(self.post(batch_request(calls)), len(calls))
        return [_result(answer, call[0]) for call, answer in zip(calls, answers, strict=True)]

    def post(self, body: Any) -> bytes:
        """The raw answer to one JSON-RPC document. Raises NodeUnavailable after some tries."""
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

    def ranges(self, first: int, last: int) -> Iterator[RawRange]:
        """Raw ranges from `first` to `last`. Raises CannotRun."""
        pool = ThreadPoolExecutor(max_workers=self._ahead, thread_name_prefix="audit-fetch")
        under_way: deque[Future[list[RawRange]]] = deque()
        at = first
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
            raw = self._rpc.post(batch_request(range_calls(first, last)))
            if raw[:1] == b"[" or first == last:
                return [RawRange(first, last, raw)]
            problem: CannotRun = NodeUnavailable(f"a batch was refused: {raw[:120]!r}")
        except NodeUnavailable as error:
            problem = error
        if first == last:
            raise problem
        middle = (first + last) // 2
        self._size = max(1, (last - first + 1) // 2)
        return [*self._fetch(first, middle), *self._fetch(middle + 1, last)]


def block_number(rpc: Rpc, tag: str) -> int | None:
    """The height that the node names by a tag; None when it knows no such tag."""
    try:
        block = rpc.call("eth_getBlockByNumber", [tag, False])
    except NodeRefused:
        return None
    return None if block is None else quantity(block["number"])
