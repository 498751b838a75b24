"""The gateway under load: single POSTs, bulk, accepted to final, beside a naive way of issuing.

    python benchmarks/gateway.py [--quick] [--part singles|running|bulk|end-to-end|postgres|
                                            processes|memory|members] [--no-record]

The servers run in processes of their own (`_gateway_server`: the whole embedded network as `banyan
serve` runs it), the load comes from this one over 32 connections on the same machine. Each part
ends with its orders drained and counted: one lost or doubled fails the run.

- `post_single_*`             single issues, accept only: nothing else runs meanwhile
- `post_fixed_rate_*`         the same at a fixed rate; latency from when each request was due
- `post_single_all_running_*` relay, chain and indexer run meanwhile; all final at the end
- `bulk_lines_*`              lines of bulk requests of 5,000, accept only
- `issue_end_to_end_*`        from the first bulk request sent until the last issue is final, with
                              relay, chain and indexer running all the while; baseline: naive
- `post_single_postgres_*`    one and two gateway processes on PostgreSQL, in turns; some requests
                              are sent to both at once
- `post_memory_*`             resident memory after 200,000 orders; baseline: after 50,000
- `*_many_members_*`          with 20,000 members; baseline: with 2,000
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# This file is called like the package that it measures: the checkout comes before its folder.
sys.path[0] = str(HERE.parent)
sys.path.append(str(HERE))

import results  # noqa: E402
from _gateway_load import (  # noqa: E402
    Load,
    bulks,
    closed_loop,
    fixed_rate,
    one_by_one,
    singles,
    twice,
)
from _gateway_process import MEMBERS, Process, beside, network, postgres, say  # noqa: E402

BULK_LINES = 5_000
RATE_PER_S = 500.0
DOUBLED = 200
TURNS = 4


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    seconds: float = 8
    lines: int = 40_000
    naive: int = 200
    orders: int = 200_000
    many_members: int = 20_000

    @classmethod
    def quick(cls) -> Size:
        return cls(seconds=1.5, lines=10_000, naive=20, orders=20_000, many_members=3_000)


class Figures:
    """Where figures go: to results.json, or to the terminal alone."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep

    def record(self, name: str, value: float, unit: str, baseline: float | None = None) -> None:
        if self._keep:
            results.record(name, value, unit, baseline=baseline)
            return
        beside = f"   {value / baseline:.3f} x {baseline:,.1f}" if baseline else ""
        print(f"  {name:<44}{value:>14,.1f} {unit}{beside}   (not kept)", flush=True)

    def load(self, name: str, load: Load, baseline: float | None = None) -> None:
        self.record(f"{name}_per_s", load.per_s, "requests/s", baseline)
        self.record(f"{name}_p99_ms", load.percentile_ms(99), "ms")


class Session:
    """Loads on one network, counted until `finish` holds them against what became final."""

    def __init__(self, host: Process, figures: Figures) -> None:
        self.host = host
        self.figures = figures
        self.accepted = 0
        self.stock = singles(host.told["key"], host.told["members"])

    def warm_up(self) -> None:
        """Half a second that no figure counts: caches and pools fill."""
        self._count(closed_loop([self.host.port], self.stock, 0.5))

    def singles(self, seconds: float, *beside: Process) -> Load:
        say(f"single POSTs for {seconds:.0f} s")
        servers = [*beside] or [self.host]
        before = [server.ask("usage")["cpu_s"] for server in servers]
        load = closed_loop([server.port for server in servers], self.stock, seconds)
        used = sum(s.ask("usage")["cpu_s"] - b for s, b in zip(servers, before, strict=True))
        say(f"{used / load.accepted * 1e6:.0f} us of the servers' CPU each")
        return self._count(load)

    def fixed_rate(self, seconds: float) -> Load:
        say(f"{RATE_PER_S:.0f} a second for {seconds:.0f} s")
        return self._count(fixed_rate(self.host.port, self.stock, RATE_PER_S, seconds))

    def bulk(self, lines: int, connections: int = 1, port: int = 0) -> Load:
        """Lines as bulk requests; what is counted and timed are requests."""
        members = self.host.told["members"]
        stock = bulks(self.host.told["key"], members, lines, BULK_LINES)
        say(f"{lines:,} lines in {len(stock)} requests")
        load = one_by_one(port or self.host.port, stock, connections, lines=BULK_LINES)
        return self._count(load, lines)

    def _count(self, load: Load, lines: int | None = None) -> Load:
        if load.refused:
            raise SystemExit(f"refused: {load.refused}, {load.first_refusal[:300]!r}")
        self.accepted += load.accepted if lines is None else lines
        return load

    def finish(self, word: str) -> None:
        """Nothing lost, nothing doubled, nothing stuck."""
        say("waiting until all of it is final")
        ended = self.host.ask(word)
        found = (ended["final"], ended["open"], ended["failed"])
        if found != (self.accepted, 0, 0):
            raise SystemExit(f"accepted {self.accepted}, but (final, open, failed): {found}")


# ---- the parts


def part_singles(figures: Figures, size: Size) -> None:
    with network(background=False) as host:
        session = Session(host, figures)
        session.warm_up()
        load = session.singles(size.seconds)
        steady = session.fixed_rate(size.seconds)
        session.finish("drain")
    figures.load("post_single", load)
    figures.load("post_fixed_rate", steady, RATE_PER_S)


