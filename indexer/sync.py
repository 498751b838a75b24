"""The indexer: reads the chain, writes the mirror, one code path for backfill and head.

A range of final blocks is one transaction; above finality each block is one, read by its hash. The
cursor moves in the same transaction as the rows, so a kill at any moment leaves a mirror that is
right for the block it names.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine

from indexer import bulk, reorg, store, succession
from indexer.chunk import Chunk, Head
from indexer.database import is_too_large, is_unavailable
from indexer.endpoints import Endpoints
from indexer.errors import MirrorBusy, MirrorInconsistent, SourceContradicts, WrongNetwork
from indexer.identity import belong_together
from indexer.lock import writer_lock
from indexer.pauses import POLL_S, back_off_s, wait_for
from indexer.prefetch import fewer_collections, joined, prefetched
from indexer.project import Header, Memory, Network, project
from indexer.reorg import Reorg
from indexer.source import Source
from indexer.upkeep import Upkeep
from wallet_sdk.contracts import Deployment
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Rpc

log: Final = logging.getLogger(__name__)

_RPC_TIMEOUT_S: Final = 60.0
"""A busy node may take long over 4,000 logs; a shorter time-out would halve the range in vain."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run got to. `blocks` and `logs` were added by it; `reorg` is the deepest it met."""

    block: int
    time: int
    final_block: int
    head_block: int
    blocks: int
    logs: int
    reorg: Reorg | None

    @property
    def at_head(self) -> bool:
        """Whether the mirror holds the newest block that the run knew of."""
        return self.block >= self.head_block


def write_chunk(
    conn: Connection, network: Network, chunk: Chunk, final_block: int, memory: Memory
) -> None:
    """Everything that a piece of the chain does to the mirror, in the caller's transaction."""
    batch = project(conn, network, chunk.blocks, memory)
    store.write_many(conn, batch)
    with bulk.pipelined(conn):
        store.write(conn, batch)
        store.move_cursor(conn, chunk.last, final_block)
        store.extend_tail(conn, chunk.last, final_block)


