"""Several nodes: a decision stays on one, back-pressure is no failure, one that lags makes no
reorg, and one of another chain is never asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.errors import WrongChain
from gateway.relay import nodes as nodes_module
from gateway.relay import reorg
from gateway.relay.chain import Chain
from gateway.relay.nodes import Nodes
from gateway.relay.relay import Relay
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.test_relay_faults import issue, right
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.rpc import Rpc

Answer = Callable[[dict[str, Any]], Any]
GENESIS = "0x" + "11" * 32


class Scripted(httpx.BaseTransport):
    """A node that answers each call by a function, and counts what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.read())
        calls = body if isinstance(body, list) else [body]
        results = []
        for call in calls:
            self.asked.append(call["method"])
            found = self.answer(call)
            if isinstance(found, httpx.Response):
                return found
            results.append({"jsonrpc": "2.0", "id": call["id"], "result": found})
        return httpx.Response(200, content=orjson.dumps(results if body is calls else results[0]))


def chain(height: int, *, chain_id: int = 5, genesis: str = GENESIS, name: str = "") -> Answer:
    def answer(call: dict[str, Any]) -> Any:
        if call["method"] == "eth_chainId":
            return hex(chain_id)
        if call["method"] == "eth_getBlockByNumber":
            return {"hash": genesis}
        return hex(height) if call["method"] == "eth_blockNumber" else name

    return answer


def busy(_call: dict[str, Any]) -> Any:
    return httpx.Response(429, headers={"retry-after": "7"})


def several(*answers: Answer) -> tuple[Nodes, list[Scripted]]:
    lines = [Scripted(answer) for answer in answers]
    rpcs = [Rpc(f"http://user:secret@node{n}", transport=line) for n, line in enumerate(lines)]
    return Nodes(rpcs, chain_id=5, genesis=GENESIS), lines


def test_decision__on_a_node_that_falls_silent__does_not_go_on_with_another() -> None:
    nodes, (first, second) = several(chain(9, name="first"), chain(9, name="second"))
    with nodes.decision():
        assert nodes.call("web3_clientVersion") == "first"
        first.answer = busy
        with pytest.raises(RpcUnavailable):
            nodes.call("web3_clientVersion")
    assert "web3_clientVersion" not in second.asked
    # The next one is taken elsewhere; the busy node rests as long as it asked for.
    with nodes.decision():
        assert nodes.call("web3_clientVersion") == "second"
    nodes.close()


@pytest.mark.parametrize(
    "fault",
    [
        httpx.Response(429),
        httpx.Response(503, text="<html>"),
        httpx.Response(200, text="<html>no JSON</html>"),
        httpx.Response(200, text=""),
        httpx.Response(200, content=b'{"jsonrpc": "2.0", "id": 999, "result": "0x1"}'),
    ],
)
def test_question__to_a_node_in_trouble__goes_to_the_next(fault: httpx.Response) -> None:
    nodes, _ = several(lambda call: fault, chain(9, name="second"))
    assert nodes.call("web3_clientVersion") == "second"
    with nodes.decision():
        assert nodes.call("web3_clientVersion") == "second"
    nodes.close()


def test_decision__no_node_answers__is_unknown() -> None:
    nodes, _ = several(busy, busy)
    with pytest.raises(RpcUnavailable) as raised, nodes.decision():
        pass
    assert raised.value.retry_after_s == 7
    nodes.close()


def test_decision__one_node_five_blocks_behind__is_taken_on_the_other() -> None:
    nodes, (late, _) = several(chain(4, name="late"), chain(9, name="up to date"))
    with nodes.decision():
        pass
    late.asked.clear()
    for _ in range(3):
        with nodes.decision():
            assert nodes.call("web3_clientVersion") == "up to date"
    assert "web3_clientVersion" not in late.asked
    nodes.close()


def test_decision__one_node_hangs__is_taken_on_the_other_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nodes_module, "LOOK_S", 0.01)
    nodes, (hanging, _) = several(chain(9), chain(9, name="second"))
    patience = []

    def hang(request: httpx.Request) -> httpx.Response:
        patience.append(request.extensions["timeout"]["read"])
        time.sleep(0.02)
        raise httpx.ReadTimeout("no answer", request=request)

    hanging.handle_request = hang
    with nodes.decision():
        assert nodes.call("web3_clientVersion") == "second"
    assert patience == [0.01]
    # The only one that is left gets all the time that there is.
    nodes._nodes.pop()
    nodes._nodes.append(nodes._nodes[0])
    patience.clear()
    with pytest.raises(RpcUnavailable), nodes.decision():
        pass
    assert patience[0] == 0.01
    assert patience[-1] == nodes._nodes[0].rpc._http.timeout.read
    nodes.close()


