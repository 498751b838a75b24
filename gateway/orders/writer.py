"""The one thread that accepts: requests that arrive together share one commit.

A reply leaves only after the commit. A group that fails is halved until the bad request stands
alone, so that one cannot spoil what its neighbours asked for.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

from gateway import faults, ids
from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.database import UNUSABLE, Database
from gateway.errors import GatewayError, IdempotencyKeyInUse, NotReady
from gateway.model import LINES_MAX, Accepted
from gateway.observe import tracing
from gateway.orders.accept import accept, key_reused
from gateway.orders.answers import Answer
from gateway.orders.known import DailyCap, Request, no_cap

log = logging.getLogger(__name__)

# A single request that meets a unique row which another process has just inserted is decided again
# over what is there now; more often than this is no race.
SINGLE_TRIES = 3


Outcome = list[Answer] | Exception


@dataclass(slots=True)
class _Waiting:
    """A request and who waits for its answer: a thread, or a coroutine of `loop`."""

    request: Request
    answer: Future[list[Answer]] | asyncio.Future[list[Answer]]
    loop: asyncio.AbstractEventLoop | None = None


class AcceptWriter:
    """Accepts requests in groups. `submit` from any thread; `start` before, `stop` after."""

    def __init__(
        self,
        database: Database,
        books: Books,
        clock: NetworkClock,
        *,
        group_requests_max: int,
        group_wait_ms: float,
        queue_requests_max: int,
        wake: Callable[[], None] = lambda: None,
        daily_cap: DailyCap = no_cap,
    ) -> None:
        self._database = database
        self._books = books
        self._clock = clock
        self._group_max = group_requests_max
        self._wait_s = group_wait_ms / 1000
        self._wake = wake
        self._daily_cap = daily_cap
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._queue_max = queue_requests_max
        self._running: dict[tuple[int, str], bytes] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="accept-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answers what is queued, then ends the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, request: Request) -> Future[list[Answer]]:
        """The answers to come. Raises IdempotencyKeyInUse, IdempotencyKeyReused, NotReady."""
        answer: Future[list[Answer]] = Future()
        self._enqueue(_Waiting(request, answer))
        return answer

    async def accept(self, request: Request) -> list[Answer]:
        """As `submit`, for a coroutine: all answers of a group wake its loop once."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Answer]] = loop.create_future()
        self._enqueue(_Waiting(request, answer, loop))
        return await answer

    def _enqueue(self, waiting: _Waiting) -> None:
        request = waiting.request
        name = (request.tenant, request.key)
        with self._lock:
            running = self._running.get(name)
            if running is not None:
                if running != request.body_hash:
                    raise key_reused(request.key)
                raise IdempotencyKeyInUse(
                    f"the first request under {request.key!r} is still running",
                    idempotency_key=request.key,
                )
            if self._queue.qsize() >= self._queue_max:
                raise NotReady("too many requests are waiting; come back in a second")
            self._running[name] = request.body_hash
        self._queue.put(waiting)

    def _run(self) -> None:
        company = 1
        while company:
            company = self._turn(company)

    def _turn(self, company: int) -> int:
        """One group. Returns how many the next one waits for; 0: it was the last.

        A function of its own: its names end with it, so that no thread that waits for the next
        request holds the last one, ten thousand lines at most.
        """
        first = self._queue.get()
        if first is None:
            return 0
        group, ended = self._gather(first, company)
        self._accept(group)
        # Forgotten by halves: groups differ, but whoever is alone again soon stops waiting.
        return 0 if ended else max(len(group), company // 2)

    def _gather(self, first: _Waiting, company: int) -> tuple[list[_Waiting], bool]:
        """What waits already; more is waited for until the group is as large as the largest of
        late, `company`: callers that wait for their answers send nothing meanwhile.
        """
        group, lines = [first], len(first.request.lines)
        until = time.monotonic() + self._wait_s
        while len(group) < self._group_max and lines < LINES_MAX:
            try:
                left = until - time.monotonic() if len(group) < company else 0
                more = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return group, True
            group.append(more)
            lines += len(more.request.lines)
        return group, False

    def _accept(self, group: Sequence[_Waiting], tries: int = 1) -> None:
        try:
            with tracing.step("accept", lambda: _accepted(results)):
                results = accept(
                    self._database,
                    self._books,
                    self._clock.now(),
                    [waiting.request for waiting in group],
                    self._daily_cap,
                )
            faults.point("accept.before_reply")
        except GatewayError as error:
            # The mirror or the chain cannot be asked: true for each of them.
            self._fail(group, error)
            return
        except Exception as error:
            self._accept_apart(group, error, tries)
            return
        self._answer(group, results)
        self._wake()

    def _accept_apart(self, group: Sequence[_Waiting], error: Exception, tries: int) -> None:
        # A connection lost during COMMIT leaves the outcome open; deciding again finds the stored
        # key if it was kept, so this too is harmless.
        if len(group) > 1:
            half = len(group) // 2
            self._accept(group[:half])
            self._accept(group[half:])
        elif tries < SINGLE_TRIES and isinstance(error, DBAPIError):
            self._accept(group, tries + 1)
        else:
            log.error("a request could not be stored: %s", type(error).__name__)
            reason: Exception = error
            if isinstance(error, UNUSABLE):
                # Not "nothing was stored": the reply to a COMMIT may be all that was lost.
                reason = NotReady(
                    "the order book cannot be written now; send it again under the same key"
                )
            self._fail(group, reason)

    def _fail(self, group: Sequence[_Waiting], error: Exception) -> None:
        self._answer(group, [error] * len(group))

    def _answer(self, group: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            for waiting in group:
                del self._running[waiting.request.tenant, waiting.request.key]
        by_loop: defaultdict[asyncio.AbstractEventLoop | None, list[tuple[Any, Outcome]]]
        by_loop = defaultdict(list)
        for waiting, outcome in zip(group, outcomes, strict=True):
            by_loop[waiting.loop].append((waiting.answer, outcome))
        for loop, answered in by_loop.items():
            if loop is None:
                _give(answered)
                continue
            # A loop that was closed meanwhile has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_give, answered)


def _give(answered: Sequence[tuple[Any, Outcome]]) -> None:
    for future, outcome in answered:
        if future.done():
            # Whoever waited has given up; what was stored is stored.
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _accepted(results: Sequence[list[Answer] | GatewayError]) -> list[bytes]:
    """Public ids of what was accepted."""
    return [
        ids.decode(ids.ORDER, answer.id)
        for answers in results
        if not isinstance(answers, GatewayError)
        for answer in answers
        if isinstance(answer, Accepted)
    ]
