"""The judge of slither's findings must be able to say no."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import static_analysis  # noqa: E402

FOUND = Counter({("timestamp", "Clock.tick"): 1, ("naming-convention", "Clock.START"): 2})
TRIAGE = [
    {"check": "timestamp", "places": {"Clock.tick": 1}, "reason": "epochs are months"},
    {"check": "naming-convention", "places": "*", "reason": "constants are upper case"},
]


def test_judge__no_contract_analysed__is_a_complaint() -> None:
    said = static_analysis.contracts_analysed("INFO:Slither: . analyzed (0 contracts with 9)")
    assert static_analysis.complaints(FOUND, TRIAGE, said)
    assert static_analysis.complaints(FOUND, TRIAGE, static_analysis.contracts_analysed(""))


@pytest.mark.parametrize(
    "more", [("timestamp", "Clock.stop"), ("timestamp", "Clock.tick"), ("new-check", "Clock")]
)
def test_judge__one_finding_more__is_a_complaint(more: tuple[str, str]) -> None:
    assert static_analysis.complaints(FOUND + Counter([more]), TRIAGE, 9)


@pytest.mark.parametrize("gone", list(FOUND))
def test_judge__an_explained_finding_gone__is_a_complaint(gone: tuple[str, str]) -> None:
    left = Counter({key: n for key, n in FOUND.items() if key != gone})
    assert static_analysis.complaints(left, TRIAGE, 9)


def test_judge__an_entry_without_a_reason__is_a_complaint() -> None:
    empty = [TRIAGE[0] | {"reason": " "}, TRIAGE[1]]
    assert static_analysis.complaints(FOUND, empty, 9)


def test_judge__everything_explained__is_content() -> None:
    assert static_analysis.complaints(FOUND, TRIAGE, 64) == []


def test_triage__of_this_tree__is_sorted_and_each_entry_has_a_reason() -> None:
    entries = json.loads(static_analysis.TRIAGE.read_text())
    assert [entry["check"] for entry in entries] == sorted(entry["check"] for entry in entries)
    assert all(len(entry["reason"]) > 20 for entry in entries)
