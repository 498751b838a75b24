"""The proofs of the contracts, each part with a verdict; tools/run-proofs calls it.

    tools/proving.py --bin .venv-prove/bin                 all parts, in about 10 minutes
    tools/proving.py --bin .venv-prove/bin --long          the campaigns long
    tools/proving.py --bin .venv-prove/bin --only network  slither, word, network or mutants

slither  every finding gone or explained (tools/slither-triage.json)
word     halmos: the packed account, proven for every word; and faults that it has to refute
network  forge: the tests of strangers, then the campaign over the whole network, no action vacuous
mutants  a sample, or with --long all, of flipped conditions and dropped checks (tools/mutate.py):
         each has to fail some test, or to stand in tools/mutants-triage.json with a reason
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FORGE_FOLDER = ROOT / "node_modules" / "@foundry-rs" / "forge-linux-amd64" / "bin"
WORD_OUT = ".build/halmos/out"
# Branches that halmos cannot decide in this time are followed though they may be impossible; the
# loop over six lanes has many, so a little patience here saves a hundred questions later.
BRANCHING_TIMEOUT = "20ms"
# Ten seconds on a quiet machine; a busy one must not make a proof of nothing.
ASSERTION_TIMEOUT = "600s"
# Contract, its checks by pattern, solver, verdict. Bitwuzla puts what a path assumes into the
# terms, so that a chain of six lanes falls together where z3 and yices search; yices is the one
# that decides shifts by an unknown number of lanes.
WORD_PROOFS = (
    ("AccountProofs", "^check_age", "yices", "proven"),
    ("AccountProofs", "^check_(?!age)", "bitwuzla", "proven"),
    ("LedgerProofs", "^check_", "bitwuzla", "proven"),
    ("Refuted", "^check_", "bitwuzla", "refuted"),
)
CAMPAIGN = {"short": (24, 250), "long": (200, 500)}
# Six lanes, and one round to see the end of the loop.
LOOP_ROUNDS = 8


def environment(**extra: str) -> dict[str, str]:
    """The caller's, with forge and the project's tools in front."""
    path = f"{FORGE_FOLDER}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", **extra}


def solver_options(binary: Path, solver: str) -> list[str]:
    """How halmos calls it; Bitwuzla comes as a library without a program."""
    if solver == "bitwuzla":
        return ["--solver-command", f"{binary / 'python'} {ROOT / 'tools' / 'bitwuzla-smt2'}"]
    return ["--solver", solver]


def halmos(binary: Path, contract: str, checks: str, solver: str) -> dict[str, tuple[str, float]]:
    """Runs the checks of one contract that match: name -> (verdict, seconds).

    The verdict is "proven", "refuted" (a counterexample was found) or "undecided".
    Ends the program when halmos wrote no answer.
    """
    answer = ROOT / ".build" / f"halmos-{contract}.json"
    answer.parent.mkdir(exist_ok=True)
    answer.unlink(missing_ok=True)
    command = [str(binary / "halmos"), "--forge-build-out", WORD_OUT, "--contract", contract]
    command += ["--match-test", checks, "--loop", str(LOOP_ROUNDS), "--no-status"]
    command += [*solver_options(binary, solver), "--solver-timeout-branching", BRANCHING_TIMEOUT]
    command += ["--solver-timeout-assertion", ASSERTION_TIMEOUT, "--statistics"]
    command += ["--json-output", str(answer)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(FOUNDRY_PROFILE="account"),
        capture_output=True,
        text=True,
        check=False,
    )
    if not answer.exists():
        sys.exit(f"halmos wrote no answer:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    results = [
        result
        for found in json.loads(answer.read_text())["test_results"].values()
        for result in found
    ]
    verdicts = {0: "proven", 1: "refuted"}
    return {
        result["name"].split("(")[0]: (
            verdicts.get(result["exitcode"], "undecided"),
            (result["time"] or [0.0])[0],
        )
        for result in results
    }


def prove_findings(binary: Path, budget: str) -> bool:
    """slither finds nothing that is not explained."""
    del budget
    tool = [sys.executable, "tools/static_analysis.py", "--slither", str(binary / "slither")]
    return subprocess.run(tool, cwd=ROOT, env=environment(), check=False).returncode == 0


def prove_mutants(binary: Path, budget: str) -> bool:
    """No mutant survives without a reason."""
    del binary
    tool = [sys.executable, "tools/mutate.py", *(["--all"] if budget == "long" else [])]
    return subprocess.run(tool, cwd=ROOT, env=environment(), check=False).returncode == 0


def declared(path: str, pattern: str) -> set[str]:
    """Names of functions that a source declares: what a prover has to report on."""
    return set(re.findall(rf"function ({pattern}\w+)", (ROOT / path).read_text()))


def prove_word(binary: Path, budget: str) -> bool:
    """Every property of the packed word proven, every planted fault refuted."""
    del budget  # A proof is whole or none.
    good = True
    ran: dict[str, set[str]] = {}
    for contract, checks, solver, wanted in WORD_PROOFS:
        found = halmos(binary, contract, checks, solver)
        ran.setdefault(contract, set()).update(found)
        for name, (verdict, seconds) in sorted(found.items()):
            mark = "" if verdict == wanted else "  <- WRONG"
            print(f"  {verdict:<9} {seconds:7.2f} s  {name}{mark}", flush=True)
            good = good and verdict == wanted
    for contract, names in ran.items():
        for name in sorted(declared(f"tests/proofs/account/{contract}.t.sol", "check_") - names):
            print(f"  not run              {name}  <- WRONG")
            good = False
    return good


def forge(arguments: list[str], **extra: str) -> dict[str, Any]:
    """`forge test` as JSON: suite -> results. Ends the program when it did not compile."""
    done = subprocess.run(
        ["forge", "test", "--json", *arguments],
        cwd=ROOT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith('{"tests/'):
            return json.loads(line)
    sys.exit(f"forge gave no results:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def prove_network(binary: Path, budget: str) -> bool:
    """The tests of strangers hold, the campaign breaks no law, and every action succeeded."""
    del binary
    runs, depth = CAMPAIGN[budget]
    good = True
    suites = forge([], FOUNDRY_INVARIANT_RUNS=str(runs), FOUNDRY_INVARIANT_DEPTH=str(depth))
    for suite, content in suites.items():
        for name, result in content["test_results"].items():
            passed = result["status"] == "Success"
            good = good and passed
            print(f"  {'holds' if passed else 'FAILED':<8} {suite.split(':')[-1]}.{name}")
            if not passed:
                print(
                    f"           {result['reason']}\n{json.dumps(result['counterexample'])[:3000]}"
                )
            if "Invariant" in result["kind"]:
                good = report_campaign(result["kind"]["Invariant"]) and good
    return good and any("Campaign" in suite for suite in suites)


def report_campaign(campaign: dict[str, Any]) -> bool:
    """Prints how often each action succeeded; false when one of them never did."""
    succeeded = {}
    for name, metric in campaign["metrics"].items():
        succeeded[name.split(".")[-1]] = metric["calls"] - metric["reverts"] - metric["discards"]
    idle = declared_actions() - {name for name, count in succeeded.items() if count}
    effects = sum(succeeded.values())
    print(f"  {campaign['runs']} runs, {campaign['calls']} calls, {effects} took effect:")
    cells = [f"{name} {count}" for name, count in sorted(succeeded.items())]
    for start in range(0, len(cells), 4):
        print("    " + "".join(f"{cell:<26}" for cell in cells[start : start + 4]))
    for name in sorted(idle):
        print(f"    {name} never succeeded  <- WRONG")
    return not idle


def declared_actions() -> set[str]:
    """The selectors that the campaign targets."""
    source = (ROOT / "tests/proofs/network/Campaign.t.sol").read_text()
    return set(re.findall(r"handler\.(\w+)\.selector", source))


PARTS: dict[str, Callable[[Path, str], bool]] = {
    "slither": prove_findings,
    "word": prove_word,
    "network": prove_network,
    "mutants": prove_mutants,
}


def main(arguments: list[str]) -> int:
    """Runs the parts; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", type=Path, required=True, help="folder of halmos")
    parser.add_argument("--long", action="store_true", help="long campaigns")
    parser.add_argument("--only", choices=PARTS, help="one part")
    options = parser.parse_args(arguments)
    verdicts = {}
    for name, part in PARTS.items():
        if options.only in (None, name):
            began = time.monotonic()
            print(f"== {name}", flush=True)
            verdicts[name] = part(options.bin.absolute(), "long" if options.long else "short")
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print(
        "\n".join(
            f"{name:<8} {'holds' if good else 'DOES NOT HOLD'}" for name, good in verdicts.items()
        )
    )
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
