"""Blocks that hold something of ours: final, or no longer on the chain. A hash decides, never a
number alone.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from gateway.books import Books
from gateway.clock import NetworkClock
from gateway.database import Database
from gateway.errors import NotReady, ReorgBelowFinality
from gateway.relay import finish, reorg
from gateway.relay.chain import Block, Chain
from gateway.relay.reorg import BlockId

log = logging.getLogger(__name__)

PATIENCE_S: Final = 120.0
"""So long a node may lack a block that was final: behind one URL may stand a back end that is
slower than the one before. Longer, and the chain itself has become shorter. A block of another hash
is told at once.
"""


class Blocks:
    """Looks at the blocks that are not final yet, and at the newest that is."""

    def __init__(self, database: Database, chain: Chain, books: Books, clock: NetworkClock) -> None:
        self._database = database
        self._chain = chain
        self._books = books
        self._clock = clock
        # Since when (monotonic seconds) the newest final block is missing.
        self._missing_since: float | None = None

    def run_once(self, final: Block | None, settled: Any) -> None:
        """Takes back what is gone, ends what is final. Raises RpcUnavailable, NotReady,
        ReorgBelowFinality.
        """
        with self._database.read() as connection:
            blocks = reorg.watched_blocks(connection)
            anchor = reorg.newest_final(connection)
        numbers = {number for number, _ in blocks} | ({anchor[0]} if anchor else set())
        if not numbers:
            return
        canonical = self._chain.blocks(sorted(numbers))
        if anchor:
            self._check(anchor, canonical)
        gone = [b for b in blocks if not is_canonical(canonical, *b)]
        # Final means that the mirror has it too: a hold is released only when the balance that the
        # next decision reads has already changed.
        known = -1 if final is None else min(final.number, mirrored_to(self._chain, self._books))
        done = [b for b in blocks if b not in gone and b[0] <= known]
        if not gone and not done:
            return
        now = self._clock.now()
        if gone:
            with self._database.settle() as connection:
                settled.moved += reorg.take_back(connection, gone, now)
        # A transaction each: over two blocks it would lock merchants after members and orders,
        # which is against the order in which an accept does.
        for number, block_hash in done:
            with self._database.settle() as connection:
                count = finish.finalize(connection, number, block_hash, now)
            settled.final += count
            settled.moved += 1

    def _check(self, anchor: BlockId, canonical: Mapping[int, Block]) -> None:
        """Raises ReorgBelowFinality, NotReady: the node does not have that block."""
        if is_canonical(canonical, *anchor):
            self._missing_since = None
            return
        number = anchor[0]
        if number in canonical:
            raise ReorgBelowFinality(
                f"block {number} was final and is another one now", block=number
            )
        if self._missing_since is None:
            self._missing_since = time.monotonic()
        if time.monotonic() - self._missing_since < PATIENCE_S:
            raise NotReady(f"the node does not have block {number}, which was final", block=number)
        raise ReorgBelowFinality(f"block {number} was final and is gone", block=number)


def is_canonical(blocks: Mapping[int, Block], number: int, block_hash: bytes) -> bool:
    """Whether that is the block which stands there on the chain."""
    block = blocks.get(number)
    return block is not None and block.hash == block_hash


def mirrored_to(chain: Chain, books: Books) -> int:
    """The number of the last block that the mirror holds; -1: none, or its fork is not the node's.

    A mirror that stood still while its newest blocks were replaced knows other orders than the
    chain, however high its number is. One that is ahead of the node cannot be compared there, nor
    need it: what is final for the node lies deeper. Raises RpcUnavailable, NotReady.
    """
    head = books.head()
    if head is None:
        return -1
    block = chain.blocks([head.number]).get(head.number)
    if block is not None and block.hash != head.hash:
        log.info("the mirror stands in block %d of another fork", head.number)
        return -1
    return head.number
