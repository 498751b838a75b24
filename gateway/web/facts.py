"""What the pages are told: plain facts, already read. No SQL, no HTTP, no formatting.

Points are whole points. Money is integer units of the settlement asset. Times are unix seconds of
network time. A merchant is known by its number on the network and by its public id.
`WebSource` is the one door through which the views ask; `mirror.py` answers it for a running
gateway, and tests answer it with figures written down by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Unit = Literal["points", "money", "count"]


@dataclass(frozen=True, slots=True)
class AsOf:
    """The block that an answer was read at, and the time of that block."""

    block: int
    time: int


@dataclass(frozen=True, slots=True)
class MerchantFacts:
    """One merchant's totals since it joined.

    `issued` is net of goods returned, `honoured` is redeemed less refunded, both in points;
    `position` and `credit_limit` are money, and a position may be negative.
    """

    number: int
    name: str
    issued: int
    honoured: int
    position: int
    credit_limit: int = 0


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """Points that merchant `issuer` issued and merchant `honourer` redeemed."""

    issuer: int
    honourer: int
    points: int


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """One epoch: `issued` net of returns, `unspent` of them; void from `expires_at` on.

    `starts_at` is the first second of the epoch, `ends_at` its last one, and `expires_at` the first
    second at which its points can no longer be spent.
    """

    epoch: int
    issued: int
    unspent: int
    starts_at: int
    ends_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """Points issued and redeemed in one day or one month that begins at `starts_at`."""

    starts_at: int
    issued: int
    redeemed: int


@dataclass(frozen=True, slots=True)
class LawFacts:
    """One law of the network: its sentence, and its two sides with their names, in `unit`."""

    number: int
    name: str
    left_name: str
    left: int
    right_name: str
    right: int
    unit: Unit
    holds: bool


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One order, or one request that was refused: then `state` is "refused" and `reason` its code.

    `member` is the public id, None where an order has no member or members are not to be shown.
    """

    kind: str
    state: str
    merchant: str | None
    member: str | None
    points: int
    reference: str | None
    at: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Everything on the front page, read at one block."""

    as_of: AsOf
    live: int
    reserve: int
    income: int
    breakage: int
    members: int
    issued: int
    redeemed: int
    open_orders: int
    refused: int
    merchants: Sequence[MerchantFacts]
    flows: Sequence[FlowFacts]
    epochs: Sequence[EpochFacts]
    periods: Sequence[PeriodFacts]
    period: Literal["day", "month"]
    laws: Sequence[LawFacts]
    orders: Sequence[OrderFacts]


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """One movement of a member's points; `points` is negative where points left the member.

    `kind` is issue, redeem, refund, return or transfer. `merchant` is None for transfers. Expiry
    is no movement: nothing happens on that day but the day itself.
    """

    kind: str
    merchant: str | None
    points: int
    at: int


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """A member's balance, its live points by epoch, and one page of its history, newest first."""

    id: str
    as_of: AsOf
    balance: int
    epochs: Sequence[EpochFacts]
    history: Sequence[HistoryFacts]
    next_cursor: str | None


class WebSource(Protocol):
    """Answers the views' two questions, each in a worker thread of its own."""

    def network(self, now: int) -> NetworkFacts:
        """Facts of the whole network, with expiry as at `now`. Raises `NothingYet`."""
        ...

    def member(self, member_id: str, now: int, cursor: str | None) -> MemberFacts | None:
        """Facts of one member, None where no such member is known.

        Raises `CursorUnknown` when `cursor` is not one that this network gave out, and
        `NothingYet`.
        """
        ...


class CursorUnknown(ValueError):
    """A page of history was asked for by a cursor that leads nowhere."""


class NothingYet(Exception):
    """The network has just been started and has nothing to show so far."""
