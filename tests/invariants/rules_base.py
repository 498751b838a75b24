"""What every rule of the state machine stands on: one network, its doors, and likely numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from network_laws import LAWS, agree_on_member, agree_on_merchant, agreement
from network_world import MEMBERS, Wish, World

WHO = st.integers(0, len(MEMBERS) - 1)
SHOP = st.integers(1, 3)
SIZE = st.integers(0, 4095)
TWIST = st.integers(0, 15)
DOOR = st.integers(0, 3)
# The laws cost a hundred reads; so often is enough to name the few calls that broke one.
STEPS_BETWEEN_CHECKS = 25
BASKET_MAX = 5


class NetworkBase(RuleBasedStateMachine):
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

    def with_points(self, who: int, size: int) -> int:
        """The same member, mostly; one who has nothing gives way to the one who has most."""
        balances = [self.model.balance(member.address) for member in MEMBERS]
        return who if balances[who] or size % 8 == 0 else balances.index(max(balances))

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