class Indexer:
    """Keeps one mirror of one deployment. Only one indexer writes a mirror; others wait.

    `rpc_url` is a node, or several that serve the same chain: when one fails, the next is asked.
    """

    def __init__(
        self,
        rpc_url: str | Rpc | Sequence[str | Rpc],
        deployment: Deployment,
        engine: Engine,
        *,
        confirmations: int | str = "finalized",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        urls = [rpc_url] if isinstance(rpc_url, str | Rpc) else rpc_url
        self._nodes = Endpoints(
            [Rpc(url, timeout_s=_RPC_TIMEOUT_S) if isinstance(url, str) else url for url in urls]
        )
        self._source = Source(self._nodes, deployment, confirmations)
        self._deployment = deployment
        self._engine = engine
        self._network = Network(succession.first_of(deployment), deployment.schedule)
        self._on_progress = on_progress
        self._memory = Memory()
        self._upkeep = Upkeep(engine)

    def close(self) -> None:
        """Closes the connections to the node; the engine is the caller's."""
        self._nodes.close()

    # ---- doors

    def run_once(
        self, *, wait_s: float | None = None, stop: threading.Event | None = None
    ) -> Progress:
        """Catches up with the head and returns.

        Raises RpcUnavailable, RpcError and SourceContradicts (the node: try again later),
        WrongNetwork and MirrorInconsistent (stop), MirrorBusy (another indexer kept the lock for
        `wait_s` seconds). What was written before stays and is right.
        """
        with writer_lock(self._engine, wait_s=wait_s, stop=stop) as still_held:
            # Another indexer may have written since the last time.
            self._memory.clear()
            return self._catch_up(still_held, stop or threading.Event())

    def run(self, stop: threading.Event, wake: threading.Event | None = None) -> None:
        """Follows the head until `stop` is set. `wake` set by others (a new head over WebSocket, a
        relay that sent something) saves the wait; polling decides.

        A node that does not answer is waited for, and so is a database that does not (started
        anew, its disk full). Raises WrongNetwork and MirrorInconsistent.
        """

        def waiting(holder: str) -> None:
            log.info("another indexer writes this mirror (%s): waiting", holder)

        failures = 0
        while not stop.is_set():
            try:
                with writer_lock(self._engine, stop=stop, waiting=waiting) as still_held:
                    self._memory.clear()
                    while not stop.is_set():
                        failures = self._follow(still_held, stop, wake, failures)
            except MirrorBusy as busy:
                log.info("%s", busy)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                failures += 1
                pause = back_off_s(failures)
                log.warning("the mirror's database failed (%s): again in %.0f s", error, pause)
                stop.wait(pause)

    def _follow(
        self,
        still_held: Callable[[], None],
        stop: threading.Event,
        wake: threading.Event | None,
        failures: int,
    ) -> int:
        """One round and the wait after it; gives the number of failures in a row."""
        try:
            still_held()
            self._catch_up(still_held, stop)
            failures, pause = 0, POLL_S
        except (RpcUnavailable, RpcError, SourceContradicts) as error:
            failures += 1
            asked = getattr(error, "retry_after_s", None)
            pause = back_off_s(failures, asked)
            log.warning("the node gave no usable answer (%s): again in %.0f s", error, pause)
        # Who asked for patience gets it: heads do not shorten that pause.
        wait_for(pause, stop, None if failures else wake)
        return failures

    # ---- one round

    def _catch_up(self, still_held: Callable[[], None], stop: threading.Event) -> Progress:
        head = self._source.head()
        with self._engine.begin() as conn:
            belong_together(conn, self._deployment)
        undone = self._undo_fork(head)
        blocks = logs = 0
        cursor = self._continue()
        start = self._deployment.first_block if cursor is None else cursor.number + 1
        with fewer_collections(), prefetched(lambda: self._chunks(start, head, stop)) as chunks:
            for chunk in joined(chunks, head.final_block):
                still_held()
                if cursor is not None and chunk.parent_hash != cursor.hash:
                    # The chain turned between two requests: the next round finds the fork.
                    raise SourceContradicts(
                        f"block {chunk.first} does not follow the mirrored block {cursor.number}"
                    )
                self._store(chunk, head.final_block)
                cursor = chunk.last
                blocks += chunk.last.number - chunk.first + 1
                logs += chunk.logs
                self._upkeep.wrote(chunk.logs)
                self._tell(cursor, head, blocks, logs, undone)
        self._upkeep.run()
        succession.note_codes(self._engine, self._nodes, self._deployment)
        if cursor is None:
            cursor = Header(start - 1, b"", b"", 0)
        return self._progress(cursor, head, blocks, logs, undone)

    def _chunks(self, start: int, head: Head, stop: threading.Event) -> Iterator[Chunk]:
        """Pieces of the chain in order: ranges below finality, single blocks above."""
        number = start
        for chunk in self._source.ranges(start, head.final_block):
            if stop.is_set():
                return
            yield chunk
            number = chunk.last.number + 1
        while number <= head.header.number and not stop.is_set():
            found = self._source.block(number)
            if found is None:
                return
            yield found
            number += 1

    def _store(self, chunk: Chunk, final_block: int) -> None:
        try:
            with self._engine.begin() as conn:
                write_chunk(conn, self._network, chunk, final_block, self._memory)
        except BaseException as error:
            self._memory.clear()
            if is_too_large(error):
                error = MirrorInconsistent(chunk.largest().number, f"a number too large: {error}")
            if isinstance(error, MirrorInconsistent):
                self._doubt(chunk, error)
            raise error

    def _doubt(self, chunk: Chunk, error: MirrorInconsistent) -> None:
        """Before logs are called impossible, the node is asked for that block again, by its hash.

        Raises SourceContradicts when the two answers differ: one of them left something out.
        """
        before = [block.items for header, block in chunk.blocks if header.number == error.block]
        again = self._source.block(error.block)
        if again is None or [block.items for _, block in again.blocks] != before:
            raise SourceContradicts(
                f"the node gave two different answers for block {error.block}"
            ) from error

    def _continue(self) -> Header | None:
        """Where the mirror ends; the source asks for the Coalitions that are known there."""
        with self._engine.begin() as conn:
            found = store.read_cursor(conn)
            self._source.follow(succession.tenures(conn, self._network.coalition))
        return None if found is None else found[0]

    def _tell(
        self, cursor: Header, head: Head, blocks: int, logs: int, undone: Reorg | None
    ) -> None:
        if self._on_progress is not None:
            self._on_progress(self._progress(cursor, head, blocks, logs, undone))

    @staticmethod
    def _progress(
        cursor: Header, head: Head, blocks: int, logs: int, undone: Reorg | None
    ) -> Progress:
        return Progress(
            block=cursor.number,
            time=cursor.time,
            final_block=head.final_block,
            head_block=head.header.number,
            blocks=blocks,
            logs=logs,
            reorg=undone,
        )

    # ---- forks and foreign chains

    def _undo_fork(self, head: Head) -> Reorg | None:
        """Undoes what the chain no longer has."""
        with self._engine.begin() as conn:
            found = store.read_cursor(conn)
            if found is None:
                return None
            cursor, final_block = found
            on_chain = self._source.header(cursor.number)
            if on_chain is not None and on_chain.hash == cursor.hash:
                return None
            first = self._deployment.first_block
            common = reorg.find_common(conn, cursor, self._source.header, first)
            if common is None:
                raise WrongNetwork(
                    f"the chain has none of the mirrored blocks, not even the one before {first}"
                )
            if reorg.is_lag(conn, common, head.header.number):
                return None
            self._memory.clear()
            reorg.undo(conn, common, final_block)
        undone = Reorg(common.number, cursor.number, common.number < final_block)
        level = logging.ERROR if undone.below_final else logging.WARNING
        log.log(
            level,
            "the chain left %d mirrored blocks above block %d%s: undone",
            undone.depth,
            common.number,
            ", some of them final" if undone.below_final else "",
        )
        return undone
