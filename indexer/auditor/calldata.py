"""What stands in the calldata of a transaction to our contracts: orders, and addresses."""

from __future__ import annotations

from typing import Final

from indexer.auditor.codec import keccak
from indexer.auditor.orders import REFUND, Order, read_order

RELAY: Final = keccak(b"relay(bytes[])")[:4]
EXECUTE: Final = keccak(b"execute(bytes)")[:4]
_WORDS_MAX: Final = 64  # a call of our contracts has at most eight; of others, what stands in front


def orders_in(calldata: bytes, domain: bytes, domains: tuple[bytes, ...]) -> list[Order]:
    """The orders of a call of relay or execute, in calldata order; none where it is no such call
    (it must have reverted then).
    """
    body = calldata[4:]
    if calldata[:4] == EXECUTE:
        parts = [_dynamic(body, 0, 0)]
    else:
        start = _word(body, 0)
        count = _word(body, start) if start is not None else None
        if start is None or count is None or count > len(body) // 32:
            return []
        parts = [_dynamic(body, start + 32, i) for i in range(count)]
    orders: list[Order] = []
    for part in parts:
        order = None if part is None else read_order(part, domain)
        if part is None or order is None:
            continue
        orders.append(order)
        if order.kind == REFUND:
            # Its redemption may have been signed for a predecessor; the effect tells which it was.
            for past in domains:
                other = None if past == domain else read_order(part, domain, redeemed_for=past)
                if other is not None:
                    orders.append(other)
    return orders


def addresses_in(calldata: bytes, sender: bytes | None) -> tuple[bytes, ...]:
    """What may be an address among the first words of a call, and who called."""
    words = [calldata[at : at + 32] for at in range(4, len(calldata) - 31, 32)][:_WORDS_MAX]
    found = {word[12:] for word in words if not any(word[:12])}
    return tuple(sorted(found if sender is None else {*found, sender}))


def _word(body: bytes, at: int) -> int | None:
    return int.from_bytes(body[at : at + 32], "big") if at + 32 <= len(body) else None


def _dynamic(body: bytes, base: int, slot: int) -> bytes | None:
    """Element `slot` of the dynamic bytes whose offsets begin at `base`."""
    offset = _word(body, base + 32 * slot)
    if offset is None:
        return None
    length = _word(body, base + offset)
    start = base + offset + 32
    if length is None or start + length > len(body):
        return None
    return body[start : start + length]
