"""Where benchmarks put their figures: `results.json`.

A list of {name, value, unit, baseline, ratio, machine}. A timing means little by itself, for
machines are shared and noisy: so a figure is written together with what it was compared with in
the same run (`baseline`, of the same unit) and their ratio. `machine` names the processor.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).with_name("results.json")


def machine() -> str:
    """The processor's name and how many of them this process may use."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model} x {len(os.sched_getaffinity(0))}"


def record(
    name: str, value: float, unit: str, *, baseline: float | None = None, path: Path = RESULTS
) -> dict[str, object]:
    """Writes one figure, replacing an earlier one of the same name; `ratio` is value / baseline."""
    entry: dict[str, object] = {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 4),
        "ratio": None if not baseline else round(value / baseline, 4),
        "machine": machine(),
    }
    entries = json.loads(path.read_text()) if path.exists() else []
    entries = sorted([e for e in entries if e["name"] != name] + [entry], key=lambda e: e["name"])
    path.write_text(json.dumps(entries, indent=1) + "\n")
    beside = "" if entry["ratio"] is None else f"   {entry['ratio']} x {entry['baseline']}"
    print(f"  {name:<44}{entry['value']:>14,} {unit}{beside}")
    return entry
