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


def block_calls(block: JournalBlock) -> list[Call]:
    """Empty the pool, send the transactions, mine, ask what came out."""
    return [
        ("anvil_dropAllTransactions", []),
        *(("eth_sendRawTransaction", ["0x" + raw.hex()]) for raw in block.raws),
        ("evm_mine", [block.time]),
        ("eth_getBlockByNumber", [hex(block.number), False]),
    ]


def mine_block(wire: NodeWire, journal: Journal, block: JournalBlock) -> MinedBlock:
    """Mine a journalled block for the first time and commit its hash.

    A transaction that the node leaves out as invalid stays in the journal: the mere attempt puts
    its sender into the state root (measured), so a replay without it would differ. Raises NodeGone,
    and NodeFailed when the node does not mine.
    """
    mined = _read_block(block, wire.calls(block_calls(block)))
    journal.commit_hash(block.number, bytes.fromhex(mined.hash[2:]))
    return mined


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
        if len(answers) == len(asked[0].raws) + 3:
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
        mined = _read_block(block, answers)
    except NodeFailed as failed:
        raise ReplayDiffers(block.number, committed, f"nothing ({failed})") from failed
    if mined.hash != committed:
        raise ReplayDiffers(block.number, committed, mined.hash)
    return mined


def _read_block(block: JournalBlock, answers: Sequence[Answer]) -> MinedBlock:
    """What came out of `block_calls`. Whether a sending was refused does not matter: it will be
    refused again, and the hash says the rest."""
    try:
        answers[-2].unwrap()
        header = answers[-1].unwrap()
    except NodeRefused as refused:
        raise NodeFailed(f"anvil did not mine block {block.number}: {refused}") from refused
    if header is None or int(header["timestamp"], 16) != block.time:
        raise NodeFailed(f"anvil mined something else than block {block.number}")
    return MinedBlock(block.number, block.time, header["hash"], len(header["transactions"]))
