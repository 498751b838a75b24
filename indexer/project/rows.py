"""What one piece of the chain adds to the mirror: rows by table, ready to be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Table

from indexer import tables as t

Row = tuple[Any, ...]
"""In the order of the table's columns."""

MONTH_COLUMNS: Final = tuple(c.name for c in t.merchant_months.columns)[2:]
_AT: Final = {name: at for at, name in enumerate(MONTH_COLUMNS)}

AMOUNTS: Final[Mapping[str, tuple[str, int]]] = {
    "Issued": ("charged", -1),
    "Redeemed": ("paid", 1),
    "Refunded": ("charged", -1),
    "Returned": ("credited", 1),
    "Deposited": ("amount", 1),
    "Withdrawn": ("amount", -1),
    "BreakageClaimed": ("amount", 1),
}
"""Which argument of an event is money, and whether it adds to the merchant's position."""

MONTHS: Final[Mapping[str, tuple[str | None, str | None, str]]] = {
    # event: columns that count it, sum its points, sum its money
    "Issued": ("batches", "issued", "charged"),
    "Redeemed": ("redemptions", "redeemed", "paid"),
    "Refunded": ("refunds", "refunded", "taken_back"),
    "Returned": ("returns", "returned", "credited"),
    "Deposited": (None, None, "deposited"),
    "Withdrawn": (None, None, "withdrawn"),
    "BreakageClaimed": (None, None, "claimed"),
}
"""Which columns of a month an event adds to."""


class Sums:
    """Additions to a table of totals, folded by key: one row a key however many events."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.keys = len(table.primary_key.columns)
        self.width = len(table.columns) - self.keys
        self.by_key: dict[Row, list[int]] = {}

    def add(self, key: Row, column: int, value: int) -> None:
        """Adds to one column, counted after the key."""
        sums = self.by_key.get(key)
        if sums is None:
            sums = self.by_key[key] = [0] * self.width
        sums[column] += value

    def rows(self) -> list[Row]:
        """The rows to add; keys whose sums are all zero are left out."""
        return [(*key, *sums) for key, sums in sorted(self.by_key.items()) if any(sums)]


class Trade:
    """Totals that follow from merchants' events alone."""

    def __init__(self) -> None:
        self.months = Sums(t.merchant_months)
        self.epochs = Sums(t.merchant_epochs)

    def add(
        self,
        name: str,
        merchant: int,
        month: int,
        epoch: int | None,
        points: int | None,
        amount: int,
    ) -> None:
        """One event; `amount` with the sign of its effect on the position."""
        count, sum_points, sum_money = MONTHS[name]
        key = (merchant, month)
        if count is not None:
            self.months.add(key, _AT[count], 1)
        if sum_points is not None:
            self.months.add(key, _AT[sum_points], points or 0)
        self.months.add(key, _AT[sum_money], abs(amount))
        if name == "Issued":
            self.epochs.add((merchant, epoch), 0, points or 0)
        elif name == "Returned":
            self.epochs.add((merchant, epoch), 1, points or 0)


FLOW_COLUMNS: Final = {"redeem": 0, "refund": 1, "return": 2}
"""Kinds of movements that make flows, and which column of `flows` they add to."""


@dataclass(slots=True)
class Batch:
    """Rows of a range of blocks. `appended` by table; sums add."""

    appended: dict[Table, list[Row]] = field(
        default_factory=lambda: {table: [] for table in (*t.FACTS, *t.JOURNALS)}
    )
    trade: Trade = field(default_factory=Trade)
    flows: Sums = field(default_factory=lambda: Sums(t.flows))

    def sums(self) -> Iterable[Sums]:
        """The tables of totals that are added to."""
        return self.trade.months, self.trade.epochs, self.flows
