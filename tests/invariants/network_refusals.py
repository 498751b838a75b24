"""Who acts where each check is asked by itself, and the orders and acts that it is asked with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from banyan_kit.revm import Contract, Refused
from banyan_kit.wire import Key
from network_desk import Desk

ADA, BOB, EVE = (Key.from_seed(name) for name in ("ada", "bob", "eve"))
BAKER, FLORIST, NOBODY = 1, 2, 77
ACTIVE, SUSPENDED, LEAVING, CLOSED = 1, 2, 3, 4
REF = bytes(32)
COALITION_SLOT = 7
# Obeyed by Points in the place of the Coalition, for calls that no order leads to.
CALLER = "0x" + "ca" * 20
Why = tuple[str, tuple[Any, ...]]


def opened() -> Desk:
    """A baker and a florist with 1,000,000 each; Ada with 100 points and Bob are members."""
    desk = Desk.open()
    for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
        desk.register(number, name)
        desk.anyone("deposit", number, 1_000_000)
    for member in (ADA, BOB):
        desk.execute(desk.make("Join", member, member=member.address, nonce=1))
    desk.execute(issue(desk, (ADA, 100)))
    return desk


def why(act: Callable[..., Any], *arguments: Any) -> Why:
    """The error with which a call is refused, and its values."""
    with pytest.raises(Refused) as refused:
        act(*arguments)
    return refused.value.name, refused.value.values


def issue(desk: Desk, *entries: tuple[Key, int], merchant: int = BAKER) -> bytes:
    values = {"merchant": merchant, "nonce": desk.nonce(merchant)}
    values["entries"] = [(member.address, points) for member, points in entries]
    return desk.make("IssueBatch", desk.merchants[merchant].tills[0], **values)


def redeem(desk: Desk, points: int, nonce: int, merchant: int = BAKER) -> bytes:
    values = {"member": ADA.address, "merchant": merchant, "points": points, "nonce": nonce}
    return desk.make("Redeem", ADA, ref=REF, **values)


def move(desk: Desk, to: str, points: int, nonce: int) -> bytes:
    values = {"from": ADA.address, "to": to, "points": points, "nonce": nonce}
    return desk.make("Transfer", ADA, **values)


def give_back(desk: Desk, points: int, epoch: int = 1, nonce: int | None = None) -> bytes:
    values = {"member": ADA.address, "merchant": BAKER, "points": points, "epoch": epoch}
    values["nonce"] = desk.nonce(BAKER) if nonce is None else nonce
    return desk.make("Return", desk.merchants[BAKER].tills[0], member_key=ADA, ref=REF, **values)


def owners(desk: Desk, kind: str, **values: Any) -> bytes:
    """An order of the baker's owner."""
    values |= {"merchant": BAKER, "nonce": 2**63 + desk.nonce(BAKER)}
    return desk.make(kind, desk.merchants[BAKER].owner, **values)


def past(desk: Desk, points: int, nonce: int) -> dict[str, Any]:
    """Ada redeems at the baker: what a refund must know of it."""
    fields = {"member": ADA.address, "merchant": BAKER, "points": points, "nonce": nonce}
    fields |= {"deadline": desk.epoch_end(), "ref": REF}
    logs = desk.execute(desk.network.wire.signed("Redeem", ADA, **fields))
    log = next(log for log in logs if log.name == "Redeemed")
    return desk.redemption(log, fields, []).fields


def refund(desk: Desk, points: int, redemption: dict[str, Any]) -> bytes:
    values = {"merchant": BAKER, "points": points, "nonce": desk.nonce(BAKER)}
    return desk.make("Refund", desk.merchants[BAKER].tills[0], redemption=redemption, **values)


def leaf_of(desk: Desk, redemption: dict[str, Any]) -> bytes:
    return desk.network.wire.leaf_of(redemption, BAKER)


def obeying(desk: Desk) -> Contract:
    """Points, which obeys CALLER."""
    points = desk.network.points
    desk.network.chain.evm.insert_account_storage(points.address, COALITION_SLOT, int(CALLER, 16))
    return points


def token(member: Key, programme: int = 0) -> int:
    """Id of the pass of a member in a programme."""
    return programme << 160 | int(member.address, 16)
