"""docs/CONFORMANCE.md names, for each word of the standards, tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDARDS = ("20", "165", "721", "2612", "4906", "5192", "6093", "7818")


def lines_without_a_test(page: str, tests: set[str]) -> list[str]:
    """Rows of its tables that name no test, or one that is not among `tests`."""
    found = []
    for line in page.splitlines():
        if not line.startswith("| ") or line.startswith("| the standard"):
            continue
        named = set(re.findall(r"`(test_\w+)`", line.rsplit("|", 2)[1]))
        if not named or named - tests:
            found.append(line)
    return found


def test_page__every_line__names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "CONFORMANCE.md").read_text()
    sources = (ROOT / "tests" / "invariants").glob("test_*.py")
    tests = {
        name
        for path in sources
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert lines_without_a_test(page, tests) == []
    assert {number for number in STANDARDS if f"ERC-{number}" not in page} == set()
    assert page.count("\n| ") > 25


@pytest.mark.parametrize("line", ["| MUST | |", "| MUST `test_a` | none |", "| MUST | `test_b` |"])
def test_page__a_line_without_a_test__is_found(line: str) -> None:
    assert lines_without_a_test(line, {"test_a"}) == [line]
