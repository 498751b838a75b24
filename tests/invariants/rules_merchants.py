"""Rules of the state machine: what tills and owners of merchants sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from banyan_kit.wire import Key
from hypothesis import strategies as st
from hypothesis.stateful import rule
from network_model import BUCKET_MAX
from network_world import MEMBERS
from rules_base import DOOR, SHOP, SIZE, TWIST, WHO, NetworkBase


class MerchantRules(NetworkBase):
    """Orders of merchants, and their deposits."""

    def till_order(
        self, kind: str, shop: int, twist: int, why: Any, effect: Any, door: int, **values: Any
    ) -> None:
        """Signed by the first till key, or by the second, which comes and goes."""
        till = self.desk.merchants[shop].tills[twist == 1]
        wish = self.world.wish(kind, till, self.needs_till(till, shop, why), effect, **values)
        self.submit(wish, door)
        self.step(shop=shop)

    def needs_till(self, till: Key, shop: int, why: Any) -> Callable[[], set[str]]:
        def reasons() -> set[str]:
            active = self.world.active_tills.get(till.address) == shop
            return why() | (set() if active else {"NotTillKey"})

        return reasons

    @rule(who=WHO, other=WHO, shop=SHOP, size=SIZE, twist=TWIST, door=DOOR)
    def issue(self, who: int, other: int, shop: int, size: int, twist: int, door: int) -> None:
        merchant, nonce = self.model.merchants[shop], self.shop_nonce(shop, twist)
        price = self.model.issue_price(self.model.epoch())
        affordable = max(0, merchant.position + merchant.limit) // price
        points = min(self.part_of(size, affordable // (1 + size % 3)), 2**40 - 1)
        if twist == 2:
            points = BUCKET_MAX - self.model.live_buckets(MEMBERS[who].address).get(
                self.model.epoch(), 0
            )
        entries = [(MEMBERS[who].address, points)]
        if size % 2 and points > 1:
            entries = [(MEMBERS[who].address, points - 1), (MEMBERS[other].address, 1)]
        self.till_order(
            "IssueBatch",
            shop,
            twist,
            lambda: self.model.why_not_issue(shop, entries, nonce),
            lambda: self.model.issue(shop, entries, nonce),
            door,
            merchant=shop,
            nonce=nonce,
            entries=entries,
        )

    @rule(which=st.integers(0, 7), size=SIZE, twist=TWIST, door=DOOR)
    def refund(self, which: int, size: int, twist: int, door: int) -> None:
        """Of one of the last eight redemptions."""
        if not self.world.kept:
            return
        kept = self.world.kept[-1 - which % len(self.world.kept)]
        shop = kept.redemption.merchant
        nonce = self.shop_nonce(shop, twist)
        points = self.part_of(size, kept.redemption.points - kept.redemption.refunded)
        self.till_order(
            "Refund",
            shop,
            twist,
            lambda: self.model.why_not_refund(kept.redemption, points, nonce),
            lambda: self.model.refund(kept.redemption, points, nonce),
            door,
            merchant=shop,
            points=points,
            nonce=nonce,
            redemption=kept.fields,
        )

    @rule(who=WHO, shop=SHOP, size=SIZE, twist=TWIST, age=st.integers(0, 2), door=DOOR)
    def goods_return(self, who: int, shop: int, size: int, twist: int, age: int, door: int) -> None:
        member, nonce = MEMBERS[who].address, self.shop_nonce(shop, twist)
        epoch = max(1, self.model.epoch() - (age if twist < 4 else age % 2))
        key = epoch, shop
        left = self.model.issued[key] * self.model.return_cap_bps // 10_000
        left -= self.model.returned[key]
        points = self.part_of(
            size, min(left, self.model.live_buckets(member).get(epoch, 0), 2**40 - 2)
        )
        self.till_order(
            "Return",
            shop,
            twist,
            lambda: self.model.why_not_return(member, shop, points, epoch, nonce),
            lambda: self.model.goods_return(member, shop, points, epoch, nonce),
            door,
            member_key=MEMBERS[who],
            member=member,
            merchant=shop,
            points=points,
            epoch=epoch,
            nonce=nonce,
            ref=bytes(32),
        )

    @rule(shop=SHOP, size=SIZE, twist=TWIST, door=DOOR)
    def withdraw(self, shop: int, size: int, twist: int, door: int) -> None:
        owner, nonce = self.desk.merchants[shop].owner, self.shop_nonce(shop, twist)
        amount = self.part_of(size, max(0, self.model.merchants[shop].position) // (1 + size % 5))
        wish = self.world.wish(
            "Withdraw",
            owner,
            lambda: self.model.why_not_withdraw(shop, amount, nonce),
            lambda: self.model.withdraw(shop, amount, nonce),
            merchant=shop,
            to=owner.address,
            amount=amount,
            nonce=nonce,
        )
        self.submit(wish, door)
        self.step(shop=shop)

    @rule(shop=SHOP, twist=TWIST, active=st.booleans())
    def set_till_key(self, shop: int, twist: int, active: bool) -> None:
        """The second till's key comes and goes."""
        merchant, nonce = self.desk.merchants[shop], self.shop_nonce(shop, twist)
        till = merchant.tills[1].address

        def effect() -> None:
            self.model.use_nonce(shop, nonce)
            self.world.active_tills[till] = shop if active else 0

        wish = self.world.wish(
            "SetTillKey",
            merchant.owner,
            lambda: self.model.why_not_use_nonce(shop, nonce),
            effect,
            merchant=shop,
            key=till,
            active=active,
            nonce=nonce,
        )
        self.submit(wish, 0)
        self.step(shop=shop)

    @rule(shop=SHOP, size=SIZE)
    def deposit(self, shop: int, size: int) -> None:
        """Now and then so much that a bucket can be filled to its last bit."""
        amount = 4 * 10**12 if size == 7 or size % 64 == 9 else 1 + size * 1_009
        self.world.call(
            "deposit",
            set(),
            lambda: self.model.deposit(shop, amount),
            lambda: self.desk.anyone("deposit", shop, amount),
        )
        self.step(shop=shop)
