"""The worked example of the money: three merchants, two periods, every figure to the last unit.

The fixture: epoch 1 issues 60,000/30,000/20,000, of which 12,000/6,000/4,000 go to Rip, who never
spends; epoch 2 issues 40,000/30,000/20,000 and has all redemptions of period 1; period 2's trade is
in epoch 3; epoch 1 is closed in epoch 7, while epoch 2 is still live. Credit limit 0: merchants
deposit first and withdraw after, so what a merchant nets is deposits - withdrawals.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from banyan_kit.wire import Key
from network_desk import TREASURY, Desk, Redemption

A, B, C = 1, 2, 3
NAMES = {A: "baker", B: "florist", C: "grocer"}
ADA, RIP = Key.from_seed("ada"), Key.from_seed("rip")
DEPOSIT = 20_000_000


@dataclass
class Story:
    """The network with the books that an accountant would keep beside it."""

    desk: Desk
    deposits: Counter[int] = field(default_factory=Counter)
    withdrawals: Counter[int] = field(default_factory=Counter)
    # Units by (line of the table, merchant); what the merchant owes is positive.
    lines: Counter[tuple[str, int]] = field(default_factory=Counter)
    points: Counter[tuple[str, int]] = field(default_factory=Counter)
    redemptions: dict[int, Redemption] = field(default_factory=dict)
    member_nonces: Counter[str] = field(default_factory=Counter)

    def member_nonce(self, member: Key) -> int:
        self.member_nonces[member.address] += 1
        return self.member_nonces[member.address]

    def join(self, member: Key) -> None:
        order = self.desk.make(
            "Join", member, member=member.address, nonce=self.member_nonce(member)
        )
        self.desk.execute(order)

    def deposit(self, merchant: int, amount: int) -> None:
        self.desk.anyone("deposit", merchant, amount)
        self.deposits[merchant] += amount

    def withdraw_all(self, merchant: int) -> None:
        amount = self.desk.position(merchant)
        owner = self.desk.merchants[merchant].owner
        self.desk.execute(
            self.desk.make(
                "Withdraw",
                owner,
                merchant=merchant,
                to=owner.address,
                amount=amount,
                nonce=self.desk.nonce(merchant),
            )
        )
        self.withdrawals[merchant] += amount

    def issue(self, merchant: int, entries: list[tuple[Key, int]]) -> None:
        """By `relay`, the door of the daily trade."""
        logs = self.desk.relay(
            self.desk.make(
                "IssueBatch",
                self.desk.merchants[merchant].tills[0],
                merchant=merchant,
                nonce=self.desk.nonce(merchant),
                entries=[(member.address, points) for member, points in entries],
            )
        )
        issued = one(logs, "Issued")
        self.points["issued", merchant] += issued["points"]
        self.lines["issues", merchant] += issued["charged"]

    def redeem(self, merchant: int, points: int) -> None:
        """Ada redeems at the merchant; kept, so that it can be refunded."""
        order: dict[str, Any] = {
            "member": ADA.address,
            "merchant": merchant,
            "points": points,
            "nonce": self.member_nonce(ADA),
            "deadline": self.desk.epoch_end(),
            "ref": b"\x11" * 32,
        }
        logs = self.desk.relay(self.desk.make("Redeem", ADA, **order))
        log = next(log for log in logs if log.name == "Redeemed")
        self.points["redeemed", merchant] += log.values["points"]
        self.lines["redemptions", merchant] -= log.values["paid"]
        self.redemptions[merchant] = self.desk.redemption(log, order, [])

    def refund(self, merchant: int, points: int) -> None:
        order = self.desk.make(
            "Refund",
            self.desk.merchants[merchant].tills[0],
            merchant=merchant,
            points=points,
            nonce=self.desk.nonce(merchant),
            redemption=self.redemptions[merchant].fields,
        )
        refunded = one(self.desk.execute(order), "Refunded")
        self.points["cancelled", merchant] += refunded["points"]
        self.lines["cancelled", merchant] += refunded["charged"]

    def goods_returned(self, merchant: int, points: int, epoch: int) -> None:
        order = self.desk.make(
            "Return",
            self.desk.merchants[merchant].tills[0],
            member_key=ADA,
            member=ADA.address,
            merchant=merchant,
            points=points,
            epoch=epoch,
            nonce=self.desk.nonce(merchant),
            ref=b"\x22" * 32,
        )
        returned = one(self.desk.execute(order), "Returned")
        self.points["returned", merchant] += returned["points"]
        self.lines["returns", merchant] -= returned["credited"]

    def claim(self, merchant: int, epoch: int) -> None:
        claimed = one(self.desk.anyone("claimBreakage", epoch, merchant), "BreakageClaimed")
        self.lines["breakage", merchant] -= claimed["amount"]

    # ---- what the tables say

    def row(self, line: str) -> list[int]:
        """A, B, C and the total of a line of money."""
        parts = [self.lines[line, merchant] for merchant in (A, B, C)]
        return [*parts, sum(parts)]

    def row_of_points(self, line: str) -> list[int]:
        parts = [self.points[line, merchant] for merchant in (A, B, C)]
        return [*parts, sum(parts)]

    def net(self) -> list[int]:
        """Deposits - withdrawals, once everything that is a merchant's has been withdrawn."""
        parts = [self.deposits[m] - self.withdrawals[m] for m in (A, B, C)]
        return [*parts, sum(parts)]

    def begin_period(self) -> None:
        """Empties the books; the network goes on."""
        for book in (self.deposits, self.withdrawals, self.lines, self.points):
            book.clear()

    def outstanding(self) -> int:
        return int(self.desk.network.points.ask("totalSupply"))

    def income(self) -> int:
        return int(self.desk.network.coalition.ask("income")[0])

    def of(self, function: str) -> int:
        return int(self.desk.network.coalition.ask(function))


