"""One reading of the mirror's benchmark, in a process of its own: prints a JSON object."""

from __future__ import annotations

import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import orjson  # noqa: E402
from sqlalchemy import Engine  # noqa: E402

from indexer import carry, queries, rebuild, reorg, statements, sync  # noqa: E402
from indexer import tables as t  # noqa: E402
from indexer.chunk import Chunk  # noqa: E402
from indexer.database import open_mirror  # noqa: E402
from indexer.decode import BlockLogs, Decoder, read_other  # noqa: E402
from indexer.endpoints import Endpoints  # noqa: E402
from indexer.prefetch import fewer_collections  # noqa: E402
from indexer.project import Header, Memory, Network  # noqa: E402
from indexer.source import Source  # noqa: E402
from indexer.sync import Indexer  # noqa: E402
from indexer.upkeep import Upkeep  # noqa: E402
from wallet_sdk import events  # noqa: E402
from wallet_sdk.contracts import Deployment  # noqa: E402
from wallet_sdk.epochs import EpochSchedule  # noqa: E402
from wallet_sdk.rpc import Rpc  # noqa: E402
from wallet_sdk.types import address_bytes, address_of, digest_of  # noqa: E402

RPC_TIMEOUT_S = 120.0


class SlowNode(httpx.HTTPTransport):
    """A node far away that refuses more than `cap` logs, as the public ones do."""

    def __init__(self, latency_s: float, cap: int) -> None:
        super().__init__()
        self._latency_s = latency_s
        self._cap = cap

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        time.sleep(self._latency_s)
        response = super().handle_request(request)
        body = response.read()
        response.close()
        headers = {"content-type": "application/json"}
        if b"eth_getLogs" in request.content and body.count(b'"logIndex"') > self._cap:
            refusal = {"code": -32005, "message": f"more than {self._cap} results, try less"}
            call = orjson.loads(request.content)
            body = orjson.dumps({"jsonrpc": "2.0", "id": call["id"], "error": refusal})
        return httpx.Response(response.status_code, headers=headers, content=body)


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Events a second by the wall and by this process's time, and its peak memory."""
    wall, own = time.perf_counter(), time.process_time()
    number = work()
    wall, own = time.perf_counter() - wall, time.process_time() - own
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ev_s": number / wall, "ev_cpu_s": number / own, "rss_mb": peak, "events": number}


def floor(url: str, deployment: str, decode: str) -> dict[str, float]:
    rpc = Rpc(url, timeout_s=RPC_TIMEOUT_S)
    decoder = Decoder(Deployment.load(Path(deployment)).addresses)
    head = int(rpc.call("eth_blockNumber"), 16)

    def work() -> int:
        number = 0
        for first in range(1, head + 1, 10):
            criteria = {"fromBlock": hex(first), "toBlock": hex(min(first + 9, head))}
            logs = rpc.call("eth_getLogs", [{**criteria, "address": decoder.addresses}])
            number += len(logs)
            if int(decode):
                decoder.decode(logs)
        return number

    return measured(work)


def backfill(
    url: str, deployment: str, mirror: str, latency_ms: str = "0", cap: str = "0"
) -> dict[str, float]:
    engine = open_mirror(mirror)
    transport = SlowNode(float(latency_ms) / 1000, int(cap)) if int(cap) else None
    rpc = Rpc(url, timeout_s=RPC_TIMEOUT_S, transport=transport)
    indexer = Indexer(rpc, Deployment.load(Path(deployment)), engine, confirmations=0)
    return measured(lambda: indexer.run_once().logs)


CONFIRMATIONS = 64
"""Blocks above finality, as on a public chain (two epochs of 32 slots)."""


