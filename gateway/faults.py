"""Kill points: `FAULT=point:n` makes the process end itself by SIGKILL at the n-th pass of a point;
`FAULT=point:n:STOP` freezes it there (SIGSTOP), until somebody sends SIGCONT.

This is how the tests crash the gateway in every window of an order's life; without the variable a
point costs one comparison.
"""

import os
import signal
import threading
from typing import Final

POINTS: Final = (
    "accept.before_commit",
    "accept.before_reply",
    "seal.before_commit",
    "seal.signed_not_stored",
    "seal.sealed",
    "relay.reserved",
    "relay.signed_not_stored",
    "relay.bump_signed_not_stored",
    "relay.bump_stored_not_sent",
    "relay.stored_not_sent",
    "relay.sent_reply_not_read",
    "relay.sent_not_marked",
    "settle.receipt_not_stored",
    "settle.included",
    "settle.before_release",
    "webhooks.claimed_not_sent",
    "webhooks.delivered_not_marked",
    "deploy.planned",
    "deploy.file_not_written",
    "onboard.stored",
    "rotate.activated",
    "rotate.before_commit",
    "rotate.rewrapped",
)
"""Every point there is; a test holds this list against the sources."""

_lock = threading.Lock()
_name = ""
_left = 0
_signal = signal.SIGKILL


def arm(spec: str) -> None:
    """Arms `point:n` or `point:n:STOP`: what happens at the n-th pass. Empty: nothing."""
    global _name, _left, _signal
    name, count, kind, *_ = *spec.split(":"), "", ""
    with _lock:
        _name, _left = name, int(count or "1")
        _signal = signal.Signals[f"SIG{kind or 'KILL'}"]


def point(name: str) -> None:
    """Ends the process here, if that is what was asked for."""
    if name == _name:
        _hit()


def _hit() -> None:
    global _left
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), _signal)


arm(os.environ.get("FAULT", ""))
