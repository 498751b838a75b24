"""The one thread that accepts: requests that arrive together share one commit.

A reply leaves only after the commit. A group that fails is halved until the bad request stands
alone, so that one cannot spoil what its neighbours asked for.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError, OperationalError

from gateway import faults, ids
from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.database import Database
from gateway.errors import GatewayError, IdempotencyKeyInUse, NotReady
from gateway.model import LINES_MAX, Accepted
from gateway.observe import tracing
from gateway.orders.accept import accept, key_reused
from gateway.orders.answers import Answer
from gateway.orders.known import Request

log = logging.getLogger(__name__)

# A single request that meets a unique row which another process has just inserted is decided again
# over what is there now; more often than this is no race.
SINGLE_TRIES = 3


@dataclass(slots=True)
class _Waiting:
    request: Request
    answer: Future[list[Answer]] = field(default_factory=Future)


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
    ) -> None:
        self._database = database
        self._books = books
        self._clock = clock
        self._group_max = group_requests_max
        self._wait_s = group_wait_ms / 1000
        self._wake = wake
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(queue_requests_max)
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
            self._running[name] = request.body_hash
        waiting = _Waiting(request)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            self._forget(request)
            raise NotReady("too many requests are waiting; come back in a second") from None
        return waiting.answer

    def _forget(self, request: Request) -> None:
        with self._lock:
            self._running.pop((request.tenant, request.key), None)

    def _run(self) -> None:
        company = 1
        while True:
            first = self._queue.get()
            if first is None:
                return
            group, ended = self._gather(first, patient=company > 1)
            company = len(group)
            self._accept(group)
            if ended:
                return

    def _gather(self, first: _Waiting, *, patient: bool) -> tuple[list[_Waiting], bool]:
        """What waits already; more is waited for only when the last group had company."""
        group, lines = [first], len(first.request.lines)
        until = time.monotonic() + (self._wait_s if patient else 0)
        while len(group) < self._group_max and lines < LINES_MAX:
            try:
                left = until - time.monotonic()
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
            with (
                tracing.step("accept", lambda: _accepted(results)),
                self._database.write() as connection,
            ):
                results = accept(
                    self._database,
                    connection,
                    self._books,
                    self._clock.now(),
                    [waiting.request for waiting in group],
                )
                faults.point("accept.before_commit")
            faults.point("accept.before_reply")
        except GatewayError as error:
            # The mirror or the chain cannot be asked: true for each of them.
            self._fail(group, error)
            return
        except Exception as error:
            self._accept_apart(group, error, tries)
            return
        for waiting, result in zip(group, results, strict=True):
            self._forget(waiting.request)
            if isinstance(result, GatewayError):
                waiting.answer.set_exception(result)
            else:
                waiting.answer.set_result(result)
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
            if isinstance(error, OperationalError):
                reason = NotReady("the order book cannot be written now; nothing was stored")
            self._fail(group, reason)

    def _fail(self, group: Sequence[_Waiting], error: Exception) -> None:
        for waiting in group:
            self._forget(waiting.request)
            waiting.answer.set_exception(error)


def _accepted(results: Sequence[list[Answer] | GatewayError]) -> list[bytes]:
    """Public ids of what was accepted."""
    return [
        ids.decode(ids.ORDER, answer.id)
        for answers in results
        if not isinstance(answers, GatewayError)
        for answer in answers
        if isinstance(answer, Accepted)
    ]
