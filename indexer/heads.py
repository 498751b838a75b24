"""New heads over WebSocket, to wake the indexer early. Nothing of what they say is believed.

A subscription that is cut, lags, repeats itself or lies costs nothing but time: the indexer polls
anyway, and asks the chain itself what its head is.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Final

import orjson
from websockets.exceptions import InvalidURI, WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from wallet_sdk.errors import InputInvalid

log: Final = logging.getLogger(__name__)

_SUBSCRIBE: Final = orjson.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
).decode()
_OPEN_S: Final = 10.0
_LISTEN_S: Final = 0.5
"""How long a stop may go unnoticed."""
_GAP_S: Final = 0.05
"""At most twenty wake-ups a second, however many heads a node sends."""
_BACK_OFF_S: Final = (1.0, 30.0)
_MESSAGE_BYTES_MAX: Final = 1 << 20


@contextlib.contextmanager
def waking(url: str, wake: threading.Event) -> Iterator[None]:
    """Sets `wake` whenever the node at `url` (ws:// or wss://) tells of a new head, until left.

    Connects again for ever. Raises InputInvalid: that is no WebSocket URL.
    """
    if not url.startswith(("ws://", "wss://")):
        raise InputInvalid(f"a WebSocket URL begins with ws:// or wss://, got {url!r:.80}")
    left = threading.Event()
    listener = threading.Thread(
        target=_listen, args=(url, wake, left), name="mirror-heads", daemon=True
    )
    listener.start()
    try:
        yield
    finally:
        left.set()
        listener.join()


def _listen(url: str, wake: threading.Event, left: threading.Event) -> None:
    pause, pause_max = _BACK_OFF_S
    while not left.is_set():
        try:
            with connect(
                url,
                open_timeout=_OPEN_S,
                close_timeout=_LISTEN_S,
                max_size=_MESSAGE_BYTES_MAX,
                # A proxy named in the environment must not see which chain is followed.
                proxy=None,
            ) as socket:
                socket.send(_SUBSCRIBE)
                log.info("new heads wake the mirror")
                pause = _BACK_OFF_S[0]
                _take(socket, wake, left)
        except (OSError, WebSocketException, InvalidURI) as error:
            log.warning("no heads over WebSocket (%s): polling goes on", error)
            left.wait(pause)
            pause = min(2 * pause, pause_max)


def _take(socket: Connection, wake: threading.Event, left: threading.Event) -> None:
    while not left.is_set():
        try:
            socket.recv(timeout=_LISTEN_S)
        except TimeoutError:
            continue
        wake.set()
        left.wait(_GAP_S)
