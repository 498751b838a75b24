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
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
os.environ["SOLCX_BINARY_PATH"] = str(ROOT / "tools")

import solcx  # noqa: E402  (reads SOLCX_BINARY_PATH)

TARGET = ROOT / "wallet_sdk" / "abi"
SOLC_VERSION = "0.8.37"
OPENZEPPELIN = "node_modules/@openzeppelin/contracts"

RUNS = 1_000_000
# The office of the Coalition is code that is seldom run and would not fit at the same setting.
OFFICE_RUNS = 200


class Export(NamedTuple):
    """Where an artefact comes from, and for how many runs of its code it is optimized."""

    unit: str
    contract: str
    runs: int = RUNS


EXPORTS: dict[str, Export] = {
    "AccessManager": Export(f"{OPENZEPPELIN}/access/manager/AccessManager.sol", "AccessManager"),
    "BankReceipt": Export("contracts/BankReceipt.sol", "BankReceipt"),
    "Coalition": Export("contracts/Coalition.sol", "Coalition"),
    "CoalitionOffice": Export("contracts/CoalitionOffice.sol", "CoalitionOffice", OFFICE_RUNS),
    "MembershipPass": Export("contracts/MembershipPass.sol", "MembershipPass"),
    "Points": Export("contracts/Points.sol", "Points"),
}

# EIP-170: more deployed code than this cannot be deployed.
CODE_SIZE_MAX_BYTES = 24_576

SETTINGS: dict[str, Any] = {
    "viaIR": True,
    "evmVersion": "prague",
    "metadata": {"bytecodeHash": "none"},
    "remappings": [
        "@openzeppelin/=node_modules/@openzeppelin/",
        "solady/=node_modules/solady/",
    ],
}
# Functions that both halves of the Coalition have: inherited, or called on one half alone.
SHARED_FUNCTIONS = {
    "authority",
    "setAuthority",
    "isConsumingScheduledOp",
    "carryOut",
    "configuration",
}
# 6335: "leave" may become a keyword of a later Solidity; the word is the domain's, and the compiler
# is pinned.
ACCEPTED_WARNINGS = {"6335"}
OUTPUTS = [
    "abi",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
    "storageLayout",
]


def compile_contracts(wanted: dict[str, Export]) -> dict[str, dict[str, Any]]:
    """Compiles `wanted` and returns the artefacts by name.

    Ends the program with the compiler's words when it reports an error.
    """
    compiled: dict[str, dict[str, Any]] = {}
    for runs in sorted({export.runs for export in wanted.values()}):
        compiled |= compile_group(
            {name: export for name, export in wanted.items() if export.runs == runs}, runs
        )
    return compiled


def compile_group(wanted: dict[str, Export], runs: int) -> dict[str, dict[str, Any]]:
    """Compiles contracts of one optimizer setting in one call of the compiler."""
    units = sorted({export.unit for export in wanted.values()})
    selection: dict[str, dict[str, list[str]]] = {unit: {} for unit in units}
    for export in wanted.values():
        selection[export.unit][export.contract] = OUTPUTS
    question = {
        "language": "Solidity",
        "sources": {unit: {"content": (ROOT / unit).read_text()} for unit in units},
        "settings": {
            **SETTINGS,
            "optimizer": {"enabled": True, "runs": runs},
            "outputSelection": selection,
        },
    }
    try:
        answer = solcx.compile_standard(question, base_path=str(ROOT), solc_version=SOLC_VERSION)
    except solcx.exceptions.SolcError as error:
        sys.exit(error.message)
    for remark in answer.get("errors", []):
        foreign = remark["sourceLocation"]["file"].startswith("node_modules/")
        if not foreign and remark["errorCode"] not in ACCEPTED_WARNINGS:
            print(remark["formattedMessage"], file=sys.stderr)
    return {
        name: artefact(name, answer["contracts"][export.unit][export.contract])
        for name, export in wanted.items()
    }


def with_office(coalition: dict[str, Any], office: dict[str, Any]) -> None:
    """Adds to the ABI of the Coalition what it asks of its office by delegation.

    Ends the program when both halves answer to the same call (the doors would hide the office), or
    when they do not agree where things are stored: they run on one state.
    """
    if coalition["storage"] != office["storage"]:
        sys.exit("Coalition and CoalitionOffice lay their storage out differently")
    doors = {json.dumps(item, sort_keys=True) for item in coalition["abi"]}
    names = {item["name"] for item in coalition["abi"] if item["type"] == "function"}
    for item in office["abi"]:
        if item["type"] == "constructor" or item.get("name") in SHARED_FUNCTIONS:
            continue
        if json.dumps(item, sort_keys=True) in doors:
            continue
        if item["type"] == "function" and item["name"] in names:
            sys.exit(f"Coalition and CoalitionOffice both have {item['name']}")
        coalition["abi"].append(item)
    order = ["constructor", "fallback", "error", "event", "function"]
    coalition["abi"].sort(key=lambda item: (order.index(item["type"]), item.get("name", "")))


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
        "storage": [
            (place["label"], place["slot"], place["offset"])
            for place in output.get("storageLayout", {}).get("storage", [])
        ],
    }


def code_size_bytes(compiled: dict[str, Any]) -> int:
    """Deployed size in bytes, as EIP-170 counts it."""
    return (len(compiled["deployedBytecode"]) - 2) // 2


def render(compiled: dict[str, Any]) -> str:
    """One ABI item a line: small files whose diffs can be read."""
    items = ",\n".join("    " + json.dumps(item, separators=(",", ":")) for item in compiled["abi"])
    rest = {
        key: value
        for key, value in compiled.items()
        if key not in ("abi", "contractName", "storage")
    }
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
    artefacts = compile_contracts(EXPORTS)
    with_office(artefacts["Coalition"], artefacts["CoalitionOffice"])
    for name, compiled in sorted(artefacts.items()):
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