def follow(url: str, deployment: str, mirror: str) -> dict[str, float]:
    """Takes the last 200 blocks back and writes them again, one transaction each, as the indexer
    does at the head; what it does between blocks is timed by itself.
    """
    engine, file = open_mirror(mirror), Deployment.load(Path(deployment))
    source = Source(Endpoints([Rpc(url, timeout_s=RPC_TIMEOUT_S)]), file)
    last = source.head().header.number
    common = source.header(last - 200)
    assert common is not None
    with engine.begin() as conn:
        reorg.undo(conn, common, last)
    network = Network(address_bytes(file.address("Coalition")), file.schedule)
    memory = Memory()
    upkeep = Upkeep(engine)
    times, between = [], []
    with fewer_collections():
        for number in range(last - 199, last + 1):
            chunk = source.block(number)
            assert chunk is not None
            began = time.perf_counter()
            with engine.begin() as conn:
                sync.write_chunk(conn, network, chunk, number - CONFIRMATIONS, memory)
            times.append(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
            upkeep.wrote(chunk.logs)
            upkeep.run()
            between.append(1000 * (time.perf_counter() - began))
    return {**_spread(times), "between_max_ms": max(between)}


def undo(url: str, deployment: str, mirror: str) -> dict[str, float]:
    """Takes 30 of 64 blocks above finality back; then 30 blocks of which all had been final."""
    engine = open_mirror(mirror)
    source = Source(
        Endpoints([Rpc(url, timeout_s=RPC_TIMEOUT_S)]), Deployment.load(Path(deployment))
    )
    head = source.head().header.number
    common = source.header(head - 30)
    assert common is not None
    deep = _undone(engine, common, head)
    with engine.begin() as conn:
        carry.begin_anew(conn)
        carry.carry(conn, t.first_id(head - CONFIRMATIONS + 1))
    return {
        **_spread(_undone(engine, common, head - CONFIRMATIONS)),
        "below_final_ms": statistics.median(deep),
    }


def _undone(engine: Engine, common: Header, final_block: int) -> list[float]:
    times = []
    for _ in range(9):
        with engine.connect() as conn:
            began = time.perf_counter()
            reorg.undo(conn, common, final_block)
            times.append(1000 * (time.perf_counter() - began))
            conn.rollback()
    return times


def rebuilt(mirror: str, emptied: str) -> dict[str, float]:
    """Five rebuilds in one process, the median; before each what is derived is emptied, or not."""
    engine = open_mirror(mirror)
    empty = "TRUNCATE" if engine.dialect.name == "postgresql" else "DELETE FROM"
    rates = []
    for _ in range(5):
        if int(emptied):
            with engine.begin() as conn:
                for table in (*t.JOURNALS, *t.TOTALS, t.carried):
                    conn.exec_driver_sql(f"{empty} {table.name}")
        rates.append(measured(lambda: rebuild.rebuild_rows(engine))["ev_s"])
    return {"ev_s": statistics.median(rates)}


def _spread(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"median_ms": cuts[49], "p99_ms": cuts[98]}


# ---- queries


MEMBERS = 50_000
MERCHANTS = 20


def fill(engine: Engine, rows: int) -> list[bytes]:
    """A mirror of `rows` movements, through the projection, without a chain: each block a batch of
    100 and four redemptions.
    """
    rng = random.Random(1)
    schedule = EpochSchedule(1_700_000_000, 7_889_400)
    network = Network(b"\x01" * 20, schedule)
    members = [rng.randbytes(20) for _ in range(min(MEMBERS, rows // 10))]
    memory, upkeep = Memory(), Upkeep(engine)
    blocks: list[tuple[Header, BlockLogs]] = []
    parent = Header(0, bytes(32), bytes(32), schedule.first_start)
    with engine.begin() as conn:
        conn.execute(t.network.insert().values(_network_row(schedule)))
    for number in range(1, rows // 104 + 1):
        header = Header(
            number, number.to_bytes(32, "big"), parent.hash, schedule.first_start + 900 * number
        )
        blocks.append((header, _block(rng, members, header, schedule)))
        parent = header
        if len(blocks) == 150 or number == rows // 104:
            chunk = Chunk(blocks[0][0].number, header, blocks[0][0].parent_hash, blocks)
            with engine.begin() as conn:
                sync.write_chunk(conn, network, chunk, header.number - CONFIRMATIONS, memory)
            upkeep.wrote(chunk.logs)
            blocks = []
    upkeep.run()
    return members


def _network_row(schedule: EpochSchedule) -> dict[str, Any]:
    return {
        "one": 1,
        "chain_id": 1,
        "genesis_hash": bytes(32),
        "first_block": 1,
        "coalition": b"\x01" * 20,
        "points": b"\x02" * 20,
        "face_value": 100,
        "epoch_first_start": schedule.first_start,
        "epoch_length": schedule.length,
        "validity": schedule.validity,
    }


def _block(
    rng: random.Random, members: list[bytes], header: Header, schedule: EpochSchedule
) -> BlockLogs:
    block = BlockLogs(header.number, "0x" + header.hash.hex())
    merchant = header.number % MERCHANTS + 1
    epoch = schedule.epoch_at(header.time)
    base = t.first_id(header.number)

    def word(value: int | bytes) -> bytes:
        return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")

    def other(event: type[events.Event], topics: list[int | bytes], data: list[int]) -> None:
        raw = event.LAYOUT.topic0 + b"".join(map(word, topics))
        log = read_other(
            base + len(block.items), position, "Coalition", raw, b"".join(map(word, data))
        )
        block.items.append(log)
        block.others.append(log)

    position = 0
    if header.number <= MERCHANTS:
        other(events.MerchantRegistered, [header.number, members[0]], [0])
    receivers = rng.sample(members, 100)
    total = 0
    for member in receivers:
        points = rng.randint(100, 999)
        total += points
        block.items.append((base + len(block.items), position, None, member, points))
    digest = int.from_bytes(rng.randbytes(32), "big")
    other(events.Issued, [digest, merchant], [header.number, epoch, total, total * 110, 0])
    block.transactions[position] = digest_of(rng.randbytes(32))
    for member in receivers[:4]:
        position += 1
        points = rng.randint(1, 100)
        where = rng.randint(1, MERCHANTS)
        block.items.append((base + len(block.items), position, member, None, points))
        other(
            events.Redeemed,
            [int.from_bytes(rng.randbytes(32), "big"), member, where],
            [points, points * 98, epoch << 240 | points, 0],
        )
        block.transactions[position] = digest_of(rng.randbytes(32))
    return block


def asked(mirror: str, rows: str) -> dict[str, float]:
    """p99 in milliseconds of each query with random arguments, at second-page depth too."""
    engine = open_mirror(mirror)
    members = [address_of(m) for m in fill(engine, int(rows))]
    rng = random.Random(2)
    with engine.connect() as conn:
        if engine.dialect.name == "postgresql":
            conn.exec_driver_sql("ANALYZE")
            conn.commit()
        now = queries.head(conn)
        digests = [
            digest_of(bytes(d))
            for d in conn.execute(
                t.events.select().with_only_columns(t.events.c.digest).limit(2_000)
            ).scalars()
            if d is not None
        ]
        day = now.as_of_time - 86_400

        def history() -> None:
            member = rng.choice(members)
            page = queries.member_history(conn, member, limit=20)
            if page.next_cursor:
                queries.member_history(conn, member, page.next_cursor, 20)

        def one_merchant() -> int:
            return rng.randint(1, MERCHANTS)

        def pages() -> None:
            merchant = one_merchant()
            page = queries.latest(conn, 50, merchant=merchant)
            queries.latest(conn, 50, merchant=merchant, cursor=page.next_cursor)

        kinds: dict[str, Callable[[], object]] = {
            "head": lambda: queries.head(conn),
            "member_balance": lambda: queries.member_balance(conn, rng.choice(members)),
            "member_balance_as_of": lambda: queries.member_balance(
                conn, rng.choice(members), as_of=rng.randint(1, now.as_of_block)
            ),
            "member_balances_500": lambda: queries.member_balances(conn, rng.sample(members, 500)),
            "member_history": history,
            "merchant_position": lambda: queries.merchant_position(conn, one_merchant()),
            "merchants_overview": lambda: queries.merchants_overview(conn),
            "network_overview": lambda: queries.network_overview(conn),
            "flows": lambda: queries.flows(conn),
            "latest": lambda: queries.latest(conn, 50),
            "latest_of_merchant": pages,
            "monthly_series": lambda: queries.monthly_series(conn),
            "order_effects_100": lambda: queries.order_effects(conn, rng.sample(digests, 100)),
            "settlement": lambda: statements.settlement(conn),
            "statement_of_a_day": lambda: statements.statement(
                conn, one_merchant(), day, now.as_of_time
            ),
        }
        found = {}
        for name, ask in kinds.items():
            times = []
            for _ in range(220):
                began = time.perf_counter()
                ask()
                times.append(1000 * (time.perf_counter() - began))
            # The first ones compile statements and warm the cache.
            found[name] = _spread(times[20:])["p99_ms"]
    return found


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "floor": floor,
    "backfill": backfill,
    "head": follow,
    "undo": undo,
    "rebuild": rebuilt,
    "queries": asked,
}

if __name__ == "__main__":
    task, *words = sys.argv[1:]
    print(json.dumps(TASKS[task](**dict(word.split("=", 1) for word in words))))
