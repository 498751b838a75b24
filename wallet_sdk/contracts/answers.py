"""What reads answer, where it is more than one value."""

from __future__ import annotations

from dataclasses import dataclass

from wallet_sdk.types import Address, Digest, Money, Points, Seconds, Status


@dataclass(frozen=True, slots=True)
class MerchantState:
    """A merchant on chain. `position` may lie under zero, down to minus `credit_limit`."""

    owner: Address
    status: Status
    position: Money
    credit_limit: Money
    profile_hash: Digest


@dataclass(frozen=True, slots=True)
class Terms:
    """Fees in units a point; the issuers' share in hundredths of a percent of unspent face
    value.
    """

    issue_fee: Money
    redeem_fee: Money
    issuers_share_bps: int


@dataclass(frozen=True, slots=True)
class EpochSupply:
    """Points of one epoch: issued less returned, and of these neither redeemed nor returned."""

    issued_net: Points
    live: Points


@dataclass(frozen=True, slots=True)
class IssuedBy:
    """What one merchant issued in one epoch, and what came back to it."""

    issued: Points
    returned: Points


@dataclass(frozen=True, slots=True)
class Income:
    """The operator's income so far less what was withdrawn, and what may be withdrawn now."""

    earned: Money
    withdrawable: Money


@dataclass(frozen=True, slots=True)
class Pass:
    """A membership pass; tier 0 when none was given."""

    member: Address
    tier: int
    joined_at: Seconds


@dataclass(frozen=True, slots=True)
class Successor:
    """A proposed Coalition; the zero address when none is."""

    proposed: Address
    acceptable_at: Seconds


@dataclass(frozen=True, slots=True)
class Recovery:
    """Who may recover a member's account; `finishable_at` 0: no recovery runs."""

    recovery: Address
    finishable_at: Seconds


@dataclass(frozen=True, slots=True)
class Closing:
    """A closed epoch: the issuers' pool, what of it was paid, and the points that claimed."""

    pool: Money
    paid: Money
    claimed_points: Points
    closed: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """What Coalition writes down of the money; all else follows from points and terms.

    `earned_closed`: fees and breakage of closed epochs, ever. Every epoch before `first_open_epoch`
    is closed.
    """

    guarantee: Money
    sum_of_limits: Money
    earned_closed: Money
    income_withdrawn: Money
    breakage_unclaimed: Money
    first_open_epoch: int


@dataclass(frozen=True, slots=True)
class Head:
    """A block: what an answer was true at."""

    number: int
    hash: Digest
    parent_hash: Digest
    timestamp: Seconds
