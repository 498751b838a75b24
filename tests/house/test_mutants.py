"""What the mutation testing of the contracts changes, and that it changes nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import mutants  # noqa: E402

SOURCE = """
pragma solidity 0.8.37;
contract Till {
    function take(uint256 points, uint256 limit) external restricted returns (uint256 left) {
        // if (points > 3) is a comment
        if (points == 0 || points > limit) revert TooMuch("a > b", points);
        left = limit - points;
        _held[msg.sender] += points;
        emit Taken(points);
        assembly ("memory-safe") {
            if gt(left, limit) { revert(0, 0) }
            if and(left, limit) { left := 1 }
        }
        return _rounded(open ? left : 0, left < limit ? left : limit);
    }
}
"""


def changes(kind: str) -> set[str]:
    source = mutants.Source("contracts/Till.sol", SOURCE, 1)
    return {mutant.change for mutant in source.mutants if mutant.kind == kind}


def test_mutants__of_a_guard__flip_drop_and_each_operator() -> None:
    condition = "points == 0 || points > limit"
    question = "_rounded(open ? left : 0, left < limit ? left : limit)"
    assert changes("flip") == {
        f"opposite of {condition}",
        "opposite of gt(left, limit)",
        "opposite of and(left, limit)",
        f"opposite of open in {question}",
        f"opposite of left < limit in {question}",
    }
    assert changes("drop") >= {
        f"never {condition}",
        "never gt(left, limit)",
        "never and(left, limit)",
    }
    assert changes("logic") == {f"!= for == in {condition}", f"&& for || in {condition}"}
    assert changes("edge") == {f">= for > in {condition}", f"<= for < in {question}"}
    assert changes("number") == {"+ for - in limit - points"}


def test_mutants__of_statements_and_modifiers__leave_each_out() -> None:
    assert changes("drop") >= {
        "without modifier restricted",
        "without left = limit - points",
        "without _held[msg.sender] += points",
        "without emit Taken(points)",
    }


def test_mutants__asleep__leave_every_statement_where_it_was() -> None:
    text = mutants.Source("contracts/Till.sol", SOURCE, 1).mutated()
    assert "// if (points > 3) is a comment" in text
    assert 'revert TooMuch("a > b", points)' in text
    assert "restrictedMutated(1)" in text
    assert mutants.HELPER_PATH in text


def of_the_contracts() -> list[mutants.Mutant]:
    found: list[mutants.Mutant] = []
    for path in sorted((ROOT / "contracts").rglob("*.sol")):
        if "interfaces" not in path.parts:
            name = str(path.relative_to(ROOT))
            found += mutants.Source(name, path.read_text(), len(found) + 1).mutants
    return found


def test_mutants__of_the_contracts__have_names_of_their_own_and_numbers_in_order() -> None:
    found = of_the_contracts()
    assert [mutant.number for mutant in found] == list(range(1, len(found) + 1))
    assert len({mutant.key for mutant in found}) == len(found) > 1_500


def test_triage__of_survivors__names_each_once_with_a_reason() -> None:
    entries = json.loads((ROOT / "tools" / "mutants-triage.json").read_text())
    explained = [entry["mutant"] for entry in entries]
    assert len(set(explained)) == len(explained) > 0
    assert set(explained) <= {mutant.key for mutant in of_the_contracts()}
    assert all(len(entry["reason"]) > 20 for entry in entries)
