"""Reads wait while a block is being mined.

anvil answers a question about its newest block out of the state that it is working on: asked in the
middle of mining block 8, it names for block 7 the nonces and balances of half of block 8. So no
question is under way while it mines, and none is put to it then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class Gate:
    """Many questions or one miner. A waiting miner goes before later questions."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asking = 0
        self._closed = 0

    @contextmanager
    def closed(self) -> Iterator[None]:
        """For the miner: waits for the questions under way, keeps later ones waiting. Nests."""
        with self._changed:
            self._closed += 1
            self._changed.wait_for(lambda: self._asking == 0)
        try:
            yield
        finally:
            with self._changed:
                self._closed -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """For a question: until its answer has begun, which is when anvil has worked it out."""
        # Nearly always open: only a question that has to wait costs a thread.
        if not self._try_enter():
            await self._wait_to_enter()
        try:
            yield
        finally:
            self._leave()

    def _try_enter(self) -> bool:
        with self._changed:
            if self._closed:
                return False
            self._asking += 1
            return True

    async def _wait_to_enter(self) -> None:
        entering = asyncio.ensure_future(asyncio.to_thread(self._enter))
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # Whoever asked has gone, but the thread will enter all the same: it must leave again.
            entering.add_done_callback(lambda _: self._leave())
            raise

    def _enter(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._asking += 1

    def _leave(self) -> None:
        with self._changed:
            self._asking -= 1
            self._changed.notify_all()
