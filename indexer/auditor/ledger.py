"""What the replay knows after a block: the whole network, rebuilt from proven logs and calldata.

Bounded by members, merchants and epochs, not by events: of the past it keeps nonces as bitmaps, the
roots of redemptions, and what of each redemption was refunded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ACTIVE, SUSPENDED, LEAVING, CLOSED = 1, 2, 3, 4
"""`ICoalition.Status`."""
BPS: Final = 10_000
NOTICE_S: Final = 30 * 86_400
"""Terms are fixed this long before their epoch begins; a successor waits this long."""


@dataclass(slots=True)
class Merchant:
    """`position` and `limit` in units of the settlement asset; `nonces`: used ones, 256 a word."""

    owner: bytes
    profile: bytes
    status: int = ACTIVE
    position: int = 0
    limit: int = 0
    leaving_since: int = 0
    nonces: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Supply:
    """Points of one epoch, by what happened to them."""

    issued: int = 0
    returned: int = 0
    redeemed: int = 0
    refunded: int = 0

    @property
    def issued_net(self) -> int:
        """Issued less returned."""
        return self.issued - self.returned

    @property
    def live(self) -> int:
        """Neither redeemed nor returned; of an expired epoch: what expired unspent."""
        return self.issued - self.returned - self.redeemed + self.refunded


@dataclass(slots=True)
class Issues:
    """What one merchant issued in one epoch."""

    issued: int = 0
    returned: int = 0
    claimed: bool = False


@dataclass(slots=True)
class Closing:
    """A closed epoch: the issuers' pool and what was claimed of it."""

    pool: int
    paid: int = 0
    claimed_points: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """Units of the settlement asset per point, from an epoch on."""

    from_epoch: int
    issue_fee: int
    redeem_fee: int
    share_bps: int


@dataclass(slots=True)
class Flow:
    """One merchant in one calendar month (UTC): points, and units of the settlement asset."""

    issued: int = 0
    redeemed: int = 0
    refunded: int = 0
    returned: int = 0
    charged: int = 0
    paid: int = 0
    taken_back: int = 0
    credited: int = 0
    deposited: int = 0
    withdrawn: int = 0
    breakage: int = 0


@dataclass(slots=True)
class Counts:
    """What was checked so far."""

    blocks: int = 0
    transactions: int = 0
    logs: int = 0
    events: int = 0
    orders: int = 0
    signatures: int = 0
    nonces: int = 0
    rejections: int = 0
    contract_signatures: int = 0
    orders_by_contract: int = 0
    orders_unseen: int = 0
    allowance_moves: int = 0
    bodies_unproven: int = 0


@dataclass(slots=True)
class Attestation:
    """What an attestor said the bank held on a day (yyyymmdd)."""

    date: int
    amount: int
    document: bytes
    attestor: bytes
    block: int


