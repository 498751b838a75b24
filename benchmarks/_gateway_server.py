"""The processes under load: a network that serves its API, or a gateway beside it.

    python benchmarks/_gateway_server.py network DATA [--url SQL] [--background] [--members N]
    python benchmarks/_gateway_server.py gateway DATA --url SQL --rpc URL

Tells one line of JSON on stdout when it is ready, then answers one line to each word on stdin:
`drain` (by hand), `wait` (until the background has ended all), `left`, `usage`, `end`.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

# Not the folder of this file: its `gateway.py` is called like the package that it measures.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from fastapi import FastAPI  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from gateway import heap  # noqa: E402
from gateway.cli.serve import server_of  # noqa: E402
from gateway.model import NewMerchant  # noqa: E402
from gateway.network import open_network  # noqa: E402
from gateway.observe import logs  # noqa: E402
from gateway.production import open_gateway  # noqa: E402
from gateway.settings import Settings  # noqa: E402

Commands = dict[str, Callable[[], dict[str, Any]]]
Opening = AbstractContextManager[tuple[FastAPI, dict[str, Any], Commands]]

WAIT_POLL_S = 0.02
WAIT_MAX_S = 280.0


def settings_of(data: str, url: str) -> Settings:
    # One key sends what in a shop are many; how much one may send is not measured here.
    settings = Settings(data_dir=Path(data), requests_per_s=100_000)
    if url:
        secret = SecretStr(url)
        settings = settings.model_copy(update={"orders_url": secret, "mirror_url": secret})
    return settings


def usage() -> dict[str, Any]:
    """CPU seconds of this process so far, and its resident memory now, MB."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"cpu_s": used.ru_utime + used.ru_stime, "rss_mb": pages * 4096 / 1e6}


@contextmanager
def network(options: argparse.Namespace) -> Iterator[tuple[FastAPI, dict[str, Any], Commands]]:
    """The whole embedded network, with one rich merchant and its members, all of them joined."""
    settings = settings_of(options.data, options.url)
    with open_network(settings.data_dir, settings=settings, background=False) as net:
        gateway = net.gateway

        def mine() -> None:
            net.chain.mine()

        merchant = gateway.onboard_merchant(
            NewMerchant("Bench", "bench", deposit=10**15), mine=mine
        )
        found = gateway.ensure_members([f"m{n}" for n in range(options.members)])
        gateway.drain(mine=mine)
        before = gateway.orders_by_state()["final"]

        def counted() -> dict[str, Any]:
            states = gateway.orders_by_state()
            left = gateway.relay.open_work()
            return {"open": left, "final": states["final"] - before, "failed": states["failed"]}

        def drain() -> dict[str, Any]:
            gateway.drain(mine=mine)
            return counted()

        def wait() -> dict[str, Any]:
            until = time.monotonic() + WAIT_MAX_S
            while gateway.relay.open_work() and time.monotonic() < until:
                time.sleep(WAIT_POLL_S)
            return counted()

        if options.background:
            net.start_background()
        told = {
            "rpc": net.chain.rpc_url,
            "key": merchant.api_key,
            "members": [member.id for member in found.values()],
        }
        left = gateway.relay.open_work
        yield net.app, told, {"drain": drain, "wait": wait, "left": lambda: {"open": left()}}


@contextmanager
def gateway(options: argparse.Namespace) -> Iterator[tuple[FastAPI, dict[str, Any], Commands]]:
    """One gateway of several on the same databases; another process relays."""
    settings = settings_of(options.data, options.url)
    with open_gateway(settings, options.rpc, relay=False) as app:
        yield app, {}, {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["network", "gateway"])
    parser.add_argument("data")
    parser.add_argument("--url", default="")
    parser.add_argument("--rpc", default="")
    parser.add_argument("--members", type=int, default=2_000)
    parser.add_argument("--background", action="store_true")
    options = parser.parse_args()
    heap.bound()
    opening = network(options) if options.what == "network" else gateway(options)
    # The heap and the logs as in `banyan serve`: a line for each request is part of what one costs.
    with (Path(options.data) / f"{options.what}.log").open("a") as log:
        logs.configure(settings_of(options.data, options.url), log)
        run(opening)


def run(opening: Opening) -> None:
    """Serves, and does what it is told, until the end."""
    with opening as (app, told, commands):
        heap.settle()
        listener = socket.create_server(("127.0.0.1", 0))
        server = server_of(app)
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        while not server.started:
            time.sleep(0.01)
        _tell({**told, "port": listener.getsockname()[1]})
        commands |= {"usage": usage}
        for line in sys.stdin:
            word = line.strip()
            if word == "end":
                break
            _tell(commands[word]())
        server.should_exit = True
        serving.join()


def _tell(values: dict[str, Any]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
