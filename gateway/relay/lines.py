"""Lines of nonces: one a sending account. A pool of relayers carries orders; calls go out on the
lines of the operator's keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, or_


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines that this process may work on now.

    Attributes:
        pool: every relayer of the network, in the order in which they were made.
        fences: those of the pool that this process holds, with the fencing number of each.
        calls: whether it also holds the lines of all other accounts.
        set_aside: relayers that get nothing new: their balance does not reach.
    """

    pool: Sequence[bytes]
    fences: Mapping[bytes, int]
    calls: bool = True
    set_aside: frozenset[bytes] = field(default=frozenset())

    @classmethod
    def all_of(cls, pool: Sequence[bytes]) -> "Lines":
        """Every line there is: where one process does all."""
        return cls(pool, dict.fromkeys(pool, 0))

    @property
    def open(self) -> list[bytes]:
        """Relayers that may be given new work."""
        return [relayer for relayer in self.fences if relayer not in self.set_aside]

    def has(self, sender: ColumnElement[bytes]) -> ColumnElement[bool]:
        """SQL: the row's account is on one of these lines."""
        held = sender.in_(list(self.fences))
        return or_(held, sender.not_in(list(self.pool))) if self.calls else held
