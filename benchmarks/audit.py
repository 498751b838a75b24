"""How fast the auditor checks a network, beside the floor of only fetching it.

    python benchmarks/audit.py [--purchases 16000] [--members 4000] [--redemptions 2000]

A network on anvil with full blocks: batches of 200 purchases, relays of 40 redemptions. It is
audited, then trades on until it is three times as long, and is audited again from the first block.
Every check is on: headers, bodies, receipts, bloom, signatures, replay, storage proofs, calls,
laws.

- `audit_ev_s`                 events a second of the long chain from its first block, all checks on
- `audit_fetch_floor_ev_s`     the same blocks fetched and thrown away
- `audit_ev_cpu_s`             events a second of the auditor's own processor time
- `audit_peak_rss_mb`          largest memory of the auditor's processes together, on the long chain
- `audit_peak_rss_short_mb`    the same on the chain of a third of the length
- `audit_again_s`              a re-audit from the saved state after two new blocks
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "indexer" / "auditor"), str(ROOT / "benchmarks")]

from audit_town import BAKER, FLORIST, Town, running_anvil  # noqa: E402
from results import record  # noqa: E402

from indexer.auditor.cli import run_audit  # noqa: E402
from indexer.auditor.outcome import Options  # noqa: E402
from indexer.auditor.source import BlockFetcher, Rpc  # noqa: E402

BATCH = 200
RELAY = 40


def build(url: str, folder: Path, members: int) -> Town:
    """Members join."""
    town = Town(url, folder)
    names = [f"member {i}" for i in range(members)]
    for at in range(0, members, 3 * RELAY):
        for part in range(at, min(at + 3 * RELAY, members), RELAY):
            town.relay([town.join(name) for name in names[part : part + RELAY]])
        town.mine()
    return town


def trade(town: Town, members: int, purchases: int, redemptions: int) -> None:
    """Purchases are issued in batches, some are redeemed."""
    names = [f"member {i}" for i in range(members)]
    for at in range(0, purchases, 4 * BATCH):
        for part in range(at, min(at + 4 * BATCH, purchases), BATCH):
            entries = [(names[i % members], 100 + i % 900) for i in range(part, part + BATCH)]
            town.relay([town.issue(BAKER if part % 400 else FLORIST, *entries)])
        town.mine()
    for at in range(0, redemptions, 3 * RELAY):
        for part in range(at, min(at + 3 * RELAY, redemptions), RELAY):
            town.relay(
                [town.redeem(names[i % members], BAKER, 7) for i in range(part, part + RELAY)]
            )
        town.mine()


def fetch_floor(town: Town, last: int) -> float:
    """Seconds to fetch every block and its receipts."""
    rpc = Rpc(town.url)
    began = time.perf_counter()
    for _ in BlockFetcher(rpc).ranges(0, last):
        pass
    seconds = time.perf_counter() - began
    rpc.close()
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--purchases", type=int, default=16_000, help="of the short chain")
    parser.add_argument("--members", type=int, default=4_000)
    parser.add_argument("--redemptions", type=int, default=2_000, help="of the short chain")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--audit", nargs=3, metavar=("URL", "FILE", "STATE"), help="(inner)")
    options = parser.parse_args()
    if options.audit:
        return audit_once(*options.audit, options.workers)
    with tempfile.TemporaryDirectory() as folder, running_anvil() as url:
        town = build(url, Path(folder), options.members)
        command = [sys.executable, __file__, "--workers", str(options.workers)]
        command += ["--audit", url, str(town.file)]
        size = (options.members, options.purchases, options.redemptions)
        trade(town, *size)
        short, short_watch = watched([*command, f"{folder}/state"])
        show("short", short, short_watch)
        trade(town, options.members, 4 * BATCH, RELAY)
        again, again_watch = watched([*command, f"{folder}/state"])
        show("two blocks more", again, again_watch)
        for _ in range(2):
            trade(town, *size)
        last = int(town.rpc.call("eth_blockNumber", []), 16)
        floor = fetch_floor(town, last)
        whole, watch = watched([*command, f"{folder}/another state"])
        show("long", whole, watch)
        town.rpc.close()
    events = int(whole["events"])
    record("audit_ev_s", events / whole["seconds"], "events/s", baseline=events / floor)
    record("audit_fetch_floor_ev_s", events / floor, "events/s")
    record("audit_ev_cpu_s", events / watch.cpu_s, "events/s")
    record("audit_peak_rss_mb", watch.peak_mb, "MB", baseline=short_watch.peak_mb)
    record("audit_peak_rss_short_mb", short_watch.peak_mb, "MB")
    record("audit_again_s", again["seconds"], "s", baseline=short["seconds"])
    return 0


def show(name: str, report: dict[str, Any], watch: Watch) -> None:
    """One audit: its size, its memory, and what each check cost."""
    seconds = report["seconds"]
    print(f"{name}: {report['events']:,} events in {seconds:.2f} s, {watch.peak_mb:.0f} MB")
    for part, spent in report["parts"].items():
        if spent > 0.005:
            print(f"  {part}: {spent:.2f} s", flush=True)


class Watch:
    """Memory and processor time of all processes of one session, sampled."""

    def __init__(self, session: int) -> None:
        self._session = session
        self.peak_mb = 0.0
        self._cpu: dict[int, float] = {}

    def sample(self) -> None:
        """Looks at /proc once."""
        resident = 0
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == self._session:
                    resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                    ticks = int(fields[11]) + int(fields[12])
                    self._cpu[int(entry.name)] = ticks / os.sysconf("SC_CLK_TCK")
        self.peak_mb = max(self.peak_mb, resident / 2**20)

    @property
    def cpu_s(self) -> float:
        """Processor seconds of all processes together."""
        return sum(self._cpu.values())


def watched(command: list[str]) -> tuple[dict[str, Any], Watch]:
    """What the inner audit says of itself, and what it cost."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    watch = Watch(process.pid)
    while process.poll() is None:
        watch.sample()
        time.sleep(0.05)
    assert process.stdout is not None
    content = process.stdout.read()
    assert process.returncode == 0, content
    return json.loads(content), watch


def audit_once(url: str, file: str, state: str, workers: str) -> int:
    """One audit in this process, so that its peak memory is its own."""
    chosen = Options(workers=int(workers), last="latest", state=Path(state))
    report = run_audit(url, Path(file), chosen)
    assert report["exit_code"] == 0, report["findings"] or report["not_checked"]
    speed = report["speed"]
    parts = dict(speed["seconds_by_part"])
    # The checks that are made block by block stand among the parts already.
    after = ("code", "storage", "complete storage", "calls", "laws")
    checks = {check["name"]: check["seconds"] for check in report["checks"]}
    parts |= {f"[{name}]": checks[name] for name in after}
    print(json.dumps({"events": speed["events"], "seconds": speed["seconds"], "parts": parts}))
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
