"""A turn with the order book: results written down, and what is due claimed, in one transaction."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from gateway import faults
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import CustodyError, NotReady
from gateway.webhooks import housekeeping, queue, repository
from gateway.webhooks.queue import Job, Result

log = logging.getLogger(__name__)

# Claimed by one process: each is its payload, a kilobyte or two.
CLAIMED_MAX: Final = 4_096
# A secret that did not open is not tried again before.
SHUT_S: Final = 5.0
HOUSEKEEPING_S: Final = 600.0


class Turns:
    """What a deliverer does with the order book; one thread at a time."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        wall: Callable[[], float],
        dice: Random,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._custody = custody
        self._wall = wall
        self._dice = dice
        self._wake = wake
        self._swept_at = 0.0
        self._shut: dict[bytes, float] = {}

    def take(
        self,
        results: Sequence[Result],
        back: Sequence[Job],
        in_flight: Counter[int],
        stopping: bool,
    ) -> list[Job]:
        """Stores results, gives back, and claims what is due, unless we are stopping: all in one
        transaction. `in_flight` counts what this process has claimed by end point.
        """
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
            held = in_flight - Counter(r.job.endpoint_id for r in results)
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
                self._wake()

    def _is_anything_due(self, now: int) -> bool:
        with self._database.read() as connection:
            return queue.is_anything_due(connection, now)

    def _sweep(self, now: int) -> None:
        if time.monotonic() < self._swept_at:
            return
        self._swept_at = time.monotonic() + HOUSEKEEPING_S
        housekeeping.sweep(self._database, now)
