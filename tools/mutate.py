"""Mutation testing of the contracts: for every mutant (tools/mutants.py) some test must fail.

    tools/mutate.py                      a sample of 60, drawn by --seed (part of `make prove`)
    tools/mutate.py --all                every mutant; goes on where an interrupted run stopped
    tools/mutate.py --only Clearing      those whose name contains the words, whatever is known
    tools/mutate.py --list               names, nothing is run

All mutants are compiled at once, each asleep until the coinbase of a block bears its number. Each
has a process of its own, which runs tests/invariants, the tests that killed a neighbour first, and
then the state machine. A survivor has to be in tools/mutants-triage.json with the reason for which
it is no fault; anything else is a missing test, and the run fails. So it does when an entry of the
triage is killed after all, or names a mutant that is not made.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib
import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for folder in ("tools", "tests/kit", "tests/invariants"):
    sys.path.insert(0, str(ROOT / folder))

import export_abi  # noqa: E402
import mutants  # noqa: E402
import pytest  # noqa: E402
import solcx  # noqa: E402
from _pytest.runner import runtestprotocol  # noqa: E402
from banyan_kit import revm  # noqa: E402
from mutants import Mutant  # noqa: E402

BUILD = ROOT / ".build" / "mutants"
TRIAGE = ROOT / "tools" / "mutants-triage.json"
SAMPLE = 60
# A mutant that is still running has hung the network: no test takes a tenth of this.
SECONDS_MAX = 120
MACHINE_SEED = 2_026
# At least; --deep asks survivors once more, with as many as the default suite makes.
MACHINE_CALLS = 1_000
MACHINE_CALLS_DEEP = 20_000
ASLEEP = "asleep"
# Compiled by a fixture of the tests, which takes longer than all of them: once, for all children.
HOSTILE = export_abi.Export("tests/kit/contracts/ReentrantAsset.sol", "ReentrantAsset", 200)
OPTIONS = ("-q", "-p", "no:cacheprovider", "--no-header", "-m", "not soak")
TESTS = (
    "tests/invariants",
    # Run apart, by the function itself.
    "--deselect=tests/invariants/test_network.py",
    # About the gas of the code as it is deployed; sleeping mutants cost some.
    "--ignore=tests/invariants/test_worst_case_gas.py",
    "--deselect=tests/invariants/test_succession.py::test_relay__a_strangers_longest_proof_after_"
    "thirteen_successions__says_nothing_at_any_gas",
)
# Ours that have the modifiers which a mutant leaves out.
PARENTS = (
    "node_modules/@openzeppelin/contracts/access/manager/AccessManaged.sol",
    "node_modules/@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol",
)


def sources() -> tuple[dict[str, str], list[Mutant]]:
    """Every file of the contracts with its mutants, as the compiler is given them."""
    found: list[Mutant] = []
    texts = {mutants.HELPER_PATH: mutants.HELPER}
    for path in sorted((ROOT / "contracts").rglob("*.sol")):
        name = str(path.relative_to(ROOT))
        if "/interfaces/" in name:
            texts[name] = mutants.as_view(path.read_text())
            continue
        source = mutants.Source(name, path.read_text(), len(found) + 1)
        texts[name] = source.mutated()
        found += source.mutants
    for parent in PARENTS:
        texts[parent] = mutants.with_helper((ROOT / parent).read_text())
    return texts, found


def compile_all(texts: dict[str, str]) -> str:
    """Compiles, unless it was done before; returns the hash of what was compiled.

    Ends the program when a mutant is no Solidity.
    """
    key = hashlib.sha256(json.dumps([texts, export_abi.SETTINGS]).encode()).hexdigest()
    stamp = BUILD / "compiled"
    if stamp.exists() and stamp.read_text() == key:
        return key
    folder = BUILD / "abi"
    folder.mkdir(parents=True, exist_ok=True)
    for runs in (export_abi.RUNS, export_abi.OFFICE_RUNS):
        wanted = {n: e for n, e in export_abi.EXPORTS.items() if e.runs == runs}
        selection: dict[str, Any] = {}
        for export in wanted.values():
            selection.setdefault(export.unit, {})[export.contract] = export_abi.OUTPUTS
        question = {
            "language": "Solidity",
            "sources": {
                **{name: {"content": text} for name, text in texts.items()},
                **{
                    e.unit: {"content": texts.get(e.unit) or (ROOT / e.unit).read_text()}
                    for e in wanted.values()
                },
            },
            "settings": {
                **export_abi.SETTINGS,
                "optimizer": {"enabled": True, "runs": runs},
                "outputSelection": selection,
            },
        }
        try:
            answer = solcx.compile_standard(
                question, base_path=str(ROOT), solc_version=export_abi.SOLC_VERSION
            )
        except solcx.exceptions.SolcError as error:
            sys.exit(f"a mutant does not compile:\n{error.message[:6000]}")
        for name, export in wanted.items():
            made = export_abi.artefact(name, answer["contracts"][export.unit][export.contract])
            (folder / f"{name}.json").write_text(json.dumps(made))
    merge_office(folder)
    stamp.write_text(key)
    return key


def merge_office(folder: Path) -> None:
    """The Coalition's ABI has its office's calls, as in the committed artefact."""
    paths = {name: folder / f"{name}.json" for name in ("Coalition", "CoalitionOffice")}
    made = {name: json.loads(path.read_text()) for name, path in paths.items()}
    export_abi.with_office(made["Coalition"], made["CoalitionOffice"])
    paths["Coalition"].write_text(json.dumps(made["Coalition"]))


# ---- one mutant


def awaken(number: int) -> None:
    """From here on every network in this process is that mutant; 0 is none."""
    coinbase = "0x" + number.to_bytes(20, "big").hex()
    block, config = revm.BlockEnv, revm.CfgEnv
    revm.ARTEFACTS = BUILD / "abi"
    revm.BlockEnv = lambda **values: block(coinbase=coinbase, **values)
    revm.CfgEnv = lambda **values: config(limit_contract_code_size=1 << 20, **values)
    revm.artefact.cache_clear()


def first_failure(items: list[pytest.Item]) -> str:
    """Name of the first test that fails; empty when all pass."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        reports = runtestprotocol(item, log=False, nextitem=following)
        if any(report.failed for report in reports):
            return item.nodeid
    return ""