def part_running(figures: Figures, size: Size) -> None:
    with network(background=True) as host:
        session = Session(host, figures)
        session.warm_up()
        load = session.singles(size.seconds)
        began = time.perf_counter()
        session.finish("wait")
        behind_s = time.perf_counter() - began
    figures.load("post_single_all_running", load)
    figures.record("post_single_all_running_behind_s", behind_s, "s")


def part_bulk(figures: Figures, size: Size) -> None:
    with network(background=False) as host:
        session = Session(host, figures)
        session.warm_up()
        load = session.bulk(size.lines)
        session.finish("drain")
    figures.record("bulk_lines_per_s", size.lines / load.elapsed_s, "lines/s")


def part_end_to_end(figures: Figures, size: Size) -> None:
    from _gateway_naive import naive

    say(f"{size.naive} issues the naive way")
    naive_per_s = naive(size.naive)
    figures.record("naive_issue_per_s", naive_per_s, "issues/s")
    with network(background=True) as host:
        per_s = end_to_end(Session(host, figures), size.lines)
    figures.record("issue_end_to_end_per_s", per_s, "issues/s", naive_per_s)


def end_to_end(session: Session, lines: int) -> float:
    """Issues per second, from the first bulk request sent until the last issue is final."""
    session.warm_up()
    session.finish("wait")
    before = session.host.ask("usage")["cpu_s"]
    began = time.perf_counter()
    session.bulk(lines)
    accepted_s = time.perf_counter() - began
    session.finish("wait")
    elapsed = time.perf_counter() - began
    used = session.host.ask("usage")["cpu_s"] - before
    say(f"accepted after {accepted_s:.1f} s, final after {elapsed:.1f} s, {used:.1f} s of CPU")
    return lines / elapsed


def part_postgres(figures: Figures, size: Size) -> None:
    with postgres() as fresh:
        with network(url=fresh(), background=False) as host:
            session = Session(host, figures)
            session.warm_up()
            bulk = session.bulk(size.lines)
            session.finish("drain")
        with network(url=fresh(), background=True) as host:
            per_s = end_to_end(Session(host, figures), size.lines)
    figures.record("bulk_lines_postgres_per_s", size.lines / bulk.elapsed_s, "lines/s")
    figures.record("issue_end_to_end_postgres_per_s", per_s, "issues/s")


def part_processes(figures: Figures, size: Size) -> None:
    """One and two gateways beside an idle relay; then both are told the same, at once."""
    with postgres() as fresh:
        url = fresh()
        with network(url=url, background=False) as host:
            session = Session(host, figures)
            with beside(host, url) as one, beside(host, url) as two:
                for each in (one, two):
                    session.singles(0.5, each)
                # In turns: the machine's own speed changes within seconds.
                alone, both = Load(), Load()
                for _ in range(TURNS):
                    alone.add(session.singles(size.seconds / TURNS, one))
                    both.add(session.singles(size.seconds / TURNS, one, two))
                say("the same requests to both at once")
                doubled = same_to_both(session, one, two)
            session.finish("drain")
    figures.load("post_single_postgres", alone)
    figures.load("post_single_postgres_two", both, alone.per_s)
    figures.record("post_doubled_requests", doubled, "requests sent to both, each one order")


def same_to_both(session: Session, one: Process, two: Process) -> int:
    """Sends requests to both processes at once. Counts as accepted what has one answer only."""
    requests = list(itertools.islice(session.stock, DOUBLED))
    answers = twice(one.port, two.port, requests)
    for first, second in answers:
        ids = {body["id"] for status, body in (first, second) if status == 202}
        conflicts = [status for status, _ in (first, second) if status not in (202, 409)]
        if len(ids) != 1 or conflicts:
            raise SystemExit(f"one request, sent to two processes: {first} and {second}")
    session.accepted += len(requests)
    return len(requests)


def part_memory(figures: Figures, size: Size) -> None:
    with network(background=True) as host:
        session = Session(host, figures)
        seen = []
        for step in range(4):
            session.bulk(size.orders // 4)
            session.finish("wait")
            seen.append(host.ask("usage")["rss_mb"])
            say(f"{seen[-1]:.0f} MB after {(step + 1) * size.orders // 4:,} orders")
    figures.record("post_memory_200k_orders_mb", seen[-1], "MB", seen[0])


def part_members(figures: Figures, size: Size) -> None:
    found = {}
    for members in (MEMBERS, size.many_members):
        with network(background=True, members=members) as host:
            session = Session(host, figures)
            session.warm_up()
            singles_per_s = session.singles(size.seconds / 2).per_s
            session.finish("wait")
            found[members] = (singles_per_s, end_to_end(session, size.lines // 2))
    few, many = found[MEMBERS], found[size.many_members]
    figures.record("post_single_many_members_per_s", many[0], "requests/s", few[0])
    figures.record("issue_end_to_end_many_members_per_s", many[1], "issues/s", few[1])


PARTS = {
    "singles": part_singles,
    "running": part_running,
    "bulk": part_bulk,
    "end-to-end": part_end_to_end,
    "postgres": part_postgres,
    "processes": part_processes,
    "memory": part_memory,
    "members": part_members,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="these parts alone")
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is recorded")
    parser.add_argument("--no-record", action="store_true", help="figures to the terminal alone")
    options = parser.parse_args()
    size = Size.quick() if options.quick else Size()
    figures = Figures(keep=not (options.quick or options.no_record))
    for name in options.part or PARTS:
        print(f"-- {name}", flush=True)
        PARTS[name](figures, size)


if __name__ == "__main__":
    main()
