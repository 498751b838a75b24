"""Reading the purchases: what is refused, and that a day is what the file says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gateway.demo import purchases as module
from gateway.demo.errors import DatasetInvalid, DatasetMissing
from gateway.demo.purchases import DEPARTMENTS, REST, Extent, Purchase, Purchases

Make = Callable[..., Purchases]


@pytest.mark.parametrize("amount", [0.001, -1.0, float("nan"), float("inf"), 1.005])
def test_read__an_amount_that_is_no_money__refused(make_purchases: Make, amount: float) -> None:
    broken = make_purchases([(1, 1, 1, 1.0, 0.0, 1, 0), (1, 1, 1, amount, 0.0, 1, 0)])
    with pytest.raises(DatasetInvalid, match="whole number of cents"):
        list(broken.days(Extent(1)))


@pytest.mark.parametrize("batch", [100, 1])
def test_read__lines_out_of_time__refused(
    make_purchases: Make, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    broken = make_purchases([(1, 1, 1, 1.0, 0.0, 1, 5), (1, 2, 1, 1.0, 0.0, 1, 4)])
    monkeypatch.setattr(module, "BATCH_LINES", batch)
    with pytest.raises(DatasetInvalid, match="not sorted"):
        list(broken.days(Extent(1)))


def test_read__a_missing_value__refused(make_purchases: Make) -> None:
    nothing = pa.array([None], pa.float64())
    broken = make_purchases([(1, 1, 1, 1.0, 0.0, 1, 0)], sales_value=nothing)
    with pytest.raises(DatasetInvalid, match="nothing in them"):
        list(broken.days(Extent(1)))


def test_read__a_column_of_another_type__refused(make_purchases: Make) -> None:
    broken = make_purchases([(1, 1, 1, 1.0, 0.0, 1, 0)], basket_id=pa.array(["1"]))
    with pytest.raises(DatasetInvalid, match="no column basket_id of int64"):
        list(broken.days(Extent(1)))


def test_read__no_parquet__refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"something else")
    with pytest.raises(DatasetInvalid, match="cannot be read"):
        list(Purchases(tmp_path / "t", tmp_path / "t").days(Extent(1)))


def test_installed__package_missing__says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no-such-package-anywhere")
    with pytest.raises(DatasetMissing, match="make install"):
        Purchases.installed()


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_days__whatever_the_batches__the_same_days(
    purchases: Purchases, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(module, "BATCH_LINES", batch)
    first, second, third = purchases.days(Extent(53))
    assert [(day.day, day.lines, day.baskets) for day in (first, second, third)] == [
        (20_000, 7, 3),
        (20_001, 3, 2),
        (20_002, 1, 1),
    ]
    assert first.purchases == [
        Purchase(11, 1, 0, 2_125, 0),
        Purchase(11, 1, 2, 29, 0),
        Purchase(11, 1, REST, 500, 5),
        Purchase(12, 2, REST, 300, 0),
        Purchase(13, 3, REST, 400, 0),
        Purchase(12, 2, 0, 700, 0),
    ]
    assert second.purchases[0] == Purchase(14, 1, 0, 0, 20)
    assert second.last_time == 20_001 * 86_400 + 43_200 + 9


def test_days__an_extent__ends_there(purchases: Purchases) -> None:
    assert [day.day for day in purchases.days(Extent(1))] == [20_000, 20_001]
    assert [day.day for day in purchases.days(Extent(53, 1))] == [20_000]


def test_digest__another_file__another_digest(make_purchases: Make) -> None:
    first = make_purchases().digest
    assert make_purchases([(1, 1, 1, 1.0, 0.0, 1, 0)]).digest != first


def test_real_data__weeks_1_to_4__the_figures_of_the_source() -> None:
    lines = baskets = pairs = zero = 0
    households: Counter[int] = Counter()
    for day in Purchases.installed().days(Extent(4)):
        lines += day.lines
        baskets += day.baskets
        pairs += len(day.purchases)
        zero += sum(purchase.cents == 0 for purchase in day.purchases)
        households.update(purchase.household for purchase in day.purchases)
    assert (lines, baskets, len(households)) == (90_777, 9_151, 1_868)
    assert (pairs, zero) == (22_548, 165)


def test_departments__of_the_real_year__are_the_eight_largest_by_sales() -> None:
    transactions, products = Purchases.installed().paths
    sales = pq.read_table(transactions, columns=["product_id", "sales_value"])
    known = pq.read_table(products, columns=["product_id", "department"])
    found = pc.index_in(sales["product_id"], value_set=known["product_id"])
    named = sales.append_column("department", known["department"].take(found))
    sums = named.group_by("department").aggregate([("sales_value", "sum")])
    valid = sums.filter(pc.is_valid(sums["department"]))
    largest = valid.sort_by([("sales_value_sum", "descending")])
    assert tuple(largest["department"].to_pylist()[:8]) == DEPARTMENTS
    assert named["department"].null_count == 4_836
