"""HTTP/1.1 as webhooks need it: one POST, one short answer, the connection kept for the next one.

A client for everything asked the operating system some dozen times a message whether its
connections still stand, and looked for a module that is not there; that was two thirds of what a
delivery cost. Here a message is one write, the answer one read, and whether a connection still
stands the event loop has told us already.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, cast

import httptools

Place = tuple[str, str, int]
"""Scheme, host and port: whom a kept connection speaks to."""
Dial = Callable[[str, str, int], Awaitable["Connection"]]

ANSWER_BYTES_MAX: Final = 16_384
"""Read of an answer's body: enough for an error page's first words."""
HEAD_BYTES_MAX: Final = 65_536
"""Read before an answer's status and headers are complete."""
# Kept open for the next event, since a handshake costs more than a message.
IDLE_S: Final = 20.0
IDLE_CONNECTIONS_MAX: Final = 100


class LineBroken(OSError):
    """The other side hung up, or does not speak HTTP."""


class LineStale(LineBroken):
    """A kept connection that ended without a byte of an answer: nobody refused anything."""


class Connection(asyncio.Protocol):
    """One connection. One message at a time: `post`, then `read` or `abort`."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.is_open = True
        self.idle_since = 0.0
        self.posts = 0
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        # Those who wait for the head and for the end of an answer; None: nobody is told anything.
        self._head: asyncio.Future[None] | None = None
        self._end: asyncio.Future[None] | None = None
        self._read = 0

    # ---- what we do

    async def post(self, message: bytes) -> None:
        """Sends a whole request; returns when status and headers of its answer are there.

        Raises LineBroken, and of these LineStale where the same on a fresh connection may do.
        """
        self.posts += 1
        self.status, self._read = 0, 0
        self.headers, self.body = {}, bytearray()
        self._head, self._end = self._loop.create_future(), self._loop.create_future()
        if self._transport is None or not self.is_open:
            self._break()
        else:
            self._transport.write(message)
        await self._head

    async def read(self, within_s: float) -> bool:
        """Waits for the end of the answer's body, which may also break off or be too long: what has
        come is in `body`. Returns whether the connection can carry another message.
        """
        assert self._end is not None
        if not self._end.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._end
        whole = self._end.done() and self.is_open and self._parser.should_keep_alive()
        self._head = self._end = None
        return whole

    def abort(self) -> None:
        """Ends the connection without another word."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    # ---- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are transports without saying so.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._read += len(data)
        if self._end is None or self._end.done():
            # Nobody asked: what came could pass for the answer to the next message.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break()
            return
        if not self._end.done():
            head_is_long = not self.status and self._read > HEAD_BYTES_MAX
            if head_is_long or len(self.body) >= ANSWER_BYTES_MAX:
                self._break()

    def connection_lost(self, exc: Exception | None) -> None:
        self._break()
        if not self.lost.done():
            self.lost.set_result(None)

    def _break(self) -> None:
        """No further byte is wanted. A status that is there stands."""
        self.abort()
        if self._head is not None and not self._head.done():
            stale = self.posts > 1 and not self._read
            self._head.set_exception((LineStale if stale else LineBroken)("the line was cut"))
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    # ---- what the parser tells

    def on_message_begin(self) -> None:
        if self._end is None or self._end.done():
            # Two answers to one message.
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < HEAD_BYTES_MAX // 64:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            # News on the way (103, Early Hints): the answer itself is still to come.
            self.headers = {}
            return
        self.status = status
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        if self.status and self._end is not None and not self._end.done():
            self._end.set_result(None)


class Lines:
    """Connections that are open, by whom they speak to. One event loop's own."""

    def __init__(self) -> None:
        self._idle: defaultdict[Place, list[Connection]] = defaultdict(list)
        self._open: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, place: Place) -> Connection | None:
        """A kept connection that still stands, the one used last first; None: there is none."""
        kept = self._idle.get(place)
        while kept:
            found = kept.pop()
            if found.is_open:
                return found
        return None

    def add(self, fresh: Connection) -> None:
        """Notes a connection just made, so that `close` finds it."""
        self._open.add(fresh)
        fresh.lost.add_done_callback(lambda _: self._open.discard(fresh))

    def keep(self, place: Place, connection: Connection) -> None:
        """Keeps it open for the next message; beyond so many it is closed."""
        if sum(map(len, self._idle.values())) >= IDLE_CONNECTIONS_MAX:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle[place].append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_S, self._sweep)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() - IDLE_S
        for place, kept in list(self._idle.items()):
            for connection in kept:
                if connection.idle_since <= latest:
                    connection.abort()
            self._idle[place] = [connection for connection in kept if connection.is_open]
            if not self._idle[place]:
                del self._idle[place]
        self._sweeper = loop.call_later(IDLE_S / 2, self._sweep) if self._idle else None

    async def close(self) -> None:
        """Ends all connections; returns when they are gone."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        lost = [connection.lost for connection in self._open]
        for connection in list(self._open):
            connection.abort()
        if lost:
            await asyncio.wait(lost, timeout=1)


async def connect(
    address: str, port: int, *, trust: ssl.SSLContext | None, name: str
) -> Connection:
    """A connection to this very address; with `trust` over TLS, which is held to `name`.

    Raises OSError (ssl.SSLError is one).
    """
    loop = asyncio.get_running_loop()
    server_name = name if trust is not None else None
    _, found = await loop.create_connection(
        Connection, address, port, ssl=trust, server_hostname=server_name
    )
    return found
