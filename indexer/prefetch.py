"""Reading the chain ahead of the thread that writes, and with fewer pauses."""

from __future__ import annotations

import contextlib
import gc
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from indexer.chunk import Chunk

T = TypeVar("T")

_AHEAD: Final = 8
"""Pieces that wait to be written: enough to hide the node's latency and to make a transaction worth
its pages, few enough to bound memory (a decoded piece takes 0.7 MB)."""
_PUT_S: Final = 0.1
_TURN_S: Final = 0.0005
"""How long a thread may keep the interpreter when another waits for it. COPY asks for it again
after every 32 KB, and may wait for Python's usual 5 ms each time while others decode."""
_COLLECT_EVERY: Final = 100_000


@contextlib.contextmanager
def fewer_collections() -> Iterator[None]:
    """Lets the garbage collector look at new objects less often.

    Logs are some ten objects each and none of them is in a cycle; with the usual threshold of 700
    the collector took a third of all the time of a backfill.
    """
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        # Another part of the program may have chosen its own meanwhile.
        if gc.get_threshold()[0] == _COLLECT_EVERY:
            gc.set_threshold(*before)


class _End:
    """Marks the end of the pieces, with the error that ended them, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextlib.contextmanager
def prefetched(pieces: Callable[[], Iterator[T]]) -> Iterator[Iterator[list[T]]]:
    """Runs the iterator in a thread of its own, a few pieces ahead; gives what is there, one
    piece at least.

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

    def take() -> Iterator[list[T]]:
        while True:
            taken: list[T] = []
            end = _fill(ahead, taken)
            if taken:
                yield taken
            if end is not None:
                if end.error is not None:
                    raise end.error
                return

    reader = threading.Thread(target=read, name="mirror-prefetch", daemon=True)
    turn_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    reader.start()
    try:
        yield take()
    finally:
        left.set()
        reader.join()
        sys.setswitchinterval(turn_s)


def _fill(ahead: queue.Queue[T | _End], taken: list[T]) -> _End | None:
    """Waits for one piece and takes what is there besides; gives the end when it came."""
    piece = ahead.get()
    while True:
        if isinstance(piece, _End):
            return piece
        taken.append(piece)
        if len(taken) > _AHEAD:
            return None
        try:
            piece = ahead.get_nowait()
        except queue.Empty:
            return None


def joined(taken: Iterator[list[Chunk]], final_block: int) -> Iterator[Chunk]:
    """What waits of final blocks in one piece, for one transaction: the more at once, the fewer
    pages are written twice. A block above finality stays alone.
    """
    for pieces in taken:
        whole = pieces[0]
        for piece in pieces[1:]:
            if piece.last.number <= final_block:
                whole.extend(piece)
            else:
                yield whole
                whole = piece
        yield whole
