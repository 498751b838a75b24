"""A tiny dataset in the shape of the real one: three days, four households, every odd case."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.demo.purchases import COLUMNS, Purchases

DAY = 86_400
NOON = 20_000 * DAY + 43_200

# (product, department); 9 has none, 8 is not in the table of products at all.
PRODUCTS = [(1, "GROCERY"), (2, "FUEL"), (3, "FLORAL"), (9, None)]

# (household, basket, product, sales, coupon, week, seconds after noon of the first day)
LINES = [
    # Day 1: ada at three merchants; a cent that floats miss; nothing to redeem from yet.
    (1, 11, 1, 20.10, 0.0, 1, 0),
    (1, 11, 2, 0.29, 0.0, 1, 0),
    (1, 11, 1, 1.15, 0.0, 1, 0),
    (1, 11, 3, 5.00, 0.05, 1, 0),
    # Two baskets of one moment, interleaved.
    (2, 12, 9, 3.00, 0.0, 1, 60),
    (3, 13, 8, 4.00, 0.0, 1, 60),
    (2, 12, 1, 7.00, 0.0, 1, 60),
    # Day 2: ada's 2,654 points reach for one of two coupons, in the order of the file.
    (1, 14, 1, 0.00, 0.20, 1, DAY),
    (1, 14, 2, 0.00, 0.10, 1, DAY),
    (4, 15, 1, 1.00, 0.0, 1, DAY + 9),
    # Day 3, in week 2: what ada earned on day 1 and did not spend is still hers.
    (1, 16, 2, 2.00, 0.06, 2, 2 * DAY),
]


def write(folder: Path, lines: Iterable[tuple[Any, ...]], **columns: Any) -> Purchases:
    """The files of these lines; `columns` replaces whole columns."""
    rows = [
        (household, basket, product, sales, coupon, week, (NOON + at) * 10**9)
        for household, basket, product, sales, coupon, week, at in lines
    ]
    table = {
        name: columns.get(name, pa.array(values, kind))
        for (name, kind), values in zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
    }
    transactions, products = folder / "transactions.parquet", folder / "products.parquet"
    pq.write_table(pa.table(table), transactions)
    known = zip(*PRODUCTS, strict=True)
    pq.write_table(pa.table(dict(zip(("product_id", "department"), known, strict=True))), products)
    return Purchases(transactions, products)
