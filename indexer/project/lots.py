"""Lots: which merchant issued the points that an account gives up.

An account's points of one epoch are a queue: what came in first goes out first. Only accounts that
give points up need it, so only theirs is read. A spend over several epochs takes the soonest to
expire first, unless the chain said which buckets moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from indexer.errors import MirrorInconsistent
from indexer.tables import block_of


@dataclass(slots=True)
class Lot:
    """Points that came in together, in the movement `id`; `left` of them are unspent."""

    id: int
    piece: int
    issuer: int
    left: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Points of one epoch and issuer that a movement took, and where in the queue it ended: what
    was left of that lot. `lot` is None for points that come out of no account (a refund's).
    """

    epoch: int
    issuer: int
    points: int
    lot: int | None = None
    lot_piece: int | None = None
    lot_left: int | None = None


Queues: TypeAlias = dict[int, deque[Lot]]
"""One account's unspent lots by epoch, the oldest first."""


class Lots:
    """The queues of the accounts that are known: those that have given points up lately.

    Whoever is not known is not followed: its lots are read from SQL when it spends.
    """

    def __init__(self) -> None:
        self.by_account: dict[bytes, Queues] = {}

    def __len__(self) -> int:
        return sum(len(lots) for queues in self.by_account.values() for lots in queues.values())

    def issue(
        self, moves: Sequence[tuple[int, int, bytes | None, bytes | None, int]], epoch: int, by: int
    ) -> None:
        """An IssueBatch by merchant `by`: the hot path. Moves as in `decode`."""
        known = self.by_account
        if not known:
            return
        for log_id, _, _, account, points in moves:
            if account in known:
                self._put(account, epoch, Lot(log_id, 0, by, points))

    def give(self, account: bytes, log_id: int, pieces: Sequence[Piece]) -> None:
        """Points come in."""
        if account in self.by_account:
            for number, piece in enumerate(pieces):
                self._put(account, piece.epoch, Lot(log_id, number, piece.issuer, piece.points))

    def take(self, account: bytes, log_id: int, buckets: Mapping[int, int]) -> list[Piece]:
        """Points go out of exactly these epochs, first in first out within each.

        Raises MirrorInconsistent when they are not there.
        """
        pieces: list[Piece] = []
        queues = self.by_account[account]
        for epoch, points in sorted(buckets.items()):
            lots = queues.get(epoch, deque())
            available = sum(lot.left for lot in lots) if points else 0
            if available < points:
                raise MirrorInconsistent(
                    block_of(log_id),
                    f"account 0x{account.hex()} gives up {points} points of epoch {epoch} and "
                    f"holds {available}",
                )
            _take(lots, epoch, points, pieces)
        return pieces

    def soonest(self, account: bytes, log_id: int, points: int, live: range) -> dict[int, int]:
        """Which buckets a plain spend takes. Raises MirrorInconsistent when they do not reach."""
        taken: dict[int, int] = {}
        queues = self.by_account[account]
        left = points
        for epoch in live:
            if not left:
                break
            part = min(left, sum(lot.left for lot in queues.get(epoch, ())))
            if part:
                taken[epoch] = part
                left -= part
        if left:
            raise MirrorInconsistent(
                block_of(log_id),
                f"account 0x{account.hex()} gives up {points} points and holds {points - left}",
            )
        return taken

    def _put(self, account: bytes, epoch: int, lot: Lot) -> None:
        self.by_account[account].setdefault(epoch, deque()).append(lot)


def _take(lots: deque[Lot], epoch: int, points: int, pieces: list[Piece]) -> None:
    """Takes from the front; neighbouring lots of one issuer make one piece."""
    first = len(pieces)
    left = points
    while left:
        lot = lots[0]
        part = min(left, lot.left)
        lot.left -= part
        left -= part
        if not lot.left:
            lots.popleft()
        before = 0
        if len(pieces) > first and pieces[-1].issuer == lot.issuer:
            before = pieces.pop().points
        pieces.append(Piece(epoch, lot.issuer, before + part, lot.id, lot.piece, lot.left))
