"""The second reading of the file, against figures worked out by hand."""

from __future__ import annotations

from gateway.demo.oracle import Expected, expect
from gateway.demo.purchases import DEPARTMENTS, REST, Purchases
from gateway.model import EarnRule


def expected(
    purchases: Purchases, rule: EarnRule, weeks: int = 53, days_max: int | None = None
) -> Expected:
    return expect(*purchases.paths, DEPARTMENTS, rule, 100, weeks=weeks, days_max=days_max)


def test_expect__the_tiny_file__to_the_point(purchases: Purchases) -> None:
    found = expected(purchases, EarnRule())
    assert dict(found.issued) == {0: 2_125 + 700 + 100, 2: 29 + 200, REST: 500 + 300 + 400}
    # Ada closes day 1 with 2,654: her 2,000 of day 2 fit, the 1,000 after it no more; the 600 of
    # day 3 fit into the 654 that are left. Her 500 of day 1 had nothing to draw on.
    assert dict(found.redeemed) == {0: 2_000, 2: 600}
    assert (found.refused, found.refusals, found.redemptions) == (500 + 1_000, 2, 2)
    assert (found.issues, found.lines, len(found.households)) == (8, 11, 4)
    assert found.live == 4_354 - 2_600


def test_expect__part_of_the_file__ends_there(purchases: Purchases) -> None:
    assert expected(purchases, EarnRule(), weeks=1).redemptions == 1
    assert expected(purchases, EarnRule(), days_max=1).lines == 7


def test_expect__a_rule_that_rounds__rounds_each_purchase_once(purchases: Purchases) -> None:
    found = expected(purchases, EarnRule(points=1, per_minor=10), days_max=1)
    # 2,125 cents of two lines give 212, not 201 + 11; 29 cents give 2.
    assert dict(found.issued) == {0: 212 + 70, 2: 2, REST: 50 + 30 + 40}
