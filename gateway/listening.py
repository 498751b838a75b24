"""How requests are read off a connection: heads are bounded, slow ones end, refusals are problems.

The server's own protocol reads heads of any size (a hundred megabytes of headers are kept, and read
again with every piece), waits for ever for a request that never ends, and answers what is no HTTP
with a line of text. All of that before any key is seen; so it is bounded here.
"""

import asyncio
import logging
from http import HTTPStatus
from types import FrameType
from typing import Any, Final

import orjson
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.problems import MEDIA_TYPE
from gateway.service import Gateway

log = logging.getLogger(__name__)

HEAD_BYTES_MAX: Final = 32 * 1024
"""Request line and headers; ours have under one kilobyte, proxies add two or three."""
HEADERS_MAX: Final = 100
HEAD_S: Final = 20.0
"""From the connection, or the first byte of a request after another, to the end of the head."""
BODY_S: Final = 60.0
"""From there to the end of the body: four megabytes on a line of 70 kB a second."""
FRAMING_BYTES_MAX: Final = 1024 * 1024
"""Sizes of chunks and trailers of one body: more is no client's way of sending four megabytes."""

Refusal = tuple[int, str, str]
NOT_HTTP: Final[Refusal] = (400, "http_error", "that is no HTTP/1.1 request")
HEAD_TOO_LARGE: Final[Refusal] = (
    431,
    "head_too_large",
    f"address and headers have at most {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} fields",
)
TOO_SLOW: Final[Refusal] = (408, "request_too_slow", "the rest of the request has not come in time")


class _HeadTooLarge(Exception):
    """Ends the reading of a head; the parser hands it on as an error of its own."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What it refuses is closed after the answer."""

    # Bytes as they came, less those of bodies: of a head that has not ended, or of chunks' sizes
    # and trailers. The parser tells a field only when it is whole, so they are counted here.
    _unread = 0
    _in_head = True
    _too_large = False
    # When the wait for the rest of a request ends, by the loop's clock; None: nothing is awaited.
    _due: float | None = None
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due = self.loop.time() + HEAD_S

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unread += len(data)
        super().data_received(data)
        most = HEAD_BYTES_MAX if self._in_head else FRAMING_BYTES_MAX
        if self._unread > most and not self._refused:
            self._refuse(HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._due = self.loop.time() + HEAD_S

    def on_headers_complete(self) -> None:
        # What came in one piece with the body is looked at more closely.
        if len(self.headers) > HEADERS_MAX or (
            self._unread > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX
        ):
            self._too_large = True
            raise _HeadTooLarge
        self._in_head = False
        self._unread = 0
        self._due = self.loop.time() + BODY_S
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        # What comes next is a head again, also before its first byte is there.
        self._in_head = True
        self._unread = 0
        self._due = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser could not read, or was told not to."""
        self._refuse(HEAD_TOO_LARGE if self._too_large else NOT_HTTP)

    def end_if_overdue(self, now: float) -> None:
        """Ends a connection whose request does not come."""
        if self._due is not None and now >= self._due and not self._refused:
            self._refuse(TOO_SLOW)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, refusal: Refusal) -> None:
        """Says why, unless the answer to an earlier request would be torn, or nothing was asked."""
        self._refused = True
        cycle = self.cycle
        earlier = cycle is not None and not cycle.response_complete
        torn = earlier and (self._in_head or cycle.response_started)
        if not torn and self.scope is not None:
            log.info("refused unread", extra={"status": refusal[0], "code": refusal[1]})
            self.transport.write(_answer(*refusal))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing to warn of: who asks for another protocol is answered in this one."""


class GatewayServer(uvicorn.Server):
    """Ends what does not come, and tells the gateway at once that the end has come: requests that
    only wait are answered.
    """

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.end_if_overdue(now)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        gateway: Gateway = self.config.app.state.gateway  # type: ignore[union-attr]
        gateway.stopping.set()
        super().handle_exit(sig, frame)


def server_of(app: FastAPI, *, grace_s: int = 10) -> GatewayServer:
    """The server as `banyan serve` runs it; requests in hand are answered for `grace_s` seconds."""
    return GatewayServer(
        uvicorn.Config(
            app,
            loop="uvloop",
            http=BoundedProtocol,
            # There is nothing to talk about but requests.
            ws="none",
            # Its lines go where all others do, in the same form.
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=grace_s,
            server_header=False,
        )
    )


def _answer(status: int, code: str, detail: str) -> bytes:
    body: dict[str, Any] = {
        "type": f"urn:banyan:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    content = orjson.dumps(body)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(content)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + content