def machine_disagrees(calls: int) -> str:
    """The state machine, of at least so many calls."""
    import test_network  # pytest has it already, with its assertions rewritten.

    test_network.EXAMPLES_A_ROUND = max(1, calls // test_network.STEPS)
    try:
        test_network.run(calls, MACHINE_SEED)
    except Exception:  # Whatever it says: the machine and the mutant disagree.
        return f"state machine, {calls} calls"
    return ""


def begun(number: int, items: list[pytest.Item], calls: int) -> tuple[int, int]:
    """A child that judges one mutant, with a limit of time: its process, and where it answers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    # Of work: a machine that is busy elsewhere must not make a hang of a survivor.
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_MAX)
    awaken(number)
    killer = first_failure(items) or machine_disagrees(calls)
    os.write(writing, b"!" + killer.encode())
    os._exit(0)


def answered(child: int, reading: int) -> str:
    """Who killed a mutant, "" for a survivor."""
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    # Nothing said: it was ended by the alarm, or fell over.
    return said[1:] if said else "time"


# ---- all of them


@dataclass(frozen=True)
class Choice:
    """How to judge: calls of the machine, processes at once, and what is asked once more."""

    calls: int
    jobs: int
    again: bool
    # Whatever is known: a test may have been lost since a mutant was killed.
    anew: bool


@dataclass
class Run:
    """What is known of each mutant, kept in a file after every one."""

    path: Path
    verdicts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resume(cls, code: str) -> Run:
        """Of this code alone: what was killed in other code says nothing."""
        run = cls(BUILD / f"verdicts-{code[:16]}.json")
        if run.path.exists():
            run.verdicts = json.loads(run.path.read_text())
        return run

    def go(self, wanted: list[Mutant], items: list[pytest.Item], choice: Choice) -> None:
        """Judges those that are not judged yet; with `again` survivors too, with `anew` all."""
        # Every time: a test that fails of itself would kill every mutant.
        self.keep(ASLEEP, answered(*begun(0, items, MACHINE_CALLS)))
        if self.verdicts[ASLEEP]:
            return
        waiting = [mutant for mutant in wanted if not self.is_known(mutant, choice)]
        total, running = len(waiting), {}
        while waiting or running:
            while waiting and len(running) < choice.jobs:
                mutant = waiting.pop(0)
                if self.verdicts.get(mutant.key) and not choice.anew:
                    continue  # Another run has killed it meanwhile.
                child, reading = begun(mutant.number, items, choice.calls)
                running[reading] = (mutant, child, time.monotonic())
            for reading in select.select(list(running), [], [])[0] if running else ():
                mutant, child, began = running.pop(reading)
                killer = answered(child, reading)
                # Neighbours die of the same test.
                items.sort(key=lambda item: item.nodeid != killer)
                self.keep(mutant.key, killer)
                mark = killer.rpartition("/")[2] if killer else "SURVIVED"
                place, seconds = total - len(waiting) - len(running), time.monotonic() - began
                print(f"  {place}/{total} {seconds:5.1f} s {mutant.key[:90]}: {mark}", flush=True)

    def is_known(self, mutant: Mutant, choice: Choice) -> bool:
        """Whether nobody has to be asked."""
        verdict = self.verdicts.get(mutant.key)
        return not choice.anew and bool(verdict or (verdict == "" and not choice.again))

    def keep(self, key: str, killer: str) -> None:
        """Writes it down beside what other runs have found meanwhile."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.path.exists():
                self.verdicts |= json.loads(self.path.read_text())
            self.verdicts[key] = killer
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(self.verdicts, indent=1))
            fresh.replace(self.path)