@dataclass(slots=True)
class Touched:
    """What orders and calls named that came to nothing: contracts read slots for them. `nonces`:
    (merchant, nonce >> 8); `words`: roots and leaves of redemptions.
    """

    accounts: set[bytes] = field(default_factory=set)
    nonces: set[tuple[int, int]] = field(default_factory=set)
    words: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Ledger:
    """The state after `block`. Money in units of the settlement asset."""

    block: int
    block_hash: bytes
    timestamp: int
    coalition: bytes
    predecessors: list[bytes] = field(default_factory=list)
    proposed: tuple[bytes, int] | None = None
    inherited_through: int = 0
    """The epoch in which the Coalition took over; 0 for the first one."""
    authorities: dict[bytes, bytes] = field(default_factory=dict)
    """Whom each contract asks about roles, as its logs said; the contract's address is the key."""

    accounts: dict[bytes, int] = field(default_factory=dict)
    nonces_unknown: set[bytes] = field(default_factory=set)
    held: dict[int, int] = field(default_factory=dict)
    """Points in accounts by epoch of earning, kept beside `supply` and from other logs."""
    supply: dict[int, Supply] = field(default_factory=dict)
    members: int = 0
    passes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """(tier, joined at) by token id."""
    passes_gone: set[int] = field(default_factory=set)
    """Token ids that were burnt; a member may have joined again."""
    recovered_to: dict[bytes, bytes] = field(default_factory=dict)
    """Where a member's pass went; 20 zero bytes once the member joined again."""
    approvals: dict[tuple[bytes, bytes, bytes], int] = field(default_factory=dict)
    """The last approval by (token contract, owner, spender). Spending leaves no log, so what is
    left of it is not replayed; it is never more.
    """

    merchants: dict[int, Merchant] = field(default_factory=dict)
    tills: dict[bytes, tuple[int, bool]] = field(default_factory=dict)
    issues: dict[tuple[int, int], Issues] = field(default_factory=dict)
    terms: list[Terms] = field(default_factory=list)
    closings: dict[int, Closing] = field(default_factory=dict)
    roots: set[bytes] = field(default_factory=set)
    refunded: dict[bytes, int] = field(default_factory=dict)
    recoveries: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    paused: bool = False

    guarantee: int = 0
    earned_closed: int = 0
    income_withdrawn: int = 0
    breakage_unclaimed: int = 0
    surplus: int = 0
    """Gifts: what arrived without being a deposit."""
    asset_supply: int = 0
    asset_balances: dict[bytes, int] = field(default_factory=dict)
    bank_mints: dict[bytes, tuple[bytes, int, bytes, bool]] = field(default_factory=dict)
    """(to, amount, proposer, confirmed) by bank reference."""
    bank_days: dict[int, int] = field(default_factory=dict)
    """Receipts minted by day since 1970 (UTC)."""
    bank_payouts: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """(holder, amount) of what waits to be paid out; of what no longer does, zeros."""
    bank_settled: set[bytes] = field(default_factory=set)
    attestation: Attestation | None = None

    role_members: dict[tuple[int, bytes], tuple[int, int]] = field(default_factory=dict)
    """(member since, delay in seconds) by role and account; -1: a delay that was changed."""
    function_roles: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    """The role that a contract's function asks for, the selector as a word."""
    role_keepers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """(admin, guardian) of roles that were given others than the usual ones."""
    closed_targets: dict[bytes, bool] = field(default_factory=dict)
    scheduled: set[bytes] = field(default_factory=set)

    flows: dict[tuple[int, str], Flow] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    touched: Touched = field(default_factory=Touched)

    def terms_in(self, epoch: int) -> Terms:
        """The terms of an epoch: the last change from it or before."""
        for change in reversed(self.terms):
            if epoch >= change.from_epoch:
                return change
        return Terms(0, 0, 0, 0)

    def supply_of(self, epoch: int) -> Supply:
        """The supply of an epoch, begun when it is first asked for."""
        found = self.supply.get(epoch)
        if found is None:
            found = self.supply[epoch] = Supply()
        return found

    def issues_of(self, epoch: int, merchant: int) -> Issues:
        """What a merchant issued in an epoch, begun when it is first asked for."""
        return self.issues.setdefault((epoch, merchant), Issues())

    @property
    def assets(self) -> int:
        """What the Coalition holds of the settlement asset, by the asset's Transfer logs."""
        return self.asset_balances.get(self.coalition, 0)

    @property
    def limits(self) -> int:
        """Sum of all credit limits."""
        return sum(m.limit for m in self.merchants.values())

    def income(self, epoch_now: int) -> tuple[int, int]:
        """(earned, withdrawable) by the operator, less what was withdrawn.

        Fees of open epochs follow from issues and live points; an issue fee may be taken out when
        the return window has passed, a redeem fee when the epoch is closed.
        """
        earned = withdrawable = self.earned_closed
        for epoch, supply in self.supply.items():
            if epoch in self.closings or epoch > epoch_now:
                continue
            terms = self.terms_in(epoch)
            net, live = supply.issued_net, supply.live
            earned += net * terms.issue_fee + (net - live) * terms.redeem_fee
            if epoch + 2 <= epoch_now:
                withdrawable += net * terms.issue_fee
        return earned - self.income_withdrawn, withdrawable - self.income_withdrawn
