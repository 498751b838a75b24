"""Waits out a chain that is being started anew: its anvil may die at any time, and is healed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gateway.errors import NotReady
from wallet_sdk.errors import RpcUnavailable

T = TypeVar("T")

# A replay of the year takes about 12 s, on a busy machine three times as long.
PATIENCE_S = 120.0
PAUSE_S = 0.2


def patiently(deed: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What `deed` gives, tried again while chain or mirror cannot be asked.

    For deeds that may be repeated only. Raises RpcUnavailable or NotReady when patience ends.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return deed()
        except (RpcUnavailable, NotReady):
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE_S)