@dataclass(eq=False)
class Loop:
    """A pytest plugin: what it does with the tests it collected is to try mutants on them."""

    run: Run
    wanted: list[Mutant]
    choice: Choice

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # Here, not in a child: an edit during the run must not reach half of the mutants.
        importlib.import_module("test_network")
        self.run.go(self.wanted, session.items, self.choice)
        return True


def report(run: Run, wanted: list[Mutant], every: list[Mutant]) -> bool:
    """Counts, survivors, and whether all of them are explained."""
    triage = {e["mutant"]: e["reason"] for e in json.loads(TRIAGE.read_text())}
    tried = [mutant for mutant in wanted if mutant.key in run.verdicts]
    survivors = [mutant for mutant in tried if not run.verdicts[mutant.key]]
    missing = [mutant for mutant in survivors if not triage.get(mutant.key)]
    for kind, count in sorted(Counter(mutant.kind for mutant in tried).items()):
        alive = sum(mutant.kind == kind for mutant in survivors)
        print(f"  {kind:<8}{count:>5} tried{alive:>5} survived")
    for mutant in missing:
        print(f"  survived: {mutant.key} (line {mutant.line})  <- WRONG")
    stale = triage.keys() - {mutant.key for mutant in every}
    stale |= {key for key in triage if run.verdicts.get(key)}
    for key in sorted(stale):
        print(f"  explained, but killed or not made: {key}  <- WRONG")
    print(
        f"  {len(every)} mutants, {len(tried)} tried, {len(tried) - len(survivors)} killed, "
        f"{len(survivors)} survived, of which {len(survivors) - len(missing)} explained"
    )
    return not missing and not stale


def main(arguments: list[str]) -> int:
    """Makes, tries and judges; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every mutant, resumed where it stopped")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--again", action="store_true", help="with --all: survivors once more")
    parser.add_argument("--deep", action="store_true", help="the same, with a longer machine")
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--seed", type=int, default=2_026)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    texts, every = sources()
    if options.list:
        print("\n".join(f"{m.file}:{m.line} {m.kind} {m.key}" for m in every))
        return 0
    wanted = [mutant for mutant in every if options.only in mutant.key]
    if not options.all and not options.only:
        wanted = random.Random(options.seed).sample(wanted, options.sample)
    run = Run.resume(compile_all(texts))
    hostile = export_abi.compile_contracts({HOSTILE.contract: HOSTILE})
    export_abi.compile_contracts = lambda wanted: {name: hostile[name] for name in wanted}
    choice = Choice(
        MACHINE_CALLS_DEEP if options.deep else MACHINE_CALLS,
        options.jobs,
        again=options.again or options.deep,
        anew=not options.all,
    )
    loop = Loop(run, wanted, choice)
    pytest.main([*OPTIONS, *TESTS], plugins=[loop])
    if killer := run.verdicts.get(ASLEEP, "collecting them"):
        print(f"  with every mutant asleep {killer} fails  <- WRONG")
        return 1
    return 0 if report(run, wanted, every) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
