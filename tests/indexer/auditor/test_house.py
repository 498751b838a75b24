"""What the auditor leans on: its layout is the compiler's, its imports are few."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from indexer.auditor.layout import LAYOUTS
from indexer.auditor.roles import ACCESS

ROOT = Path(__file__).parents[3]
AUDITOR = ROOT / "indexer" / "auditor"
ALLOWED = (
    "indexer.auditor",
    "wallet_sdk.abi",
    "wallet_sdk.types",
    "wallet_sdk.epochs",
    "wallet_sdk.errors",
)


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("file", sorted(AUDITOR.glob("*.py")), ids=lambda file: file.name)
def test_imports__any_module__are_the_auditors_own_or_plain_types(file: Path) -> None:
    ours = {n for n in imported(file) if n.split(".")[0] in ("indexer", "gateway", "wallet_sdk")}
    foreign = {n for n in ours if not n.startswith(ALLOWED)}
    assert foreign == set()


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    """The compiler's storage layouts."""
    sources = {f"contracts/{name}.sol": name for name in LAYOUTS}
    manager = "node_modules/@openzeppelin/contracts/access/manager/AccessManager.sol"
    sources[manager] = "AccessManager"
    request = {
        "language": "Solidity",
        "sources": {path: {"content": (ROOT / path).read_text()} for path in sources},
        "settings": {
            "remappings": ["@openzeppelin/=node_modules/@openzeppelin/"],
            "outputSelection": {"*": {"*": ["storageLayout"]}},
            "evmVersion": "prague",
        },
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run(
        [str(ROOT / "tools/solc-v0.8.37"), "--standard-json", "--base-path", str(ROOT)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
        cwd=ROOT,
    )
    output = json.loads(answer.stdout)
    layouts = {}
    for path, name in sources.items():
        layout = output["contracts"][path][name]["storageLayout"]
        layouts[name] = layout
    return layouts


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_layout__every_slot__is_where_the_compiler_put_it(
    compiled: dict[str, Any], name: str
) -> None:
    found = {slot["label"]: int(slot["slot"]) for slot in compiled[name]["storage"]}
    # These share a slot with one that is named.
    beside = {"_consumingSchedule", "_termsBefore", "_termsCount", "_paused"}
    assert LAYOUTS[name] == {label: at for label, at in found.items() if label not in beside}


def members(layout: dict[str, Any], struct: str) -> list[tuple[str, int, int]]:
    found = next(t for t in layout["types"].values() if t["label"].endswith(struct))
    return [(m["label"], int(m["slot"]), m["offset"]) for m in found["members"]]


def test_layout__roles__are_where_the_compiler_put_them(compiled: dict[str, Any]) -> None:
    manager = compiled["AccessManager"]
    assert {slot["label"]: int(slot["slot"]) for slot in manager["storage"]} == ACCESS
    assert members(manager, "TargetConfig") == [
        ("allowedRoles", 0, 0),
        ("adminDelay", 1, 0),
        ("closed", 1, 14),
    ]
    assert members(manager, "Role") == [
        ("members", 0, 0),
        ("admin", 1, 0),
        ("guardian", 1, 8),
        ("grantDelay", 1, 16),
    ]
    assert members(manager, "Access") == [("since", 0, 0), ("delay", 0, 6)]


def test_layout__packed_structs__are_as_the_facts_assume(compiled: dict[str, Any]) -> None:
    coalition = compiled["Coalition"]
    assert members(coalition, "TillKey") == [("merchant", 0, 0), ("active", 0, 4)]
    assert members(coalition, "Issues") == [
        ("issued", 0, 0),
        ("returned", 0, 14),
        ("claimed", 0, 28),
        ("known", 0, 29),
    ]
    assert members(coalition, "Closing") == [
        ("pool", 0, 0),
        ("paid", 0, 16),
        ("claimedPoints", 1, 0),
        ("closed", 1, 16),
    ]
    assert members(coalition, "Recovery") == [
        ("recovery", 0, 0),
        ("finishableAt", 0, 20),
        ("known", 0, 28),
    ]
    assert members(coalition, "Ledger") == [
        ("guarantee", 0, 0),
        ("sumOfLimits", 0, 16),
        ("earnedClosed", 1, 0),
        ("incomeWithdrawn", 1, 16),
        ("breakageUnclaimed", 2, 0),
        ("firstOpenEpoch", 2, 16),
    ]
