"""The line to receivers: names resolved once, the checked address dialled, all of it bounded."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

import certifi

from gateway.errors import WebhookUrlRefused
from gateway.webhooks import wire
from gateway.webhooks.targets import Target, TargetRules

# A receiver stores the message and answers; work comes after the answer.
ATTEMPT_MAX_S: Final = 15.0
CONNECT_MAX_S: Final = 5.0
# The status has decided; its body is waited for no longer than this.
ANSWER_MAX_S: Final = 2.0
RESOLVE_MAX_S: Final = 5.0
# Of an answer, what the log keeps.
ANSWER_SHOWN_MAX: Final = 300
# Of a host with many addresses, how many are tried in one attempt.
ADDRESSES_MAX: Final = 3
# A slow name server holds a thread for each name it is asked for; other hosts' names go on.
RESOLVERS: Final = 32
# URLs that are remembered in parts: those that messages go to just now.
TARGETS_MAX: Final = 1_000

Resolve = Callable[[str, int], Awaitable[list[str]]]


class AddressRefused(OSError):
    """The host's name leads into a network that webhooks do not go to."""


class NoAddress(OSError):
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
        self._resolver = resolve or self._resolve
        self._trust = ssl_context or _whom_all_trust()
        self._target = lru_cache(TARGETS_MAX)(rules.target)
        # How much is under way is bounded by the caller, for each end point: a queue here would let
        # a slow receiver hold up the others.
        self._lines = wire.Lines()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """One POST, over in `attempt_max_s`. Never raises for what the other side does."""
        try:
            target = self._target(url)
        except WebhookUrlRefused as refusal:
            # The rules have become stricter since it was registered.
            return Answer(None, "url_refused", refusal.message)
        try:
            async with asyncio.timeout(self._attempt_max_s):
                return await self._post(target, _message(target, headers, body))
        except TimeoutError:
            return Answer(None, "timeout")
        except AddressRefused as error:
            return Answer(None, "address_refused", str(error))
        except NoAddress as error:
            return Answer(None, "no_address", str(error))
        except ssl.SSLError as error:
            return Answer(None, "tls", str(error)[:ANSWER_SHOWN_MAX])
        except OSError as error:
            return Answer(None, "connection", f"{type(error).__name__}: {error}"[:ANSWER_SHOWN_MAX])

    async def _post(self, target: Target, message: bytes) -> Answer:
        place = (target.scheme, target.host, target.port)
        kept = self._lines.take(place)
        if kept is not None:
            # Where it ended while it was kept, and we had not heard of it yet, it is said once
            # more, and not oftener: the receiver may have hung up over this very message.
            with suppress(wire.LineStale):
                return await self._ask(kept, place, message)
        return await self._ask(await self._dial(target), place, message)

    async def _ask(self, line: wire.Connection, place: wire.Place, message: bytes) -> Answer:
        whole = False
        try:
            # The status decides. What comes after it is for the log, and may break off.
            await line.post(message)
            whole = await line.read(ANSWER_MAX_S)
            return _read(line.status, line.headers, bytes(line.body[: wire.ANSWER_BYTES_MAX]))
        finally:
            # Also where an attempt is cut off: what is still to come belongs to no other message.
            if whole:
                self._lines.keep(place, line)
            else:
                line.abort()

    async def _dial(self, target: Target) -> wire.Connection:
        """A connection to an address that was checked; TLS is still held to the host's name."""
        host = target.host
        addresses = await self._resolver(host, target.port)
        if not addresses:
            raise NoAddress(f"{host} does not resolve")
        for address in addresses:
            # One address of several that leads inside is no accident: none of them is called.
            if not self._rules.allows(ip_address(address)):
                raise AddressRefused(f"{host} leads to {address}, where no webhook goes")
        trust = self._trust if target.scheme == "https" else None
        failed: OSError = NoAddress(host)
        for address in addresses[:ADDRESSES_MAX]:
            try:
                async with asyncio.timeout(CONNECT_MAX_S):
                    found = await wire.connect(address, target.port, trust=trust, name=host)
            except ssl.SSLError:
                # Somebody is there, and is not who the name says.
                raise
            except OSError as error:
                failed = error
            else:
                self._lines.add(found)
                return found
        raise failed

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
        """Closes all connections."""
        await self._lines.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _whom_all_trust() -> ssl.SSLContext:
    """The system's authorities, and certifi's where a small image brings none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _message(target: Target, headers: dict[str, str], body: bytes) -> bytes:
    """The request as it goes over the line."""
    all_headers = {
        "host": target.shown_host,
        "content-length": str(len(body)),
        # What is read is what was sent: nothing here unpacks.
        "accept-encoding": "identity",
        **headers,
    }
    lines = [f"POST {target.path} HTTP/1.1", *(f"{k}: {v}" for k, v in all_headers.items())]
    # Neither a URL nor what we write beside it holds a line's end (`targets`).
    assert not any("\r" in line or "\n" in line for line in lines)
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _read(status: int, headers: dict[bytes, bytes], body: bytes) -> Answer:
    text = "".join(
        c if c.isprintable() else " " for c in body.decode("utf-8", "replace")[:ANSWER_SHOWN_MAX]
    )
    if 200 <= status < 300:
        return Answer(status, "delivered", text)
    retry_after_s = retry_after(headers.get(b"retry-after", b"").decode("latin-1"), time.time())
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
