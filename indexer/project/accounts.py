"""Accounts by epoch, and the lots in them: which merchant issued which points.

An account's points of one epoch are a queue: what came in first goes out first. The queue is kept
as two running counts, `received` and `spent`; an entry that came in covers an interval of the
first, an entry that went out the same interval of the second, so the two match by overlap. A spend
over several epochs takes the soonest to expire first, unless the chain said which buckets moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from indexer.errors import MirrorInconsistent
from indexer.project.rows import Row
from indexer.tables import block_of

Piece: TypeAlias = tuple[int, int, int]
"""Epoch, issuing merchant, points."""


Issue: TypeAlias = tuple[int, int, None, bytes, int]
"""A `decode.Move` out of nowhere."""


@dataclass(slots=True)
class Balance:
    """One account's points of one epoch; `head` is the entry that holds the oldest unspent one."""

    received: int = 0
    spent: int = 0
    head: int | None = None
    changed: bool = False


@dataclass(slots=True)
class Lot:
    """Points that came in together: the interval [prior, end) of what was received."""

    id: int
    end: int
    issuer: int


@dataclass(slots=True)
class Accounts:
    """The accounts that a range of blocks touches, as they are while it is folded.

    `balances` by epoch and account; `lots` of those accounts alone that give points up in the
    range (`spenders`), by account and epoch; `changes` are the balances to write.
    """

    balances: dict[int, dict[bytes, Balance]]
    lots: dict[tuple[bytes, int], deque[Lot]]
    spenders: set[bytes]
    entries: list[Row]
    changes: list[tuple[bytes, int, Balance]] = field(default_factory=list)

    def issue(self, moves: Sequence[Issue], epoch: int, issuer: int) -> None:
        """The entries of one IssueBatch: the hot path, 99 of 100 logs. Moves as in `decode`."""
        balances = self.balances.setdefault(epoch, {})
        append = self.entries.append
        for log_id, _, _, account, points in moves:
            balance = balances.get(account)
            if balance is None:
                balance = balances[account] = Balance()
            if not balance.changed:
                balance.changed = True
                self.changes.append((account, epoch, balance))
            prior = balance.received
            balance.received = prior + points
            if balance.head is None:
                balance.head = log_id
            append((account, log_id, 0, epoch, issuer, points, prior))
        if self.spenders:
            for account, log_id, _, _, _, points, prior in self.entries[-len(moves) :]:
                if account in self.spenders:
                    self._add_lot(account, epoch, Lot(log_id, prior + points, issuer))

    def give(self, account: bytes, log_id: int, pieces: list[Piece]) -> None:
        """Points come in."""
        for number, (epoch, issuer, points) in enumerate(pieces):
            balances = self.balances.setdefault(epoch, {})
            balance = balances.get(account)
            if balance is None:
                balance = balances[account] = Balance()
            self._change(account, epoch, balance)
            prior = balance.received
            balance.received = prior + points
            if balance.head is None:
                balance.head = log_id
            self.entries.append((account, log_id, number, epoch, issuer, points, prior))
            if account in self.spenders:
                self._add_lot(account, epoch, Lot(log_id, prior + points, issuer))

    def take(self, account: bytes, log_id: int, buckets: Mapping[int, int]) -> list[Piece]:
        """Points go out of exactly these epochs, first in first out within each.

        Raises MirrorInconsistent when they are not there.
        """
        pieces: list[Piece] = []
        for epoch, points in sorted(buckets.items()):
            balance = self.balances.get(epoch, {}).get(account)
            available = 0 if balance is None else balance.received - balance.spent
            if balance is None or available < points:
                raise MirrorInconsistent(
                    block_of(log_id),
                    f"account 0x{account.hex()} gives up {points} points of epoch {epoch} and "
                    f"holds {available}",
                )
            self._take(account, log_id, epoch, points, balance, pieces)
        return pieces

    def soonest(self, account: bytes, log_id: int, points: int, live: range) -> dict[int, int]:
        """Which buckets a plain spend takes. Raises MirrorInconsistent when they do not reach."""
        taken: dict[int, int] = {}
        left = points
        for epoch in live:
            if not left:
                break
            balance = self.balances.get(epoch, {}).get(account)
            part = 0 if balance is None else min(left, balance.received - balance.spent)
            if part:
                taken[epoch] = part
                left -= part
        if left:
            raise MirrorInconsistent(
                block_of(log_id),
                f"account 0x{account.hex()} gives up {points} points and holds {points - left}",
            )
        return taken

    def _take(
        self,
        account: bytes,
        log_id: int,
        epoch: int,
        points: int,
        balance: Balance,
        pieces: list[Piece],
    ) -> None:
        lots = self.lots[account, epoch]
        left = points
        first = len(pieces)
        prior = balance.spent
        while left:
            lot = lots[0]
            part = min(left, lot.end - balance.spent)
            # Neighbouring lots of one issuer are one piece: fewer rows, the same sums.
            if len(pieces) > first and pieces[-1][1] == lot.issuer:
                pieces[-1] = (epoch, lot.issuer, pieces[-1][2] + part)
            else:
                pieces.append((epoch, lot.issuer, part))
            balance.spent += part
            left -= part
            if balance.spent == lot.end:
                lots.popleft()
        balance.head = lots[0].id if lots else None
        self._change(account, epoch, balance)
        for number, (_, issuer, part) in enumerate(pieces[first:], start=first):
            self.entries.append((account, log_id, number, epoch, issuer, -part, prior))
            prior += part

    def _add_lot(self, account: bytes, epoch: int, lot: Lot) -> None:
        self.lots.setdefault((account, epoch), deque()).append(lot)

    def _change(self, account: bytes, epoch: int, balance: Balance) -> None:
        if not balance.changed:
            balance.changed = True
            self.changes.append((account, epoch, balance))

    def changed(self) -> list[Row]:
        """The balances to write, in key order; they count as unchanged from here on."""
        rows: list[Row] = []
        for account, epoch, balance in self.changes:
            balance.changed = False
            rows.append((account, epoch, balance.received, balance.spent, balance.head))
        self.changes.clear()
        rows.sort()
        return rows
