"""The public RPC port of the embedded chain: JSON-RPC over HTTP, an allow-list in front of anvil.

Errors follow JSON-RPC 2.0 (code -32601 for a method not on the list); a chain that is down answers
HTTP 503, which every client reads as "unknown, try again".
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import uvicorn

from gateway.embedded.errors import EmbeddedChainError, SubmitRefused
from gateway.embedded.gate import Gate
from gateway.embedded.replay import MinedBlock
from gateway.embedded.rules import ANSWERED_HERE, FORWARDED, pin_block
from gateway.embedded.upstream import AnswerTooLarge, Upstream, UpstreamGone

# The dearest transaction (16,777,216 gas) has less than 0.9 MB as hexadecimal; a batch holds
# several.
BODY_BYTES_MAX = 16 * 1024 * 1024
BATCH_MAX = 2_000
CONNECTIONS_MAX = 256
# A page in the user's browser that points its own name at this machine (DNS rebinding) sends that
# name.
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
JSON = [(b"content-type", b"application/json")]


class Chain(Protocol):
    """What the proxy needs of the embedded chain."""

    @property
    def chain_id(self) -> int: ...

    @property
    def head(self) -> MinedBlock: ...

    @property
    def node_port(self) -> int: ...

    @property
    def gate(self) -> Gate: ...

    def submit(self, raw: bytes) -> str: ...


class CallRefused(Exception):
    """A call is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, call_id: Any = None) -> None:
        super().__init__(message)
        self.answer = {
            "jsonrpc": "2.0",
            "id": call_id,
            "error": {"code": code, "message": message},
        }


