"""The whole network in plain Python, written from the design and the domain, not from the Solidity.

Each action is a question and an effect: `why_not_<verb>` returns every reason for which it must be
refused (names of errors; the contracts may answer with any of them), and `<verb>` is what it does
when there is none. Nothing here is packed, cached or clever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

VALIDITY_EPOCHS = 6
BUCKET_MAX = 2**35 - 1
NONCES_AHEAD_MAX = 6
NONCE_WINDOW = 5
BPS = 10_000
NOTICE_SECONDS = 30 * 86_400
TERMS_AHEAD_MAX = 8
RECOVERY_DELAY_SECONDS = 7 * 86_400
ACTIVE, SUSPENDED, LEAVING, CLOSED = 1, 2, 3, 4

Buckets = dict[int, int]


@dataclass
class Account:
    """What one address has: points by the epoch they were earned in, nonces, and membership."""

    buckets: Counter[int] = field(default_factory=Counter)
    used: set[int] = field(default_factory=lambda: {0})
    member: bool = False
    # When the membership began that the pass tells of; a recovery takes it along.
    joined_at: int = 0

    def is_used(self, nonce: int) -> bool:
        return nonce in self.used or nonce < max(self.used) - NONCE_WINDOW

    def why_not_nonce(self, nonce: int) -> set[str]:
        if self.is_used(nonce):
            return {"NonceUsed"}
        return {"NonceTooHigh"} if nonce > max(self.used) + NONCES_AHEAD_MAX else set()


@dataclass
class Merchant:
    """A merchant's money with the network, and what its keys have used up."""

    position: int = 0
    limit: int = 0
    status: int = ACTIVE
    leaving_since: int = 0
    used: set[int] = field(default_factory=set)


@dataclass
class Redemption:
    """Buckets that a redemption took, and how much of it was given back since."""

    member: str
    merchant: int
    taken: Buckets
    refunded: int = 0

    @property
    def points(self) -> int:
        return sum(self.taken.values())

    def longest_lived(self, amount: int) -> Buckets:
        """The next `amount` points behind those given back already, newest epoch first."""
        skip, found = self.refunded, {}
        for epoch in sorted(self.taken, reverse=True):
            here = self.taken[epoch]
            skipped = min(skip, here)
            skip -= skipped
            given = min(amount, here - skipped)
            amount -= given
            if given:
                found[epoch] = given
        return found


@dataclass
class Recovery:
    """The address that a member named for a lost key, and when it may take over; 0: not asked."""

    recovery: str | None = None
    finishable_at: int = 0


@dataclass
class Closing:
    """A closed epoch: what its issuers share, and what was claimed of it."""

    pool: int
    paid: int = 0
    points: int = 0


@dataclass(frozen=True)
class Terms:
    """Units per point, and the issuers' share of unspent points' face value."""

    issue_fee: int
    redeem_fee: int
    share_bps: int


