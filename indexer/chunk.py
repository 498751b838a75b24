"""Pieces of the chain, as the source hands them on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from indexer.decode import BlockLogs
from indexer.errors import SourceContradicts
from indexer.project import Header
from indexer.watched import Watched


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's newest block and the number of its last final one."""

    header: Header
    final_block: int


@dataclass(slots=True)
class Chunk:
    """Blocks `first` to `last.number`: the headers of those with logs, and their logs.

    `parent_hash` is the hash that the block before `first` must have. With `watched`, this is one
    block, in which a successor took over: what follows is to be asked for with that.
    """

    first: int
    last: Header
    parent_hash: bytes
    blocks: list[tuple[Header, BlockLogs]] = field(default_factory=list)
    watched: Watched | None = None

    @property
    def logs(self) -> int:
        return sum(len(block.items) for _, block in self.blocks)

    def largest(self) -> Header:
        """The block whose logs hold the largest number of all."""

        def size(one: tuple[Header, BlockLogs]) -> int:
            others = (v for log in one[1].others for v in log.values.values())
            moved = (item[4] for item in one[1].items if isinstance(item, tuple))
            return max((n for n in chain(others, moved) if isinstance(n, int)), default=0)

        return max(self.blocks, key=size, default=(self.last, None))[0]

    def extend(self, following: Chunk) -> None:
        """Takes the next blocks in. Raises SourceContradicts when they do not follow."""
        if following.parent_hash != self.last.hash:
            raise SourceContradicts(
                f"block {following.first} does not follow block {self.last.number}"
            )
        self.last = following.last
        self.blocks += following.blocks
