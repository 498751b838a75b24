"""The load on a gateway: as little work as can be, since it shares the machine.

Bodies are made beforehand, connections stay open, answers are read by their length alone. Closed
loop: each connection asks again when it is answered. Fixed rate: requests are due at their times,
and a latency counts from when one was due, so that a server that stalls cannot hide it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

CONNECTIONS = 32
PREPARED_PER_S = 8_000
_BATCH = itertools.count()


@dataclass
class Load:
    """What came of a load. Latencies in seconds, of requests that were accepted."""

    accepted: int = 0
    elapsed_s: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    first_refusal: bytes = b""

    def add(self, other: Load) -> None:
        """As if both had been one load."""
        self.accepted += other.accepted
        self.elapsed_s += other.elapsed_s
        self.latencies += other.latencies

    @property
    def per_s(self) -> float:
        return self.accepted / self.elapsed_s

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] * 1000


class _Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(self, answered: Callable[[_Connection, int, bytes], None]) -> None:
        self._answered = answered
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no common class.
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, began: float) -> None:
        self.began = began
        assert self._transport is not None
        self._transport.write(request)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            at = data.find(b"content-length: ")
            length = int(data[at + 16 : data.index(b"\r\n", at)])
            if len(data) >= end + 4 + length:
                self._buffer = b""
                self._answered(self, int(data[9:12]), data[end + 4 :])
                return
        self._buffer = data


def request(path: str, key: str, idempotency_key: str, body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {key}\r\n"
        f"Idempotency-Key: {idempotency_key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def singles(key: str, members: Sequence[str]) -> Iterator[bytes]:
    """Single issues without end, each to another member and under a reference of its own."""
    batch = next(_BATCH)
    for number in itertools.count():
        name = f"s{batch}-{number}"
        member = members[number * 61 % len(members)]
        body = f'{{"member":"{member}","reference":"{name}","points":5}}'
        yield request("/v1/issuances", key, name, body.encode())


def bulks(key: str, members: Sequence[str], lines: int, at_once: int) -> list[bytes]:
    """Bulk issues of `at_once` lines, `lines` in all."""
    batch = next(_BATCH)
    made = []
    for first in range(0, lines, at_once):
        rows = [
            {"member": members[n % len(members)], "reference": f"b{batch}-{n}", "points": 5}
            for n in range(first, min(first + at_once, lines))
        ]
        body = json.dumps({"lines": rows}, separators=(",", ":")).encode()
        made.append(request("/v1/issuances/bulk", key, f"b{batch}-{first}", body))
    return made


def closed_loop(ports: Sequence[int], requests: Iterator[bytes], seconds: float) -> Load:
    """All connections busy for `seconds`, spread over the ports."""
    # Made beforehand: what the load costs while it runs is sending and reading.
    stock = deque(itertools.islice(requests, int(seconds * PREPARED_PER_S)))
    load = Load()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        busy = CONNECTIONS
        until = 0.0

        def answered(connection: _Connection, status: int, body: bytes) -> None:
            nonlocal busy
            now = time.perf_counter()
            _note(load, status, body, now - connection.began)
            if now < until:
                connection.ask(stock.popleft(), now)
            else:
                busy -= 1
                if not busy:
                    done.set_result(None)

        connections = await _connect(ports, answered)
        began = time.perf_counter()
        until = began + seconds
        for connection in connections:
            connection.ask(stock.popleft(), began)
        await done
        load.elapsed_s = time.perf_counter() - began
        for connection in connections:
            connection.close()

    uvloop.run(run())
    return load


def fixed_rate(port: int, requests: Iterator[bytes], rate_per_s: float, seconds: float) -> Load:
    """`rate_per_s` requests a second, evenly; latencies count from when each was due."""
    stock = deque(itertools.islice(requests, int(seconds * rate_per_s)))
    load = Load()

    async def run() -> None:
        idle: deque[_Connection] = deque()
        free = asyncio.Event()

        def answered(connection: _Connection, status: int, body: bytes) -> None:
            _note(load, status, body, time.perf_counter() - connection.began)
            idle.append(connection)
            free.set()

        idle.extend(await _connect([port], answered))
        began = time.perf_counter()
        for number in itertools.count():
            if not stock:
                break
            due = began + number / rate_per_s
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            while not idle:
                free.clear()
                await free.wait()
            idle.popleft().ask(stock.popleft(), due)
        while len(idle) < CONNECTIONS:
            free.clear()
            await free.wait()
        load.elapsed_s = time.perf_counter() - began
        for connection in idle:
            connection.close()

    uvloop.run(run())
    return load


def one_by_one(
    port: int, requests: Sequence[bytes], connections: int = 1, *, lines: int = 1
) -> Load:
    """Every request once, over so many connections. Tells how far it is, in lines."""
    stock = deque(requests)
    load = Load()

    async def run() -> None:
        done = asyncio.get_running_loop().create_future()
        left = len(requests)
        told = Progress(len(requests) * lines)

        def answered(connection: _Connection, status: int, body: bytes) -> None:
            nonlocal left
            now = time.perf_counter()
            _note(load, status, body, now - connection.began)
            left -= 1
            told.show((len(requests) - left) * lines)
            if stock:
                connection.ask(stock.popleft(), now)
            if not left:
                done.set_result(None)

        found = await _connect([port] * connections, answered, connections)
        began = time.perf_counter()
        for connection in found:
            if stock:
                connection.ask(stock.popleft(), began)
        await done
        load.elapsed_s = time.perf_counter() - began
        for connection in found:
            connection.close()

    uvloop.run(run())
    return load


def twice(one: int, two: int, requests: Sequence[bytes]) -> list[tuple[Any, Any]]:
    """Each request to both ports at the same time; the two (status, body) of each."""

    async def run() -> list[tuple[Any, Any]]:
        loop = asyncio.get_running_loop()
        waiting: dict[_Connection, asyncio.Future[tuple[int, Any]]] = {}

        def answered(connection: _Connection, status: int, body: bytes) -> None:
            waiting[connection].set_result((status, json.loads(body)))

        both = await _connect([one, two], answered, 2)
        found = []
        for asked in requests:
            waiting |= {connection: loop.create_future() for connection in both}
            for connection in both:
                connection.ask(asked, 0.0)
            first, second = await asyncio.gather(*waiting.values())
            found.append((first, second))
        for connection in both:
            connection.close()
        return found

    return uvloop.run(run())


class Progress:
    """One line that says how far a load is: at most twice a second, and in place on a terminal."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._next = 0.0

    def show(self, done: int) -> None:
        now = time.monotonic()
        if done < self._whole and now < self._next:
            return
        self._next = now + (0.5 if sys.stdout.isatty() else 10)
        if done < self._whole or sys.stdout.isatty():
            end = "\n" if done >= self._whole or not sys.stdout.isatty() else "\r"
            print(f"  .. {done:>10,} of {self._whole:,}", end=end, flush=True)


async def _connect(
    ports: Sequence[int],
    answered: Callable[[_Connection, int, bytes], None],
    count: int = CONNECTIONS,
) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    made = []
    for number in range(count):
        _, protocol = await loop.create_connection(
            lambda: _Connection(answered), "127.0.0.1", ports[number % len(ports)]
        )
        made.append(protocol)
    return made


def _note(load: Load, status: int, body: bytes, latency: float) -> None:
    if status == 202:
        load.accepted += 1
        load.latencies.append(latency)
    else:
        load.refused[status] = load.refused.get(status, 0) + 1
        load.first_refusal = load.first_refusal or body
