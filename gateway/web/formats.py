"""How numbers, money and dates are written, by language. Nothing here knows the page."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

Language = Literal["en", "vi", "th"]

MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"

_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    "vi": tuple(f"tháng {month}" for month in range(1, 13)),
    "th": (
        "มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน", "กรกฎาคม", "สิงหาคม",
        "กันยายน", "ตุลาคม", "พฤศจิกายน", "ธันวาคม",
    ),
}  # fmt: skip

# Thailand counts years from the Buddha's death.
_YEARS_BEFORE: dict[Language, int] = {"en": 0, "vi": 0, "th": 543}

# (between thousands, before the decimals)
_SEPARATORS: dict[Language, tuple[str, str]] = {
    "en": (",", "."),
    "vi": (".", ","),
    "th": (",", "."),
}


@dataclass(frozen=True, slots=True)
class Money:
    """The settlement asset as people write it: `label` before the figure, `decimals` behind it.

    The contracts count in 10**-decimals of the currency.
    """

    label: str = "USD"
    decimals: int = 6


@dataclass(frozen=True, slots=True)
class Formats:
    """Writes figures and dates in one language and one time zone."""

    language: Language
    money_of: Money
    zone: tzinfo

    def points(self, points: int) -> str:
        """`-1234567` -> `−1,234,567`."""
        return self._signed(points, self._grouped(abs(points)))

    def change(self, points: int) -> str:
        """Points with their sign, also where they came in."""
        return f"+{self._grouped(points)}" if points > 0 else self.points(points)

    def money(self, units: int, *, labelled: bool = True) -> str:
        """Units of the asset, to two decimals, half to even: `11000000000` -> `USD 11,000.00`."""
        return self._money(units, _rounded(units, self.money_of.decimals), 2, labelled)

    def money_exact(self, units: int) -> str:
        """Units of the asset with every digit that is not nought, and at least two decimals."""
        digits, amount = self.money_of.decimals, abs(units)
        while digits > 2 and amount % 10 == 0:
            digits, amount = digits - 1, amount // 10
        return self._money(units, amount if units >= 0 else -amount, digits, labelled=False)

    def share(self, part: int, whole: int) -> str:
        """A share in whole percent, floor; `0%` of nothing."""
        return f"{100 * part // whole if whole else 0}%"

    def compact(self, points: int) -> str:
        """A round figure for an axis: `2500000` -> `2.5M`."""
        size = abs(points)
        for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
            if size >= unit:
                whole, tenth = divmod(size * 10 // unit, 10)
                shown = f"{whole}.{tenth}" if tenth and whole < 100 else str(whole)
                return self._signed(points, shown + letter)
        return self._signed(points, str(size))

    def day(self, at: int) -> str:
        """A date in full, never broken over two lines: `28 January 2026`."""
        when = datetime.fromtimestamp(at, self.zone)
        month = _MONTHS[self.language][when.month - 1]
        year = when.year + _YEARS_BEFORE[self.language]
        comma = "," if self.language == "vi" else ""
        return f"{when.day} {month}{comma} {year}".replace(" ", _SPACE)

    def day_short(self, at: int) -> str:
        """A date for a narrow place, without the year: `28 Jan`, `28/1`, `28 ม.ค.`-like."""
        when = datetime.fromtimestamp(at, self.zone)
        if self.language == "en":
            return f"{when.day} {_MONTHS['en'][when.month - 1][:3]}"
        return f"{when.day}/{when.month}"

    def month(self, at: int) -> str:
        """A month with its year: `January 2026`."""
        when = datetime.fromtimestamp(at, self.zone)
        year = when.year + _YEARS_BEFORE[self.language]
        name = _MONTHS[self.language][when.month - 1]
        return f"Tháng {when.month}, {year}" if self.language == "vi" else f"{name} {year}"

    def month_short(self, at: int) -> str:
        """A month for a narrow place: `Jan`."""
        when = datetime.fromtimestamp(at, self.zone)
        return _MONTHS["en"][when.month - 1][:3] if self.language == "en" else str(when.month)

    def clock(self, at: int) -> str:
        """The time of day: `14:03`."""
        return datetime.fromtimestamp(at, self.zone).strftime("%H:%M")

    def moment(self, at: int) -> str:
        """Date and time of day: `28 January 2026, 14:03`."""
        return f"{self.day(at)}, {self.clock(at)}"

    def machine(self, at: int) -> str:
        """The same moment for a `<time datetime>`: ISO 8601."""
        return datetime.fromtimestamp(at, self.zone).isoformat()

    def machine_day(self, at: int) -> str:
        """The same day for a `<time datetime>`: `2026-01-28`."""
        return datetime.fromtimestamp(at, self.zone).date().isoformat()

    def days_between(self, earlier: int, later: int) -> int:
        """Calendar days from one moment to another, in this time zone."""
        first = datetime.fromtimestamp(earlier, self.zone).date()
        last = datetime.fromtimestamp(later, self.zone).date()
        return last.toordinal() - first.toordinal()

    def _grouped(self, amount: int) -> str:
        return f"{amount:,}".replace(",", _SEPARATORS[self.language][0])

    def _money(self, units: int, amount: int, digits: int, labelled: bool) -> str:
        whole, rest = divmod(abs(amount), 10**digits)
        point = _SEPARATORS[self.language][1]
        shown = self._signed(amount, f"{self._grouped(whole)}{point}{rest:0{digits}d}")
        return f"{self.money_of.label}{_SPACE}{shown}" if labelled else shown

    @staticmethod
    def _signed(amount: int, shown: str) -> str:
        return MINUS + shown if amount < 0 else shown


def _rounded(units: int, decimals: int) -> int:
    """Hundredths of the currency, half to even, in integers alone."""
    step: int = 10 ** (decimals - 2)
    whole, rest = divmod(abs(units), step)
    if rest * 2 > step or (rest * 2 == step and whole % 2):
        whole += 1
    return whole if units >= 0 else -whole


def round_ticks(highest: int, lowest: int) -> list[int]:
    """Round values for an axis from `lowest` (<= 0) to `highest` (>= 0), about four, 0 in it.

    The steps are 1, 2 or 5 times a power of ten, never under 1.
    """
    span = max(highest - lowest, 1)
    step = 1
    while span / step > 4.5:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    first = -(-lowest // step)
    return [step * index for index in range(first, highest // step + 1)]
