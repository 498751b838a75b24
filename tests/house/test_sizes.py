"""House rule 13: a module over 300 lines or a function over 70 has its reason beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("wallet_sdk", "indexer", "gateway")
MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
# The reason stands in the file itself, on a line that begins so: "# Long because ...".
REASON = "# Long because "


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def has_reason(lines: list[str]) -> bool:
    return any(line.strip().startswith(REASON) for line in lines)


def too_long(name: str, text: str) -> list[str]:
    lines = text.splitlines()
    found = []
    if len(lines) > MODULE_LINES_MAX and not has_reason(lines[:40]):
        found.append(f"{name}: {len(lines)} lines")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = lines[node.lineno - 1 : node.end_lineno]
            if len(body) > FUNCTION_LINES_MAX and not has_reason(body):
                found.append(f"{name}:{node.lineno} {node.name}: {len(body)} lines")
    return found


def test_sizes__every_contract_source__is_small() -> None:
    sources = sorted((ROOT / "contracts").rglob("*.sol"))
    lengths = {path.name: len(path.read_text().splitlines()) for path in sources}
    assert {name: n for name, n in lengths.items() if n > MODULE_LINES_MAX} == {}
    assert "Coalition.sol" in lengths


def test_sizes__every_module_and_function__small_or_with_a_reason() -> None:
    found = [
        line
        for path in modules()
        for line in too_long(str(path.relative_to(ROOT)), path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n" * 301, 1),
        ("# Long because it is one table.\n" + "x = 1\n" * 301, 0),
        ("def f():\n" + "    x = 1\n" * 71, 1),
        ("def f():\n    # Long because one SQL statement.\n" + "    x = 1\n" * 71, 0),
        ("def f():\n" + "    x = 1\n" * 69, 0),
    ],
)
def test_sizes__a_long_piece__is_found(text: str, expected: int) -> None:
    assert len(too_long("sample.py", text)) == expected