def test_blocks__of_another_number_or_transaction__are_no_answer() -> None:
    def other(call: dict[str, Any]) -> Any:
        return {"number": "0x7", "hash": GENESIS, "timestamp": "0x1", "transactionHash": GENESIS}

    asked = Chain(Rpc("http://node", transport=Scripted(other)), finality=0)
    with pytest.raises(RpcUnavailable, match="asked for 6, answered 7"):
        asked.blocks([6])
    with pytest.raises(RpcUnavailable, match="another transaction"):
        asked.receipts([bytes(32)], bytes(20))


def test_decision__every_node_behind__waits_and_then_believes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes, lines = several(chain(9), chain(9))
    with nodes.decision():
        pass
    lines[0].answer, lines[1].answer = chain(6), chain(7, name="seven")
    with pytest.raises(RpcUnavailable, match="behind block 9"), nodes.decision():
        pass
    monkeypatch.setattr(nodes_module, "BEHIND_PATIENCE_S", 0.0)
    with nodes.decision():
        assert nodes.call("web3_clientVersion") == "seven"
    nodes.close()


@pytest.mark.parametrize("other", [chain(9, chain_id=6), chain(9, genesis="0x" + "22" * 32)])
def test_decision__a_node_of_another_chain__is_never_asked_again(other: Answer) -> None:
    nodes, (first, second) = several(chain(9), chain(9, name="second"))
    told: list[str] = []
    nodes.on_wrong = lambda name, what: told.append(name)
    with nodes.decision():
        pass
    # In the middle of the run something else stands behind the URL.
    first.answer = other
    with nodes.decision():
        assert nodes.call("web3_clientVersion") == "second"
    # Its name gives no secret away.
    assert told == ["node0"]
    asked = len(first.asked)
    with nodes.decision():
        pass
    assert len(first.asked) == asked
    second.answer = other
    with pytest.raises(WrongChain), nodes.decision():
        pass
    nodes.close()


# ---- on a real chain


class Lagging(httpx.HTTPTransport):
    """A back end that is `behind` blocks behind: it knows nothing of what came later."""

    def __init__(self, node: Rpc) -> None:
        super().__init__()
        self.node = node
        self.behind = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        head = int(self.node.call("eth_blockNumber"), 16) - self.behind
        body = orjson.loads(request.read())
        calls = body if isinstance(body, list) else [body]
        bent = [
            call | {"params": [hex(head) if p == "latest" else p for p in call["params"]]}
            for call in calls
        ]
        sent = httpx.Request(
            "POST",
            request.url,
            content=orjson.dumps(bent if body is calls else bent[0]),
            headers={"content-type": "application/json"},
        )
        response = super().handle_request(sent)
        answers = orjson.loads(response.read())
        for call, answer in zip(calls, answers if body is calls else [answers], strict=True):
            found = answer.get("result")
            if call["method"] == "eth_blockNumber":
                answer["result"] = hex(head)
            elif isinstance(found, dict):
                block = int(found.get("blockNumber") or found.get("number") or "0x0", 16)
                answer["result"] = found if block <= head else None
        return httpx.Response(200, content=orjson.dumps(answers))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


def relay_over(house: NodeHouse, nodes: Nodes) -> Relay:
    """The house's relay, asking these nodes."""
    relay = house.gateway.relay
    chain_ = relay._chain
    chain_.rpc = nodes
    nodes.on_wrong = relay._wrong_node
    return relay


def test_relay__two_back_ends_one_behind__sees_no_reorg(
    house: NodeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken_back: list[object] = []
    monkeypatch.setattr(
        reorg, "take_back", lambda connection, gone, now: taken_back.extend(gone) or 0
    )
    late = Lagging(house.node)
    deployment = house.gateway.deployment
    nodes = Nodes(
        [Rpc(house.node.url, transport=late), Rpc(house.node.url)],
        chain_id=deployment.chain_id,
        genesis=deployment.genesis_hash,
    )
    relay_over(house, nodes)
    for lag in (0, 5, 0, 5):
        late.behind = lag
        issue(house)
        for _ in range(3):
            house.scan()
            house.mine()
    late.behind = 5
    house.settle()
    right(house, 400)
    assert taken_back == []
    nodes.close()


def test_relay__another_chain_behind_its_only_url__stops_and_says_so(house: NodeHouse) -> None:
    deployment = house.gateway.deployment
    line = Scripted(chain(9, chain_id=1))
    nodes = Nodes(
        [Rpc("http://node", transport=line)],
        chain_id=deployment.chain_id,
        genesis=deployment.genesis_hash,
    )
    relay = relay_over(house, nodes)
    issue(house)
    relay.start()
    try:
        relay._thread.join(timeout=20)
        assert "no node serves chain 777" in (relay.stopped_by or "")
        assert "no node serves chain 777" in (relay.trouble() or "")
    finally:
        relay.stop()
    assert "eth_sendRawTransaction" not in line.asked
    nodes.close()
