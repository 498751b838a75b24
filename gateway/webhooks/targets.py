"""Where a webhook may go: to public addresses over HTTPS, and nowhere into our own network.

A merchant names the URL, and this server calls it: without these rules anybody with an API key
could make it speak to the node beside it, or to a cloud's metadata service. A URL is looked at when
it is registered, for the person who typed it. What counts is the second look: at each connection
the name is resolved once, every address is checked, and the very address that was checked is
dialled (`transport`).
"""

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.errors import WebhookUrlRefused

URL_LENGTH_MAX: Final = 2_000
HTTPS_PORT: Final = 443
# Under 1024 lie mail, file shares and the like, which a POST could be made to talk to.
FREE_PORT_MIN: Final = 1_024

# IANA's special-purpose registries. Python's `is_global` is asked too, but its tables differ from
# version to version, and it lets mapped and translated forms of these through.
_V4_REFUSED: Final = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Of IPv6 only the global unicast block, less what is not a host's own address in it: Teredo and
# other protocol assignments, documentation, 6to4. Mapped, compatible and NAT64 forms of IPv4 lie
# outside of the block altogether.
_V6_GLOBAL: Final = IPv6Network("2000::/3")
_V6_REFUSED: Final = tuple(
    IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

_NAME: Final = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9-]+\.?")
# What inet_aton reads as a number: 127.1, 0x7f000001, 0177.0.0.1, 2130706433.
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, once: nothing after this reads the text again."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown_host(self) -> str:
        """For the Host header: with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        own = HTTPS_PORT if self.scheme == "https" else 80
        return host if self.port == own else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TargetRules:
    """What may be called. `loopback`: also this machine, and plain HTTP (a developer's network)."""

    loopback: bool = False

    @classmethod
    def named(cls, word: str | None) -> "TargetRules":
        """The rules of the setting `webhook_targets`; None: public addresses."""
        return cls(loopback=word == "loopback")

    def allows(self, address: Address) -> bool:
        """Whether this address may be connected to."""
        if self.loopback and address in (IPv4Address("127.0.0.1"), IPv6Address("::1")):
            return True
        if isinstance(address, IPv4Address):
            refused = any(address in net for net in _V4_REFUSED)
        else:
            refused = address not in _V6_GLOBAL or any(address in net for net in _V6_REFUSED)
        return not refused and address.is_global and not address.is_multicast

    def target(self, url: str) -> Target:
        """The URL taken apart. Raises WebhookUrlRefused: it can never be called."""
        parts = _split(url)
        if parts.scheme != "https" and not (self.loopback and parts.scheme == "http"):
            raise WebhookUrlRefused("a webhook's URL begins with https://")
        if "@" in parts.netloc:
            raise WebhookUrlRefused("a webhook's URL carries no name or password")
        if "#" in url:
            raise WebhookUrlRefused("a webhook's URL has no fragment")
        host = self._host(parts)
        port = self._port(parts)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, path)

    def _host(self, parts: SplitResult) -> str:
        host = (parts.hostname or "").lower()
        literal = _literal(host, bracketed="[" in parts.netloc)
        if literal is not None:
            if not self.allows(literal):
                raise WebhookUrlRefused(f"a webhook does not go to {literal}", host=host)
            return str(literal)
        if not _NAME.fullmatch(host):
            raise WebhookUrlRefused("a webhook's URL names a host", host=host[:100])
        bare = host.rstrip(".")
        local = bare == "localhost" or bare.endswith(".localhost") or "." not in bare
        if local and not (self.loopback and bare == "localhost"):
            raise WebhookUrlRefused(f"{bare} is no public host", host=host)
        return host

    def _port(self, parts: SplitResult) -> int:
        try:
            port = parts.port
        except ValueError as error:
            raise WebhookUrlRefused("a webhook's port is 1 to 65535") from error
        if port is None:
            return HTTPS_PORT if parts.scheme == "https" else 80
        if port != HTTPS_PORT and port < FREE_PORT_MIN:
            raise WebhookUrlRefused(
                f"a webhook goes to port {HTTPS_PORT} or one from {FREE_PORT_MIN}", port=port
            )
        return port


def _split(url: str) -> SplitResult:
    # Readers of URLs differ on blanks, control characters, backslashes and other alphabets; what
    # holds any of these is refused before two of them can disagree.
    sound = url.isascii() and url.isprintable() and not re.search(r'[\s\\<>"{}|^`]', url)
    if not 1 <= len(url) <= URL_LENGTH_MAX or not sound:
        raise WebhookUrlRefused(
            f"a webhook's URL has 1 to {URL_LENGTH_MAX} plain characters (other alphabets in their "
            "encoded form)"
        )
    try:
        return urlsplit(url)
    except ValueError as error:
        raise WebhookUrlRefused("that is no URL") from error


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """The address that a host is, where it is one. Raises WebhookUrlRefused: an odd spelling."""
    last = host.rstrip(".").rpartition(".")[2]
    if not bracketed and not _NUMBER.fullmatch(last):
        return None
    try:
        found = ip_address(host)
    except ValueError as error:
        raise WebhookUrlRefused(
            "an address is written as 203.0.113.7 or [2001:db8::7]", host=host[:100]
        ) from error
    if isinstance(found, IPv6Address) and found.scope_id is not None:
        raise WebhookUrlRefused("an address has no zone", host=host[:100])
    return found
