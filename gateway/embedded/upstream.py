"""Hands JSON-RPC bodies to anvil over kept-alive connections and streams the answers back.

Small on purpose: one peer on this machine, one method, answers that always carry their length. A
general HTTP client costs ten times as much a call, and the indexer reads megabytes through here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway.embedded.gate import Gate

CONNECT_TIMEOUT_S = 5.0
# An answer that takes longer has gone wrong; the caller may ask again.
ANSWER_TIMEOUT_S = 120.0
CHUNK_BYTES = 1 << 18
IDLE_MAX = 32
# More in one answer would fill the memory of whoever asked: ask for fewer blocks.
ANSWER_BYTES_MAX = 512 * 1024 * 1024


class UpstreamGone(Exception):
    """anvil did not answer, or broke off."""


class AnswerTooLarge(Exception):
    """The answer is longer than ANSWER_BYTES_MAX."""


class Upstream:
    """A pool of connections to one port; belongs to one event loop."""

    def __init__(self, port: int, gate: Gate) -> None:
        self.port = port
        self._gate = gate
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes) -> AsyncIterator[bytes]:
        """The answer's bytes, in pieces."""
        async with self._gate.asking():
            reader, writer, length = await self._ask(body)
        try:
            left = length
            while left:
                wanted = reader.read(min(left, CHUNK_BYTES))
                piece = await asyncio.wait_for(wanted, ANSWER_TIMEOUT_S)
                if not piece:
                    raise UpstreamGone("anvil broke off in mid-answer")
                left -= len(piece)
                yield piece
        except (OSError, TimeoutError) as error:
            raise UpstreamGone(str(error) or "anvil does not answer") from error
        finally:
            if left or len(self._idle) >= IDLE_MAX:
                writer.close()
            else:
                self._idle.append((reader, writer))

    async def close(self) -> None:
        while self._idle:
            writer = self._idle.pop()[1]
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _ask(self, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        while True:
            reused = bool(self._idle)
            reader, writer = self._idle.pop() if reused else await self._connect()
            try:
                writer.write(request)
                await writer.drain()
                header = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_TIMEOUT_S)
                return reader, writer, _content_length(header)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                writer.close()
                # A kept connection may have been closed while idle; a fresh one has no such excuse.
                if not reused:
                    raise UpstreamGone(str(error) or "anvil does not answer") from error
            except BaseException:
                writer.close()
                raise

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            connecting = asyncio.open_connection("127.0.0.1", self.port, limit=CHUNK_BYTES)
            return await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            raise UpstreamGone(str(error) or "anvil does not listen") from error


def _content_length(header: bytes) -> int:
    lines = header.split(b"\r\n")
    if b" 200 " not in lines[0]:
        raise UpstreamGone(f"anvil answered {lines[0]!r}")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
            if length > ANSWER_BYTES_MAX:
                raise AnswerTooLarge(f"the answer has {length} bytes: ask for less")
            return length
    raise UpstreamGone("anvil answered without a length")
