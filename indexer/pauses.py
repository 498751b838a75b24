"""How long the indexer waits: for the next block, and after a failure."""

from __future__ import annotations

import threading
from typing import Final

POLL_S: Final = 1.0
"""How often the head is asked for when nothing wakes the indexer."""
_BACK_OFF_S_MAX: Final = 30.0


def back_off_s(failures: int, asked_s: float | None = None) -> float:
    """The pause after so many failures in a row: doubled each time, or what the node asked for."""
    own = min(_BACK_OFF_S_MAX, POLL_S * 2.0 ** min(failures, 8))
    return max(own, min(asked_s or 0.0, _BACK_OFF_S_MAX))


def wait_for(seconds: float, stop: threading.Event, wake: threading.Event | None) -> None:
    """Waits until something wakes it; without `wake`, until the end of the time or `stop`."""
    if wake is None:
        stop.wait(seconds)
        return
    wake.wait(seconds)
    wake.clear()
