"""Blocks in order, checked: fetched ahead in threads, checked in processes where that pays.

A short chain is checked where it is read: starting processes costs more than it saves. Memory is
bounded by the ranges under way, whatever the length of the chain.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Final

from indexer.auditor.blocks import CheckedBlock, RangeChecker, Watch
from indexer.auditor.errors import CannotRun
from indexer.auditor.source import BlockFetcher, RawRange

_WORTH_S: Final = 6.0
"""Seconds of checking still ahead from which on processes are started: they need about two."""

_checker: RangeChecker | None = None


def _start(watch: Watch) -> None:
    global _checker
    _checker = RangeChecker(watch)


def _check(raw: RawRange) -> tuple[list[CheckedBlock], dict[str, float]]:
    assert _checker is not None
    return _checker.check(raw), _checker.take_costs()


@dataclass(slots=True)
class Costs:
    """Seconds by check, summed over processes; `wait` is the time that the checks waited."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, parts: dict[str, float]) -> None:
        """Adds up."""
        for name, seconds in parts.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class Pipeline:
    """Checks blocks `first` to `last` of a node. One use; close it by leaving the `with`."""

    def __init__(self, fetcher: BlockFetcher, watch: Watch, costs: Costs, workers: int) -> None:
        self._fetcher = fetcher
        self._watch = watch
        self._costs = costs
        self._workers = workers

    def blocks(self, first: int, last: int) -> Iterator[CheckedBlock]:
        """The blocks in order. Raises Broken, CannotRun."""
        ranges = self._timed(self._fetcher.ranges(first, last))
        checker = RangeChecker(self._watch)
        spent, at = 0.0, first
        while (raw := next(ranges, None)) is not None:
            began = time.perf_counter()
            checked = checker.check(raw)
            spent += time.perf_counter() - began
            self._costs.add(checker.take_costs())
            yield from checked
            at = raw.last + 1
            ahead = spent / (at - first) * (last + 1 - at)
            if self._workers > 1 and ahead > _WORTH_S:
                yield from self._in_processes(ranges)

    def _timed(self, ranges: Iterator[RawRange]) -> Iterator[RawRange]:
        while True:
            began = time.perf_counter()
            raw = next(ranges, None)
            self._costs.add({"waiting for the node": time.perf_counter() - began})
            if raw is None:
                return
            yield raw

    def _in_processes(self, ranges: Iterator[RawRange]) -> Iterator[CheckedBlock]:
        raw = next(ranges, None)
        if raw is None:
            return
        # Forking a process with threads in it is unsafe: a server that forks fresh ones is not.
        context = multiprocessing.get_context("forkserver")
        under_way: deque[Future[tuple[list[CheckedBlock], dict[str, float]]]] = deque()
        with ProcessPoolExecutor(self._workers, context, _start, (self._watch,)) as pool:
            try:
                while raw is not None or under_way:
                    while raw is not None and len(under_way) <= self._workers:
                        under_way.append(pool.submit(_check, raw))
                        raw = next(ranges, None)
                    checked, costs = under_way.popleft().result()
                    self._costs.add(costs)
                    yield from checked
            except BrokenProcessPool as error:
                raise CannotRun("a checking process ended: out of memory?") from error
            finally:
                for future in under_way:
                    future.cancel()
