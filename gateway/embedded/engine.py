"""The journal and the anvil that computes from it, kept in step.

Not thread safe: the chain's lock is. A broken connection to anvil shows as NodeGone; `restart`
heals it.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.embedded.errors import (
    ChainStopped,
    JournalDamaged,
    NodeFailed,
    NodeOther,
    ReplayDiffers,
    SubmitRefused,
)
from gateway.embedded.folder import DataFolder
from gateway.embedded.journal import Genesis, Journal
from gateway.embedded.node import FLAGS, HARDFORK, Node, end_leftover, find_anvil, genesis_document
from gateway.embedded.pending import PendingTransaction
from gateway.embedded.replay import MinedBlock, Progress, mine_block, replay
from gateway.embedded.wire import NodeGone, NodeRefused, NodeWire

log = logging.getLogger(__name__)

# A node that dies this often in a minute dies of something that a restart does not heal.
RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 60.0
# Random, so that nothing signed for one network is valid on another; under 2**53, the last whole
# number that JavaScript keeps exactly.
CHAIN_ID_MIN, CHAIN_ID_MAX = 2**32, 2**52


class Engine:
    """`head` is the last block whose hash is committed."""

    def __init__(
        self, folder: DataFolder, anvil: Path | None, on_exit: Callable[[Node], None]
    ) -> None:
        self.head = MinedBlock(0, 0, "", 0)
        self.node: Node | None = None
        self.failure: BaseException | None = None
        self._folder = folder
        self._on_exit = on_exit
        self._restarts: list[float] = []
        # False from a block's journal commit until its hash commit.
        self._in_step = True
        self._anvil = find_anvil(anvil)
        if end_leftover(folder):
            log.warning("ended an anvil that an earlier run had left behind")
        folder.delete_runs()
        self._journal = Journal(folder.journal_path)
        try:
            self._genesis = self._journal.genesis()
        except BaseException:
            self._journal.close()
            raise

    @property
    def genesis(self) -> Genesis:
        assert self._genesis is not None
        return self._genesis

    def open(self, chain_id: int | None, time_: int, progress: Progress | None) -> None:
        """Bring a first anvil to the journal's head; a new journal gets its genesis."""
        if self._genesis is None:
            chain_id = chain_id or CHAIN_ID_MIN + secrets.randbelow(CHAIN_ID_MAX - CHAIN_ID_MIN)
            document = genesis_document(chain_id, time_)
            self._genesis = Genesis(chain_id, time_, document, b"", "", HARDFORK, FLAGS)
        for attempt in range(RESTARTS_MAX):
            try:
                return self._spawn(progress)
            except NodeGone as gone:
                self.stop_node()
                if attempt == RESTARTS_MAX - 1:
                    raise NodeFailed(f"anvil dies while the journal is replayed: {gone}") from gone

    def offer(self, raw: bytes) -> PendingTransaction:
        """Into anvil's pool, which checks it; what it read out of the bytes comes back.

        Raises SubmitRefused and NodeGone.
        """
        wire = self._wire()
        try:
            block_hash = wire.call("eth_sendRawTransaction", "0x" + raw.hex())
        except NodeRefused as refused:
            raise SubmitRefused(refused.code, refused.message) from refused
        seen = wire.call("eth_getTransactionByHash", block_hash)
        return PendingTransaction(
            seen["hash"], seen["from"], int(seen["nonce"], 16), int(seen["gas"], 16), raw
        )

    def nonces(self, senders: Sequence[str]) -> dict[str, int]:
        """Each sender's next nonce on chain."""
        calls = [("eth_getTransactionCount", [sender, "latest"]) for sender in senders]
        answers = self._wire().calls(calls)
        return {s: int(a.unwrap(), 16) for s, a in zip(senders, answers, strict=True)}

    def mine(self, time_: int, raws: Sequence[bytes]) -> MinedBlock:
        """Journal a block, mine it, commit its hash. Raises NodeGone (then `restart` tells whether
        it was journalled: the head has moved), NodeFailed, sqlite3.Error."""
        wire = self._wire()
        block = self._journal.append(self.head.number + 1, time_, raws)
        self._in_step = False
        self.head = mine_block(wire, self._journal, block)
        self._in_step = True
        if self.head.transactions != len(raws):
            left_out = len(raws) - self.head.transactions
            log.warning("block %d: the node left out %d transactions", block.number, left_out)
        return self.head

    def restart(self) -> None:
        """A new anvil in place of one that died. Raises ChainStopped when that is hopeless."""
        while True:
            if self.failure is not None:
                raise ChainStopped(self.failure)
            now = time.monotonic()
            self._restarts = [t for t in self._restarts if now - t < RESTARTS_WINDOW_S] + [now]
            self.stop_node()
            try:
                if len(self._restarts) > RESTARTS_MAX:
                    raise NodeFailed(f"anvil died {RESTARTS_MAX} times within a minute")
                log.warning("anvil is gone; a new one replays the journal")
                return self._spawn(None)
            except NodeGone:
                continue
            except sqlite3.Error:
                # The disk's doing, not the node's: it may pass, so it does not count.
                self._restarts.pop()
                raise
            except (NodeFailed, NodeOther, JournalDamaged, ReplayDiffers) as error:
                self.failure = error
                log.error("the embedded chain stands still: %s", error)
                raise ChainStopped(error) from error

    def stop_node(self) -> None:
        if self.node is not None:
            self.node.stop()
            self.node = None

    def close(self) -> None:
        self.stop_node()
        self._journal.close()
        self._folder.delete_runs()

    def _wire(self) -> NodeWire:
        if self.failure is not None:
            raise ChainStopped(self.failure)
        if self.node is None:
            raise NodeGone("there is no node")
        if not self._in_step:
            # The last hash commit failed (a full disk, for one): a replay makes up for it.
            raise NodeGone("the node is ahead of the journal")
        return self.node.wire

    def _spawn(self, progress: Progress | None) -> None:
        genesis = self.genesis
        self.node = node = Node(self._anvil, self._folder, genesis.document, self._on_exit)
        version = str(node.wire.call("web3_clientVersion"))
        block_hash = str(node.wire.call("eth_getBlockByNumber", "0x0", False)["hash"])
        if not genesis.hash:
            genesis = Genesis(
                *(genesis.chain_id, genesis.time, genesis.document, bytes.fromhex(block_hash[2:])),
                *(version, HARDFORK, FLAGS),
            )
            self._journal.write_genesis(genesis)
            self._genesis = genesis
        self._journal.require_same_node(genesis, version, HARDFORK, FLAGS)
        if block_hash != "0x" + genesis.hash.hex():
            raise ReplayDiffers(0, "0x" + genesis.hash.hex(), block_hash)
        first = MinedBlock(0, genesis.time, block_hash, 0)
        self.head = replay(node.wire, self._journal, first, progress)
        self._in_step = True
