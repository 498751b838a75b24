"""A receiver of webhooks that costs as little as can be: reads, counts, answers 204.

Tells its port on stdout, then one line of JSON to each line on stdin: how many messages came, how
many of them for the second time, and when the first and the last one did.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"
seen: set[bytes] = set()
came: list[float] = []


class Receiver(asyncio.Protocol):
    """One connection; messages come one after the other."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length: ") + 16
            whole = end + 4 + int(head[at:].split(b"\r\n", 1)[0])
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            at = head.find(b"webhook-id: ") + 12
            seen.add(head[at : at + 30])
            came.append(time.time())
            assert self._transport is not None
            self._transport.write(ANSWER)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0)
    ended = asyncio.Event()
    print(server.sockets[0].getsockname()[1], flush=True)

    def answer() -> None:
        for _ in sys.stdin:
            first, last = (came[0], came[-1]) if came else (0, 0)
            told = {"messages": len(came), "twice": len(came) - len(seen)}
            print(json.dumps({**told, "first": first, "last": last}), flush=True)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=answer, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(main())
