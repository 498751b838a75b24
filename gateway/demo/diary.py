"""DATA/demo-days.jsonl: one line for each day that is final, and what became of it.

Only a note of how far the import came: losing its end costs nothing, because a day that is asked
for again is answered from the order book.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import orjson

FILE = "demo-days.jsonl"


@dataclass(frozen=True, slots=True)
class DayNote:
    """What one day held, and what the network made of it (points, except where it says counts).

    `purchases` count baskets x merchants, `zero_purchases` those of no points (no order is made
    of them); `issues`, `redemptions`, `refusals` are counts.
    """

    day: int
    lines: int
    baskets: int
    purchases: int
    zero_purchases: int
    issues: int
    issued: int
    redemptions: int
    redeemed: int
    refusals: int
    refused: int
    blocks: int


class Diary:
    """The notes of one data folder, by day. Holds one line a day in memory."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._notes: dict[int, DayNote] = {}
        whole = 0
        for line in self._lines():
            try:
                note = DayNote(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                # A crash tore the last line: that day is noted again.
                break
            self._notes[note.day] = note
            whole += len(line)
        if self._path.exists():
            os.truncate(self._path, whole)

    def __len__(self) -> int:
        return len(self._notes)

    def get(self, day: int) -> DayNote | None:
        return self._notes.get(day)

    def add(self, note: DayNote) -> None:
        self._notes[note.day] = note
        with self._path.open("ab") as file:
            file.write(orjson.dumps(asdict(note)) + b"\n")

    def totals(self) -> dict[str, int]:
        """Sums over all days, and the most blocks that one took (`blocks_a_day_max`)."""
        notes = self._notes.values()
        names = [field.name for field in fields(DayNote) if field.name != "day"]
        sums = {name: sum(getattr(note, name) for note in notes) for name in names}
        return sums | {"blocks_a_day_max": max((note.blocks for note in notes), default=0)}

    def _lines(self) -> Iterator[bytes]:
        if self._path.exists():
            with self._path.open("rb") as file:
                yield from file
