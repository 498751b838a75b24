"""One audit, from the first block to the last check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.auditor import checkpoint, heads
from indexer.auditor.blocks import CheckedBlock, RangeChecker, Watch
from indexer.auditor.calls import check_calls, questions
from indexer.auditor.caps import cap_of
from indexer.auditor.checks import CHECKS, Check, check_of
from indexer.auditor.conclusion import conclude
from indexer.auditor.context import Figures
from indexer.auditor.errors import Broken, CannotRun, Finding, NodeRefused
from indexer.auditor.headers import HEADERS, PARENTS, Header, check_parent
from indexer.auditor.laws import laws_of, money_of
from indexer.auditor.ledger import Counts, Ledger
from indexer.auditor.network import NetworkFile
from indexer.auditor.opening import (
    check_chain,
    last_block,
    opening_state,
    read_header,
    trusted_heads,
)
from indexer.auditor.outcome import Options, Outcome, Progress, silent
from indexer.auditor.pipeline import Pipeline
from indexer.auditor.receipts import BLOOM, RECEIPTS
from indexer.auditor.references import ReferenceList
from indexer.auditor.replay import CoalitionUnknown, Replay, issues_of
from indexer.auditor.source import BlockFetcher, Rpc
from indexer.auditor.state import asset_is_receipt, check_state_of_chain
from indexer.auditor.storage import StorageProver
from indexer.auditor.transactions import TRANSACTIONS

if TYPE_CHECKING:
    from indexer.auditor.mirror import MirrorCheck

_SAVE_EVERY_S = 30.0
_FINDINGS_MAX = 20
_BY_BLOCK = frozenset((HEADERS, PARENTS, TRANSACTIONS, RECEIPTS, BLOOM))


class Audit:
    """Runs all checks against one node. Raises CannotRun; findings are in the outcome."""

    def __init__(
        self, rpc: Rpc, network: NetworkFile, options: Options, progress: Progress = silent
    ) -> None:
        self._rpc = rpc
        self._network = network
        self._options = options
        self._progress = progress
        self._coalitions = [network.address("Coalition")]
        self._caps: dict[bytes, int] = {}
        self.outcome = Outcome(network, rpc.url, {name: Check(name) for name in CHECKS})
        self._heads: list[heads.Head] = []
        self._mirror: MirrorCheck | None = None
        self._references: ReferenceList | None = None

    def run(self) -> Outcome:
        """Every check that was asked for. The first fact of the chain that does not hold ends it:
        what follows would be judged by a state that is already wrong.
        """
        began = time.perf_counter()
        outcome = self.outcome
        with ExitStack() as stack:
            try:
                ledger = self._begin(stack)
                outcome.ledger = ledger
                self._read_chain(ledger)
                self._after(ledger)
            except Broken as broken:
                outcome.moved = self._has_moved(broken.finding)
                outcome.checks[check_of(broken.finding)].broken(broken.finding)
        conclude(outcome)
        outcome.seconds = time.perf_counter() - began
        return outcome

    def _has_moved(self, finding: Finding) -> bool:
        """Whether this is a reorganisation that came while blocks were read that nobody had called
        final, or the answer of a back end that is behind: asked again, the blocks hold.
        """
        number = finding.block
        final = self._options.last == "finalized"
        if not number or final or finding.check not in _BY_BLOCK:
            return False
        checker = RangeChecker(self._watch())
        try:
            for raw in BlockFetcher(self._rpc).ranges(number - 1, number):
                checker.check(raw)
        except Broken:
            return False
        return True

    def _begin(self, stack: ExitStack) -> Ledger:
        rpc, network, options, outcome = self._rpc, self._network, self._options, self.outcome
        check_chain(rpc, network, outcome)
        self._heads = trusted_heads(options, outcome)
        outcome.last = last_block(rpc, network, options, outcome)
        heads.check_reach(self._heads, outcome.last)
        if options.mirror is not None:
            self._open_mirror(stack, options.mirror)
        if options.references is not None:
            self._references = ReferenceList(options.references, outcome.checks["references"])
        ledger = opening_state(network, options, outcome, self._heads)
        outcome.first = ledger.block + 1
        if outcome.resumed_at is not None:
            self._check_resumed(ledger)
        self._turn_page(ledger)
        if self._mirror is not None:
            self._mirror.begin(outcome.first, ledger)
        known = (*ledger.predecessors, ledger.coalition)
        self._coalitions += [c for c in known if c not in self._coalitions]
        return ledger

    def _open_mirror(self, stack: ExitStack, url: str) -> None:
        # Only an audit with a mirror needs a database driver.
        from indexer.auditor.mirror import MirrorCheck, open_snapshot

        conn = stack.enter_context(open_snapshot(url))
        mirror = MirrorCheck(conn, self._network, self.outcome.checks["mirror"])
        if mirror.block > self.outcome.last and isinstance(self._options.last, int):
            raise CannotRun(f"the mirror is at block {mirror.block}: compare it there")
        # A mirror is compared where it stands, or not at all.
        self.outcome.last = mirror.block
        self._mirror = mirror

    # ---- the chain

    def _read_chain(self, ledger: Ledger) -> None:
        outcome = self.outcome
        events_before = ledger.counts.events if self._options.first is None else 0
        saved_at = time.monotonic()
        outstanding = [head for head in self._heads if head.block > ledger.block]
        replay = self._replay(ledger)
        while ledger.block < outcome.last:
            try:
                for block in self._blocks(ledger.block + 1, outcome.last):
                    self._take(replay, ledger, block)
                    self._turn_page(ledger)
                    while outstanding and outstanding[0].block == ledger.block:
                        head = outstanding.pop(0)
                        heads.check_hash(head, ledger.block_hash)
                        heads.check_state(head, ledger)
                    outcome.header = block.header
                    total = outcome.last - outcome.first + 1
                    self._progress("blocks", ledger.block - outcome.first + 1, total)
                    if time.monotonic() - saved_at > _SAVE_EVERY_S:
                        self._save(ledger)
                        saved_at = time.monotonic()
            except CoalitionUnknown as successor:
                # Its logs were not decoded: read on from this block with its address known.
                self._coalitions.append(successor.address)
                replay = self._replay(ledger)
            finally:
                outcome.events_replayed = ledger.counts.events - events_before

    def _turn_page(self, ledger: Ledger) -> None:
        """With `--from`, what came before is the opening: replayed all the same, not reported."""
        if self._options.first is not None and ledger.block == self._options.first - 1:
            ledger.flows.clear()
            ledger.counts = Counts()
            self.outcome.first = ledger.block + 1

    @property
    def _state_file(self) -> Path | None:
        # A state whose figures begin in the middle is nothing to go on from.
        return self._options.state if self._options.first is None else None

    def _save(self, ledger: Ledger) -> None:
        if self._state_file is not None:
            leaves = self.outcome.leaves
            checkpoint.save(self._state_file, ledger, self._network.digest, leaves)

    def _check_resumed(self, ledger: Ledger) -> None:
        """The chain still has the block of the saved state. Raises Broken, CannotRun."""
        header = read_header(self._rpc, ledger.block)
        self.outcome.header = header
        if header.hash == ledger.block_hash:
            return
        fact = "the block of the saved state is another one now"
        if self._options.last != "finalized":
            # Nobody had called it final: an honest chain may have left it.
            raise CannotRun(f"{fact}: remove {self._options.state} and audit anew")
        expected, got = "0x" + ledger.block_hash.hex(), "0x" + header.hash.hex()
        raise Broken(HEADERS, ledger.block, fact, expected, got)

    def _replay(self, ledger: Ledger) -> Replay:
        network = self._network
        self.outcome.asset_is_receipt = asset_is_receipt(self._rpc, network)
        for successor in self._coalitions:
            if successor not in self._caps:
                self._caps[successor] = cap_of(self._rpc, network, successor)
        figures = Figures(
            face_value=network.face_value,
            return_caps_bps=self._caps,
            schedule=network.schedule,
            policy=network.policy,
            points=network.address("Points"),
            asset_is_receipt=self.outcome.asset_is_receipt,
            has_code=self._has_code,
        )
        return Replay(ledger, figures, frozenset(self._coalitions))

    def _has_code(self, address: bytes, header: Header) -> bool | None:
        prover = StorageProver(self._rpc, header.number, header.state_root)
        account = prover.account(address)
        return None if account is None else account.has_code

    def _blocks(self, first: int, last: int) -> Iterator[CheckedBlock]:
        fetcher = BlockFetcher(self._rpc)
        pipeline = Pipeline(fetcher, self._watch(), self.outcome.costs, self._options.workers)
        yield from pipeline.blocks(first, last)

    def _watch(self) -> Watch:
        watched = {**self._network.watched, **dict.fromkeys(self._coalitions, "Coalition")}
        return Watch(self._network.chain_id, watched, tuple(self._coalitions))

    def _take(self, replay: Replay, ledger: Ledger, block: CheckedBlock) -> None:
        began = time.perf_counter()
        if block.header.number > 0 and ledger.block_hash != bytes(32):
            check_parent(block.header, ledger.block_hash, ledger.timestamp)
        try:
            replay.apply(block)
        finally:
            now = time.perf_counter()
            self.outcome.costs.add({"replay": now - began})
        if self._mirror is not None:
            self._mirror.take(block)
            self.outcome.checks["mirror"].seconds += time.perf_counter() - now
        if self._references is not None:
            for event, order in issues_of(block):
                count = 0 if order is None else order.fields["count"]
                digest, root = event.args[0], event.args[6]
                self._references.issued(block.header.number, digest, count, root)

    # ---- after the last block

    @contextmanager
    def _timed(self, name: str) -> Iterator[Check]:
        check = self.outcome.checks[name]
        began = time.perf_counter()
        try:
            yield check
        finally:
            check.seconds += time.perf_counter() - began

    def _after(self, ledger: Ledger) -> None:
        outcome, network = self.outcome, self._network
        header = outcome.header
        assert header is not None
        with self._timed("laws") as check:
            outcome.laws = laws_of(ledger, network.schedule, network.face_value)
            outcome.money = money_of(ledger, network.schedule, network.face_value)
            for law in outcome.laws:
                if law.holds is False:
                    fact = f"law {law.number}: {law.name}"
                    check.broken(Broken("laws", ledger.block, fact, law.right, law.left).finding)
            check.held(len(outcome.laws), "laws")
        try:
            check_state_of_chain(self._rpc, outcome, header, self._caps, self._progress)
        finally:
            # The blocks were read, whatever became of the proofs.
            self._save(ledger)
        if self._options.calls:
            self._check_calls(ledger)
        if self._heads:
            outcome.checks["published heads"].held(len(self._heads), "heads")
        if self._references is not None:
            self._references.finish()
        if self._mirror is not None:
            with self._timed("mirror"):
                self._mirror.finish(ledger)

    def _check_calls(self, ledger: Ledger) -> None:
        network = self._network
        with self._timed("calls") as check:
            points, asset = network.address("Points"), network.address("BankReceipt")
            asked = questions(ledger, network.schedule, points, asset, network.face_value)
            try:
                for found in check_calls(self._rpc, ledger.block, asked):
                    if isinstance(found, int):
                        check.held(found, "answers")
                    elif len(check.findings) < _FINDINGS_MAX:
                        check.broken(found.finding)
            except NodeRefused as error:
                check.note = f"the node does not answer calls at that block: {error}"
