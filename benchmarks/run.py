"""Runs the benchmarks of one family or of all, each in a process of its own.

    python benchmarks/run.py [--only gateway|mirror|audit|webhooks] [-- options of the family]

A process of its own, so that peak memory is the family's own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
# Not a family of timings: gas is absolute and has a door of its own, `make gas`.
NOT_FAMILIES = {"run", "results", "gas", "gas_node"}


def families() -> list[str]:
    names = (path.stem for path in HERE.glob("*.py"))
    return sorted(n for n in names if n not in NOT_FAMILIES and not n.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=families(), help="one family alone")
    parser.add_argument("rest", nargs="*", help="passed on to each family")
    options = parser.parse_args()
    failed = []
    for name in [options.only] if options.only else families():
        print(f"== {name} ==", flush=True)
        began = time.monotonic()
        code = subprocess.call([sys.executable, str(HERE / f"{name}.py"), *options.rest])
        print(f"   {name}: {time.monotonic() - began:.0f} s, exit {code}", flush=True)
        if code:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
