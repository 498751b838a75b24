"""Which waiting orders the entries on the chain stand for, where their batch is not in the book.

An order that was accepted before the backup may have been sealed after it: it waits in the restored
book, and has taken effect. To send it again would double it. And an order that the backup does not
know may come again from the till, under the same reference.

What is signed shows the reference, salted (`Custody.salted_reference`): of a redemption and of a
return its own, of a batch of issues the root over all of them. So a redemption, a return and an
issue that stood alone are told from equal ones; a batch of several is proven where all of its
orders wait. Where nothing can be shown (some of a batch were lost for good; a transfer, a refund or
a withdrawal carries no reference) an entry is *assumed* to be the oldest waiting order of the same
merchant, member and points. Where that is wrong the points went out for the lost order, and the
waiting one is closed by it: nothing is ever issued twice, and the report names such orders.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from wallet_sdk.merkle import references_root
from wallet_sdk.orders import IssueBatch, Redeem, Return
from wallet_sdk.types import to_hex

K = TypeVar("K", bound=Hashable)

Salted = Callable[[int, str], bytes]
"""A merchant's number and a reference as the 32 bytes that stand for it on chain."""

RUNS_MAX: Final = 100
"""Runs of waiting orders whose root is computed for one batch; a run of equal orders in a long
queue fits at every place, and one root of 600 costs two milliseconds."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits: its row, what it would do, and its name."""

    row: int
    key: tuple[Any, ...]
    merchant: int
    reference: str


@dataclass(slots=True)
class Matched:
    """For each entry the row that it stands for (None: the book has none), and the rows of these
    that are only assumed.
    """

    rows: list[int | None]
    assumed: list[int] = field(default_factory=list)


def identify(
    order: object, keys: Sequence[Hashable], waiting: Sequence[Waiting], salted: Salted
) -> Matched:
    """`keys`: what each entry of `order` does; `waiting`: the oldest first."""
    for run in _runs(keys, waiting):
        if (shown := shows(order, [salted(w.merchant, w.reference) for w in run])) is None:
            break
        if shown:
            return Matched([w.row for w in run])
    else:
        if len(keys) == 1 and shows(order, [bytes(32)]) is not None:
            return Matched([None])
    rows = match(keys, ((w.row, w.key) for w in waiting))
    return Matched(rows, [row for row in rows if row is not None])


def shows(order: object, references: Sequence[bytes]) -> bool | None:
    """Whether these salted references are the order's; None: it does not show any."""
    if isinstance(order, IssueBatch):
        return to_hex(references_root(references)) == order.references_root
    if isinstance(order, Redeem | Return):
        return [to_hex(reference) for reference in references] == [order.ref]
    return None


def _runs(keys: Sequence[Hashable], waiting: Sequence[Waiting]) -> Iterable[Sequence[Waiting]]:
    """Waiting orders in a row that would do just this: a batch takes them so. One alone may have
    been taken from anywhere, so there all are tried.
    """
    found = 0
    for start in range(len(waiting) - len(keys) + 1):
        run = waiting[start : start + len(keys)]
        if all(w.key == key for w, key in zip(run, keys, strict=True)):
            found += 1
            if found > RUNS_MAX and len(keys) > 1:
                return
            yield run


def match(entries: Sequence[K], waiting: Iterable[tuple[int, K]]) -> list[int | None]:
    """For each entry the row of the order that it stands for, or None: the book has none.

    `waiting`: (row, key) of orders that may be meant, the oldest first. Each is given out once.
    """
    free: defaultdict[K, deque[int]] = defaultdict(deque)
    for row, key in waiting:
        free[key].append(row)
    return [free[key].popleft() if free[key] else None for key in entries]