@dataclass
class Model:
    """The network. Times are unix seconds, money is units of the settlement asset."""

    start: int
    epoch_length: int
    face_value: int
    return_cap_bps: int
    terms: list[tuple[int, Terms]]
    now: int
    accounts: dict[str, Account] = field(default_factory=dict)
    merchants: dict[int, Merchant] = field(default_factory=dict)
    issued: Counter[tuple[int, int]] = field(default_factory=Counter)  # by (epoch, merchant)
    returned: Counter[tuple[int, int]] = field(default_factory=Counter)
    live: Counter[int] = field(default_factory=Counter)  # by epoch
    recoveries: dict[str, Recovery] = field(default_factory=dict)
    closings: dict[int, Closing] = field(default_factory=dict)
    claims: set[tuple[int, int]] = field(default_factory=set)
    guarantee: int = 0
    income_withdrawn: int = 0
    cash: int = 0
    gifts: int = 0
    paused: bool = False

    # ---- time and prices

    def epoch(self) -> int:
        return (self.now - self.start) // self.epoch_length + 1

    def epoch_start(self, epoch: int) -> int:
        return self.start + (epoch - 1) * self.epoch_length

    def expired(self, epoch: int) -> bool:
        return self.epoch() >= epoch + VALIDITY_EPOCHS

    def terms_in(self, epoch: int) -> Terms:
        return next(terms for since, terms in reversed(self.terms) if since <= epoch)

    def issue_price(self, epoch: int) -> int:
        return self.face_value + self.terms_in(epoch).issue_fee

    def redeem_value(self, buckets: Buckets) -> int:
        return sum(
            points * (self.face_value - self.terms_in(epoch).redeem_fee)
            for epoch, points in buckets.items()
        )

    # ---- points

    def account(self, address: str) -> Account:
        return self.accounts.setdefault(address, Account())

    def recovery_of(self, address: str) -> Recovery:
        return self.recoveries.get(address, Recovery())

    def live_buckets(self, address: str) -> Buckets:
        found = self.account(address).buckets
        return {e: p for e, p in found.items() if p and not self.expired(e)}

    def balance(self, address: str) -> int:
        return sum(self.live_buckets(address).values())

    def soonest_to_expire(self, address: str, points: int) -> Buckets:
        taken: Buckets = {}
        for epoch, available in sorted(self.live_buckets(address).items()):
            if points:
                taken[epoch] = min(points, available)
                points -= taken[epoch]
        return taken

    def why_not_hold(self, address: str, buckets: Buckets) -> set[str]:
        """Whether the policy and the width of a bucket let the address have these points more."""
        reasons = set() if self.account(address).member else {"NotMember"}
        held = self.live_buckets(address)
        if any(held.get(epoch, 0) + points > BUCKET_MAX for epoch, points in buckets.items()):
            reasons.add("BucketFull")
        return reasons

    def why_not_spend(self, address: str, points: int) -> set[str]:
        reasons = {"ZeroPoints"} if points == 0 else set()
        if points > self.balance(address):
            reasons.add("ERC20InsufficientBalance")
        return reasons

    def move(self, source: str | None, target: str | None, buckets: Buckets) -> None:
        if source is not None:
            self.account(source).buckets.subtract(buckets)
        if target is not None:
            self.account(target).buckets.update(buckets)

    # ---- positions

    def why_not_debit(self, merchant: int, amount: int, limit: int | None = None) -> set[str]:
        has = self.merchants[merchant]
        floor = -(has.limit if limit is None else limit)
        return {"CreditLimitExceeded"} if has.position - amount < floor else set()

    def why_not_merchant(self, merchant: int, nonce: int, statuses: Iterable[int]) -> set[str]:
        has = self.merchants[merchant]
        reasons = set() if has.status in statuses else {"MerchantNotActive"}
        return reasons | ({"MerchantNonceUsed"} if nonce in has.used else set())

    # ---- what follows from the rest

    def issued_net(self, epoch: int) -> int:
        return sum(
            count - self.returned[key] for key, count in self.issued.items() if key[0] == epoch
        )

    def live_supply(self) -> int:
        return sum(points for epoch, points in self.live.items() if not self.expired(epoch))

    def fees(self, epoch: int) -> int:
        terms, net = self.terms_in(epoch), self.issued_net(epoch)
        return net * terms.issue_fee + (net - self.live[epoch]) * terms.redeem_fee

    def income(self) -> tuple[int, int]:
        """Earned and not withdrawn, and what of it may be withdrawn now."""
        earned = withdrawable = -self.income_withdrawn
        for epoch in range(1, self.epoch() + 1):
            earned += self.fees(epoch)
            if epoch in self.closings:
                operators = self.live[epoch] * self.face_value - self.closings[epoch].pool
                earned += operators
                withdrawable += self.fees(epoch) + operators
            elif epoch + 2 <= self.epoch():
                withdrawable += self.issued_net(epoch) * self.terms_in(epoch).issue_fee
        return earned, withdrawable

    def breakage(self) -> int:
        """Expired and not closed, or closed and unclaimed."""
        unclosed = sum(
            points * self.face_value
            for epoch, points in self.live.items()
            if self.expired(epoch) and epoch not in self.closings
        )
        return unclosed + sum(closing.pool - closing.paid for closing in self.closings.values())
