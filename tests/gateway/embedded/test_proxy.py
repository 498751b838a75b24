"""The public RPC port: what it refuses, and what "latest" and "finalized" mean on it."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.embedded import EmbeddedChain
from gateway.embedded.proxy import BATCH_MAX, BODY_BYTES_MAX


@pytest.mark.parametrize(
    "method",
    [
        "anvil_setStorageAt",
        "anvil_mine",
        "evm_mine",
        "evm_setNextBlockTimestamp",
        "evm_snapshot",
        "hardhat_setBalance",
        "debug_traceTransaction",
        "eth_sendTransaction",
        "eth_sendUnsignedTransaction",
        "eth_newFilter",
        "eth_subscribe",
        "txpool_content",
        "personal_listAccounts",
        "ETH_CALL",
        "",
    ],
)
def test_call__not_on_the_list__refused(
    idle_rpc: Any, idle_chain: EmbeddedChain, method: str
) -> None:
    assert idle_rpc(method)["error"]["code"] == -32601
    batch = [{"jsonrpc": "2.0", "id": 1, "method": method, "params": []}]
    assert httpx.post(idle_chain.rpc_url, json=batch).json()[0]["error"]["code"] == -32601
    assert idle_chain.head.number == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"NaN", -32700),
        (b"[" * 5000, -32700),
        (b"7", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"method":7,"id":1}', -32600),
        (b'{"method":"eth_chainId","id":true}', -32600),
        (b'{"method":"eth_chainId","id":{}}', -32600),
        (b'{"method":"eth_chainId","id":1,"params":{}}', -32602),
        (b'{"method":"eth_sendRawTransaction","id":1,"params":[]}', -32602),
        (b'{"method":"eth_sendRawTransaction","id":1,"params":["0xzz"]}', -32602),
        (b'{"method":"eth_sendRawTransaction","id":1,"params":[["0x00"]]}', -32602),
    ],
)
def test_call__malformed__a_json_rpc_error(
    idle_chain: EmbeddedChain, body: bytes, code: int
) -> None:
    answer = httpx.post(idle_chain.rpc_url, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)


def test_call__huge_body__refused(idle_chain: EmbeddedChain) -> None:
    answer = httpx.post(idle_chain.rpc_url, content=b" " * (BODY_BYTES_MAX + 1))
    assert answer.status_code == 413


def test_call__batch_too_long__refused(idle_chain: EmbeddedChain) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    answer = httpx.post(idle_chain.rpc_url, json=[call] * (BATCH_MAX + 1)).json()
    assert answer["error"]["code"] == -32600


def test_call__by_another_host_name__refused(idle_chain: EmbeddedChain) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example"):
        answer = httpx.post(idle_chain.rpc_url, json=call, headers={"host": host})
        assert answer.status_code == 403
    assert httpx.post(idle_chain.rpc_url, json=call, headers={"host": "localhost:1"}).is_success


def test_call__get__refused(idle_chain: EmbeddedChain) -> None:
    assert httpx.get(idle_chain.rpc_url).status_code == 405


def test_call__by_another_address__not_listening(idle_chain: EmbeddedChain) -> None:
    port = urlsplit(idle_chain.rpc_url).port
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=1)


def test_call__node_down__unknown_outcome(rpc: Any, chain: EmbeddedChain) -> None:
    chain._engine.stop_node()
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_gasPrice", "params": []}
    answer = httpx.post(chain.rpc_url, json=call)
    assert (answer.status_code, "error" in answer.json()) == (503, True)


def test_tags__latest_safe_finalized_pending__the_last_committed_block(
    rpc: Any, chain: EmbeddedChain, ada: Any
) -> None:
    chain.submit(ada.sign(chain.chain_id, 0))
    chain.mine(1_700_000_100)
    chain.submit(ada.sign(chain.chain_id, 1))
    for tag in ("latest", "safe", "finalized", "pending"):
        block = rpc("eth_getBlockByNumber", tag, False)["result"]
        assert (block["number"], block["hash"]) == ("0x1", chain.head.hash)
    assert rpc("eth_getBlockByNumber", "earliest", False)["result"]["hash"] == chain.genesis_hash
    assert rpc("eth_blockNumber")["result"] == "0x1"
    assert rpc("eth_chainId")["result"] == hex(chain.chain_id)
    counts = [rpc("eth_getTransactionCount", ada.address, t) for t in ("latest", "pending")]
    assert [count["result"] for count in counts] == ["0x1", "0x2"]


def test_tags__left_out_or_in_a_filter__the_same(rpc: Any, chain: EmbeddedChain, ada: Any) -> None:
    # LOG0 of nothing, then stop: a creation that leaves one log.
    chain.submit(ada.sign(chain.chain_id, 0, gas=100_000, data=bytes.fromhex("5f5fa000")))
    chain.mine(1_700_000_100)
    for wanted in ({}, {"fromBlock": "finalized", "toBlock": "finalized"}, {"toBlock": "latest"}):
        assert len(rpc("eth_getLogs", wanted)["result"]) == 1
    assert len(rpc("eth_getLogs", {"blockHash": chain.head.hash})["result"]) == 1
    assert rpc("eth_getBalance", ada.address)["result"] == "0x0"
    assert rpc("eth_call", {"to": ada.address, "data": "0x"})["result"] == "0x"
    # Time in a call is the last block's, not the wall clock's: TIMESTAMP, returned.
    code = "0x425f5260205ff3"
    assert int(rpc("eth_call", {"data": code}, "pending")["result"], 16) == 1_700_000_100
    assert rpc("eth_call", {"data": code}, {"blockNumber": "latest"})["result"] == hex(
        1_700_000_100
    ).replace("0x", "0x" + "0" * 56)


def test_batch__mixed__answers_in_the_order_of_the_calls(chain: EmbeddedChain, ada: Any) -> None:
    raws = [ada.sign(chain.chain_id, nonce) for nonce in (0, 1)]
    calls = [
        ("eth_chainId", [], "a"),
        ("eth_sendRawTransaction", ["0x" + raws[0].hex()], 5),
        ("eth_getBalance", [ada.address, "latest"], 5),
        ("evm_mine", [], 6),
        ("eth_sendRawTransaction", ["0x" + raws[1].hex()], None),
        ("eth_getBlockByNumber", ["finalized", False], "last"),
    ]
    batch = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for m, p, i in calls]
    answers = httpx.post(chain.rpc_url, json=batch).json()
    assert [answer["id"] for answer in answers] == ["a", 5, 5, 6, None, "last"]
    assert answers[3]["error"]["code"] == -32601
    assert answers[5]["result"]["hash"] == chain.genesis_hash
    assert chain.pending == 2


def test_send__refused_by_the_node__its_code_and_text(
    rpc: Any, chain: EmbeddedChain, ada: Any
) -> None:
    raw = "0x" + ada.sign(chain.chain_id, 0).hex()
    assert len(rpc("eth_sendRawTransaction", raw)["result"]) == 66
    error = rpc("eth_sendRawTransaction", raw)["error"]
    assert error == {"code": -32003, "message": "transaction already imported"}