class HttpRefused(Exception):
    """The request as a whole is answered with an HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = orjson.dumps(
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": message}}
        )


@dataclass(frozen=True, slots=True)
class Call:
    id: Any
    method: str
    params: list[Any]

    def forwarded(self, head: int) -> dict[str, Any]:
        params = pin_block(self.method, self.params, head)
        return {"jsonrpc": "2.0", "id": self.id, "method": self.method, "params": params}


def parse_call(raw: Any) -> Call:
    """One call, checked against the allow-list. Raises CallRefused."""
    if not isinstance(raw, dict):
        raise CallRefused(-32600, "a call is a JSON object")
    call_id, method, params = raw.get("id"), raw.get("method"), raw.get("params", [])
    if isinstance(call_id, bool) or not isinstance(call_id, str | int | None):
        raise CallRefused(-32600, "an id is a string, an integer or null")
    if not isinstance(method, str):
        raise CallRefused(-32600, "a method is a string", call_id)
    if not isinstance(params, list):
        raise CallRefused(-32602, "params is an array", call_id)
    if method not in FORWARDED and method not in ANSWERED_HERE:
        raise CallRefused(-32601, f"the method {method[:80]} is not available", call_id)
    return Call(call_id, method, params)


class RpcApp:
    """The ASGI application."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._upstream: Upstream | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        if self._upstream is not None:
            await self._upstream.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(self, scope: Any, receive: Any, send: Any) -> None:
        began = False
        try:
            pieces = self._answer(await _read_body(scope, receive))
            async for piece in pieces:
                if not began:
                    began = True
                    await send({"type": "http.response.start", "status": 200, "headers": JSON})
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (HttpRefused, UpstreamGone, EmbeddedChainError) as error:
            if began:
                # The status is out: breaking off is the only honest thing left to say.
                raise
            refused = error if isinstance(error, HttpRefused) else HttpRefused(503, str(error))
            start = {"type": "http.response.start", "status": refused.status, "headers": JSON}
            await send(start)
            await send({"type": "http.response.body", "body": refused.body})

    async def _answer(self, body: bytes) -> AsyncIterator[bytes]:
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            request = None
        if isinstance(request, list):
            async for piece in self._answer_batch(request):
                yield piece
            return
        try:
            if request is None:
                raise CallRefused(-32700, "the body is not JSON")
            call = parse_call(request)
            if call.method in ANSWERED_HERE:
                yield orjson.dumps(await self._answer_here(call))
                return
            upstream = await self._current_upstream()
            request = call.forwarded(self._chain.head.number)
            async for piece in upstream.post(orjson.dumps(request)):
                yield piece
        except CallRefused as refused:
            yield orjson.dumps(refused.answer)
        except AnswerTooLarge as error:
            yield orjson.dumps(CallRefused(-32005, str(error), call.id).answer)

    async def _answer_batch(self, request: list[Any]) -> AsyncIterator[bytes]:
        """Answers in the order of the calls; transactions are submitted one after another."""
        if not 0 < len(request) <= BATCH_MAX:
            yield orjson.dumps(CallRefused(-32600, f"a batch has 1 to {BATCH_MAX} calls").answer)
            return
        answers: list[Any] = [None] * len(request)
        forwarded: list[dict[str, Any]] = []
        positions: list[int] = []
        head = self._chain.head.number
        for position, raw in enumerate(request):
            try:
                call = parse_call(raw)
                if call.method in ANSWERED_HERE:
                    answers[position] = await self._answer_here(call)
                else:
                    # Ids are the caller's and may repeat; positions do not.
                    forwarded.append({**call.forwarded(head), "id": position})
                    positions.append(position)
                    answers[position] = call.id
            except CallRefused as refused:
                answers[position] = refused.answer
        if forwarded:
            try:
                upstream = await self._current_upstream()
                pieces = [piece async for piece in upstream.post(orjson.dumps(forwarded))]
            except AnswerTooLarge as error:
                yield orjson.dumps(CallRefused(-32005, str(error)).answer)
                return
            for answer in orjson.loads(b"".join(pieces)):
                position = answer["id"]
                answers[position] = {**answer, "id": answers[position]}
        yield orjson.dumps(answers)

    async def _answer_here(self, call: Call) -> dict[str, Any]:
        if call.method == "eth_blockNumber":
            result = hex(self._chain.head.number)
        elif call.method == "eth_chainId":
            result = hex(self._chain.chain_id)
        else:
            result = await self._submit(call)
        return {"jsonrpc": "2.0", "id": call.id, "result": result}

    async def _submit(self, call: Call) -> str:
        text = call.params[0] if len(call.params) == 1 else None
        if not isinstance(text, str) or not text.startswith("0x"):
            raise CallRefused(-32602, "one parameter: a signed transaction as 0x string", call.id)
        try:
            raw = bytes.fromhex(text[2:])
        except ValueError:
            raise CallRefused(-32602, "the transaction is not hexadecimal", call.id) from None
        try:
            # In a thread of its own: it waits while a block is being mined.
            return await asyncio.to_thread(self._chain.submit, raw)
        except SubmitRefused as refused:
            raise CallRefused(refused.rpc_code, refused.message, call.id) from refused

    async def _current_upstream(self) -> Upstream:
        """The way to the anvil that runs now; its port changes when it was started anew."""
        port = self._chain.node_port
        if self._upstream is None or self._upstream.port != port:
            stale, self._upstream = self._upstream, Upstream(port, self._chain.gate)
            if stale is not None:
                await stale.close()
        return self._upstream


async def _read_body(scope: Any, receive: Any) -> bytes:
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    if (host.rpartition(":")[0] if host[-1:].isdigit() and ":" in host else host) not in HOSTS:
        raise HttpRefused(403, "this port answers to this machine's own names only")
    if scope["method"] != "POST":
        raise HttpRefused(405, "JSON-RPC by POST")
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpRefused(400, "the request broke off")
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise HttpRefused(413, f"a request has at most {BODY_BYTES_MAX} bytes")
        more = message.get("more_body", False)
    return bytes(body)


class Proxy:
    """The running proxy, in a thread of its own."""

    def __init__(self, chain: Chain, port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=CONNECTIONS_MAX)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            RpcApp(chain),
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="rpc-proxy", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._server.run(sockets=[self._socket])
