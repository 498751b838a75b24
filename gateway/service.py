"""The gateway as other parts of the program call it in process: the demo, the pages, the command
line, tests.

Built from settings; owns the engine, the accept writer and the relay. HTTP is one of its users,
not its centre.
"""

from collections.abc import Callable, Sequence

from gateway.clock import NetworkClock
from gateway.model import (
    Accepted,
    DrainResult,
    Member,
    Merchant,
    NewMerchant,
    NewOrder,
    Refused,
)
from gateway.settings import Settings

__all__ = [
    "Accepted",
    "DrainResult",
    "Gateway",
    "Member",
    "Merchant",
    "NewMerchant",
    "NewOrder",
    "Refused",
]


class Gateway:
    """The order book, custody and relay of one network."""

    def __init__(self, settings: Settings, *, clock: NetworkClock) -> None:
        self.settings = settings
        self.clock = clock

    def onboard_merchants(
        self, merchants: Sequence[NewMerchant], *, mine: Callable[[], None] | None = None
    ) -> list[Merchant]:
        """Registers, keys and funds merchants; returns when all of it is final on chain.

        Idempotent by `slug`: a merchant that is there already is completed (never funded twice)
        and returned without its API key. `mine` is called whenever something waits for a block (an
        embedded chain that is held).
        """
        raise NotImplementedError

    def onboard_merchant(
        self, merchant: NewMerchant, *, mine: Callable[[], None] | None = None
    ) -> Merchant:
        """One merchant; see `onboard_merchants`."""
        return self.onboard_merchants([merchant], mine=mine)[0]

    def fund_merchant(self, merchant: str, amount: int, *, bank_reference: str) -> None:
        """Deposits `amount` for the merchant (`mer_...`) once per bank reference; the relay
        carries it out.
        """
        raise NotImplementedError

    def merchants(self) -> list[Merchant]:
        """All merchants by number."""
        raise NotImplementedError

    def ensure_members(self, external_ids: Sequence[str]) -> dict[str, Member]:
        """Members by external id; who is missing gets a wallet and a Join order, in one commit."""
        raise NotImplementedError

    def member(self, member: str) -> Member:
        """The member with this public id (`mem_...`). Raises MemberUnknown."""
        raise NotImplementedError

    def accept_many(
        self, requests: Sequence[NewOrder], *, idempotency_key: str
    ) -> list[Accepted | Refused]:
        """Accepts or refuses each wish; ONE commit for all of them and the key, answered after it.

        The same key with the same requests gives the stored answer; with others it raises
        IdempotencyKeyReused. Raises TooManyLines over 10,000. Answers come in the order of the
        requests.
        """
        raise NotImplementedError

    def drain(self, *, mine: Callable[[], None] | None = None) -> DrainResult:
        """Seals, signs, sends and settles until no order is open, or nothing moves any more.

        `mine` is called after each sending (an embedded chain that is held); without it the
        chain's own pace is awaited. The mirror is brought along, since an order is final only when
        the mirror has it too.
        """
        raise NotImplementedError

    def orders_by_state(self) -> dict[str, int]:
        """How many orders there are in each state, all states named."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts the relay's thread; `drain` may still be called."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the threads after the work in hand, and closes the engine."""
        raise NotImplementedError
