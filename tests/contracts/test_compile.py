"""Ape compiles the sources itself, and what it makes of them is what the artefacts say."""

from __future__ import annotations

import json
from pathlib import Path

import ape

ROOT = Path(__file__).parents[2]


def test_compile__the_bank_receipt_by_ape__has_the_committed_interface() -> None:
    """One for all: every bytecode is compared with its source by `tools/export_abi.py --check`."""
    source = ROOT / "contracts" / "BankReceipt.sol"
    compiled = {found.name: found for found in ape.compilers.compile([source])}
    committed = json.loads((ROOT / "wallet_sdk" / "abi" / "BankReceipt.json").read_text())
    found = [item.model_dump(mode="json", by_alias=True) for item in compiled["BankReceipt"].abi]

    def names(items: list[dict[str, object]]) -> list[str]:
        return sorted(f"{item['type']} {item.get('name', '')}" for item in items)

    assert names(found) == names(committed["abi"])
    assert compiled["BankReceipt"].deployment_bytecode is not None
