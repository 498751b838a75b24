"""A program that forks a relay for each line of JSON that it reads, and answers with its pid: the
modules are loaded once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any

from gateway import faults
from gateway.production import open_relay
from gateway.settings import Settings


def be_a_relay(given: dict[str, Any], url: str, fault: str) -> None:
    """Relays until SIGTERM, with a kill or a freeze armed."""
    faults.arm(fault)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open_relay(Settings(**given), url) as gateway:
        while not stopping.wait(0.05):
            assert gateway.relay.stopped_by is None, gateway.relay.stopped_by


def main() -> None:
    """Reads `[SETTINGS, URL, FAULT]`."""
    # The kernel buries the dead: nobody here waits for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                be_a_relay(*json.loads(line))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.write(1, f"{child}\n".encode())


if __name__ == "__main__":
    main()
