"""Which waiting order an entry on the chain stands for, where its batch is not in the book.

An order that was accepted before the backup may have been sealed after it: it waits in the restored
book, and has taken effect. To send it again would double it. So an entry of the same merchant,
member and number of points is taken for the oldest such order that waits. Where that is wrong, two
equal purchases have changed places, and each is still issued once: the one that the book has
forgotten comes again from the till, and is new.
"""

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def match(entries: Sequence[K], waiting: Iterable[tuple[int, K]]) -> list[int | None]:
    """For each entry the row of the order that it stands for, or None: the book has none.

    `waiting`: (row, key) of orders that may be meant, the oldest first. Each is given out once.
    """
    free: defaultdict[K, deque[int]] = defaultdict(deque)
    for row, key in waiting:
        free[key].append(row)
    return [free[key].popleft() if free[key] else None for key in entries]
