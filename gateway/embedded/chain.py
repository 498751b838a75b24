"""The embedded chain: anvil behind our journal, our clock and our proxy, as one object.

A block is final here when its hash is committed; there are no reorgs. anvil may die at any time: it
is started anew and the journal replayed, and whoever waited for it is answered after that.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gateway.clock import SteeredClock
from gateway.embedded.engine import Engine
from gateway.embedded.errors import ChainStopped, EmbeddedChainError, SubmitRefused
from gateway.embedded.folder import DataFolder
from gateway.embedded.gate import Gate
from gateway.embedded.node import BLOCK_GAS_LIMIT, Node
from gateway.embedded.pending import PendingList
from gateway.embedded.proxy import Proxy
from gateway.embedded.replay import MinedBlock, Progress
from gateway.embedded.wire import NodeGone

log = logging.getLogger(__name__)

MINING_INTERVAL_S = 0.1
RETRY_INTERVAL_S = 1.0
BLOB_TRANSACTION = 3


class EmbeddedChain:
    """A running embedded chain. Thread safe. Make it with `start`, end it with `stop`."""

    def __init__(self, folder: DataFolder, mining_interval_s: float) -> None:
        self.clock = SteeredClock()
        self.gate = Gate()
        self.rpc_url = ""
        self._folder = folder
        self._interval_s = mining_interval_s
        self._changed = threading.Condition(threading.RLock())
        self._pending = PendingList()
        self._held = self._due = self._stopping = False
        self._listeners: list[Callable[[MinedBlock], None]] = []
        self._engine: Engine | None = None
        self._proxy: Proxy | None = None
        self._miner = threading.Thread(target=self._mine_when_due, name="miner", daemon=True)

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        chain_id: int | None = None,
        genesis_time: int | None = None,
        progress: Progress | None = None,
        rpc_port: int = 0,
        anvil: Path | None = None,
        mining_interval_s: float = MINING_INTERVAL_S,
    ) -> EmbeddedChain:
        """Open the data folder, replay its journal into a fresh anvil, open the RPC port.

        `chain_id` (default random) and `genesis_time` (unix seconds, default now) count at the
        first start only. `progress(done, total)` is called after each replayed block. Raises
        EmbeddedChainError, with nothing left running and nothing deleted.
        """
        chain = cls(DataFolder(data_dir), mining_interval_s)
        try:
            with chain._changed:
                chain._engine = Engine(chain._folder, anvil, chain._node_ended)
                chain._engine.open(chain_id, chain.clock.clamp(genesis_time), progress)
                chain.clock.saw_block(chain.head.time)
            chain._proxy = Proxy(chain, rpc_port)
            chain.rpc_url = chain._proxy.url
            chain._folder.publish(rpc_url=chain.rpc_url, chain_id=chain.chain_id)
            chain._miner.start()
        except BaseException:
            chain.stop()
            raise
        return chain

    @property
    def chain_id(self) -> int:
        return self._running().genesis.chain_id

    @property
    def genesis_hash(self) -> str:
        return "0x" + self._running().genesis.hash.hex()

    @property
    def head(self) -> MinedBlock:
        """The last committed block; number 0 is the genesis."""
        return self._running().head

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block."""
        return len(self._pending)

    @property
    def node_pid(self) -> int | None:
        node = self._running().node
        return node.pid if node else None

    @property
    def node_port(self) -> int:
        """anvil's own port, for the proxy alone. Raises ChainStopped while there is none."""
        engine = self._running()
        node = engine.node
        if node is None or self._stopping:
            raise ChainStopped(engine.failure)
        return node.port

    def on_block(self, listener: Callable[[MinedBlock], None]) -> None:
        """Call `listener` after each committed block, from the thread that mined it."""
        self._listeners.append(listener)

    def submit(self, raw: bytes) -> str:
        """Take a signed transaction; returns its hash. It waits in memory: until its block is
        journalled a crash forgets it, so the sender keeps the bytes and sends them again.

        Raises SubmitRefused (the node's own refusal) and ChainStopped.
        """
        if raw[:1] == bytes([BLOB_TRANSACTION]):
            raise SubmitRefused(-32000, "blob transactions are not carried on this chain")
        with self._changed:
            if not self._pending.has_room(raw):
                raise SubmitRefused(-32005, "too many transactions wait for a block")
            engine = self._running()
            try:
                transaction = engine.offer(raw)
            except NodeGone:
                self._recover()
                transaction = engine.offer(raw)
            self._pending.add(transaction)
            self._due = True
            self._changed.notify_all()
            return transaction.hash

    def hold(self) -> None:
        """Mine nothing until `release`, save by `mine()`."""
        with self._changed:
            self._held = True

    def release(self) -> None:
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def mine(self, at: int | None = None) -> MinedBlock | None:
        """Mine what waits, first come first mined, as much as fits; None when nothing can be mined.

        The block's time is `at`, or the clock's now, but never before the head's nor after the wall
        clock's. Raises ChainStopped, NodeFailed, and sqlite3.Error when the disk does not take it
        (then the transactions wait on).
        """
        with self._changed:
            before = self.head.number
            try:
                block = self._mine(at)
            except NodeGone:
                self._recover()
                # What had been journalled was mined by the replay; else nothing had happened yet.
                block = self.head if self.head.number > before else self._mine(at)
            self._due = block is not None and len(self._pending) > 0
        if block is not None:
            for listener in self._listeners:
                listener(block)
        return block

    def stop(self) -> None:
        """End everything this chain started and let go of the folder. Idempotent."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._miner.is_alive() and threading.current_thread() is not self._miner:
            self._miner.join()
        if self._proxy is not None:
            self._proxy.stop()
        with self._changed:
            if self._engine is not None:
                self._engine.close()
            self._folder.release()

    def __enter__(self) -> EmbeddedChain:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> Engine:
        if self._engine is None:
            raise ChainStopped()
        return self._engine

    def _mine(self, at: int | None) -> MinedBlock | None:
        engine = self._running()
        if self._stopping:
            raise ChainStopped()
        nonces = engine.nonces(self._pending.senders())
        self._pending.drop_stale(nonces)
        chosen = self._pending.choose(nonces, BLOCK_GAS_LIMIT)
        if not chosen:
            return None
        time_ = self.clock.now() if at is None else self.clock.clamp(at)
        with self.gate.closed():
            mined = engine.mine(time_, [transaction.raw for transaction in chosen])
        self.clock.saw_block(mined.time)
        self._pending.remove(chosen)
        self._offer_pending()
        return mined

    def _offer_pending(self) -> None:
        """Back into anvil's pool with what waits on, so that it answers rightly about its pool."""
        for transaction in self._pending.all():
            try:
                self._running().offer(transaction.raw)
            except SubmitRefused as refused:
                self._pending.remove([transaction])
                # Mined by a replay already, mostly; else its sender finds out and sends another.
                log.info("%s waits no more: %s", transaction.hash, refused)

    def _recover(self) -> None:
        engine = self._running()
        while not self._stopping:
            with self.gate.closed():
                engine.restart()
            self.clock.saw_block(engine.head.time)
            try:
                return self._offer_pending()
            except NodeGone:
                continue
        raise ChainStopped()

    def _node_ended(self, node: Node) -> None:
        """anvil died by itself; called from the thread that watched it."""
        with self._changed:
            engine = self._engine
            # Whoever noticed first has healed it by now, or said why not.
            if engine is None or node is not engine.node or self._stopping or engine.failure:
                return
            try:
                self._recover()
            except (EmbeddedChainError, sqlite3.Error) as error:
                log.error("no new anvil: %s", error)

    def _mine_when_due(self) -> None:
        """The mining thread: a short while after the first transaction came, mine."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or (self._due and not self._held))
                if self._stopping:
                    return
            time.sleep(self._interval_s)
            try:
                if not self._held and not self._stopping:
                    self.mine()
            except ChainStopped:
                return
            except Exception:
                # A full disk, for one: nothing was mined, and it may pass.
                log.exception("mining failed; it is tried again")
                time.sleep(RETRY_INTERVAL_S)
