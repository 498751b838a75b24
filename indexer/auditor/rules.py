"""The laws that are asked at each step, and the small parts that all effects share."""

from __future__ import annotations

from typing import Any, Final

from indexer.auditor import accounts as acc
from indexer.auditor import orders as o
from indexer.auditor.context import REPLAY, Context, Move, shown
from indexer.auditor.decode import Value
from indexer.auditor.ledger import Flow, Merchant
from indexer.auditor.orders import Order

Args = tuple[Any, ...]
"""An event's arguments, in the order of the ABI: addresses and hashes as bytes, else numbers."""
LAW_4: Final = "law 4: no debit takes a position under minus its limit"
LAW_5: Final = "law 5: one order, at most one effect"
LAW_6: Final = "law 6: refunds never exceed their redemption"
LAW_7: Final = "law 7: returns within what was issued"
LAW_8: Final = "law 8: only expired epochs, and breakage is booked once"
LAW_16: Final = "law 16: points keep the terms of their epoch"


def merchant_of(ctx: Context, merchant: int) -> Merchant:
    """The merchant. Raises Broken: it was never registered."""
    found = ctx.ledger.merchants.get(merchant)
    if found is None:
        ctx.fail(REPLAY, f"merchant {merchant} was never registered")
    return found


def flow_of(ctx: Context, merchant: int) -> Flow:
    """The merchant's line in the month of this block."""
    return ctx.ledger.flows.setdefault((merchant, ctx.month), Flow())


def redeem_value(ctx: Context, buckets: int) -> int:
    """What a merchant is paid: sum over buckets of points x (face value - that epoch's fee)."""
    face = ctx.figures.face_value
    ledger = ctx.ledger
    return sum(
        points * (face - ledger.terms_in(epoch).redeem_fee)
        for epoch, points in acc.lanes_of(buckets)
    )


def debit(ctx: Context, merchant: Merchant, amount: int, limit: int) -> None:
    """Law 4, at the moment of the debit."""
    merchant.position -= amount
    if merchant.position < -limit:
        ctx.fail(
            LAW_4, "a debit took a position under its limit", f">= {-limit}", merchant.position
        )


def use_member_nonce(ctx: Context, member: bytes, order: Order | None) -> None:
    """Law 5 for members: the nonce in the packed word."""
    accounts = ctx.ledger.accounts
    word = acc.aged(accounts.get(member, 0), ctx.epoch)
    ctx.ledger.counts.nonces += order is not None
    if order is None:
        ctx.ledger.nonces_unknown.add(member)
        accounts[member] = word
        return
    if member in ctx.ledger.nonces_unknown:
        accounts[member] = word
        return
    try:
        accounts[member] = acc.nonce_used(word, order.fields["nonce"])
    except acc.Impossible as error:
        ctx.fail(LAW_5, str(error), "", shown(member))


def use_merchant_nonce(ctx: Context, merchant: Merchant, nonce: int) -> None:
    """Law 5 for merchants: a bitmap, one bit for each nonce of tills and owner."""
    bits = merchant.nonces.get(nonce >> 8, 0)
    bit = 1 << (nonce & 255)
    if bits & bit:
        ctx.fail(LAW_5, f"a merchant's nonce {nonce} was used twice")
    merchant.nonces[nonce >> 8] = bits | bit
    ctx.ledger.counts.nonces += 1


def fields_equal(ctx: Context, order: Order | None, **said: Value) -> None:
    """Raises Broken: the effect says something else than the order that was signed."""
    if order is None:
        return
    for name, value in said.items():
        if order.fields[name] != value:
            ctx.fail(
                REPLAY,
                f"the effect of {o.NAMES[order.kind]} differs from the order in {name}",
                shown(order.fields[name]),
                shown(value),
            )


def take(ctx: Context, pending: list[Move], fact: str, expected: tuple[bytes, bytes, int]) -> int:
    """The lanes of the movement that an effect explains. Raises Broken: there is no such one."""
    if not pending or pending[-1][:3] != expected:
        got = tuple(map(shown, pending[-1][:3])) if pending else "nothing"
        ctx.fail(REPLAY, fact, tuple(map(shown, expected)), got)
    return pending.pop()[3]
