"""Compiles the deployable contracts and writes what the product runs on into wallet_sdk/abi/.

    tools/export_abi.py            writes wallet_sdk/abi/<Name>.json
    tools/export_abi.py --check    writes nothing, exits 1 when a committed file differs

The settings here are the ones that are deployed: solc 0.8.37, via IR, 1,000,000 runs, prague, and
no hash of the sources in the bytecode, so that a changed comment does not change a code hash.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ["SOLCX_BINARY_PATH"] = str(ROOT / "tools")

import solcx  # noqa: E402  (reads SOLCX_BINARY_PATH)

TARGET = ROOT / "wallet_sdk" / "abi"
SOLC_VERSION = "0.8.37"
OPENZEPPELIN = "node_modules/@openzeppelin/contracts"

# Name of the artefact -> (source unit, contract).
EXPORTS: dict[str, tuple[str, str]] = {
    "AccessManager": (f"{OPENZEPPELIN}/access/manager/AccessManager.sol", "AccessManager"),
    "BankReceipt": ("contracts/interfaces/IBankReceipt.sol", "IBankReceipt"),
    "Coalition": ("contracts/interfaces/ICoalition.sol", "ICoalition"),
    "MembershipPass": ("contracts/interfaces/IMembershipPass.sol", "IMembershipPass"),
    "Points": ("contracts/interfaces/IPoints.sol", "IPoints"),
}

# EIP-170: more deployed code than this cannot be deployed.
CODE_SIZE_MAX_BYTES = 24_576

SETTINGS: dict[str, Any] = {
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "evmVersion": "prague",
    "metadata": {"bytecodeHash": "none"},
    "remappings": [
        "@openzeppelin/=node_modules/@openzeppelin/",
        "solady/=node_modules/solady/",
    ],
}
# 6335: "leave" may become a keyword of a later Solidity; the word is the domain's, and the compiler
# is pinned.
ACCEPTED_WARNINGS = {"6335"}
OUTPUTS = [
    "abi",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
]


def compile_contracts(wanted: dict[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Compiles `wanted` (artefact -> source unit, contract) and returns the artefacts by name.

    Ends the program with the compiler's words when it reports an error.
    """
    units = sorted({unit for unit, _ in wanted.values()})
    selection: dict[str, dict[str, list[str]]] = {unit: {} for unit in units}
    for unit, contract in wanted.values():
        selection[unit][contract] = OUTPUTS
    answer = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {unit: {"content": (ROOT / unit).read_text()} for unit in units},
            "settings": {**SETTINGS, "outputSelection": selection},
        },
        base_path=str(ROOT),
        solc_version=SOLC_VERSION,
    )
    for remark in answer.get("errors", []):
        if remark["errorCode"] not in ACCEPTED_WARNINGS:
            print(remark["formattedMessage"], file=sys.stderr)
    return {
        name: artefact(name, answer["contracts"][unit][contract])
        for name, (unit, contract) in wanted.items()
    }


def artefact(name: str, output: dict[str, Any]) -> dict[str, Any]:
    """The committed form of one contract; immutable references as [start, length], sorted."""
    deployed = output["evm"]["deployedBytecode"]
    references = deployed.get("immutableReferences", {})
    places = sorted(
        [place["start"], place["length"]] for found in references.values() for place in found
    )
    return {
        "contractName": name,
        "abi": output["abi"],
        "bytecode": "0x" + output["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutableReferences": places,
    }


def code_size_bytes(compiled: dict[str, Any]) -> int:
    """Deployed size in bytes, as EIP-170 counts it."""
    return (len(compiled["deployedBytecode"]) - 2) // 2


def render(compiled: dict[str, Any]) -> str:
    """One ABI item a line: small files whose diffs can be read."""
    items = ",\n".join("    " + json.dumps(item, separators=(",", ":")) for item in compiled["abi"])
    rest = {key: value for key, value in compiled.items() if key not in ("abi", "contractName")}
    tail = "".join(
        f',\n  "{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in rest.items()
    )
    return (
        f'{{\n  "contractName": "{compiled["contractName"]}",\n  "abi": [\n{items}\n  ]{tail}\n}}\n'
    )


def main(arguments: list[str]) -> int:
    """Exports or checks; returns the exit code."""
    check = "--check" in arguments
    if unknown := [word for word in arguments if word != "--check"]:
        print(f"unknown argument {unknown[0]}; only --check is known", file=sys.stderr)
        return 2
    failed = False
    TARGET.mkdir(exist_ok=True)
    for name, compiled in compile_contracts(EXPORTS).items():
        path, text = TARGET / f"{name}.json", render(compiled)
        size = code_size_bytes(compiled)
        print(f"{name:<16} {size:>6} bytes")
        if size > CODE_SIZE_MAX_BYTES:
            print(f"{name} exceeds {CODE_SIZE_MAX_BYTES} bytes (EIP-170)", file=sys.stderr)
            failed = True
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.relative_to(ROOT)} differs from the sources", file=sys.stderr)
            failed = True
    if check and (extra := {path.stem for path in TARGET.glob("*.json")} - EXPORTS.keys()):
        print(f"wallet_sdk/abi holds what nobody exports: {sorted(extra)}", file=sys.stderr)
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
