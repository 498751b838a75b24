"""The node's answers are held against its headers; what does not fit is never stored."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import httpx
import pytest
from mirror_model import ModelChain, RefusedByNode, actor
from sqlalchemy import Engine, func, inspect, select

from indexer import queries, rebuild, tables
from indexer.digest import mirror_digest
from indexer.endpoints import Endpoints
from indexer.errors import MirrorEmpty, SourceContradicts, WrongNetwork
from indexer.source import LOGS_PER_RANGE, Source
from indexer.sync import Indexer
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Rpc


def indexer_of(chain: ModelChain, mirror: Engine) -> Indexer:
    return Indexer(chain.rpc(), chain.deployment(), mirror)


def rows(mirror: Engine) -> int:
    with mirror.connect() as conn:
        return sum(
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables.metadata.sorted_tables
            if table is not tables.mirror_schema
        )


def test_read__another_chain_id__stops_before_writing(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    chain.chain_id += 1
    with pytest.raises(WrongNetwork, match=r"serves chain 424243, the deployment is on 424242"):
        indexer_of(chain, sqlite_mirror).run_once()
    assert rows(sqlite_mirror) == 0


def test_read__another_genesis__stops_before_writing(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    other = ModelChain(start=chain.blocks[0].time + 1)
    with pytest.raises(WrongNetwork, match="genesis"):
        Indexer(other.rpc(), chain.deployment(), sqlite_mirror).run_once()
    assert rows(sqlite_mirror) == 0


def test_read__the_node_changes_to_another_chain_in_mid_run__stops(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    indexer = indexer_of(chain, sqlite_mirror)
    indexer.run_once()
    before = rows(sqlite_mirror)
    chain.chain_id += 1
    chain.mine()
    with pytest.raises(WrongNetwork):
        indexer.run_once()
    assert rows(sqlite_mirror) == before


def test_read__a_mirror_of_another_network__stops_before_writing(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    indexer_of(chain, sqlite_mirror).run_once()
    before = rows(sqlite_mirror)
    other = ModelChain(start=chain.blocks[0].time + 1)
    with pytest.raises(WrongNetwork, match="mirror is of another network: its genesis_hash"):
        indexer_of(other, sqlite_mirror).run_once()
    assert rows(sqlite_mirror) == before


@pytest.mark.parametrize(
    "what",
    [
        *("omitted from a block", "omitted with the whole block", "repeated"),
        *("foreign", "torn", "moved"),
    ],
)
def test_read__a_log_that_is__stores_nothing_of_the_block(
    chain: ModelChain, sqlite_mirror: Engine, what: str
) -> None:
    indexer_of(chain, sqlite_mirror).run_once()
    time = chain.head.time + 10
    chain.issue(1, [(actor("ada"), 500), (actor("bob"), 300)], time)
    chain.mine(time)

    def tamper(method: str, params: list[Any], result: Any) -> Any:
        # An honest answer by hash stands for the second end point.
        if method != "eth_getLogs" or "blockHash" in params[0]:
            return result
        at = [i for i, log in enumerate(result) if log["blockNumber"] == "0x2"]
        if not at:
            return result
        first = at[0]
        broken = dict(result[first])
        if what == "omitted from a block":
            return result[:first] + result[first + 1 :]
        if what == "omitted with the whole block":
            return result[:first]
        if what == "repeated":
            return result[: first + 1] + result[first:]
        if what == "foreign":
            broken["address"] = actor("stranger").lower()
        elif what == "torn":
            broken["data"] = broken["data"][:-2]
        else:
            broken["blockHash"] = "0x" + "77" * 32
        return result[:first] + [broken] + result[first + 1 :]

    chain.tamper = tamper
    with pytest.raises(SourceContradicts):
        indexer_of(chain, sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn:
        assert queries.head(conn).as_of_block == 1
    chain.tamper = None
    indexer_of(chain, sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn:
        assert queries.member_balance(conn, actor("ada")).points == 500


def test_read__any_error_of_getlogs__halves_the_range_to_single_blocks(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    for _ in range(40):
        time = chain.head.time + 10
        chain.issue(1, [(actor("ada"), 1)], time)
        chain.mine(time)
    asked: list[int] = []

    def at_most_three_blocks(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs" and "fromBlock" in params[0]:
            span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            asked.append(span)
            if span > 3:
                # A hint that leads nowhere: nobody may follow it.
                raise RefusedByNode("query returned more than 10000 results, try 0x1 to 0x9999")
        return result

    chain.tamper = at_most_three_blocks
    progress = indexer_of(chain, sqlite_mirror).run_once()
    assert progress.block == chain.head.number
    assert max(asked) > 3
    with sqlite_mirror.connect() as conn:
        assert queries.member_balance(conn, actor("ada")).points == 40


def test_read__an_error_of_one_single_block__is_the_callers(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    def refuse(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs":
            raise RefusedByNode("out of order")
        return result

    chain.tamper = refuse
    with pytest.raises(RpcError, match="out of order"):
        indexer_of(chain, sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn, pytest.raises(MirrorEmpty):
        queries.head(conn)


def test_read__ranges__are_sized_by_the_logs_they_bring(chain: ModelChain) -> None:
    for _ in range(60):
        time = chain.head.time + 10
        chain.issue(1, [(actor("ada"), 1)] * (LOGS_PER_RANGE // 10), time)
        chain.mine(time)
    source = Source(Endpoints([chain.rpc()]), chain.deployment())
    first, spans, logs = 1, [], []
    while first <= chain.head.number:
        chunk = source.range(first, chain.head.number)
        spans.append(chunk.last.number - first + 1)
        logs.append(chunk.logs)
        first = chunk.last.number + 1
    assert sum(spans) == chain.head.number
    assert spans[0] == 16
    assert max(logs) <= 4 * LOGS_PER_RANGE
    assert max(logs[3:-1]) <= 1.2 * LOGS_PER_RANGE


def test_read__above_finality__asks_by_block_hash(chain: ModelChain, sqlite_mirror: Engine) -> None:
    chain.final = 1
    chain.mine()
    chain.mine()
    seen: list[dict[str, Any]] = []

    def note(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs":
            seen.append(params[0])
        return result

    chain.tamper = note
    indexer_of(chain, sqlite_mirror).run_once()
    by_hash = [criteria["blockHash"] for criteria in seen if "blockHash" in criteria]
    assert by_hash == [block.hash for block in chain.blocks[2:]]
    assert all(int(c["toBlock"], 16) <= 1 for c in seen if "toBlock" in c)


def test_open__tables_of_another_version__are_dropped_and_made_anew(
    chain: ModelChain, sqlite_mirror: Engine, opened: Any
) -> None:
    indexer_of(chain, sqlite_mirror).run_once()
    with sqlite_mirror.begin() as conn:
        conn.execute(tables.mirror_schema.update().values(version=tables.SCHEMA_VERSION - 1))
        conn.exec_driver_sql("CREATE TABLE left_over (x INTEGER)")
    again = opened(sqlite_mirror.url)
    assert rows(again) == 0
    assert "left_over" not in inspect(again).get_table_names()
    assert indexer_of(chain, again).run_once().logs > 0


def test_read__the_first_node_is_down__asks_the_next(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    down = Rpc("http://127.0.0.1:1")
    progress = Indexer([down, chain.rpc()], chain.deployment(), sqlite_mirror).run_once()
    assert progress.block == chain.head.number


def test_ask__several_threads_see_a_node_fail__all_hear_the_next() -> None:
    down, up = Rpc("http://127.0.0.1:1"), Rpc("http://127.0.0.1:2")
    nodes = Endpoints([down, up])
    together = threading.Barrier(3)

    def question(node: Rpc) -> str:
        if node is down:
            together.wait(10)
            raise RpcUnavailable("eth_blockNumber", "no answer")
        return "answered"

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: nodes.ask(question), range(3))) == ["answered"] * 3
    # And the turn has moved on for whoever asks next.
    assert nodes.ask(question) == "answered"
    nodes.close()


def test_read__a_node_that_refuses__is_asked_less_at_once(chain: ModelChain) -> None:
    for _ in range(40):
        time = chain.head.time + 10
        chain.issue(1, [(actor("ada"), 1)] * 400, time)
        chain.mine(time)
    lock, busy, most = threading.Lock(), 0, []

    class Counting(Rpc):
        def batch_settled(self, calls: Any, **options: Any) -> Any:
            nonlocal busy
            with lock:
                busy += 1
                most.append(busy)
            try:
                sleep(0.02)
                return super().batch_settled(calls, **options)
            finally:
                with lock:
                    busy -= 1

    node = Counting("http://model", transport=httpx.MockTransport(chain._answer))
    source = Source(Endpoints([node]), chain.deployment())
    assert [c.last.number for c in source.ranges(1, chain.head.number)][-1] == chain.head.number
    assert max(most) == 3

    def refuse(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs" and len(result) > 500:
            raise RefusedByNode("more than 500 logs")
        return result

    chain.tamper = refuse
    source = Source(Endpoints([node]), chain.deployment())
    chunks = list(source.ranges(1, chain.head.number))
    assert sum(c.logs for c in chunks) == sum(len(b.logs) for b in chain.blocks)
    assert [c.parent_hash for c in chunks[1:]] == [c.last.hash for c in chunks[:-1]]
    node.close()


def test_read__one_node_leaves_a_block_out__the_second_opinion_tells(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    def nothing(method: str, params: list[Any], result: Any) -> Any:
        return [] if method == "eth_getLogs" else result

    honest = chain.rpc()
    liar = copy.copy(chain)
    liar.tamper = nothing
    # Alone it is believed: nothing in its own answers contradicts it.
    indexer = Indexer([liar.rpc(), honest], chain.deployment(), sqlite_mirror)
    indexer.run_once()
    with sqlite_mirror.connect() as conn:
        assert queries.head(conn).members == 2


def test_rebuild__in_many_steps__changes_no_digest(
    chain: ModelChain, mirror: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        time = chain.head.time + 10
        chain.issue(1, [(actor(f"guest {n % 25}"), 5) for n in range(40)], time)
        chain.mine(time)
    indexer_of(chain, mirror).run_once()
    monkeypatch.setattr(rebuild, "_LOGS_PER_STEP", 50)
    with mirror.connect() as conn:
        before = mirror_digest(conn)
    assert rebuild.rebuild(mirror) == before


def test_read__a_node_that_takes_no_batches__is_asked_call_by_call(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    for _ in range(300):
        chain.mine()
    refused = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal refused
        if request.content.startswith(b"["):
            refused += 1
            error = {"code": -32600, "message": "we do not do that here"}
            return httpx.Response(200, json={"jsonrpc": "2.0", "id": None, "error": error})
        return chain._answer(request)

    node = Rpc("http://single", transport=httpx.MockTransport(answer))
    Indexer(node, chain.deployment(), sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn:
        assert queries.head(conn).as_of_block == chain.head.number
    # The first that was refused, and the question whether two harmless ones are, too.
    assert refused == 2


@pytest.mark.parametrize("how", ["null", "an error"])
def test_read__a_node_that_tells_no_final_block__follows_block_by_block(
    chain: ModelChain, sqlite_mirror: Engine, how: str
) -> None:
    def young(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "finalized":
            if how == "null":
                return None
            raise RefusedByNode("finalized block not found")
        return result

    chain.tamper = young
    progress = indexer_of(chain, sqlite_mirror).run_once()
    assert (progress.block, progress.final_block) == (chain.head.number, 0)
