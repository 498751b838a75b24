"""A CSV of issues, line by line: what is sound becomes a wish, what is not becomes a reject.

Columns by name, in any order: `member` (your own id of the customer), `reference`, and either
`points` or `amount` (decimal, in the merchant's currency). Other columns are ignored and handed
back in the rejects file.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import GatewayError, InvalidRequest, PointsInvalid, PurchaseInvalid
from gateway.members.service import check as check_member
from gateway.model import POINTS_MAX, REFERENCE_LENGTH_MAX, EarnRule
from gateway.orders.schemas import AMOUNT_PATTERN, Purchase

FIELD_BYTES_MAX: Final = 10_000
"""Longer fields are a broken quote that swallows the rest of the file."""


class FileInvalid(InvalidRequest):
    """The file as a whole is none of ours."""

    code = "file_invalid"


@dataclass(frozen=True, slots=True)
class Wish:
    """A sound line: its number in the file (the header is 1), and what it asks for."""

    line: int
    member: str
    reference: str
    points: int
    raw: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was not taken, and why."""

    line: int
    code: str
    detail: str
    raw: tuple[str, ...]


class Lines:
    """The lines of one file. Iterate once; `header` is there from the start."""

    def __init__(self, text: Iterable[str], rule: EarnRule) -> None:
        """Raises FileInvalid: no header, or a column missing."""
        csv.field_size_limit(FIELD_BYTES_MAX)
        self._rule = rule
        self._reader = csv.reader(text, strict=True)
        try:
            self.header = tuple(name.strip() for name in next(self._reader))
        except (StopIteration, csv.Error, UnicodeDecodeError) as error:
            raise FileInvalid("the file has no header line") from error
        columns = {name.lower(): i for i, name in enumerate(self.header)}
        wanted = [name for name in ("member", "reference") if name not in columns]
        if "points" not in columns and "amount" not in columns:
            wanted.append("points (or amount)")
        if wanted:
            raise FileInvalid(f"the file has no column {', '.join(wanted)}")
        self._columns = columns

    def __iter__(self) -> Iterator[Wish | Reject]:
        while True:
            before = self._reader.line_num
            try:
                raw = tuple(next(self._reader))
            except StopIteration:
                return
            except csv.Error as error:
                yield Reject(before + 1, "line_broken", f"no CSV: {error}", ())
                continue
            if raw:
                yield self._read(before + 1, raw)

    def _read(self, line: int, raw: tuple[str, ...]) -> Wish | Reject:
        if len(raw) != len(self.header):
            detail = f"{len(self.header)} fields expected, got {len(raw)}"
            return Reject(line, "line_broken", detail, raw)
        if any("\ufffd" in part for part in raw):
            return Reject(line, "line_broken", "the line is not UTF-8", raw)
        try:
            member, reference = self._field(raw, "member"), self._field(raw, "reference")
            check_member(member)
            if not 1 <= len(reference) <= REFERENCE_LENGTH_MAX or not reference.isprintable():
                raise InvalidRequest(
                    f"a reference has 1 to {REFERENCE_LENGTH_MAX} printable characters"
                )
            return Wish(line, member, reference, self._points(raw), raw)
        except GatewayError as error:
            return Reject(line, error.code, error.message, raw)

    def _field(self, raw: tuple[str, ...], name: str) -> str:
        return raw[self._columns[name]].strip()

    def _points(self, raw: tuple[str, ...]) -> int:
        """Raises PurchaseInvalid, PointsInvalid, InvalidRequest."""
        points = self._field(raw, "points") if "points" in self._columns else ""
        amount = self._field(raw, "amount") if "amount" in self._columns else ""
        if bool(points) == bool(amount):
            raise InvalidRequest("a line has either points or an amount")
        if points:
            return _whole(points)
        return _purchase(amount, self._rule).points(self._rule)


def _whole(text: str) -> int:
    # Digits alone: int() would also read "1_000", " 5" and digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise PointsInvalid(f"points are a whole number, got {text[:40]!r}")
    number = int(text)
    if not 1 <= number <= POINTS_MAX:
        raise PointsInvalid(f"points are 1 to {POINTS_MAX}, got {text}")
    return number


def _purchase(amount: str, rule: EarnRule) -> Purchase:
    if not re.fullmatch(AMOUNT_PATTERN, amount):
        raise PurchaseInvalid(f"no amount: {amount[:40]!r}")
    return Purchase(amount=amount, currency=rule.currency)
