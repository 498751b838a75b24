"""Connections that are kept: no message gets another one's answer, and none is lost with a line."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler

import pytest

from gateway.webhooks import wire
from gateway.webhooks.targets import TargetRules
from gateway.webhooks.transport import Answer, Line
from tests.gateway.webhooks.receivers import Receiver, Reply, answer


def raw(*pieces: bytes, close: bool = False) -> Reply:
    """An answer as it stands, in so many writes."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        for piece in pieces:
            handler.wfile.write(piece)
        handler.close_connection = close

    return reply


def posts(receiver: Receiver, count: int, pause_s: float = 0.0) -> list[Answer]:
    """What came of so many POSTs over one line, each under an id of its own."""

    async def run() -> list[Answer]:
        line = Line(TargetRules(loopback=True), attempt_max_s=5)
        found = []
        try:
            for number in range(count):
                headers = {"webhook-id": f"evt_{number}"}
                found.append(await line.post(receiver.url, headers, b"{}"))
                await asyncio.sleep(pause_s)
            return found
        finally:
            await line.close()

    return asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("reply", [raw(OK + OK), raw(OK, OK)], ids=["at once", "a moment later"])
def test_post__answered_twice__takes_no_answer_for_the_next_messages(
    receiver: Receiver, reply: Reply
) -> None:
    receiver.replies = [reply]
    receiver.otherwise = answer(500)
    assert [a.outcome for a in posts(receiver, 2, pause_s=0.05)] == ["delivered", "http_error"]


def test_post__kept_line_hung_up_over_it__is_said_once_more_on_a_fresh_one(
    receiver: Receiver,
) -> None:
    receiver.replies = [answer(204), raw(close=True)]
    assert [a.outcome for a in posts(receiver, 2)] == ["delivered", "delivered"]
    assert [got.id for got in receiver.got] == ["evt_0", "evt_1", "evt_1"]


def test_post__every_line_hung_up_over_it__is_said_twice_at_most(receiver: Receiver) -> None:
    receiver.replies = [answer(204)]
    receiver.otherwise = raw(close=True)
    assert [a.outcome for a in posts(receiver, 2)] == ["delivered", "connection"]
    assert [got.id for got in receiver.got] == ["evt_0", "evt_1", "evt_1"]


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", OK),
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        # Until its end, as HTTP/1.0 had it; and without a word of how long it is.
        raw(b"HTTP/1.0 200 OK\r\n\r\nok", close=True),
        raw(b"HTTP/1.1 200 OK\r\n\r\nok", close=True),
        raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", close=True),
    ],
    ids=["early hints", "chunked", "1.0", "to the end", "close"],
)
def test_post__answered_in_any_form_of_http__is_delivered(receiver: Receiver, reply: Reply) -> None:
    receiver.replies = [reply]
    assert [a.outcome for a in posts(receiver, 2)] == ["delivered", "delivered"]
    assert len(receiver.got) == 2


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 101 Up\r\n\r\n", b""])
def test_post__not_answered_in_http__is_a_lost_connection(receiver: Receiver, said: bytes) -> None:
    receiver.otherwise = raw(said, close=True)
    assert posts(receiver, 1)[0].outcome == "connection"


def test_keep__nobody_comes_for_it__is_closed_after_a_while(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "IDLE_S", 0.05)

    async def run() -> None:
        lines = wire.Lines()
        found = await wire.connect("127.0.0.1", receiver.port, trust=None, name="localhost")
        lines.add(found)
        lines.keep(("http", "localhost", receiver.port), found)
        await asyncio.wait_for(found.lost, 5)
        assert lines.take(("http", "localhost", receiver.port)) is None
        await lines.close()

    asyncio.run(run())


def test_keep__more_than_so_many__are_closed_at_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "IDLE_CONNECTIONS_MAX", 1)

    async def run() -> None:
        lines = wire.Lines()
        for _ in range(2):
            found = await wire.connect("127.0.0.1", receiver.port, trust=None, name="localhost")
            lines.add(found)
            lines.keep(("http", "localhost", receiver.port), found)
        assert not found.is_open
        await lines.close()

    asyncio.run(run())
