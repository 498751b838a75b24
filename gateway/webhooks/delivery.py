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
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

from gateway import faults
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import CustodyError, NotReady
from gateway.observe import counters
from gateway.webhooks import housekeeping, queue, repository
from gateway.webhooks.queue import Job, Result
from gateway.webhooks.signed import signed
from gateway.webhooks.transport import Line

log = logging.getLogger(__name__)

# Between two looks when nothing ends and nobody wakes us: an event is under way in half of it.
INTERVAL_S: Final = 0.25
# After the database refused a turn.
BACK_OFF_S: Final = 1.0
# Attempts under way from one process: each is a socket.
IN_FLIGHT_MAX: Final = 512
# Claimed by one process: each is its payload, a kilobyte or two.
CLAIMED_MAX: Final = 4_096
# Claimed and not begun for so long, its receiver is slow, or its end point may have been changed
# meanwhile: it goes back.
AHEAD_S: Final = 5.0
# Results of so many seconds share a transaction, while others are under way.
GATHER_S: Final = 0.05
RESULTS_MAX: Final = 256
# How long a stop waits for attempts under way. What is cut off goes again after its lease.
STOP_MAX_S: Final = 5.0
# A secret that did not open is not tried again before.
SHUT_S: Final = 5.0
HOUSEKEEPING_S: Final = 600.0


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
        self._database = database
        self._custody = custody
        self._make_line = line
        self._wall = wall
        self._dice = dice or Random()
        # What this process has claimed by end point: attempts under way, and what is ahead.
        self._in_flight: Counter[int] = Counter()
        self._running: Counter[int] = Counter()
        self._ahead: defaultdict[int, deque[tuple[float, Job]]] = defaultdict(deque)
        self._swept_at = 0.0
        self._shut: dict[bytes, float] = {}
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
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            # The loop may be closing: then there is nobody to wake.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

        self._wake = wake
        line = self._make_line()
        under_way: set[asyncio.Task[Result]] = set()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="webhooks-sql") as sql:
                await self._deliver(loop, sql, line, woken, under_way)
        finally:
            self._wake = None
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            await line.close()

    async def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        sql: ThreadPoolExecutor,
        line: Line,
        woken: asyncio.Event,
        under_way: set[asyncio.Task[Result]],
    ) -> None:
        results: list[Result] = []
        back: list[Job] = []
        stop_at: float | None = None
        while True:
            stopping = self._stopping.is_set()
            if stopping and stop_at is None:
                stop_at = time.monotonic() + STOP_MAX_S
            if stopping:
                back += self._take_back(list(self._ahead))
            pause = INTERVAL_S
            try:
                turn = partial(self._turn, list(results), list(back), stopping)
                jobs = await loop.run_in_executor(sql, turn)
            except Exception:
                # The results stay with us. Should they be lost with the process, the receivers get
                # these events once more.
                log.exception("a turn of the webhooks failed; it is tried again")
                jobs, pause = [], BACK_OFF_S
            else:
                self._in_flight -= Counter(r.job.endpoint_id for r in results)
                self._in_flight -= Counter(job.endpoint_id for job in back)
                results.clear()
                back.clear()
            for job in jobs:
                self._in_flight[job.endpoint_id] += 1
                self._ahead[job.endpoint_id].append((time.monotonic(), job))
            ended = stop_at is not None and time.monotonic() > stop_at
            if stopping and (ended or not (under_way or results or back)):
                return
            await self._gather(line, woken, under_way, pause, results, back)

    async def _gather(
        self,
        line: Line,
        woken: asyncio.Event,
        under_way: set[asyncio.Task[Result]],
        pause_s: float,
        results: list[Result],
        back: list[Job],
    ) -> None:
        """Begins what is ahead, and adds what ends in the next moment to `results`, what is given
        up meanwhile to `back`.
        """
        wait_s, until = pause_s, 0.0
        back += self._begin(line, under_way)
        while True:
            fresh = await _ended(under_way, woken, wait_s)
            self._running -= Counter(result.job.endpoint_id for result in fresh)
            failed = {r.job.endpoint_id for r in fresh if r.answer.outcome != "delivered"}
            back += self._take_back(failed)
            results += fresh
            # Who is next need not wait for this turn's commit.
            back += self._begin(line, under_way)
            until = until or time.monotonic() + GATHER_S
            wait_s = until - time.monotonic()
            if not fresh or not under_way or wait_s <= 0 or len(results) >= RESULTS_MAX:
                return

    def _begin(self, line: Line, under_way: set[asyncio.Task[Result]]) -> list[Job]:
        """Begins what may be under way; returns what has waited for too long."""
        late: list[Job] = []
        latest = time.monotonic() - AHEAD_S
        for endpoint, ahead in list(self._ahead.items()):
            while ahead and ahead[0][0] < latest:
                late.append(ahead.popleft()[1])
            while (
                ahead
                and self._running[endpoint] < queue.PER_ENDPOINT_MAX
                and len(under_way) < IN_FLIGHT_MAX
            ):
                self._running[endpoint] += 1
                under_way.add(asyncio.create_task(self._attempt(line, ahead.popleft()[1])))
            if not ahead:
                del self._ahead[endpoint]
        return late

    def _take_back(self, endpoints: Iterable[int]) -> list[Job]:
        """What is ahead for these end points, and stays so no longer."""
        return [job for endpoint in endpoints for _, job in self._ahead.pop(endpoint, ())]

    # ---- one turn with the order book

    def _turn(self, results: Sequence[Result], back: Sequence[Job], stopping: bool) -> list[Job]:
        """Stores results and claims what is due, in one transaction."""
        now = int(self._wall())
        self._sweep(now)
        if not (results or back) and (stopping or not self._is_anything_due(now)):
            return []
        if any(result.answer.outcome == "delivered" for result in results):
            faults.point("webhooks.delivered_not_marked")
        with self._database.write() as connection:
            gone = queue.store(connection, results, now, self._dice)
            queue.release(connection, back, now)
            # Of what is stored here nothing is claimed any more.
            held = self._in_flight - Counter(r.job.endpoint_id for r in results)
            held -= Counter(job.endpoint_id for job in back)
            free = 0 if stopping else CLAIMED_MAX - held.total()
            jobs, closed = (
                queue.claim(connection, self._custody, now, held, free, self._dice)
                if free > 0
                else ([], set[bytes]())
            )
        if jobs:
            faults.point("webhooks.claimed_not_sent")
        if closed:
            self._open(closed)
        for endpoint in sorted(gone):
            with self._database.write() as connection:
                repository.mark_gone(self._database, connection, endpoint, now)
        return jobs

    def _open(self, names: set[bytes]) -> None:
        """Opens secrets for the next turn. One that does not open waits for a person, or for KMS;
        the others go on.
        """
        for name in sorted(names):
            if time.monotonic() < self._shut.get(name, 0):
                continue
            try:
                self._custody.kept(name)
            except (CustodyError, NotReady) as error:
                log.error("an end point's secret does not open: %s", error)
                self._shut[name] = time.monotonic() + SHUT_S
            else:
                self.wake()

    def _is_anything_due(self, now: int) -> bool:
        with self._database.read() as connection:
            return queue.is_anything_due(connection, now)

    def _sweep(self, now: int) -> None:
        if time.monotonic() < self._swept_at:
            return
        self._swept_at = time.monotonic() + HOUSEKEEPING_S
        housekeeping.sweep(self._database, now)

    # ---- one attempt

    async def _attempt(self, line: Line, job: Job) -> Result:
        at, began = int(self._wall()), time.perf_counter()
        answer = await line.post(job.url, signed(job, at), job.payload)
        took_ms = round(1000 * (time.perf_counter() - began))
        counters.WEBHOOKS.labels(answer.outcome).inc()
        if answer.outcome != "delivered":
            log.info("webhook %s was not taken: %s", job.event, answer.outcome)
        return Result(job, at, took_ms, answer)


async def _ended(
    under_way: set[asyncio.Task[Result]], woken: asyncio.Event, pause_s: float
) -> list[Result]:
    """Results of attempts that have ended; waits for the first, for a wake-up, or `pause_s`."""
    waker = asyncio.create_task(woken.wait())
    try:
        await asyncio.wait(
            {waker, *under_way}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waker.cancel()
    woken.clear()
    done = {task for task in under_way if task.done()}
    under_way -= done
    return [task.result() for task in done]