def one(logs: list[Any], name: str) -> dict[str, Any]:
    """Values of the one log of that name."""
    (found,) = [log.values for log in logs if log.name == name]
    return found


def period_one(story: Story) -> None:
    for merchant, rips, epoch_1 in ((A, 12_000, 60_000), (B, 6_000, 30_000), (C, 4_000, 20_000)):
        story.issue(merchant, [(RIP, rips), (ADA, epoch_1 - rips)])
    story.desk.go_to_epoch(2)
    for merchant, points in ((A, 40_000), (B, 30_000), (C, 20_000)):
        story.issue(merchant, [(ADA, points)])
    for merchant, points in ((A, 20_000), (B, 30_000), (C, 40_000)):
        story.redeem(merchant, points)


def period_two(story: Story) -> None:
    story.desk.go_to_epoch(3)
    for merchant, points in ((A, 80_000), (B, 50_000), (C, 30_000)):
        story.issue(merchant, [(ADA, points)])
    story.goods_returned(A, 5_000, epoch=3)
    for merchant, points in ((A, 30_000), (B, 40_000), (C, 60_000)):
        story.redeem(merchant, points)
    story.refund(C, 2_000)
    story.desk.go_to_epoch(7)
    story.desk.anyone("closeEpoch", 1)
    for merchant in (C, A, B):
        story.claim(merchant, 1)


@pytest.fixture
def story() -> Story:
    told = Story(Desk.open())
    for merchant, name in NAMES.items():
        told.desk.register(merchant, name)
        told.deposit(merchant, DEPOSIT)
    for member in (ADA, RIP):
        told.join(member)
    return told


def test_worked_example__period_one__every_figure(story: Story) -> None:
    period_one(story)
    for merchant in (A, B, C):
        story.withdraw_all(merchant)

    assert story.row_of_points("issued") == [100_000, 60_000, 40_000, 200_000]
    assert story.row_of_points("redeemed") == [20_000, 30_000, 40_000, 90_000]
    assert story.row("issues") == [11_000_000, 6_600_000, 4_400_000, 22_000_000]
    assert story.row("redemptions") == [-1_960_000, -2_940_000, -3_920_000, -8_820_000]
    assert story.net() == [9_040_000, 3_660_000, 480_000, 13_180_000]
    assert story.outstanding() == 110_000
    assert story.of("reserve") == 11_000_000
    assert story.income() == 2_000_000 + 180_000
    assert story.desk.cash() == 13_180_000


