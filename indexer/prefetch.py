"""One thread that reads the chain ahead of the one that writes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

_AHEAD: Final = 2
"""Pieces that wait to be written: enough to hide the node's latency, few enough to bound memory."""
_PUT_S: Final = 0.1


class _End:
    """Marks the end of the pieces, with the error that ended them, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextlib.contextmanager
def prefetched(pieces: Callable[[], Iterator[T]]) -> Iterator[Iterator[T]]:
    """Runs the iterator in a thread of its own, two pieces ahead.

    Its error is raised where the pieces are taken, after those that came before it. Leaving the
    block ends the thread after the piece in hand.
    """
    ahead: queue.Queue[T | _End] = queue.Queue(_AHEAD)
    left = threading.Event()

    def put(piece: T | _End) -> bool:
        while not left.is_set():
            try:
                ahead.put(piece, timeout=_PUT_S)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for piece in pieces():
                if not put(piece):
                    return
        except BaseException as error:
            put(_End(error))
        else:
            put(_End())

    def take() -> Iterator[T]:
        while True:
            piece = ahead.get()
            if not isinstance(piece, _End):
                yield piece
            elif piece.error is not None:
                raise piece.error
            else:
                return

    reader = threading.Thread(target=read, name="mirror-prefetch", daemon=True)
    reader.start()
    try:
        yield take()
    finally:
        left.set()
        reader.join()
