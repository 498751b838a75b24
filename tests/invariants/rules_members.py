"""Rules of the state machine: what a member signs or sends."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule
from network_world import MEMBERS
from rules_base import DOOR, SHOP, SIZE, TWIST, WHO, NetworkBase


class MemberRules(NetworkBase):
    """Orders and transactions of members."""

    @rule(who=WHO, twist=TWIST, door=DOOR)
    def join(self, who: int, twist: int, door: int) -> None:
        member, nonce = MEMBERS[who].address, self.member_nonce(who, twist)
        self.member_order(
            "Join",
            who,
            lambda: self.model.why_not_join(member, nonce),
            lambda: self.model.join(member, nonce),
            door,
            member=member,
            nonce=nonce,
        )

    @rule(who=WHO, twist=TWIST, door=DOOR)
    def leave(self, who: int, twist: int, door: int) -> None:
        if twist < 10:  # Few people leave.
            return
        member, nonce = MEMBERS[who].address, self.member_nonce(who, twist)
        self.member_order(
            "Leave",
            who,
            lambda: self.model.why_not_leave(member, nonce),
            lambda: self.model.leave(member, nonce),
            door,
            member=member,
            nonce=nonce,
        )

    @rule(who=WHO, shop=SHOP, size=SIZE, twist=TWIST, door=DOOR)
    def redeem(self, who: int, shop: int, size: int, twist: int, door: int) -> None:
        who = self.with_points(who, size)
        member, nonce = MEMBERS[who].address, self.member_nonce(who, twist)
        points = self.part_of(size, min(self.model.balance(member), 2**40 - 2))
        self.member_order(
            "Redeem",
            who,
            lambda: self.model.why_not_redeem(member, shop, points, nonce),
            lambda: self.model.redeem(member, shop, points, nonce),
            door,
            member=member,
            merchant=shop,
            points=points,
            nonce=nonce,
            ref=size.to_bytes(32, "big"),
        )

    @rule(who=WHO, other=WHO, size=SIZE, twist=TWIST, door=DOOR)
    def transfer(self, who: int, other: int, size: int, twist: int, door: int) -> None:
        who = self.with_points(who, size)
        member, target = MEMBERS[who].address, MEMBERS[other].address
        nonce = self.member_nonce(who, twist)
        points = self.part_of(size, self.model.balance(member))
        self.member_order(
            "Transfer",
            who,
            lambda: self.model.why_not_transfer(member, target, points, nonce),
            lambda: self.model.transfer(member, target, points, nonce),
            door,
            to=target,
            points=points,
            nonce=nonce,
            **{"from": member},
        )

    @rule(who=WHO, other=WHO, size=SIZE)
    def give(self, who: int, other: int, size: int) -> None:
        """The member's own transaction, without any order."""
        who = self.with_points(who, size)
        member, target = MEMBERS[who].address, MEMBERS[other].address
        points = self.part_of(size, self.model.balance(member))
        token = self.desk.network.points
        self.world.call(
            "give",
            self.model.why_not_give(member, target, points),
            lambda: self.model.give(member, target, points),
            lambda: self.desk.send(token, member, "transfer", target, points),
        )
        self.step(who=other)

    @rule(who=WHO, other=WHO, size=SIZE, age=st.integers(0, 6))
    def give_at_epoch(self, who: int, other: int, size: int, age: int) -> None:
        member, target = MEMBERS[who].address, MEMBERS[other].address
        epoch = max(1, self.model.epoch() - age)
        points = self.part_of(size, self.model.live_buckets(member).get(epoch, 0))
        token = self.desk.network.points
        self.world.call(
            "give at epoch",
            self.model.why_not_give_at_epoch(member, target, points, epoch),
            lambda: self.model.give_at_epoch(member, target, points, epoch),
            lambda: self.desk.send(token, member, "transferAtEpoch", epoch, target, points),
        )
        self.step(who=who)

    @rule(who=WHO, shop=SHOP, twist=TWIST, door=DOOR)
    def cancel(self, who: int, shop: int, twist: int, door: int) -> None:
        """Odd twists cancel a nonce of the member, even ones a nonce of the merchant."""
        if twist % 2:
            member, nonce = MEMBERS[who].address, self.member_nonce(who, twist)
            why: Callable[[], set[str]] = lambda: self.model.why_not_cancel_own(member, nonce)  # noqa: E731
            effect: Callable[[], None] = lambda: self.model.cancel_own(member, nonce)  # noqa: E731
            self.member_order(
                "Cancel", who, why, effect, door, signer=member, merchant=0, nonce=nonce
            )
            return
        nonce, till = self.shop_nonce(shop, twist), self.desk.merchants[shop].tills[0]
        wish = self.world.wish(
            "Cancel",
            till,
            lambda: self.model.why_not_use_nonce(shop, nonce),
            lambda: self.model.use_nonce(shop, nonce),
            signer=till.address,
            merchant=shop,
            nonce=nonce,
        )
        self.submit(wish, door)
        self.step(shop=shop)
