"""How figures and dates are written."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from gateway.web.formats import Formats, Language, Money, round_ticks

NO_BREAK = "\N{NO-BREAK SPACE}"
ENGLISH = Formats("en", Money(), UTC)
NEW_YEAR_EVE_LAST_SECOND = 1_798_761_599  # 2026-12-31 23:59:59 UTC


@pytest.mark.parametrize(
    ("units", "shown"),
    [
        (11_000_000_000, "11,000.00"),
        (0, "0.00"),
        (4_999, "0.00"),
        (5_000, "0.00"),  # half goes to the even cent
        (5_001, "0.01"),
        (15_000, "0.02"),
        (-13_220_000, "−13.22"),
        (-4_999, "0.00"),
        (123_456_789_012_345_678, "123,456,789,012.35"),
    ],
)
def test_write_money__units_of_six_decimals__two_decimals_half_to_even(
    units: int, shown: str
) -> None:
    assert ENGLISH.money(units, labelled=False) == shown


@pytest.mark.parametrize(
    ("units", "shown"),
    [(100, "0.0001"), (11_000_000_000, "11,000.00"), (1, "0.000001"), (-2_500, "−0.0025")],
)
def test_write_money_exactly__digits_behind_the_cents__all_shown(units: int, shown: str) -> None:
    assert ENGLISH.money_exact(units) == shown


@pytest.mark.parametrize(
    ("language", "points", "money"),
    [("en", "1,234,567", f"USD{NO_BREAK}1,234.50"), ("vi", "1.234.567", f"USD{NO_BREAK}1.234,50")],
)
def test_write_figures__by_language__its_separators(
    language: Language, points: str, money: str
) -> None:
    formats = Formats(language, Money(), UTC)
    assert formats.points(1_234_567) == points
    assert formats.money(1_234_500_000) == money


def test_write_change__points_out_and_in__signs_shown() -> None:
    assert [ENGLISH.change(each) for each in (5_000, -5_000, 0)] == ["+5,000", "−5,000", "0"]


@pytest.mark.parametrize(
    ("points", "shown"),
    [(999, "999"), (1_000, "1k"), (1_499, "1.4k"), (250_000, "250k"), (2_500_000, "2.5M")],
)
def test_write_compactly__for_an_axis__one_decimal_under_a_hundred(points: int, shown: str) -> None:
    assert ENGLISH.compact(points) == shown


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "31 December 2026"), ("vi", "31 tháng 12, 2026"), ("th", "31 ธันวาคม 2569")],
)
def test_write_date__by_language__its_months_and_years(language: Language, shown: str) -> None:
    assert Formats(language, Money(), UTC).day(NEW_YEAR_EVE_LAST_SECOND) == shown.replace(
        " ", NO_BREAK
    )


def test_write_date__in_a_zone_ahead_of_utc__is_the_day_there() -> None:
    bangkok = Formats("en", Money(), ZoneInfo("Asia/Bangkok"))
    assert bangkok.moment(NEW_YEAR_EVE_LAST_SECOND) == f"1{NO_BREAK}January{NO_BREAK}2027, 06:59"


def test_count_days__across_midnight__counts_dates_not_hours() -> None:
    assert ENGLISH.days_between(NEW_YEAR_EVE_LAST_SECOND, NEW_YEAR_EVE_LAST_SECOND + 1) == 1
    assert ENGLISH.days_between(NEW_YEAR_EVE_LAST_SECOND - 80_000, NEW_YEAR_EVE_LAST_SECOND) == 0


def test_write_share__of_nothing__is_nought() -> None:
    assert ENGLISH.share(0, 0) == "0%"
    assert ENGLISH.share(2, 3) == "66%"


@pytest.mark.parametrize(
    ("highest", "lowest", "ticks"),
    [
        (1_170_000, -180_000, [0, 500_000, 1_000_000]),
        (100, -100, [-100, -50, 0, 50, 100]),
        (0, 0, [0]),
        (3, 0, [0, 1, 2, 3]),
    ],
)
def test_choose_ticks__any_range__round_steps_through_nought(
    highest: int, lowest: int, ticks: list[int]
) -> None:
    assert round_ticks(highest, lowest) == ticks
