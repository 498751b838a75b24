"""The thread that delivers: claims what is due, POSTs it, writes down what came of it.

One event loop carries all attempts, so that a receiver that takes its time costs a few bytes and
not a thread. The order book is touched in turns: results of the last moments and the next claims
share a transaction. Messages are claimed ahead of the attempts, so that a busy end point's turns
are few; what is ahead goes back when an attempt fails, or when it has waited for too long.
"""

import asyncio
import logging
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final, cast

import uvloop

from gateway.custody import Custody
from gateway.database import Database
from gateway.observe import counters
from gateway.webhooks import queue
from gateway.webhooks.queue import Job, Result
from gateway.webhooks.signed import signed
from gateway.webhooks.transport import Answer, Line
from gateway.webhooks.turns import Turns

log = logging.getLogger(__name__)

# Between two looks when nothing ends and nobody wakes us: an event is under way in half of it.
INTERVAL_S: Final = 0.25
# After the database refused a turn.
BACK_OFF_S: Final = 1.0
# Attempts under way from one process: each is a socket.
IN_FLIGHT_MAX: Final = 512
# Claimed and not begun for so long, its receiver is slow, or its end point may have been changed
# meanwhile: it goes back.
AHEAD_S: Final = 5.0
# Results of so many seconds share a transaction, while others are under way.
GATHER_S: Final = 0.1
RESULTS_MAX: Final = 512
# How long a stop waits for attempts under way. What is cut off goes again after its lease.
STOP_MAX_S: Final = 5.0


class Deliverer:
    """Delivers the events of one order book. Any number of processes may do so side by side."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        line: Callable[[], Line],
        *,
        wall: Callable[[], float] = time.time,
        dice: Random | None = None,
    ) -> None:
        self._turns = Turns(database, custody, wall, dice or Random(), self.wake)
        self._make_line = line
        self._wall = wall
        # What this process has claimed by end point: attempts under way, and what is ahead.
        self._in_flight: Counter[int] = Counter()
        self._running: Counter[int] = Counter()
        self._ahead: defaultdict[int, deque[tuple[float, Job]]] = defaultdict(deque)
        self._under_way: set[asyncio.Task[None]] = set()
        # What the next turn with the order book writes down, and gives back.
        self._results: list[Result] = []
        self._back: list[Job] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake: Callable[[], None] | None = None

    # ---- the thread

    def start(self) -> None:
        """Starts the thread."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._main, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to deliver: the next look need not wait."""
        wake = self._wake
        if wake is not None:
            wake()

    def stop(self) -> None:
        """Ends the thread once attempts under way have ended, at the latest after STOP_MAX_S."""
        self._stopping.set()
        self.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake() -> None:
            # The loop may be closing: then there is nobody to wake.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(news.set)

        self._wake = wake
        line = self._make_line()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="webhooks-sql") as sql:
                await self._deliver(loop, sql, line, news)
        finally:
            self._wake = None
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await line.close()

    async def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        sql: ThreadPoolExecutor,
        line: Line,
        news: asyncio.Event,
    ) -> None:
        stop_at: float | None = None
        while True:
            stopping = self._stopping.is_set()
            if stopping and stop_at is None:
                stop_at = time.monotonic() + STOP_MAX_S
            if stopping:
                self._take_back(list(self._ahead))
            # Attempts go on meanwhile, and add to the lists of the next turn.
            results, self._results = self._results, []
            back, self._back = self._back, []
            try:
                turn = partial(self._turns.take, results, back, self._in_flight, stopping)
                jobs = await loop.run_in_executor(sql, turn)
            except Exception:
                # The results stay with us. Should they be lost with the process, the receivers get
                # these events once more.
                log.exception("a turn of the webhooks failed; it is tried again")
                jobs = []
                self._results, self._back = results + self._results, back + self._back
                await asyncio.sleep(BACK_OFF_S)
            else:
                self._in_flight -= Counter(r.job.endpoint_id for r in results)
                self._in_flight -= Counter(job.endpoint_id for job in back)
            for job in jobs:
                self._in_flight[job.endpoint_id] += 1
                self._ahead[job.endpoint_id].append((time.monotonic(), job))
            ended = stop_at is not None and time.monotonic() > stop_at
            if stopping and (ended or not (self._under_way or self._results or self._back)):
                return
            for endpoint in list(self._ahead):
                self._begin(line, news, endpoint)
            await self._gather(news)

    async def _gather(self, news: asyncio.Event) -> None:
        """Waits for what the order book should be told: until attempts have ended, and a moment
        longer for others; until somebody wakes us; or for INTERVAL_S.
        """
        if not self._results:
            await _within(news, INTERVAL_S)
            if not self._results:
                return
        if self._under_way and len(self._results) < RESULTS_MAX:
            await _within(news, GATHER_S)

    def _begin(self, line: Line, news: asyncio.Event, endpoint: int) -> None:
        """Begins what may be under way to this end point; what waited for too long goes back."""
        ahead = self._ahead.get(endpoint)
        if ahead is None:
            return
        latest = time.monotonic() - AHEAD_S
        while ahead and ahead[0][0] < latest:
            self._back.append(ahead.popleft()[1])
        while (
            ahead
            and self._running[endpoint] < queue.PER_ENDPOINT_MAX
            and len(self._under_way) < IN_FLIGHT_MAX
        ):
            self._running[endpoint] += 1
            task = asyncio.create_task(self._attempt(line, news, ahead.popleft()[1]))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if not ahead:
            del self._ahead[endpoint]

    def _take_back(self, endpoints: Iterable[int]) -> None:
        """Gives back what is ahead for these end points."""
        for endpoint in endpoints:
            self._back += [job for _, job in self._ahead.pop(endpoint, ())]

    # ---- one attempt

    async def _attempt(self, line: Line, news: asyncio.Event, job: Job) -> None:
        """One attempt, and what follows from it: who is next need not wait for the order book."""
        result = await self._post(line, job)
        endpoint = job.endpoint_id
        self._running[endpoint] -= 1
        self._results.append(result)
        if result.answer.outcome != "delivered":
            self._take_back([endpoint])
        # This task still counts; it ends with this step.
        self._under_way.discard(cast(asyncio.Task[None], asyncio.current_task()))
        # Where so many are under way that others had to wait, it may be their turn.
        full = len(self._under_way) >= IN_FLIGHT_MAX - 1
        for waiting in list(self._ahead) if full else [endpoint]:
            self._begin(line, news, waiting)
        if len(self._results) in (1, RESULTS_MAX) or not self._under_way:
            news.set()

    async def _post(self, line: Line, job: Job) -> Result:
        at, began = int(self._wall()), time.perf_counter()
        try:
            answer = await line.post(job.url, signed(job, at), job.payload)
        except Exception as error:
            # Our own fault. One message that cannot be sent must not hold up all the others.
            log.exception("webhook %s could not be sent", job.event)
            answer = Answer(None, "connection", type(error).__name__)
        took_ms = round(1000 * (time.perf_counter() - began))
        counters.WEBHOOKS.labels(answer.outcome).inc()
        if answer.outcome != "delivered":
            log.info("webhook %s was not taken: %s", job.event, answer.outcome)
        return Result(job, at, took_ms, answer)


async def _within(news: asyncio.Event, seconds: float) -> None:
    """Waits for news, at most so long; they are old news then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
    news.clear()
