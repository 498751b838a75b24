"""What the first start fixes for good: merchants, deposits, and by how many days time is shifted.

Kept in DATA/demo.json. Deposits are the exact sum of what will be issued, so that prefunded
merchants end at their redemptions; the shift lets the last purchase fall on the day before the
first start, so that months, epochs and charts look as in life.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.demo.errors import ParametersOther
from gateway.demo.purchases import DAY_S, REST, Day, Extent, Purchases
from gateway.model import EarnRule, NewMerchant

FILE = "demo.json"
# Names and slugs in the order of purchases.DEPARTMENTS, the pool last.
MERCHANTS = (
    ("Grocery", "grocery"),
    ("Drug & General", "drug"),
    ("Fuel", "fuel"),
    ("Produce", "produce"),
    ("Meat", "meat"),
    ("Packaged Meat", "packaged-meat"),
    ("Deli", "deli"),
    ("Miscellaneous", "miscellaneous"),
    ("Other Departments", "other"),
)
EARN_RULE = EarnRule(points=1, per_minor=1, currency="USD", minor_digits=2)
# A point's face value is 100 units of 10^-6: one hundredth of a cent.
POINTS_PER_CENT = 100
# Face value 100 + issue fee 10, in units of the settlement asset.
ISSUE_PRICE = 110


@dataclass(frozen=True, slots=True)
class Plan:
    """The fixed parameters. `dataset` is the files' digest; `first_day` and `last_day` count days
    since 1970-01-01 as the file tells time; `issues` are points by merchant, in their order;
    `regular` is the household that earns most, whose page is worth a look.
    """

    weeks: int
    days_max: int | None
    dataset: str
    shift_days: int
    first_day: int
    last_day: int
    days: int
    lines: int
    regular: int
    issues: tuple[int, ...]

    @property
    def extent(self) -> Extent:
        return Extent(self.weeks, self.days_max)

    @property
    def first_time(self) -> int:
        """Network time at which the network begins: midnight (UTC) before the first purchase."""
        return (self.first_day + self.shift_days) * DAY_S

    def network_time(self, file_time: int) -> int:
        return file_time + self.shift_days * DAY_S

    def merchants(self) -> list[NewMerchant]:
        return [
            NewMerchant(name, slug, deposit=points * ISSUE_PRICE, earn_rule=EARN_RULE)
            for (name, slug), points in zip(MERCHANTS, self.issues, strict=True)
        ]


def points_of(cents: int) -> int:
    return EARN_RULE.points_for(cents)


def make_plan(
    purchases: Purchases, extent: Extent, today: int, progress: Callable[[Day], None]
) -> Plan:
    """Read the purchases once. `today` counts days since 1970-01-01, of the wall clock."""
    issues = [0] * (REST + 1)
    by_household: Counter[int] = Counter()
    days = lines = first_day = last_day = 0
    for day in _told(purchases.days(extent), progress):
        first_day, last_day = (first_day or day.day), day.day
        days += 1
        lines += day.lines
        for purchase in day.purchases:
            points = points_of(purchase.cents)
            issues[purchase.merchant] += points
            by_household[purchase.household] += points
    shift = today - 1 - last_day
    regular = max(by_household, key=lambda household: (by_household[household], -household))
    span = (shift, first_day, last_day, days, lines, regular)
    return Plan(extent.weeks, extent.days, purchases.digest, *span, tuple(issues))


def _told(days: Iterator[Day], progress: Callable[[Day], None]) -> Iterator[Day]:
    for day in days:
        progress(day)
        yield day


def load_plan(folder: Path) -> Plan | None:
    """The plan of a folder that was begun; None in a new one. Raises ParametersOther."""
    file = folder / FILE
    if not file.exists():
        if (folder / "chain.db").exists():
            raise ParametersOther(folder, "another command, not the demo", "the demo")
        return None
    stored: dict[str, Any] = orjson.loads(file.read_bytes())
    return Plan(**stored | {"issues": tuple(stored["issues"])})


def require_same(plan: Plan, folder: Path, wanted: Extent | None, dataset: str) -> None:
    """Refuse to go on with other parameters. `wanted` None: whatever was begun."""
    if wanted is not None and wanted != plan.extent:
        raise ParametersOther(folder, str(plan.extent), str(wanted))
    if dataset != plan.dataset:
        raise ParametersOther(folder, "another version of the purchases", "the installed one")


def store_plan(folder: Path, plan: Plan) -> None:
    """Write the plan durably, all or nothing."""
    partial = folder / (FILE + ".partial")
    with partial.open("wb") as file:
        file.write(orjson.dumps(asdict(plan), option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)
