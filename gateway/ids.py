"""Public ids: a prefix and 26 characters of Crockford base 32 (a ULID).

The first 48 bits are milliseconds of network time, so that ids of one request lie side by side in
an index; the 80 bits after it are random, so that nobody finds an order by counting. A member's id
is random throughout: its page is shown to whoever has the link. In SQL an id is its 16 bytes.
"""

import secrets
from functools import lru_cache
from typing import Final

from gateway.errors import (
    MemberUnknown,
    MerchantUnknown,
    NotFound,
    OrderUnknown,
    WebhookEndpointUnknown,
    WebhookEventUnknown,
)

ORDER: Final = "ord_"
MEMBER: Final = "mem_"
MERCHANT: Final = "mer_"
BATCH: Final = "bat_"
ENDPOINT: Final = "wep_"
EVENT: Final = "evt_"

_UNKNOWN: Final[dict[str, tuple[type[NotFound], str]]] = {
    ORDER: (OrderUnknown, "order"),
    MEMBER: (MemberUnknown, "member"),
    MERCHANT: (MerchantUnknown, "merchant"),
    ENDPOINT: (WebhookEndpointUnknown, "webhook end point"),
    EVENT: (WebhookEventUnknown, "webhook event"),
}

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Two characters a lookup: a bulk answer encodes 10,000 ids.
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]
# Members come again and again, orders seldom: 5 MB at most for either way.
REMEMBERED_MAX: Final = 16_384
# Crockford's digits as those of `int(text, 32)`; what is none of them becomes a mark that is
# refused there.
_DIGITS: Final = "".join(
    "0123456789abcdefghijklmnopqrstuv"[_ALPHABET.index(c)] if c in _ALPHABET else "!"
    for c in map(chr, range(128))
)


def new_ids(count: int, now: int) -> list[bytes]:
    """`count` consecutive ids of the second `now`: neighbours in the index, quick to compress."""
    # The top bit of the random part stays 0, so that counting up never runs into the time.
    first = (now * 1000 << 80) | secrets.randbits(79)
    return [(first + i).to_bytes(16, "big") for i in range(count)]


def random_ids(count: int) -> list[bytes]:
    """`count` ids that say nothing of each other, nor of when they were made: members'."""
    return [secrets.token_bytes(16) for _ in range(count)]


def new_id(now: int) -> bytes:
    """One fresh id of the second `now`."""
    return new_ids(1, now)[0]


def encode(prefix: str, raw: bytes) -> str:
    """The public form of 16 bytes."""
    number = int.from_bytes(raw, "big")
    # Ids of one request differ in the last characters alone.
    return _head(prefix, number >> 20) + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]


@lru_cache(maxsize=REMEMBERED_MAX)
def _head(prefix: str, upper: int) -> str:
    return prefix + "".join([_PAIRS[upper >> shift & 1023] for shift in range(100, -1, -10)])


@lru_cache(maxsize=REMEMBERED_MAX)
def decode(prefix: str, text: str) -> bytes:
    """The 16 bytes of a public id. Raises NotFound, as an id that nobody has: what cannot be an id
    names nothing.
    """
    if len(text) != 30 or not text.startswith(prefix) or not text.isascii():
        raise _nothing(prefix, text)
    try:
        number = int(text[4:].translate(_DIGITS), 32)
    except ValueError:
        raise _nothing(prefix, text) from None
    if number >> 128:
        raise _nothing(prefix, text)
    return number.to_bytes(16, "big")


def _nothing(prefix: str, text: str) -> NotFound:
    kind, noun = _UNKNOWN.get(prefix, (NotFound, "thing"))
    return kind(f"there is no {noun} {text[:40]!r}", id=text[:40])
