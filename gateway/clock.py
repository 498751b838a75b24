"""Network time: the one clock that product logic may read.

On the embedded chain time follows the purchases that are being replayed, elsewhere it is the wall
clock. Whoever needs "now" takes a `NetworkClock`; nobody calls `time.time()` in product logic.
"""

import time
from typing import Protocol


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
