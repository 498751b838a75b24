"""What the file alone says must come out: issued, redeemed, refused, recomputed from scratch.

Written apart from the importer on purpose (its own reading, decimal arithmetic, plain loops), so
that the two agree only if both are right. Memory: one number a household, one basket at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.model import EarnRule

COLUMNS = (
    *("household_id", "basket_id", "product_id", "sales_value", "coupon_disc", "week"),
    "transaction_timestamp",
)
NANOSECONDS_A_DAY = 86_400 * 10**9


@dataclass(slots=True)
class Expected:
    """Points by merchant (in the order of `departments`, all others last), and counts."""

    issued: Counter[int] = field(default_factory=Counter)
    redeemed: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    issues: int = 0
    redemptions: int = 0
    refusals: int = 0
    lines: int = 0
    households: set[int] = field(default_factory=set)

    @property
    def live(self) -> int:
        return sum(self.issued.values()) - sum(self.redeemed.values())


def expect(
    transactions: Path,
    products: Path,
    departments: tuple[str, ...],
    rule: EarnRule,
    points_a_cent: int,
    *,
    weeks: int,
    days_max: int | None,
) -> Expected:
    """The totals that the network must show. `points_a_cent` turns a discount into points.

    Expiry plays no part: a year of purchases ends before its first points do.
    """
    merchant_of = _merchants(products, departments)
    expected, balances, today = Expected(), Counter[int](), Counter[int]()
    day, days = None, 0
    for basket_day, household, lines in _baskets(transactions, weeks):
        if basket_day != day:
            if days == days_max:
                break
            # The balance at the close of the day before is what today's redemptions can reach.
            balances.update(today)
            today.clear()
            day, days = basket_day, days + 1
        expected.lines += len(lines)
        expected.households.add(household)
        spend: dict[int, list[int]] = {}
        for product, cents, coupon in lines:
            sums = spend.setdefault(merchant_of.get(product, len(departments)), [0, 0])
            sums[0] += cents
            sums[1] += coupon
        for merchant, (cents, coupon) in spend.items():
            earned, wanted = rule.points_for(cents), coupon * points_a_cent
            expected.issued[merchant] += earned
            expected.issues += earned > 0
            today[household] += earned
            if not wanted:
                continue
            if wanted <= balances[household]:
                balances[household] -= wanted
                expected.redeemed[merchant] += wanted
                expected.redemptions += 1
            else:
                expected.refused += wanted
                expected.refusals += 1
    return expected


def _merchants(products: Path, departments: tuple[str, ...]) -> dict[int, int]:
    table = pq.read_table(products, columns=["product_id", "department"])
    pairs = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return {product: departments.index(name) for product, name in pairs if name in departments}


def _baskets(path: Path, weeks: int) -> Iterator[tuple[int, int, list[tuple[int, int, int]]]]:
    """(day, household, [(product, cents, coupon cents)]) for each basket, in the file's order.

    Baskets of one moment may be interleaved, so all of a moment are gathered.
    """
    moment, gathered = None, dict[tuple[int, int], list[tuple[int, int, int]]]()
    for household, basket, product, sales, coupon, week, time in _rows(path):
        if week > weeks:
            break
        if time != moment:
            for (owner, _), lines in gathered.items():
                yield moment // NANOSECONDS_A_DAY if moment else 0, owner, lines
            moment = time
            gathered = {}
        line = (product, _cents(sales), _cents(coupon) if coupon else 0)
        gathered.setdefault((household, basket), []).append(line)
    for (owner, _), lines in gathered.items():
        yield moment // NANOSECONDS_A_DAY if moment else 0, owner, lines


def _rows(path: Path) -> Iterator[tuple[int, int, int, float, float, int, int]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(20_000, columns=list(COLUMNS)):
            plain = [
                (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)
                for column in (batch.column(name) for name in COLUMNS)
            ]
            yield from zip(*(column.to_pylist() for column in plain), strict=True)


@lru_cache(maxsize=100_000)
def _cents(amount: float) -> int:
    """Exact: the shortest decimal that is this float, times a hundred, must be whole."""
    cents = Decimal(repr(amount)) * 100
    if cents != cents.to_integral_value():
        # 1.1500000000000001: a sum of floats on the source's side.
        cents = cents.quantize(Decimal(1))
    return int(cents)
