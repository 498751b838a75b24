"""The state machine: what can happen in the network, in any order.

Every rule takes small numbers and makes of them something that is mostly possible: a share of the
balance, the next nonce, the epoch of now. `twist` bends a part of it beyond what is allowed, so
that refusals are met too. Rules with orders choose one of the two doors, or put the order into a
basket that one relay carries out later, when the epoch may have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from banyan_kit.revm import DAY
from banyan_kit.wire import Key
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from network_desk import TREASURY
from network_laws import LAWS, agree_on_member, agree_on_merchant, agreement, balances
from network_model import ACTIVE, BUCKET_MAX, LEAVING, Terms
from network_world import MEMBERS, Wish, World

WHO = st.integers(0, len(MEMBERS) - 1)
SHOP = st.integers(1, 3)
SIZE = st.integers(0, 4095)
TWIST = st.integers(0, 15)
DOOR = st.integers(0, 3)
# The laws cost a hundred reads; so often is enough to name the few calls that broke one.
STEPS_BETWEEN_CHECKS = 25
BASKET_MAX = 5
STRANGER = Key.from_seed("a stranger")


class NetworkMachine(RuleBasedStateMachine):
    """One network from its first block on."""

    effects: ClassVar[Counter[str]] = Counter()
    refusals: ClassVar[Counter[str]] = Counter()
    calls: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.world = World.open()
        self.model = self.world.model
        self.desk = self.world.desk
        self.steps = 0

    # ---- beginnings and ends

    @initialize()
    def open_the_shops(self) -> None:
        """Everybody has joined and every merchant has money; what follows is free."""
        for who in range(len(MEMBERS)):
            self.join(who=who, twist=15, door=0)
        for shop in self.model.merchants:
            self.deposit(shop=shop, size=1_000)

    def teardown(self) -> None:
        world = self.world
        self.empty_basket()
        self.check_everything()
        cls = type(self)
        cls.effects.update(world.done)
        cls.refusals.update(world.refused)
        cls.calls += self.desk.calls

    def check_everything(self) -> None:
        agreement(self.world)
        for law in LAWS:
            law(self.world)

    def step(self, who: int | None = None, shop: int | None = None) -> None:
        """After every rule: what it touched; after every twenty-fifth: everything."""
        self.steps += 1
        if self.steps % STEPS_BETWEEN_CHECKS == 0:
            return self.check_everything()
        if who is not None:
            agree_on_member(self.world, MEMBERS[who].address)
        if shop is not None:
            agree_on_merchant(self.world, shop)
        return None

    # ---- numbers of a rule made into something likely

    def part_of(self, size: int, most: int) -> int:
        """A number between 1 and `most`; now and then all of it, one too many, or nothing."""
        edges = {0: 0, 1: most, 2: most + 1, 3: 1}
        kind = size % 32
        return edges[kind] if kind in edges else 1 + size * 7_919 % max(most, 1)

    def member_nonce(self, who: int, twist: int) -> int:
        """The next, mostly; sometimes a gap, one out of the window, one too far, one used."""
        highest = max(self.model.account(MEMBERS[who].address).used)
        waiting = len(self.world.basket)
        ahead = {0: 2, 1: 6, 2: 7, 3: 0, 4: -1, 5: -3, 6: -5, 7: -6}.get(twist, 1 + waiting)
        return max(1, highest + ahead)

    def shop_nonce(self, shop: int, twist: int) -> int:
        used = self.model.merchants[shop].used
        return max(used) if twist == 0 and used else self.desk.nonce(shop)

    def submit(self, wish: Wish, door: int) -> None:
        """0 and 1: at once, by either door; 2 and 3: into the basket."""
        if door == 0:
            self.world.carry_out(wish)
        elif door == 1:
            self.world.relay([wish])
        else:
            self.world.basket.append(wish)
            if len(self.world.basket) >= BASKET_MAX:
                self.empty_basket()

    def empty_basket(self) -> None:
        basket, self.world.basket = self.world.basket, []
        if basket:
            self.world.relay(basket)

    def member_order(
        self, kind: str, who: int, why: Any, effect: Any, door: int, verb: str = "", **values: Any
    ) -> None:
        wish = self.world.wish(kind, MEMBERS[who], why, effect, verb=verb or kind, **values)
        self.submit(wish, door)
        self.step(who=who)

    # ---- members

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

    # ---- merchants

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

    # ---- anyone

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

    @rule(ahead=st.integers(0, 4), issue=st.integers(0, 40), redeem=st.integers(0, 40), share=SIZE)
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

    # ---- a day's trade, so that there is something to redeem, refund, return and share

    @rule(shop=SHOP, size=SIZE, twist=TWIST, door=st.integers(0, 1))
    def market_day(self, shop: int, size: int, twist: int, door: int) -> None:
        """A shop with money sells to everybody; some redeem, bring back, and change their minds."""
        self.deposit(shop=shop, size=4 * (size % 1_000) + 3)
        for who in range(len(MEMBERS)):
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
