"""What each verb needs and does in the plain-Python network: orders first, then open calls."""

from __future__ import annotations

import itertools

from network_model import (
    ACTIVE,
    BPS,
    CLOSED,
    LEAVING,
    NOTICE_SECONDS,
    RECOVERY_DELAY_SECONDS,
    SUSPENDED,
    TERMS_AHEAD_MAX,
    VALIDITY_EPOCHS,
    Buckets,
    Closing,
    Model,
    Recovery,
    Redemption,
    Terms,
)

TRADING = (ACTIVE, SUSPENDED)
NOT_CLOSED = (ACTIVE, SUSPENDED, LEAVING)
ANY_STATUS = (ACTIVE, SUSPENDED, LEAVING, CLOSED)


class Actions(Model):
    """The verbs of the network."""

    # ---- a member's orders

    def why_not_join(self, member: str, nonce: int) -> set[str]:
        account = self.account(member)
        return account.why_not_nonce(nonce) | ({"AlreadyMember"} if account.member else set())

    def join(self, member: str, nonce: int) -> None:
        self.account(member).used.add(nonce)
        self.account(member).member = True
        self.account(member).joined_at = self.now

    def why_not_leave(self, member: str, nonce: int) -> set[str]:
        account = self.account(member)
        return account.why_not_nonce(nonce) | (set() if account.member else {"NotMember"})

    def leave(self, member: str, nonce: int) -> None:
        self.account(member).used.add(nonce)
        self.account(member).member = False

    def why_not_redeem(self, member: str, merchant: int, points: int, nonce: int) -> set[str]:
        return (
            self.account(member).why_not_nonce(nonce)
            | self.why_not_spend(member, points)
            | (set() if self.merchants[merchant].status in TRADING else {"MerchantNotActive"})
        )

    def redeem(self, member: str, merchant: int, points: int, nonce: int) -> Redemption:
        self.account(member).used.add(nonce)
        taken = self.soonest_to_expire(member, points)
        self.move(member, None, taken)
        self.live.subtract(taken)
        self.merchants[merchant].position += self.redeem_value(taken)
        return Redemption(member, merchant, taken)

    def why_not_transfer(self, source: str, target: str, points: int, nonce: int) -> set[str]:
        return self.account(source).why_not_nonce(nonce) | self.why_not_give(
            source, target, points, zero_is_refused=True
        )

    def transfer(self, source: str, target: str, points: int, nonce: int) -> None:
        self.account(source).used.add(nonce)
        self.give(source, target, points)

    def why_not_give(
        self, source: str, target: str, points: int, *, zero_is_refused: bool = False
    ) -> set[str]:
        """A plain ERC-20 transfer, which may be of nothing."""
        reasons = self.why_not_spend(source, points)
        if not zero_is_refused:
            reasons -= {"ZeroPoints"}
        if source != target and "ERC20InsufficientBalance" not in reasons:
            reasons |= self.why_not_hold(target, self.soonest_to_expire(source, points))
        return reasons

    def give(self, source: str, target: str, points: int) -> None:
        self.move(source, target, self.soonest_to_expire(source, points))

    def why_not_give_at_epoch(self, source: str, target: str, points: int, epoch: int) -> set[str]:
        if self.expired(epoch):
            return {"ERC7818TransferredExpiredToken"}
        if points > self.live_buckets(source).get(epoch, 0):
            return {"BucketTooLow"}
        return set() if source == target else self.why_not_hold(target, {epoch: points})

    def give_at_epoch(self, source: str, target: str, points: int, epoch: int) -> None:
        self.move(source, target, {epoch: points})

    def why_not_cancel_own(self, member: str, nonce: int) -> set[str]:
        return self.account(member).why_not_nonce(nonce)

    def cancel_own(self, member: str, nonce: int) -> None:
        self.account(member).used.add(nonce)

    # ---- a lost key

    def why_not_name_recovery(self, member: str, recovery: str, nonce: int) -> set[str]:
        reasons = {"RecoveryUnknown"} if recovery == member else set()
        return reasons | self.account(member).why_not_nonce(nonce)

    def name_recovery(self, member: str, recovery: str, nonce: int) -> None:
        """Ends a recovery that is running."""
        self.account(member).used.add(nonce)
        self.recoveries[member] = Recovery(recovery)

    def why_not_recover(self, member: str, recovery: str, nonce: int) -> set[str]:
        named = self.recovery_of(member).recovery == recovery
        reasons = set() if named else {"RecoveryUnknown"}
        return reasons | self.account(recovery).why_not_nonce(nonce)

    def recover(self, member: str, recovery: str, nonce: int) -> None:
        self.account(recovery).used.add(nonce)
        self.recoveries[member].finishable_at = self.now + RECOVERY_DELAY_SECONDS

    def why_not_finish_recovery(self, member: str) -> set[str]:
        running = self.recovery_of(member)
        if running.recovery is None or running.finishable_at == 0:
            return {"RecoveryUnknown"}
        reasons = {"RecoveryTooEarly"} if self.now < running.finishable_at else set()
        # Whoever is named may hold what is recovered, a member or not.
        return reasons | self.why_not_hold(running.recovery, self.live_buckets(member)) - {
            "NotMember"
        }

    def finish_recovery(self, member: str) -> None:
        """All live points go, and a membership, with its date where the other has none."""
        target = self.recoveries.pop(member).recovery
        assert target is not None
        self.move(member, target, self.live_buckets(member))
        left, joined = self.account(member), self.account(target)
        if left.member:
            joined.joined_at = joined.joined_at if joined.member else left.joined_at
            left.member, joined.member = False, True

    # ---- a merchant's orders

    def why_not_issue(self, merchant: int, entries: list[tuple[str, int]], nonce: int) -> set[str]:
        reasons = self.why_not_merchant(merchant, nonce, (ACTIVE,))
        reasons |= {"IssuingIsPaused"} if self.paused else set()
        reasons |= set() if entries else {"ZeroAmount"}
        gets: dict[str, int] = {}
        for member, points in entries:
            gets[member] = gets.get(member, 0) + points
            reasons |= {"ZeroPoints"} if points == 0 else set()
        for member, points in gets.items():
            reasons |= self.why_not_hold(member, {self.epoch(): points})
        total = sum(gets.values())
        return reasons | self.why_not_debit(merchant, total * self.issue_price(self.epoch()))

    def issue(self, merchant: int, entries: list[tuple[str, int]], nonce: int) -> None:
        epoch = self.epoch()
        self.merchants[merchant].used.add(nonce)
        for member, points in entries:
            self.move(None, member, {epoch: points})
            self.live[epoch] += points
            self.issued[epoch, merchant] += points
            self.merchants[merchant].position -= points * self.issue_price(epoch)

    def why_not_refund(self, redemption: Redemption, points: int, nonce: int) -> set[str]:
        merchant = redemption.merchant
        reasons = self.why_not_merchant(merchant, nonce, NOT_CLOSED)
        if points == 0:
            return reasons | {"ZeroAmount"}
        if redemption.refunded + points > redemption.points:
            return reasons | {"RefundExceedsRedemption"}
        buckets = redemption.longest_lived(points)
        if any(self.expired(epoch) for epoch in buckets):
            reasons.add("EpochExpired")
        # A refund goes to whom it was taken from, a member still or not.
        reasons |= self.why_not_hold(redemption.member, buckets) - {"NotMember"}
        return reasons | self.why_not_debit(merchant, self.redeem_value(buckets))

    def refund(self, redemption: Redemption, points: int, nonce: int) -> None:
        buckets = redemption.longest_lived(points)
        redemption.refunded += points
        merchant = self.merchants[redemption.merchant]
        merchant.used.add(nonce)
        merchant.position -= self.redeem_value(buckets)
        self.move(None, redemption.member, buckets)
        self.live.update(buckets)

    def why_not_return(
        self, member: str, merchant: int, points: int, epoch: int, nonce: int
    ) -> set[str]:
        reasons = self.why_not_merchant(merchant, nonce, NOT_CLOSED)
        reasons |= {"ZeroPoints"} if points == 0 else set()
        if epoch not in (self.epoch(), self.epoch() - 1):
            return reasons | {"ReturnWindowOver"}
        cap = self.issued[epoch, merchant] * self.return_cap_bps // BPS
        if points > cap - self.returned[epoch, merchant]:
            reasons.add("ReturnExceedsIssued")
        if points > self.live_buckets(member).get(epoch, 0):
            reasons.add("BucketTooLow")
        return reasons

    def goods_return(self, member: str, merchant: int, points: int, epoch: int, nonce: int) -> None:
        buckets: Buckets = {epoch: points}
        self.merchants[merchant].used.add(nonce)
        self.merchants[merchant].position += points * self.issue_price(epoch)
        self.returned[epoch, merchant] += points
        self.move(member, None, buckets)
        self.live.subtract(buckets)

    def why_not_use_nonce(self, merchant: int, nonce: int) -> set[str]:
        """A cancellation, or an owner's change of keys."""
        return self.why_not_merchant(merchant, nonce, ANY_STATUS)

    def use_nonce(self, merchant: int, nonce: int) -> None:
        self.merchants[merchant].used.add(nonce)

    def why_not_withdraw(self, merchant: int, amount: int, nonce: int) -> set[str]:
        """Never on credit, and whatever the merchant's status."""
        reasons = {"ZeroAmount"} if amount == 0 else set()
        return (
            reasons
            | self.why_not_merchant(merchant, nonce, ANY_STATUS)
            | self.why_not_debit(merchant, amount, limit=0)
        )

    def withdraw(self, merchant: int, amount: int, nonce: int) -> None:
        self.merchants[merchant].used.add(nonce)
        self.merchants[merchant].position -= amount
        self.cash -= amount

    # ---- open to anyone

    def deposit(self, merchant: int, amount: int) -> None:
        self.merchants[merchant].position += amount
        self.cash += amount

    def deposit_guarantee(self, amount: int) -> None:
        self.guarantee += amount
        self.cash += amount

    def why_not_close(self, epoch: int) -> set[str]:
        if not 1 <= epoch <= self.epoch() - VALIDITY_EPOCHS:
            return {"EpochNotExpired"}
        return {"EpochAlreadyClosed"} if epoch in self.closings else set()

    def close(self, epoch: int) -> None:
        terms = self.terms_in(epoch)
        share = self.live[epoch] * self.face_value * terms.share_bps // BPS
        cap = (terms.issue_fee + terms.redeem_fee) * self.issued_net(epoch)
        self.closings[epoch] = Closing(min(share, cap))

    def why_not_claim(self, epoch: int, merchant: int) -> set[str]:
        if epoch not in self.closings:
            return {"EpochNotClosed"}
        return {"AlreadyClaimed"} if (epoch, merchant) in self.claims else set()

    def claim(self, epoch: int, merchant: int) -> None:
        """claimed += issued by it; pay = floor(pool x claimed / issued) - paid so far."""
        closing, key = self.closings[epoch], (epoch, merchant)
        self.claims.add(key)
        closing.points += self.issued[key] - self.returned[key]
        net = self.issued_net(epoch)
        due = closing.pool * closing.points // net if net else 0
        self.merchants[merchant].position += due - closing.paid
        closing.paid = due

    # ---- the operator

    def why_not_limit(self, merchant: int, limit: int) -> set[str]:
        has = self.merchants[merchant]
        reasons = {"LimitUnderDrawn"} if has.position < -limit else set()
        if self.sum_of_limits() - has.limit + limit > self.guarantee:
            reasons.add("GuaranteeTooLow")
        return reasons

    def sum_of_limits(self) -> int:
        return sum(merchant.limit for merchant in self.merchants.values())

    def why_not_withdraw_guarantee(self, amount: int) -> set[str]:
        free = self.guarantee - self.sum_of_limits()
        return {"GuaranteeTooLow"} if amount > free else set()

    def why_not_withdraw_income(self, amount: int) -> set[str]:
        return {"IncomeTooLow"} if amount > self.income()[1] else set()

    def why_not_terms(self, since: int, terms: Terms) -> set[str]:
        unsound = terms.redeem_fee > self.face_value or terms.share_bps > BPS
        reasons = {"TermsUnsound"} if unsound else set()
        late = self.epoch_start(since) < self.now + NOTICE_SECONDS or since <= self.terms[-1][0]
        reasons |= {"TermsTooLate"} if late else set()
        noticed = next(e for e in itertools.count(1) if self.noticed(e))
        return reasons | ({"TermsTooFar"} if since > noticed + TERMS_AHEAD_MAX else set())

    def noticed(self, epoch: int) -> bool:
        """Whether it begins 30 days from now or later."""
        return self.epoch_start(epoch) >= self.now + NOTICE_SECONDS

    def why_not_status(self, merchant: int, status: int) -> set[str]:
        has = self.merchants[merchant]
        refused = has.status == CLOSED
        if status == CLOSED:
            left = has.status == LEAVING and self.epoch() >= has.leaving_since + VALIDITY_EPOCHS
            refused = refused or not left
        return {"MerchantNotActive"} if refused else set()

    def set_status(self, merchant: int, status: int) -> None:
        has = self.merchants[merchant]
        if status == LEAVING and has.status != LEAVING:
            has.leaving_since = self.epoch()
        has.status = status
