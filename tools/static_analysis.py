"""slither over the deployable contracts; every finding is either gone or explained.

    tools/static_analysis.py --slither .venv-prove/bin/slither          judges
    tools/static_analysis.py --slither .venv-prove/bin/slither --list   prints what it found

slither gets standard JSON with the deployed settings. Given a bare file and a compiler that it does
not know, it analyses nothing and succeeds; so the number of contracts is read back and held against
the list. All its detectors run. tools/slither-triage.json names every accepted finding with the
reason: a finding that is not there fails, and so does an entry that no longer occurs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from export_abi import SETTINGS  # noqa: E402

TRIAGE = ROOT / "tools" / "slither-triage.json"
FORGE_FOLDER = ROOT / "node_modules" / "@foundry-rs" / "forge-linux-amd64" / "bin"
BUILD = ROOT / ".build" / "slither"
CONTRACTS = ("BankReceipt", "Coalition", "CoalitionOffice", "MembershipPass", "Points")
# In the triage: all places of a detector. For style alone; a fault has a place.
ANYWHERE = "*"
# What crytic-compile reads from an answer of the compiler.
OUTPUTS = [
    "abi",
    "devdoc",
    "evm.bytecode.object",
    "evm.bytecode.sourceMap",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.sourceMap",
    "evm.methodIdentifiers",
    "metadata",
    "userdoc",
]

Findings = Counter[tuple[str, str]]


def standard_json() -> Path:
    """Writes the compiler's question; returns the file."""
    question = {
        "language": "Solidity",
        "sources": {
            f"contracts/{name}.sol": {"content": (ROOT / f"contracts/{name}.sol").read_text()}
            for name in CONTRACTS
        },
        "settings": {**SETTINGS, "outputSelection": {"*": {"*": OUTPUTS, "": ["ast"]}}},
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / "input.json"
    path.write_text(json.dumps(question))
    return path


def analyse(slither: Path) -> tuple[list[dict[str, Any]], int]:
    """The findings in our own sources, and how many contracts slither looked at.

    Ends the program when slither failed.
    """
    answer = BUILD / "findings.json"
    answer.unlink(missing_ok=True)
    command = [str(slither), str(standard_json().relative_to(ROOT))]
    command += ["--compile-force-framework", "Solc-json"]
    command += ["--solc", str(ROOT / "tools" / "solc-v0.8.37")]
    command += ["--filter-paths", "node_modules", "--json", str(answer)]
    # crytic-compile sees foundry.toml and asks forge for its configuration, whatever is forced.
    environment = {**os.environ, "PATH": f"{FORGE_FOLDER}:{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if not answer.exists():
        sys.exit(f"slither wrote no answer:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    report = json.loads(answer.read_text())
    if not report["success"]:
        sys.exit(f"slither failed: {report['error']}")
    return report["results"].get("detectors", []), contracts_analysed(done.stderr)


def contracts_analysed(said: str) -> int:
    """From `INFO:Slither:... analyzed (N contracts with M detectors), K result(s) found`."""
    for line in said.splitlines():
        if " analyzed (" in line:
            return int(line.split(" analyzed (")[1].split()[0])
    return 0


def identity(finding: dict[str, Any]) -> tuple[str, str]:
    """Detector and the place it names, without line numbers: an edit elsewhere keeps it."""
    place = finding["elements"][0] if finding["elements"] else {}
    parent = place.get("type_specific_fields", {}).get("parent", {})
    chain = [place.get("name", "")]
    while parent:
        if parent.get("type") in ("function", "contract"):
            chain.insert(0, parent["name"])
        parent = parent.get("type_specific_fields", {}).get("parent", {})
    return finding["check"], ".".join(chain)


def complaints(found: Findings, triage: list[dict[str, Any]], analysed: int) -> list[str]:
    """Everything that speaks against a green answer; empty when there is nothing."""
    said = []
    if analysed < len(CONTRACTS):
        said.append(f"{analysed} contracts analysed, fewer than the {len(CONTRACTS)} deployed")
    accepted: Findings = Counter()
    for entry in triage:
        check = entry["check"]
        if not entry["reason"].strip():
            said.append(f"an entry for {check} without a reason")
        elif entry["places"] == ANYWHERE:
            here = Counter({key: n for key, n in found.items() if key[0] == check})
            accepted += here
            if not here:
                said.append(f"explained but no longer there: {check} anywhere")
        else:
            accepted += Counter({(check, place): n for place, n in entry["places"].items()})
    new, gone = found - accepted, accepted - found
    said += [f"not explained: {check} at {place}" for check, place in sorted(new.elements())]
    said += [
        f"explained but no longer there: {check} at {place}"
        for check, place in sorted(gone.elements())
    ]
    return said


def main(arguments: list[str]) -> int:
    """Judges or lists; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slither", type=Path, required=True)
    parser.add_argument("--list", action="store_true", help="print the findings, judge nothing")
    options = parser.parse_args(arguments)
    findings, analysed = analyse(options.slither.absolute())
    if options.list:
        for finding in findings:
            check, place = identity(finding)
            text = finding["description"].strip().replace("\n", "\n    ")
            print(f"{finding['impact']}: {check} at {place}\n    {text}")
        print(f"{analysed} contracts, {len(findings)} findings")
        return 0
    found = Counter(identity(finding) for finding in findings)
    said = complaints(found, json.loads(TRIAGE.read_text()), analysed)
    for line in said:
        print(f"  {line}  <- WRONG")
    verdict = "some not in order" if said else "0 unexplained"
    print(f"  {analysed} contracts, {len(findings)} findings, {verdict}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
