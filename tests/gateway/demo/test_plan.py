"""What the first start fixes, and that later ones keep to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.diary import FILE as DIARY_FILE
from gateway.demo.diary import DayNote, Diary
from gateway.demo.errors import ParametersOther
from gateway.demo.plan import (
    ISSUE_PRICE,
    MERCHANTS,
    Plan,
    load_plan,
    make_plan,
    require_same,
    store_plan,
)
from gateway.demo.purchases import DEPARTMENTS, Extent, Purchases

TODAY = 20_900


@pytest.fixture
def plan(purchases: Purchases) -> Plan:
    return make_plan(purchases, Extent(53), TODAY, lambda day: None)


@pytest.mark.parametrize("wanted", [Extent(4), Extent(53, 2)])
def test_require_same__another_extent__refused_and_offers_fresh(
    plan: Plan, tmp_path: Path, wanted: Extent
) -> None:
    with pytest.raises(ParametersOther, match="--fresh") as caught:
        require_same(plan, tmp_path, wanted, plan.dataset)
    assert f"begun with --weeks 53, and this asks for {wanted}:" in str(caught.value)


def test_require_same__other_purchases__refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ParametersOther, match="another version of the purchases"):
        require_same(plan, tmp_path, None, "other digest")


def test_load_plan__a_network_without_one__refused(tmp_path: Path) -> None:
    (tmp_path / "chain.db").write_bytes(b"")
    with pytest.raises(ParametersOther, match="another command"):
        load_plan(tmp_path)


def test_load_plan__stored__the_same(plan: Plan, tmp_path: Path) -> None:
    assert load_plan(tmp_path) is None
    store_plan(tmp_path, plan)
    assert load_plan(tmp_path) == plan
    require_same(plan, tmp_path, None, plan.dataset)
    require_same(plan, tmp_path, Extent(53), plan.dataset)


def test_make_plan__the_last_purchase__falls_on_yesterday(plan: Plan) -> None:
    assert plan.last_day + plan.shift_days == TODAY - 1
    assert plan.first_time == (TODAY - 3) * 86_400
    assert (plan.days, plan.lines) == (3, 11)
    assert plan.regular == 1


def test_make_plan__deposits__are_what_issuing_costs(plan: Plan) -> None:
    assert len(MERCHANTS) == len(DEPARTMENTS) + 1
    issues = {"grocery": 2_125 + 700 + 100, "fuel": 29 + 200, "other": 500 + 300 + 400}
    for merchant in plan.merchants():
        assert merchant.deposit == issues.get(merchant.slug, 0) * ISSUE_PRICE


def test_diary__a_torn_line__forgotten_and_written_again(tmp_path: Path) -> None:
    notes = [DayNote(day, *range(1, 12)) for day in (1, 2, 3)]
    diary = Diary(tmp_path)
    for note in notes:
        diary.add(note)
    file = tmp_path / DIARY_FILE
    file.write_bytes(file.read_bytes()[:-7])
    again = Diary(tmp_path)
    assert [again.get(day) for day in (1, 2, 3)] == [notes[0], notes[1], None]
    again.add(notes[2])
    assert Diary(tmp_path).totals() == diary.totals()
    assert (diary.totals()["lines"], diary.totals()["blocks_a_day_max"]) == (3, 11)