def test_worked_example__period_two__every_figure(story: Story) -> None:
    period_one(story)
    for merchant in (A, B, C):
        story.withdraw_all(merchant)
    cash_before = story.desk.cash()
    story.begin_period()
    for merchant in (A, B, C):
        story.deposit(merchant, DEPOSIT)
    period_two(story)
    unspent = buckets_expired(story)
    for merchant in (A, B, C):
        story.withdraw_all(merchant)

    assert story.row_of_points("issued") == [80_000, 50_000, 30_000, 160_000]
    assert story.row_of_points("returned") == [5_000, 0, 0, 5_000]
    assert story.row_of_points("redeemed") == [30_000, 40_000, 60_000, 130_000]
    assert story.row_of_points("cancelled") == [0, 0, 2_000, 2_000]
    assert unspent == 22_000
    assert story.row("issues") == [8_800_000, 5_500_000, 3_300_000, 17_600_000]
    assert story.row("returns") == [-550_000, 0, 0, -550_000]
    assert story.row("redemptions") == [-2_940_000, -3_920_000, -5_880_000, -12_740_000]
    assert story.row("cancelled") == [0, 0, 196_000, 196_000]
    assert story.row("breakage") == [-600_000, -300_000, -200_000, -1_100_000]
    assert story.net() == [4_710_000, 1_280_000, -2_584_000, 3_406_000]
    assert story.outstanding() == 115_000
    assert story.of("reserve") == 11_500_000
    assert story.income() == 3_550_000 + 436_000 + 1_100_000
    assert story.desk.cash() == cash_before + 3_406_000 == 16_586_000 == 11_500_000 + 5_086_000
    assert_trial_balance_is_zero(story)


def test_worked_example__what_expired__was_each_issuers_own_part(story: Story) -> None:
    """Rip's 12,000/6,000/4,000 are what expired, and the pool is shared by what each issued."""
    period_one(story)
    before = story.desk.network.points.ask("balanceOf", RIP.address)
    story.desk.go_to_epoch(6)
    in_its_last_epoch = story.desk.network.points.ask("balanceOf", RIP.address)
    story.desk.go_to_epoch(7)

    assert (before, in_its_last_epoch) == (22_000, 22_000)
    assert story.desk.network.points.ask("balanceOf", RIP.address) == 0


def test_worked_example__the_operator__withdraws_what_is_left_beside_the_reserve(
    story: Story,
) -> None:
    """After the end of every epoch the operator's income is all that remains in the Coalition."""
    period_one(story)
    story.begin_period()
    period_two(story)
    for merchant in (A, B, C):
        story.withdraw_all(merchant)
    story.desk.go_to_epoch(9)
    for epoch in (2, 3):
        story.desk.anyone("closeEpoch", epoch)
        for merchant in (A, B, C):
            story.claim(merchant, epoch)
    for merchant in (A, B, C):
        story.withdraw_all(merchant)
    earned, withdrawable = story.desk.network.coalition.ask("income")
    assert earned == withdrawable == story.desk.cash()
    story.desk.operate("withdrawIncome", TREASURY, withdrawable)
    assert (story.outstanding(), story.of("breakage"), story.desk.cash()) == (0, 0, 0)


def buckets_expired(story: Story) -> int:
    """Points of epoch 1 that nobody spent, as the contract counts them."""
    _, unspent = story.desk.network.points.ask("supplyOfEpoch", 1)
    return int(unspent)


def assert_trial_balance_is_zero(story: Story) -> None:
    """Debits are positive: cash against positions, reserve, breakage and the operator's income."""
    positions = sum(story.desk.position(merchant) for merchant in (A, B, C))
    credits = positions + story.of("reserve") + story.of("breakage") + story.income()
    assert story.desk.cash() - credits == 0
