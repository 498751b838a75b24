"""What telling others costs: orders while webhooks are delivered, and how many are delivered.

    python benchmarks/webhooks.py [--quick] [--no-record] [--url SQLALCHEMY-URL]

A network as `banyan serve` runs it, single POSTs over 32 connections on the same machine, first
with nobody listening, then with one end point that hears of every order when it is accepted and
when it is final. The receiver is a process of its own and answers at once.

- `webhook_orders_per_s`, `webhook_orders_p99_ms`  orders while all of it is told; baseline: nobody
                                                   listens
- `webhook_deliveries_per_s`  messages delivered, from the first to the last, orders being accepted
                              and carried out meanwhile
- `webhook_behind_s`          from the last order's end until the last message has arrived
- `webhook_backlog_per_s`     messages of a backlog delivered while nothing else happens
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
# This folder's `gateway.py` is called like the package.
sys.path[0] = str(HERE.parent)
sys.path.append(str(HERE))

import httpx  # noqa: E402
import results  # noqa: E402
from _gateway_load import Load, closed_loop, singles  # noqa: E402
from _gateway_process import Process, network, say  # noqa: E402

EVENTS = ["order.accepted", "order.final"]
WAIT_MAX_S = 120.0


class Receiver:
    """A process that receives webhooks."""

    def __init__(self) -> None:
        command = [sys.executable, str(HERE / "_webhook_receiver.py")]
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._popen.stdout is not None
        self.port = int(self._popen.stdout.readline())

    def told(self) -> dict[str, float]:
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write("?\n")
        self._popen.stdin.flush()
        found: dict[str, float] = json.loads(self._popen.stdout.readline())
        return found

    def wait(self, messages: int) -> dict[str, float]:
        """Until so many came. Exits where they do not, or where one came twice."""
        until = time.monotonic() + WAIT_MAX_S
        while (found := self.told())["messages"] < messages:
            if time.monotonic() > until:
                raise SystemExit(f"{found['messages']:.0f} of {messages} messages came")
            time.sleep(0.05)
        if found["messages"] != messages or found["twice"]:
            raise SystemExit(f"{messages} messages were due, {found}")
        return found

    def end(self) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        self._popen.wait(20)


@contextmanager
def receiving() -> Iterator[Receiver]:
    found = Receiver()
    try:
        yield found
    finally:
        found.end()


def ask(host: Process, method: str, path: str, body: object) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {host.told['key']}", "Idempotency-Key": path + method}
    url = f"http://127.0.0.1:{host.port}/v1/webhook-endpoints{path}"
    answer = httpx.request(method, url, json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found


def load(host: Process, seconds: float) -> Load:
    say(f"single POSTs for {seconds:.0f} s")
    done = closed_loop([host.port], singles(host.told["key"], host.told["members"]), seconds)
    if done.refused:
        raise SystemExit(f"refused: {done.refused}, {done.first_refusal[:300]!r}")
    ended = host.ask("wait")
    if ended["open"] or ended["failed"]:
        raise SystemExit(f"not all of it became final: {ended}")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a trial, seconds long")
    parser.add_argument("--no-record", action="store_true", help="keeps no figure")
    parser.add_argument("--url", default="", help="a fresh database (default: SQLite)")
    options = parser.parse_args()
    seconds = 1.5 if options.quick else 8

    def record(name: str, value: float, unit: str, baseline: float | None = None) -> None:
        if options.no_record:
            beside = f"   {value / baseline:.3f} x {baseline:,.1f}" if baseline else ""
            print(f"  {name:<44}{value:>14,.1f} {unit}{beside}   (not kept)", flush=True)
        else:
            results.record(name, value, unit, baseline=baseline)

    with receiving() as receiver, network(background=True, url=options.url) as host:
        load(host, 1)
        alone = load(host, seconds)
        made = ask(
            host, "POST", "", {"url": f"http://127.0.0.1:{receiver.port}/", "events": EVENTS}
        )
        told = load(host, seconds)
        final_at = time.time()
        messages = len(EVENTS) * told.accepted
        found = receiver.wait(messages)
        record("webhook_orders_per_s", told.per_s, "1/s", alone.per_s)
        record("webhook_orders_p99_ms", told.percentile_ms(99), "ms", alone.percentile_ms(99))
        span_s = found["last"] - found["first"]
        record("webhook_deliveries_per_s", messages / span_s, "1/s")
        record("webhook_behind_s", max(found["last"] - final_at, 0.0), "s")

        # The same messages once more, all due at once.
        say(f"{messages:,} messages again")
        before = found["messages"]
        path = f"/{made['id']}/replay"
        began = time.time()
        again = ask(host, "POST", path, {"since": 0, "only": "all"})
        due = int(again["events"])
        until = time.monotonic() + WAIT_MAX_S
        while receiver.told()["messages"] < before + due and time.monotonic() < until:
            time.sleep(0.05)
        found = receiver.told()
        if found["messages"] != before + due:
            raise SystemExit(
                f"{due} messages were due again, {found['messages'] - before:.0f} came"
            )
        record("webhook_backlog_per_s", due / (found["last"] - began), "1/s")


if __name__ == "__main__":
    main()
