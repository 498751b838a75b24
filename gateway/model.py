"""The values that services, endpoints, the demo and the pages hand to each other.

Points are whole; money is in units of the settlement asset (six decimals on BankReceipt); times
are unix seconds of network time; addresses are EIP-55 strings.
"""

from dataclasses import dataclass, field
from enum import StrEnum

POINTS_MAX = 2**35 - 1
"""The largest number of points in one order: a bucket of the packed account has 35 bits."""

LINES_MAX = 10_000
"""Lines of one bulk request: one commit of well under a second, and about 1 MB of JSON."""

REFERENCE_LENGTH_MAX = 100
"""Characters of a merchant's reference: room for receipt numbers, too little for misuse as storage.
"""


class OrderKind(StrEnum):
    """What an order wishes. The words are those of the contracts."""

    JOIN = "join"
    ISSUE = "issue"
    REDEEM = "redeem"
    REFUND = "refund"
    RETURN = "return"
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"


class OrderState(StrEnum):
    """accepted -> batched -> submitted -> included -> final, or failed."""

    ACCEPTED = "accepted"
    BATCHED = "batched"
    SUBMITTED = "submitted"
    INCLUDED = "included"
    FINAL = "final"
    FAILED = "failed"


OPEN_STATES = (OrderState.ACCEPTED, OrderState.BATCHED, OrderState.SUBMITTED, OrderState.INCLUDED)


class MerchantState(StrEnum):
    """onboarding: not yet registered on chain. The others are the contract's."""

    ONBOARDING = "onboarding"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEAVING = "leaving"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class EarnRule:
    """Points for a purchase: floor(amount_minor x points / per_minor).

    Attributes:
        points: numerator, points.
        per_minor: denominator, minor units of the currency (cents).
        currency: ISO 4217 code.
        minor_digits: decimals of the currency (2 for cents).
    """

    points: int = 1
    per_minor: int = 1
    currency: str = "USD"
    minor_digits: int = 2

    def points_for(self, amount_minor: int) -> int:
        """Points that a purchase of `amount_minor` earns, rounded down."""
        return amount_minor * self.points // self.per_minor


@dataclass(frozen=True, slots=True)
class NewMerchant:
    """A merchant to onboard. `deposit` and `credit_limit` in units of the settlement asset."""

    name: str
    slug: str
    deposit: int = 0
    earn_rule: EarnRule = field(default_factory=EarnRule)
    credit_limit: int = 0


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant of the network.

    Attributes:
        id: public id, `mer_...`.
        number: its id on chain (uint32).
        api_key: shown once, by the call that made the merchant; None afterwards.
    """

    id: str
    number: int
    slug: str
    name: str
    state: MerchantState
    owner: str
    till_key: str
    earn_rule: EarnRule
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """A member and the address of the custodial wallet behind it."""

    id: str
    external_id: str
    address: str
    joined: bool


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A wish, not yet accepted.

    Attributes:
        member: public id of who earns (issue), spends (redeem) or gives (transfer).
        merchant: public id of the merchant; None for a transfer.
        reference: the merchant's own name of the purchase, unique per merchant over orders that
        have not failed.
        to_member: public id of who receives (transfer).
        unearned: why the purchase behind it makes no points; such a line is refused.
    """

    kind: OrderKind
    member: str
    points: int
    reference: str
    merchant: str | None = None
    to_member: str | None = None
    unearned: str | None = None


@dataclass(frozen=True, slots=True)
class NewReversal(NewOrder):
    """A refund of a redemption, or a return of goods.

    Attributes:
        of: public id of the order that is reversed: a redemption, or an issue.
        shortfall: a return's missing points that the till has been shown and takes from the cash;
            a larger one is refused.
    """

    of: str = ""
    shortfall: int = 0


@dataclass(frozen=True, slots=True)
class NewWithdrawal(NewOrder):
    """Money out of a merchant's position, to its owner; units of the settlement asset."""

    amount: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The order is stored and will be carried out. `points` as stored."""

    id: str
    reference: str
    points: int
    accepted_at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The wish was not stored; `code` is one of `gateway.errors`.

    Attributes:
        order: for `reference_used`: the order that holds the reference.
        values: the numbers behind the refusal, such as `available` and `needed`.
    """

    reference: str
    code: str
    detail: str
    order: str | None = None
    values: dict[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrainResult:
    """What one `drain` moved. `open_orders` is what it had to leave (0 when all came to an end)."""

    sealed: int
    final: int
    failed: int
    open_orders: int
    rounds: int
