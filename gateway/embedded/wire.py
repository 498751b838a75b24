"""JSON-RPC to our own anvil over one kept-alive connection, with requests pipelined.

anvil works on the calls of a JSON-RPC batch side by side, so their order is lost (measured);
HTTP/1.1 requests written one after another on one connection are answered strictly in turn. That is
what a replay needs: no waiting between requests, and the order kept.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

# A block of 60 M gas takes anvil well under 10 s; a node that is silent for this long is replaced.
TIMEOUT_S = 120.0
# Unread answers of the requests in flight must fit the socket's buffers, or both sides would wait.
IN_FLIGHT_MAX = 64

Call = tuple[str, Sequence[Any]]


class NodeGone(Exception):
    """The connection to anvil broke or timed out. What was asked may or may not have happened."""


class NodeRefused(Exception):
    """anvil answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NodeWire:
    """One connection. Thread safe; a broken one stays broken."""

    def __init__(self, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self._lock = threading.RLock()
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        except OSError as error:
            raise NodeGone(str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb", buffering=1 << 18)

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises NodeRefused and NodeGone."""
        return next(self.stream([(method, params)])).unwrap()

    def calls(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers of all calls, which anvil worked on one after another."""
        return list(self.stream(calls))

    def stream(self, calls: Iterable[Call]) -> Iterator[Answer]:
        """Like `calls`, for any number: written ahead by at most IN_FLIGHT_MAX, answers in order.

        The iterator must be read to its end, or the connection is no longer usable.
        """
        with self._lock:
            waiting: deque[bytes] = deque()
            in_flight = 0
            try:
                for method, params in calls:
                    waiting.append(_request(method, params))
                    if len(waiting) >= IN_FLIGHT_MAX // 2:
                        in_flight += self._write(waiting)
                    while in_flight > IN_FLIGHT_MAX // 2:
                        in_flight -= 1
                        yield self._read()
                in_flight += self._write(waiting)
                for _ in range(in_flight):
                    yield self._read()
            except OSError as error:
                raise NodeGone(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Close at once; a thread that waits for an answer gets NodeGone."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self._socket.close()

    def _write(self, waiting: deque[bytes]) -> int:
        count = len(waiting)
        self._socket.sendall(b"".join(waiting))
        waiting.clear()
        return count

    def _read(self) -> Answer:
        status = self._reader.readline()
        if not status:
            raise NodeGone("anvil closed the connection")
        length = -1
        while (line := self._reader.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if b" 200 " not in status or length < 0:
            raise NodeGone(f"anvil answered {status!r}")
        body = self._reader.read(length)
        if len(body) != length:
            raise NodeGone("anvil closed the connection in mid-answer")
        return Answer(body)


class Answer:
    """One JSON-RPC answer, parsed when asked for."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def unwrap(self) -> Any:
        """The result; raises NodeRefused."""
        answer = orjson.loads(self._body)
        error = answer.get("error")
        if error is not None:
            raise NodeRefused(int(error["code"]), str(error["message"]))
        return answer["result"]


def _request(method: str, params: Sequence[Any]) -> bytes:
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
