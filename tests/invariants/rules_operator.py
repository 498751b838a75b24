"""Rules of the state machine: time, clearing that is open to anyone, and the operator."""

from __future__ import annotations

from banyan_kit.revm import DAY
from hypothesis import strategies as st
from hypothesis.stateful import rule
from network_desk import TREASURY
from network_laws import balances
from network_model import ACTIVE, LEAVING, Terms
from rules_base import SHOP, SIZE, NetworkBase

# Epochs from now on: too late, in time, the last that may be set, and beyond it.
AHEAD = st.sampled_from((0, 1, 2, 3, 4, 9, 10, 11))


class OpenRules(NetworkBase):
    """What needs no signature: anyone's calls, and the operator's."""

    @rule(age=st.integers(5, 9), first=st.integers(0, 3))
    def close_epoch(self, age: int, first: int) -> None:
        """And the issuers take their shares, in any order, those of `first` later or never."""
        epoch = max(0, self.model.epoch() - age)
        self.world.call(
            "close epoch",
            self.model.why_not_close(epoch),
            lambda: self.model.close(epoch),
            lambda: self.desk.anyone("closeEpoch", epoch),
        )
        for turn in range(first):
            self.claim(age, 1 + (first + turn) % 3)
        self.step()

    @rule(age=st.integers(5, 12), shop=SHOP)
    def claim(self, age: int, shop: int) -> None:
        epoch = max(1, self.model.epoch() - age)
        self.world.call(
            "claim",
            self.model.why_not_claim(epoch, shop),
            lambda: self.model.claim(epoch, shop),
            lambda: self.desk.anyone("claimBreakage", epoch, shop),
        )
        self.step(shop=shop)

    @rule()
    def relay_basket(self) -> None:
        self.empty_basket()
        self.step()

    @rule(days=st.sampled_from((0, 1, 29, 60, 90, 90, 180)), edge=st.integers(0, 3))
    def time(self, days: int, edge: int) -> None:
        """Some days; or the last second of this epoch, or the first of the next."""
        model = self.model
        next_start = model.epoch_start(model.epoch() + 1)
        jump = {1: next_start - 1 - model.now, 2: next_start - model.now}.get(edge, days * DAY)
        self.world.pass_time(jump)
        self.step()

    @rule(size=SIZE)
    def gift(self, size: int) -> None:
        self.world.gift(1 + size)
        self.step()

    # ---- the operator

    @rule(size=SIZE)
    def guarantee(self, size: int) -> None:
        amount = 1 + size * 997
        self.world.call(
            "deposit guarantee",
            set(),
            lambda: self.model.deposit_guarantee(amount),
            lambda: self.desk.anyone("depositGuarantee", amount),
        )
        self.step()

    @rule(size=SIZE)
    def withdraw_guarantee(self, size: int) -> None:
        free = self.model.guarantee - self.model.sum_of_limits()
        amount = self.part_of(size, free)

        def effect() -> None:
            self.model.guarantee -= amount
            self.model.cash -= amount

        self.world.call(
            "withdraw guarantee",
            self.model.why_not_withdraw_guarantee(amount),
            effect,
            lambda: self.desk.operate("withdrawGuarantee", TREASURY, amount),
        )
        self.step()

    @rule(size=SIZE)
    def withdraw_income(self, size: int) -> None:
        amount = self.part_of(size, self.model.income()[1])

        def effect() -> None:
            self.model.income_withdrawn += amount
            self.model.cash -= amount

        self.world.call(
            "withdraw income",
            self.model.why_not_withdraw_income(amount),
            effect,
            lambda: self.desk.operate("withdrawIncome", TREASURY, amount),
        )
        self.step()

    @rule(shop=SHOP, size=SIZE)
    def limit(self, shop: int, size: int) -> None:
        room = self.model.guarantee - self.model.sum_of_limits() + self.model.merchants[shop].limit
        limit = self.part_of(size, room)

        def effect() -> None:
            self.model.merchants[shop].limit = limit

        self.world.call(
            "limit",
            self.model.why_not_limit(shop, limit),
            effect,
            lambda: self.desk.operate("setCreditLimit", shop, limit),
        )
        self.step(shop=shop)

    @rule(
        ahead=st.sampled_from((0, 1, 2, 3, 4, 9, 10, 11)),
        issue=st.integers(0, 40),
        redeem=st.integers(0, 40),
        share=SIZE,
    )
    def terms(self, ahead: int, issue: int, redeem: int, share: int) -> None:
        since = self.model.epoch() + ahead
        found = Terms(issue, 101 if redeem == 40 else redeem, share * 5 // 2)
        self.world.call(
            "terms",
            self.model.why_not_terms(since, found),
            lambda: self.model.terms.append((since, found)),
            lambda: self.desk.operate(
                "setTerms", since, (found.issue_fee, found.redeem_fee, found.share_bps)
            ),
        )
        self.step()

    @rule(shop=SHOP, status=st.sampled_from((1, 1, 1, 1, 1, 1, 2, 3, 4)))
    def status(self, shop: int, status: int) -> None:
        """Law 10: what a merchant becomes changes nobody's points."""
        before = balances(self.world)
        self.world.call(
            f"status {status}",
            self.model.why_not_status(shop, status),
            lambda: self.model.set_status(shop, status),
            lambda: self.desk.operate("setMerchantStatus", shop, status),
        )
        assert balances(self.world) == before
        self.step(shop=shop)

    @rule(shop=SHOP)
    def close_merchant(self, shop: int) -> None:
        """A shop leaves, six epochs go by, it is closed; the others go on honouring its points."""
        open_shops = [m for m in self.model.merchants.values() if m.status in (ACTIVE, LEAVING)]
        if len(open_shops) < 3 or self.steps < 100:
            return
        self.status(shop, LEAVING)
        self.world.pass_time(6 * self.model.epoch_length)
        self.status(shop, 4)

    @rule(paused=st.sampled_from((False, False, False, True)))
    def pause(self, paused: bool) -> None:
        def effect() -> None:
            self.model.paused = paused

        self.world.call("pause", set(), effect, lambda: self.desk.operate("pauseIssuing", paused))
        self.step()
