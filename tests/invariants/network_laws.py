"""The laws of the network, each a named check on what the contracts answer (prose: README.md).

`agreement` compares the contracts with the model value by value; the laws need no model: they ask
the contracts, and the events that the contracts emitted.
"""

from __future__ import annotations

from collections.abc import Callable

from network_desk import buckets_of, read_words
from network_model import Terms
from network_world import MEMBERS, World

Law = Callable[[World], None]


def ask_all(world: World, function: str, *arguments: int | str | bytes) -> tuple[int, ...]:
    """All words that the Coalition answers."""
    return tuple(read_words(world.desk.network.coalition, function, *arguments))


def ask(world: World, function: str, *arguments: int | str | bytes) -> int:
    """The first word that the Coalition answers."""
    return ask_all(world, function, *arguments)[0]


def ask_points(world: World, function: str, *arguments: int | str | bytes) -> int:
    """The first word that Points answers."""
    return read_words(world.desk.network.points, function, *arguments)[0]


def supply_of(world: World, epoch: int) -> tuple[int, int]:
    """Issued net of returns, and live, of one epoch."""
    issued_net, live = read_words(world.desk.network.points, "supplyOfEpoch", epoch)
    return issued_net, live


def merchant_of(world: World, number: int) -> tuple[int, int, int]:
    """Status, position and credit limit."""
    _, status, position, limit, _ = ask_all(world, "merchantOf", number)
    return status, position - (position >> 255 << 256), limit


def balances(world: World) -> dict[str, int]:
    return {who.address: ask_points(world, "balanceOf", who.address) for who in MEMBERS}


def expired(world: World) -> int:
    """Points that lapsed: what was live in each epoch when it expired."""
    gone = (epoch for epoch in world.model.live if world.model.expired(epoch))
    return sum(supply_of(world, epoch)[1] for epoch in gone)


def law_1_live_supply(world: World) -> None:
    supply = ask_points(world, "totalSupply")
    total = world.totals
    flows = total["Issued"] - total["Returned"] - total["Redeemed"] + total["Refunded"]
    assert supply == sum(balances(world).values())
    assert supply == flows - expired(world)


def law_2_reserve(world: World) -> None:
    assert ask(world, "reserve") == ask_points(world, "totalSupply") * ask(world, "faceValue")


def law_3_assets_cover_everything(world: World) -> None:
    positions = [merchant_of(world, number)[1] for number in world.model.merchants]
    drawn = -sum(position for position in positions if position < 0)
    owed = sum(position for position in positions if position > 0)
    owed += ask(world, "reserve") + ask(world, "breakage")
    owed += ask(world, "income") + ask(world, "guarantee")
    assert world.desk.cash() + drawn == owed + world.model.gifts
    assert drawn <= ask(world, "guarantee")


def law_4_no_position_under_its_limit(world: World) -> None:
    limits = 0
    for number in world.model.merchants:
        _, position, limit = merchant_of(world, number)
        assert position >= -limit
        limits += limit
    assert limits == ask(world, "sumOfLimits") <= ask(world, "guarantee")


def law_6_refunds_within_redemptions(world: World) -> None:
    for kept in world.kept:
        given = world.refunds.get(kept.leaf, {})
        taken = buckets_of(kept.fields["buckets"])
        assert ask(world, "refundedOf", kept.leaf) == sum(given.values()) <= sum(taken.values())
        assert all(points <= taken.get(epoch, 0) for epoch, points in given.items())


def law_8_only_expired_epochs_are_closed_once(world: World) -> None:
    assert len(world.closed) == len(set(world.closed))
    assert all(epoch + 6 <= world.model.epoch() for epoch in world.closed)
    # What is live in an epoch is what accounts hold of it: expiry took nothing early.
    for epoch in range(max(1, world.model.epoch() - 5), world.model.epoch() + 1):
        held = sum(ask_points(world, "balanceOfAtEpoch", epoch, who.address) for who in MEMBERS)
        assert supply_of(world, epoch)[1] == held


def law_16_terms_never_change_afterwards(world: World) -> None:
    for epoch in range(max(1, world.model.epoch() - 15), world.model.epoch() + 1):
        found = Terms(*ask_all(world, "termsOf", epoch))
        assert world.terms_seen.setdefault(epoch, found) == found


# Laws that hold in every state. 5, 7, 9 and 10 are about actions: the machine's rules check them.
LAWS: tuple[Law, ...] = (
    law_1_live_supply,
    law_2_reserve,
    law_3_assets_cover_everything,
    law_4_no_position_under_its_limit,
    law_6_refunds_within_redemptions,
    law_8_only_expired_epochs_are_closed_once,
    law_16_terms_never_change_afterwards,
)


def agreement(world: World) -> None:
    """The contracts and the model say the same of everything."""
    model = world.model
    for who in MEMBERS:
        agree_on_member(world, who.address)
    for number in model.merchants:
        agree_on_merchant(world, number)
    # Older epochs are at rest; those that are closed late are still among the last fifteen.
    for epoch in range(max(1, model.epoch() - 15), model.epoch() + 1):
        assert supply_of(world, epoch) == (model.issued_net(epoch), model.live[epoch])
        for number in model.merchants:
            issues = ask_all(world, "issuedBy", epoch, number)
            assert issues == (model.issued[epoch, number], model.returned[epoch, number])
    assert ask_points(world, "totalSupply") == model.live_supply()
    assert ask_all(world, "income") == model.income()
    assert ask(world, "breakage") == model.breakage()
    assert ask(world, "guarantee") == model.guarantee
    assert world.desk.cash() == model.cash


def agree_on_member(world: World, member: str) -> None:
    """Buckets, membership, pass, highest nonce and running recovery of one account."""
    account = world.model.account(member)
    word = ask_points(world, "accountOf", member)
    live = {e: p for e, p in buckets_of(word).items() if not world.model.expired(e)}
    assert live == world.model.live_buckets(member)
    assert (word >> 210) & 1 == account.member
    assert (word >> 216) & (2**24 - 1) == max(account.used)
    # A member has a pass of the coalition, with the date on which the membership began.
    membership = world.desk.network.membership
    assert read_words(membership, "balanceOf", member) == [account.member]
    if account.member:
        assert read_words(membership, "passOf", int(member, 16))[2] == account.joined_at
    named = world.model.recovery_of(member)
    assert ask_all(world, "recoveryOf", member) == (
        int(named.recovery or "0", 16),
        named.finishable_at,
    )


def agree_on_merchant(world: World, number: int) -> None:
    """Position, limit and status of one merchant."""
    merchant = world.model.merchants[number]
    assert merchant_of(world, number) == (merchant.status, merchant.position, merchant.limit)
