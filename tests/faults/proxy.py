"""A node's line that lies: drops, delays, doubles, breaks and mixes up answers, by a seed.

An asyncio server of its own thread, in front of a real node. What it did is counted by name; a run
with the same seed and the same requests does the same.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import orjson

HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1>"


@dataclass
class Exchange:
    """One request on its way: `carry` takes it to the node and returns the answer's bytes."""

    body: bytes
    carry: Callable[[], Awaitable[bytes]]
    dice: random.Random
    delay_max_s: float


@dataclass(frozen=True)
class Reply:
    """What goes back. `cut`: the line breaks after so many bytes of the body."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None


Fault = Callable[[Exchange], Awaitable[Reply | None]]
"""None: the line is closed without a word."""


async def drop_request(exchange: Exchange) -> Reply | None:
    """The node never hears of it."""
    return None


async def drop_reply(exchange: Exchange) -> Reply | None:
    """The node does it, and nobody is told."""
    await exchange.carry()
    return None


async def double(exchange: Exchange) -> Reply | None:
    """The node hears it twice; the second answer comes back."""
    await exchange.carry()
    return Reply(await exchange.carry())


async def server_error(exchange: Exchange) -> Reply | None:
    return Reply(b"out of order", 500)


async def too_many(exchange: Exchange) -> Reply | None:
    return Reply(b'{"error":"slow down"}', 429, (("retry-after", "0"),))


async def html(exchange: Exchange) -> Reply | None:
    """A balancer's page, with a 200 on it."""
    return Reply(HTML, headers=(("content-type", "text/html"),))


async def empty(exchange: Exchange) -> Reply | None:
    return Reply(b"")


async def truncate(exchange: Exchange) -> Reply | None:
    """The line breaks in the middle of the answer."""
    answer = await exchange.carry()
    return Reply(answer, cut=len(answer) // 2)


async def clip(exchange: Exchange) -> Reply | None:
    """Half of the answer, as if it were all of it."""
    answer = await exchange.carry()
    return Reply(answer[: len(answer) // 2])


async def wrong_id(exchange: Exchange) -> Reply | None:
    """An answer to somebody else's question."""
    answer = orjson.loads(await exchange.carry())
    for part in answer if isinstance(answer, list) else [answer]:
        part["id"] = (part.get("id") or 0) + 1_000_000
    return Reply(orjson.dumps(answer))


async def out_of_order(exchange: Exchange) -> Reply | None:
    """A batch's answers in another order."""
    answer = orjson.loads(await exchange.carry())
    if isinstance(answer, list):
        exchange.dice.shuffle(answer)
    return Reply(orjson.dumps(answer))


async def delay(exchange: Exchange) -> Reply | None:
    await asyncio.sleep(exchange.dice.uniform(0, exchange.delay_max_s))
    return Reply(await exchange.carry())


FAULTS: dict[str, Fault] = {
    found.__name__: found
    for found in (
        drop_request,
        drop_reply,
        double,
        server_error,
        too_many,
        html,
        empty,
        truncate,
        clip,
        wrong_id,
        out_of_order,
        delay,
    )
}


@dataclass
class FaultyLine:
    """The proxy. `rate`: the share of requests that meet a fault; 0 passes everything on.

    `planned` faults come first, one a request, whatever the rate.
    """

    upstream: str
    seed: int
    rate: float = 0.0
    delay_max_s: float = 2.0
    names: tuple[str, ...] = tuple(FAULTS)
    planned: list[str] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._client: httpx.AsyncClient | None = None

    async def serve(self, ready: threading.Event, stopping: asyncio.Event) -> None:
        """Listens on a free port of 127.0.0.1 until `stopping`."""
        async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
            self._client = client
            server = await asyncio.start_server(self._line, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await stopping.wait()
            server.close()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Cancelled where the test ends in the middle of an answer.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False where the line ends."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        body = await reader.readexactly(length)
        self.requests += 1
        reply = await self._answer(body)
        if reply is None:
            return False
        lines = [f"HTTP/1.1 {reply.status} -", f"content-length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body[: reply.cut])
        await writer.drain()
        if reply.cut is not None:
            # Out with what there is, before the line breaks.
            writer.write_eof()
            return False
        return True

    async def _answer(self, body: bytes) -> Reply | None:
        async def carry() -> bytes:
            assert self._client is not None
            headers = {"content-type": "application/json"}
            answer = await self._client.post(self.upstream, content=body, headers=headers)
            return answer.content

        name = ""
        if self.planned:
            name = self.planned.pop(0)
        elif self._dice.random() < self.rate:
            name = self._dice.choice(self.names)
        try:
            if not name:
                return Reply(await carry())
            self.injected[name] += 1
            return await FAULTS[name](Exchange(body, carry, self._dice, self.delay_max_s))
        except httpx.HTTPError:
            # The node itself is stopped or gone: so is this line.
            self.injected["node silent"] += 1
            return None


@contextmanager
def faulty_line(upstream: str, seed: int, **how: object) -> Iterator[FaultyLine]:
    """A proxy in front of `upstream`, in a thread of its own."""
    line = FaultyLine(upstream, seed, **how)  # type: ignore[arg-type]
    ready, loop, stopping = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(line.serve(ready, stopping))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        # One more turn, in which the sockets of cut lines are closed.
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=run, name="faulty-line", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
