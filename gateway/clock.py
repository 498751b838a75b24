"""Network time: the one clock that product logic may read.

On the embedded chain time follows the purchases that are being replayed, elsewhere it is the wall
clock. Whoever needs "now" takes a `NetworkClock`; nobody calls `time.time()` in product logic.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

DAY_S: Final = 86_400


class NetworkClock(Protocol):
    """Tells network time in whole unix seconds."""

    def now(self) -> int:
        """The present network time, unix seconds."""
        ...


class WallClock:
    """The machine's own clock: right wherever the chain's time is the world's time."""

    def now(self) -> int:
        """Unix seconds of this machine."""
        return int(time.time())


class SteeredClock:
    """A clock that can be set back to a wanted time, but never beyond the wall clock nor before the
    chain's head.

    Beyond the wall clock would be a block from the future, which no honest node accepts; before the
    head would make time run backwards. Should the wall clock itself be set back, the head's time
    stands until it has caught up.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._wanted: int | None = None
        self._head_time = 0

    def now(self) -> int:
        return self.clamp(self._wanted)

    def set(self, wanted: int | None) -> None:
        """Stand still at `wanted` (unix seconds); None follows the wall clock again.

        A wanted time later than the wall clock is kept, and reached when the wall clock reaches it.
        """
        with self._lock:
            self._wanted = wanted

    def clamp(self, wanted: int | None) -> int:
        """The time a block may carry when `wanted` is asked for (None: the wall clock)."""
        with self._lock:
            wall = int(self._wall())
            time_ = wall if wanted is None else min(wanted, wall)
            return max(self._head_time, time_)

    def saw_block(self, head_time: int) -> None:
        """The chain's head now carries this time."""
        with self._lock:
            self._head_time = max(self._head_time, head_time)
