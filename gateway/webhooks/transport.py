"""The line to receivers: names resolved once, the checked address dialled, all of it bounded."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Final

import httpcore

from gateway.errors import WebhookUrlRefused
from gateway.webhooks.targets import Target, TargetRules

# A receiver stores the message and answers; work comes after the answer.
ATTEMPT_MAX_S: Final = 15.0
CONNECT_MAX_S: Final = 5.0
# The status has decided; its body is waited for no longer than this.
ANSWER_MAX_S: Final = 2.0
RESOLVE_MAX_S: Final = 5.0
# What is read of an answer, and of it what the log keeps: enough for an error page's first words.
ANSWER_BYTES_MAX: Final = 16_384
ANSWER_SHOWN_MAX: Final = 300
# Of a host with many addresses, how many are tried in one attempt.
ADDRESSES_MAX: Final = 3
# A slow name server holds a thread for each name it is asked for; other hosts' names go on.
RESOLVERS: Final = 32
# Kept open for the next event, since a handshake costs more than a message.
IDLE_S: Final = 20.0
IDLE_CONNECTIONS_MAX: Final = 100

Resolve = Callable[[str, int], Awaitable[list[str]]]


class AddressRefused(httpcore.ConnectError):
    """The host's name leads into a network that webhooks do not go to."""


class NoAddress(httpcore.ConnectError):
    """The host's name does not resolve."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one POST.

    Attributes:
        status: HTTP status, None where no answer came.
        outcome: one word for the log: `delivered`, `http_error`, `redirect`, `gone`, `timeout`,
            `address_refused`, `no_address`, `tls`, `connection`, `url_refused`.
        text: the first characters of the answer's body.
        retry_after_s: seconds that the receiver asked for.
    """

    status: int | None
    outcome: str
    text: str = ""
    retry_after_s: float | None = None


class Line:
    """POSTs to receivers. One event loop's own; `close` when done."""

    def __init__(
        self,
        rules: TargetRules,
        *,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        attempt_max_s: float = ATTEMPT_MAX_S,
    ) -> None:
        self._rules = rules
        self._attempt_max_s = attempt_max_s
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="webhook-names")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpcore.default_ssl_context(),
            # How much is under way is bounded by the caller, for each end point: a queue here would
            # let a slow receiver hold up the others.
            max_connections=None,
            max_keepalive_connections=IDLE_CONNECTIONS_MAX,
            keepalive_expiry=IDLE_S,
            network_backend=_CheckedNetwork(rules, resolve or self._resolve),
        )

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """One POST, over in `attempt_max_s`. Never raises for what the other side does."""
        try:
            target = self._rules.target(url)
        except WebhookUrlRefused as refusal:
            # The rules have become stricter since it was registered.
            return Answer(None, "url_refused", refusal.message)
        try:
            async with asyncio.timeout(self._attempt_max_s):
                return await self._post(target, headers, body)
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(None, "timeout")
        except AddressRefused as error:
            return Answer(None, "address_refused", str(error))
        except NoAddress as error:
            return Answer(None, "no_address", str(error))
        except httpcore.ConnectError as error:
            return Answer(None, _of_connect(error), str(error)[:ANSWER_SHOWN_MAX])
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return Answer(None, "connection", f"{type(error).__name__}: {error}"[:ANSWER_SHOWN_MAX])

    async def _post(self, target: Target, headers: dict[str, str], body: bytes) -> Answer:
        url = httpcore.URL(
            scheme=target.scheme, host=target.host, port=target.port, target=target.path
        )
        all_headers = {
            "host": target.shown_host,
            "content-length": str(len(body)),
            # What is read is what was sent: nothing here unpacks.
            "accept-encoding": "identity",
            **headers,
        }
        async with self._pool.stream(
            "POST",
            url,
            headers=list(all_headers.items()),
            content=body,
            extensions={"timeout": {"connect": CONNECT_MAX_S}},
        ) as response:
            # The status decides. What comes after it is for the log, and may break off.
            text = await _first_of(response)
            return _read(response.status, dict(response.headers), text)

    async def _resolve(self, host: str, port: int) -> list[str]:
        ask = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        try:
            found = await asyncio.wait_for(ask, RESOLVE_MAX_S)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise NoAddress(f"{host} does not resolve") from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def close(self) -> None:
        """Closes idle connections."""
        await self._pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Dials only addresses that were checked; TLS is still held to the host's name."""

    def __init__(self, rules: TargetRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise NoAddress(f"{host} does not resolve")
        for address in addresses:
            # One address of several that leads inside is no accident: none of them is called.
            if not self._rules.allows(ip_address(address)):
                raise AddressRefused(f"{host} leads to {address}, where no webhook goes")
        failed: Exception = NoAddress(host)
        for address in addresses[:ADDRESSES_MAX]:
            try:
                return await self._inner.connect_tcp(address, port, timeout=timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("a webhook goes to no socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _first_of(response: httpcore.Response) -> bytes:
    """The first bytes of the body; leaving before its end closes the connection."""
    found = bytearray()
    with suppress(httpcore.NetworkError, httpcore.ProtocolError, TimeoutError):
        async with asyncio.timeout(ANSWER_MAX_S):
            async for chunk in response.aiter_stream():
                found += chunk
                if len(found) >= ANSWER_BYTES_MAX:
                    break
    return bytes(found[:ANSWER_BYTES_MAX])


def _read(status: int, headers: dict[bytes, bytes], body: bytes) -> Answer:
    text = "".join(
        c if c.isprintable() else " " for c in body.decode("utf-8", "replace")[:ANSWER_SHOWN_MAX]
    )
    if 200 <= status < 300:
        return Answer(status, "delivered", text)
    known = {name.lower(): value for name, value in headers.items()}
    retry_after_s = retry_after(known.get(b"retry-after", b"").decode("latin-1"), time.time())
    if status == 410:
        return Answer(status, "gone", text)
    outcome = "redirect" if 300 <= status < 400 else "http_error"
    return Answer(status, outcome, text, retry_after_s)


def retry_after(value: str, now: float) -> float | None:
    """Seconds of a Retry-After header: a number, or an HTTP date (RFC 9110, 10.2.3)."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _of_connect(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls"
        cause = cause.__cause__ or cause.__context__
    return "connection"
