"""Heads over WebSocket wake the mirror; whatever they say or leave out, polling decides."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anvil_network import anvil
from mirror_model import ModelChain, RefusedByNode, actor
from sqlalchemy import Engine
from websockets.sync.server import ServerConnection, serve

from indexer import heads, queries, sync
from indexer.errors import MirrorEmpty
from indexer.heads import waking
from indexer.sync import Indexer
from wallet_sdk.errors import InputInvalid
from wallet_sdk.rpc import Rpc


class Speaker:
    """A node's WebSocket side: says what a test tells it to, to whoever listens."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.listeners: list[ServerConnection] = []
        self.subscribed = threading.Event()
        self.url = ""

    def serve_one(self, peer: ServerConnection) -> None:
        assert json.loads(peer.recv())["params"] == ["newHeads"]
        peer.send('{"jsonrpc":"2.0","id":1,"result":"0x1"}')
        self.listeners.append(peer)
        self.subscribed.set()
        with contextlib.suppress(Exception):
            peer.recv()

    def say(self, text: str = '{"method":"eth_subscription"}', times: int = 1) -> None:
        for _ in range(times):
            self.listeners[-1].send(text)

    def cut(self) -> None:
        self.subscribed.clear()
        # Closing alone tells the other side nothing while a thread of ours still reads.
        self.listeners[-1].socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Speaker]:
    monkeypatch.setattr(heads, "_BACK_OFF_S", (0.05, 0.1))
    speaker = Speaker()
    with serve(speaker.serve_one, "127.0.0.1", 0) as server:
        host, port = server.socket.getsockname()
        speaker.url = f"ws://{host}:{port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield speaker
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def following(chain: ModelChain, mirror: Engine, url: str) -> Iterator[Callable[[], bool]]:
    """An indexer that is woken by heads; tells whether it has the chain's newest block."""
    stop, wake = threading.Event(), threading.Event()
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror)
    thread = threading.Thread(target=indexer.run, args=(stop, wake))

    def at_head() -> bool:
        with mirror.connect() as conn, contextlib.suppress(MirrorEmpty):
            return queries.head(conn).as_of_block == chain.head.number
        return False

    with waking(url, wake):
        thread.start()
        try:
            yield at_head
        finally:
            stop.set()
            wake.set()
            thread.join(10)
    assert not thread.is_alive()


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def idle(chain: ModelChain) -> None:
    """Waits until the indexer asks nothing more: it looks once again after a block it took."""
    asked = -1
    while asked != len(chain.calls):
        asked = len(chain.calls)
        time.sleep(0.5)


def mine(chain: ModelChain) -> None:
    moment = chain.head.time + 10
    chain.issue(1, [(actor("ada"), 5)], moment)
    chain.mine(moment)


def test_wake__an_http_url__is_refused() -> None:
    with (
        pytest.raises(InputInvalid, match="ws://"),
        waking("http://127.0.0.1:1", threading.Event()),
    ):
        pass


def test_follow__heads__come_long_before_the_next_poll(
    chain: ModelChain, sqlite_mirror: Engine, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "POLL_S", 60.0)
    with following(chain, sqlite_mirror, speaker.url) as at_head:
        assert speaker.subscribed.wait(10)
        assert within(10, at_head)
        for _ in range(3):
            idle(chain)
            mine(chain)
            assert not within(0.2, at_head)
            speaker.say()
            assert within(10, at_head)


def test_follow__doubled_and_senseless_heads__do_no_harm(
    chain: ModelChain, sqlite_mirror: Engine, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "POLL_S", 60.0)
    with following(chain, sqlite_mirror, speaker.url) as at_head:
        assert speaker.subscribed.wait(10)
        mine(chain)
        chain.calls.clear()
        speaker.say(times=200)
        speaker.say("no JSON at all")
        speaker.say('{"params":{"result":{"number":"0xffffffff"}}}')
        assert within(10, at_head)
        time.sleep(0.3)
        # A flood is heard at a limited pace: some 20 rounds a second.
        assert chain.calls.count("eth_chainId") < 30


def test_follow__heads_missed__polling_finds_the_block(
    chain: ModelChain, sqlite_mirror: Engine, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "POLL_S", 0.1)
    with following(chain, sqlite_mirror, speaker.url) as at_head:
        assert speaker.subscribed.wait(10)
        mine(chain)
        assert within(10, at_head)


def test_follow__the_subscription_is_cut__polls_and_subscribes_again(
    chain: ModelChain, sqlite_mirror: Engine, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "POLL_S", 0.3)
    with following(chain, sqlite_mirror, speaker.url) as at_head:
        assert speaker.subscribed.wait(10)
        speaker.cut()
        mine(chain)
        assert within(10, at_head)
        assert speaker.subscribed.wait(10)


def test_follow__no_websocket_there__polling_is_enough(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    with following(chain, sqlite_mirror, "ws://127.0.0.1:1") as at_head:
        assert within(10, at_head)


def test_follow__the_node_asks_for_patience__heads_do_not_shorten_it(
    chain: ModelChain, sqlite_mirror: Engine, speaker: Speaker
) -> None:
    def refuse(method: str, params: list[object], result: object) -> object:
        raise RefusedByNode("slow down")

    chain.tamper = refuse
    with following(chain, sqlite_mirror, speaker.url):
        assert speaker.subscribed.wait(10)
        assert within(10, lambda: bool(chain.calls))
        time.sleep(0.1)
        chain.calls.clear()
        speaker.say(times=20)
        time.sleep(0.8)
        assert chain.calls == []


def test_wake__a_real_nodes_block__is_told_of(tmp_path: Path) -> None:
    wake = threading.Event()
    with anvil(tmp_path) as url, waking(url.replace("http://", "ws://"), wake):
        # The answer to the subscription wakes, too.
        assert wake.wait(10)
        time.sleep(0.2)
        wake.clear()
        with Rpc(url) as rpc:
            rpc.call("evm_mine", [])
        assert wake.wait(10)
