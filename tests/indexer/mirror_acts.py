"""Random histories for the model chain: every kind of act, valid by construction."""

from __future__ import annotations

import random

from mirror_model import EPOCH, ModelChain, actor

NAMES = ("ada", "bob", "cleo", "dan", "eve", "finn")
MERCHANTS = (1, 2, 3)


def found(chain: ModelChain) -> None:
    """Terms, merchants, deposits, members: the first block."""
    chain.terms()
    for merchant in MERCHANTS:
        chain.register(merchant, actor(f"merchant {merchant}"))
        chain.deposit(merchant, 10**12)
    for name in NAMES[:4]:
        chain.join(actor(name))
    chain.mine()


def act(chain: ModelChain, rng: random.Random, time: int) -> None:
    """One random act, or none where the one drawn cannot be done; seldom a hand-over."""
    moment = f"{chain.salt} {len(chain.blocks)} {len(chain.pending)}"
    # Drawn beside the others, which are the same with and without it.
    if random.Random(moment).random() < 0.03:
        chain.hand_over(f"successor of {moment}")
    who = actor(rng.choice(NAMES))
    merchant = rng.choice(MERCHANTS)
    live = chain.live(who, time)
    held = sum(live.values())
    kind = rng.randrange(12)
    if kind <= 3:
        entries = [
            (actor(rng.choice(NAMES)), rng.randint(1, 500)) for _ in range(rng.randint(1, 5))
        ]
        chain.issue(merchant, entries, time)
    elif kind <= 5 and held:
        chain.redeem(who, merchant, rng.randint(1, held), time)
    elif kind == 6 and held:
        chain.transfer(who, actor(rng.choice(NAMES)), rng.randint(1, held), time)
    elif kind == 7 and held:
        epoch = rng.choice(list(live))
        chain.transfer(who, actor(rng.choice(NAMES)), rng.randint(1, live[epoch]), time, epoch)
    elif kind == 8:
        _refund(chain, rng, time)
    elif kind == 9 and held:
        epoch = chain.epoch(time) - rng.randrange(2)
        if live.get(epoch):
            chain.give_back_goods(who, merchant, epoch, rng.randint(1, live[epoch]), time)
    elif kind == 10:
        chain.deposit(merchant, rng.randint(1, 10**6))
    elif kind == 11:
        (chain.leave if who in chain.state.members else chain.join)(who)


def _refund(chain: ModelChain, rng: random.Random, time: int) -> None:
    if not chain.state.redemptions:
        return
    leaf, _, _, _, taken = rng.choice(chain.state.redemptions)
    given = chain.state.refunded.setdefault(leaf, {})
    epochs = [e for e, p in taken.items() if e >= chain.epoch(time) - 5 and p > given.get(e, 0)]
    if not epochs:
        return
    # Longest-lived first.
    epoch = max(epochs)
    points = rng.randint(1, taken[epoch] - given.get(epoch, 0))
    given[epoch] = given.get(epoch, 0) + points
    chain.refund(leaf, {epoch: points}, time)


def grow(chain: ModelChain, rng: random.Random, blocks: int) -> None:
    """Mines blocks of up to eight acts, some empty, some an epoch later than the last."""
    for _ in range(blocks):
        time = chain.head.time + (EPOCH * 2 // 3 if rng.random() < 0.2 else rng.randint(0, 30))
        for _ in range(rng.choice((0, 1, 2, 4, 8))):
            act(chain, rng, time)
        chain.mine(time)
