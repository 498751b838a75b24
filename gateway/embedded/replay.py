"""From journalled blocks to a running chain: the one way in which a block is mined, live and at
start.

Each block is mined from an emptied pool with its transactions sent in journal order, so what was
mined live comes out again bit for bit: the same code did it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.embedded.errors import JournalDamaged, NodeFailed, ReplayDiffers
from gateway.embedded.journal import Journal, JournalBlock
from gateway.embedded.wire import Answer, Call, NodeRefused, NodeWire

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A committed block. `time` in unix seconds, `hash` as `0x` string, `transactions` their
    number."""

    number: int
    time: int
    hash: str
    transactions: int


def block_calls(block: JournalBlock) -> Iterator[Call]:
    """Send the transactions, mine, ask what came out: len(raws) + 2 calls."""
    for raw in block.raws:
        yield "eth_sendRawTransaction", ["0x" + raw.hex()]
    yield "evm_mine", [block.time]
    yield "eth_getBlockByNumber", [hex(block.number), False]


def mine_block(wire: NodeWire, journal: Journal, block: JournalBlock) -> MinedBlock:
    """Mine a journalled block for the first time and commit its hash.

    What the node refuses or leaves out as invalid (it says so to nobody) leaves the journal too.
    Raises NodeGone, and NodeFailed when the node does not mine.
    """
    wire.call("anvil_dropAllTransactions")
    answers = wire.calls(list(block_calls(block)))
    by_hash: dict[str, bytes] = {}
    for raw, answer in zip(block.raws, answers, strict=False):
        try:
            by_hash[answer.unwrap()] = raw
        except NodeRefused:
            continue
    try:
        answers[-2].unwrap()
        header = answers[-1].unwrap()
    except NodeRefused as refused:
        raise NodeFailed(f"anvil did not mine block {block.number}: {refused}") from refused
    if header is None or int(header["timestamp"], 16) != block.time:
        raise NodeFailed(f"anvil mined another block than number {block.number}")
    included = [by_hash[transaction] for transaction in header["transactions"]]
    journal.commit_hash(block, bytes.fromhex(header["hash"][2:]), included)
    return MinedBlock(block.number, block.time, header["hash"], len(included))


def replay(
    wire: NodeWire, journal: Journal, genesis: MinedBlock, progress: Progress | None = None
) -> MinedBlock:
    """Mine every journalled block again and compare every hash; returns the head.

    A last block without a hash (we died before it was committed) is mined now and committed.
    Raises ReplayDiffers, JournalDamaged, NodeGone, NodeFailed.
    """
    total = journal.count()
    asked: deque[JournalBlock] = deque()
    unfinished: list[JournalBlock] = []

    def calls() -> Iterator[Call]:
        for block in journal.read():
            if unfinished:
                raise JournalDamaged(
                    f"block {unfinished[0].number} has no hash, but is not the last"
                )
            if block.hash is None:
                unfinished.append(block)
            else:
                asked.append(block)
                yield from block_calls(block)

    head = genesis
    answers: list[Answer] = []
    for answer in wire.stream(calls()):
        answers.append(answer)
        if len(answers) == len(asked[0].raws) + 2:
            head = _compare(asked.popleft(), answers)
            answers.clear()
            if progress is not None:
                progress(head.number, total)
    if unfinished:
        head = mine_block(wire, journal, unfinished[0])
        if progress is not None:
            progress(head.number, total)
    return head


def _compare(block: JournalBlock, answers: Sequence[Answer]) -> MinedBlock:
    assert block.hash is not None
    committed = "0x" + block.hash.hex()
    try:
        for answer in answers[:-1]:
            answer.unwrap()
        header = answers[-1].unwrap()
    except NodeRefused as refused:
        raise ReplayDiffers(block.number, committed, f"refused ({refused})") from refused
    if header is None or header["hash"] != committed:
        raise ReplayDiffers(block.number, committed, header["hash"] if header else "no block")
    return MinedBlock(block.number, block.time, committed, len(block.raws))
