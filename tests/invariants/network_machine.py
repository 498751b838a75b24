"""The state machine: what can happen in the network, in any order.

Every rule takes small numbers and makes of them something that is mostly possible: a share of the
balance, the next nonce, the epoch of now. `twist` bends a part of it beyond what is allowed, so
that refusals are met too. Rules with orders choose one of the two doors, or put the order into a
basket that one relay carries out later, when the epoch may have changed.
"""

from __future__ import annotations

from banyan_kit.wire import Key
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from network_laws import agree_on_member, agree_on_merchant
from network_model import ACTIVE
from network_world import MEMBERS
from rules_base import SHOP, SIZE, TWIST, WHO
from rules_members import MemberRules
from rules_merchants import MerchantRules
from rules_operator import OpenRules
from rules_recoveries import RecoveryRules

STRANGER = Key.from_seed("a stranger")


class NetworkMachine(MemberRules, RecoveryRules, MerchantRules, OpenRules):
    """All rules together."""

    @initialize()
    def open_the_shops(self) -> None:
        """Everybody has joined and every merchant has money; what follows is free."""
        for who in range(len(MEMBERS)):
            self.join(who=who, twist=15, door=0)
        for shop in self.model.merchants:
            self.deposit(shop=shop, size=1_000)

    # ---- a day's trade, so that there is something to redeem, refund, return and share

    @rule(shop=SHOP, size=SIZE, twist=TWIST, door=st.integers(0, 1))
    def market_day(self, shop: int, size: int, twist: int, door: int) -> None:
        """A shop with money sells to everybody; some redeem, bring back, and change their minds."""
        self.deposit(shop=shop, size=4 * (size % 1_000) + 3)
        for who, member in enumerate(MEMBERS):
            if not self.model.account(member.address).member:
                self.join(who, 15, door)
            other = (who + 1 + size) % len(MEMBERS)
            self.issue(who, other, shop, size + 5 * who, 15, door)
        self.redeem(size % 5, shop, size // 3 + 40, 15, door)
        self.refund(0, size // 5 + 40, 15, door)
        self.goods_return(twist % 5, shop, size // 7 + 40, 15, 0, door)
        self.give(size % 5, (size + 2) % 5, size // 2 + 40)
        self.claim(age=5 + size % 8, shop=shop)

    # ---- laws 5, 7 and 9: about actions

    @rule(which=st.integers(0, 31), many=st.booleans())
    def replay(self, which: int, many: bool) -> None:
        """Law 5: what took effect once takes effect never again, and is not news."""
        done = self.world.carried_out
        if not done:
            return
        again = done[-8:] if many else [done[-1 - which % len(done)]]
        assert self.desk.relay(*again) == []
        self.world.done["replay"] += 1
        self.step(who=which % len(MEMBERS))

    @rule(who=WHO, shop=SHOP, size=SIZE)
    def forge(self, who: int, shop: int, size: int) -> None:
        """Law 9: without the signature of the party that is charged, nothing."""
        member, nonce = MEMBERS[who].address, self.member_nonce(who, 15)
        other = MEMBERS[(who + 1) % len(MEMBERS)]
        thief = (STRANGER, other, self.desk.merchants[shop].tills[0])[size % 3]
        shops = {"merchant": shop, "nonce": self.desk.nonce(shop)}
        owners_wish = shops | {"to": STRANGER.address, "amount": 1}
        forged = {
            "Redeem": {"member": member, "merchant": shop, "points": 1, "nonce": nonce}
            | {"ref": bytes(32)},
            "Transfer": {"from": member, "to": other.address, "points": 1, "nonce": nonce},
            "Withdraw": owners_wish,
            "Leave": {"member": member, "nonce": nonce},
            "IssueBatch": shops | {"entries": [(member, 1)]},
        }
        kind = list(forged)[size % 5]
        if kind == "IssueBatch":
            thief = other
        order = self.desk.make(kind, thief, **forged[kind])
        assert self.desk.relay(order) == []
        self.world.done["forge"] += 1
        self.step(who=who, shop=shop)

    @rule(who=WHO, shop=SHOP, points=st.integers(10, 500))
    def buy_and_bring_back(self, who: int, shop: int, points: int) -> None:
        """Law 7: a returned purchase nets to nothing, in points and in money."""
        member, merchant = MEMBERS[who], self.model.merchants[shop]
        back = self.model.account(member.address)
        epoch = self.model.epoch()
        room = self.model.issued[epoch, shop] // 10 - self.model.returned[epoch, shop]
        if room < points or merchant.status != ACTIVE or self.model.paused or not back.member:
            return
        self.deposit(shop=shop, size=499)
        before = (merchant.position, self.model.live_buckets(member.address))
        shops = {"merchant": shop}
        for kind, extra, why, act in (
            (
                "IssueBatch",
                {"entries": [(member.address, points)]},
                lambda nonce: self.model.why_not_issue(shop, [(member.address, points)], nonce),
                lambda nonce: self.model.issue(shop, [(member.address, points)], nonce),
            ),
            (
                "Return",
                {"member_key": member, "member": member.address, "points": points}
                | {"epoch": epoch, "ref": bytes(32)},
                lambda nonce: self.model.why_not_return(member.address, shop, points, epoch, nonce),
                lambda nonce: self.model.goods_return(member.address, shop, points, epoch, nonce),
            ),
        ):
            nonce = self.desk.nonce(shop)
            wish = self.world.wish(
                kind,
                self.desk.merchants[shop].tills[0],
                lambda why=why, nonce=nonce: why(nonce),
                lambda act=act, nonce=nonce: act(nonce),
                nonce=nonce,
                **shops,
                **extra,
            )
            self.world.carry_out(wish)
            if kind == "IssueBatch" and wish.wire not in self.world.carried_out[-1:]:
                return  # Refused for a cause that the model knows.
        self.world.done["buy and bring back"] += 1
        agree_on_member(self.world, member.address)
        agree_on_merchant(self.world, shop)
        assert (merchant.position, self.model.live_buckets(member.address)) == before
        self.step(who=who, shop=shop)
