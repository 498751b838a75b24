"""Servers that webhooks are sent to: real sockets, answers as a test wishes."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson


@dataclass
class Received:
    """One POST that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> str:
        return str(orjson.loads(self.body)["type"])

    @property
    def sequence(self) -> int:
        return int(orjson.loads(self.body)["data"]["sequence"])


Reply = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, body: bytes = b"", **headers: str) -> Reply:
    """A plain answer; header names are written with underscores."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def slowly(seconds: float, status: int = 200) -> Reply:
    """The answer comes after so long."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        answer(status)(handler)

    return reply


@dataclass
class Receiver:
    """A server. `replies` are used up one a request; then it answers `otherwise`."""

    url: str = ""
    port: int = 0
    got: list[Received] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    otherwise: Reply = field(default_factory=lambda: answer(204))

    def wait(self, count: int, within_s: float = 15) -> list[Received]:
        """What arrived, once it is so many."""
        until = time.monotonic() + within_s
        while len(self.got) < count:
            assert time.monotonic() < until, f"{len(self.got)} of {count} arrived"
            time.sleep(0.01)
        return list(self.got)


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    receiver = Receiver()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                receiver.got.append(Received(self.path, headers, body, time.time()))
                reply = receiver.replies.pop(0) if receiver.replies else receiver.otherwise
            try:
                reply(self)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # All that knocks at once gets in: a refused connection would be a failure of ours.
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    receiver.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{receiver.port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
