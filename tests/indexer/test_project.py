"""The fold: logs that cannot be true stop it; attribution of points to merchants is exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mirror_model import EPOCH, ModelChain, actor, encode
from sqlalchemy import Engine

from indexer import queries
from indexer.errors import MirrorInconsistent
from indexer.queries import Flow
from indexer.sync import Indexer
from wallet_sdk import events as sdk
from wallet_sdk.buckets import pack_buckets
from wallet_sdk.types import ZERO_ADDRESS

ADA, BOB = actor("ada"), actor("bob")


def follow(chain: ModelChain, mirror: Engine) -> None:
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()


def burn(member: str, points: int) -> dict[str, object]:
    return encode(sdk.Transfer, "Points", from_=member, to=ZERO_ADDRESS, value=points)


def redeemed(member: str, points: int, buckets: dict[int, int]) -> dict[str, object]:
    return encode(
        sdk.Redeemed,
        "Coalition",
        digest=bytes(32),
        member=member,
        merchant=1,
        points=points,
        paid=98 * points,
        buckets=pack_buckets(1, buckets),
        ref=bytes(32),
    )


IMPOSSIBLE: dict[str, Callable[[], list[dict[str, object]]]] = {
    "gives up 600 points of epoch 1 and holds 500": lambda: [
        burn(ADA, 600),
        redeemed(ADA, 600, {1: 600}),
    ],
    "gives up 501 points and holds 500": lambda: [
        encode(sdk.Transfer, "Points", from_=ADA, to=BOB, value=501)
    ],
    "without an event of the Coalition": lambda: [burn(ADA, 5)],
    "came into being or ended without an event": lambda: [
        encode(sdk.Transfer, "Points", from_=ZERO_ADDRESS, to=ADA, value=5)
    ],
    "does not fit its Transfer": lambda: [burn(ADA, 5), redeemed(ADA, 6, {1: 6})],
    "Redeemed of 5 points does not fit": lambda: [burn(ADA, 5), redeemed(BOB, 5, {1: 5})],
    "Redeemed of 4 points does not fit": lambda: [burn(ADA, 4), redeemed(ADA, 4, {1: 5})],
    "says 7 points in epoch 1, its Transfers 5": lambda: [
        encode(sdk.Transfer, "Points", from_=ZERO_ADDRESS, to=ADA, value=5),
        encode(
            sdk.Issued,
            "Coalition",
            digest=bytes(32),
            merchant=1,
            nonce=9,
            epoch=1,
            points=7,
            charged=770,
            references_root=bytes(32),
        ),
    ],
    "two burns and no event": lambda: [burn(ADA, 5), burn(ADA, 5)],
    "a redemption that never was": lambda: [
        encode(sdk.Transfer, "Points", from_=ZERO_ADDRESS, to=ADA, value=5),
        encode(
            sdk.BucketsMoved,
            "Points",
            from_=ZERO_ADDRESS,
            to=ADA,
            buckets=pack_buckets(1, {1: 5}),
        ),
        encode(
            sdk.Refunded,
            "Coalition",
            digest=bytes(32),
            member=ADA,
            merchant=1,
            leaf=b"\x01" * 32,
            points=5,
            charged=490,
            buckets=pack_buckets(1, {1: 5}),
        ),
    ],
    "merchant 77 is unknown": lambda: [
        encode(sdk.CreditLimitSet, "Coalition", merchant=77, limit=5)
    ],
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_fold__logs_that_cannot_be_true__stop_and_write_nothing(
    chain: ModelChain, sqlite_mirror: Engine, message: str
) -> None:
    time = chain.head.time + 10
    chain.issue(1, [(ADA, 500)], time)
    chain.mine(time)
    chain.final = chain.head.number
    follow(chain, sqlite_mirror)
    chain.issue(2, [(BOB, 70)], time)
    chain.pending.append(IMPOSSIBLE[message]())
    chain.mine(time)
    chain.mine(time)
    with pytest.raises(MirrorInconsistent, match=message) as caught:
        follow(chain, sqlite_mirror)
    assert caught.value.block == 3
    with sqlite_mirror.connect() as conn:
        assert queries.head(conn).as_of_block == 2
        assert queries.member_balance(conn, BOB).points == 0


def test_fold__spends_over_merchants_and_epochs__take_the_oldest_lots_first(
    chain: ModelChain, mirror: Engine
) -> None:
    time = chain.head.time + 10
    chain.issue(1, [(ADA, 100)], time)
    chain.issue(2, [(ADA, 40)], time)
    chain.issue(1, [(ADA, 5)], time)
    chain.mine(time)
    time += EPOCH
    chain.issue(2, [(ADA, 60)], time)
    # 100 of the baker's, 40 of the florist's, 5 of the baker's, then 15 of the next epoch.
    chain.redeem(ADA, 2, 120, time)
    chain.redeem(ADA, 1, 40, time)
    chain.mine(time)
    follow(chain, mirror)
    with mirror.connect() as conn:
        assert queries.flows(conn).cells == (
            Flow(1, 1, 5),
            Flow(1, 2, 100),
            Flow(2, 1, 35),
            Flow(2, 2, 20),
        )
        lines = queries.member_history(conn, ADA).lines
    assert [(p.epoch, p.issuer, p.points) for p in lines[0].parts] == [
        (1, 2, -20),
        (1, 1, -5),
        (2, 2, -15),
    ]
    assert [(p.epoch, p.issuer, p.points) for p in lines[1].parts] == [(1, 1, -100), (1, 2, -20)]


def test_fold__points_given_to_a_friend__keep_issuer_and_epoch(
    chain: ModelChain, mirror: Engine
) -> None:
    time = chain.head.time + 10
    chain.issue(1, [(ADA, 30)], time)
    chain.mine(time)
    time += EPOCH
    chain.issue(2, [(BOB, 50)], time)
    chain.transfer(ADA, BOB, 30, time)
    chain.redeem(BOB, 2, 40, time)
    chain.mine(time)
    follow(chain, mirror)
    with mirror.connect() as conn:
        # The older points of the baker went first, though they came last.
        assert queries.flows(conn).cells == (Flow(1, 2, 30), Flow(2, 2, 10))
        assert queries.member_balance(conn, BOB).by_epoch[0].epoch == 2


def test_fold__a_refund__gives_the_last_matched_back_first(
    chain: ModelChain, mirror: Engine
) -> None:
    time = chain.head.time + 10
    chain.issue(1, [(ADA, 30)], time)
    chain.issue(2, [(ADA, 30)], time)
    leaf = chain.redeem(ADA, 2, 50, time)
    chain.mine(time)
    follow(chain, mirror)
    # 30 of the baker's and 20 of the florist's went; 25 come back in two refunds, one a block.
    chain.refund(leaf, {1: 15}, time)
    chain.mine(time)
    chain.refund(leaf, {1: 10}, time)
    chain.mine(time)
    follow(chain, mirror)
    with mirror.connect() as conn:
        assert queries.flows(conn).cells == (Flow(1, 2, 25),)
        assert [law.holds for law in queries.laws(conn)] == [True] * 4


def test_fold__expiry__writes_no_row_and_shows_at_the_second(
    chain: ModelChain, mirror: Engine
) -> None:
    time = chain.head.time + 10
    chain.issue(1, [(ADA, 30)], time)
    chain.mine(time)
    follow(chain, mirror)
    with mirror.connect() as conn:
        (bucket,) = queries.member_balance(conn, ADA).by_epoch
        last, gone = bucket.expires_at - 1, bucket.expires_at
        assert queries.member_balance(conn, ADA, last).points == 30
        assert queries.member_balance(conn, ADA, gone).points == 0
        assert queries.network_overview(conn, last).live_points == 30
        after = queries.network_overview(conn, gone)
        assert (after.live_points, after.expired, after.reserve) == (0, 30, 0)
        assert after.breakage == 30 * 100
        assert [law.holds for law in queries.laws(conn, gone)] == [True] * 4
        assert queries.merchants_overview(conn, gone).merchants[0].live_points == 0


def test_fold__a_transfer_to_oneself__changes_nothing(chain: ModelChain, mirror: Engine) -> None:
    time = chain.head.time + 10
    chain.issue(1, [(ADA, 30)], time)
    chain.transfer(ADA, ADA, 20, time)
    chain.transfer(ADA, ADA, 20, time, epoch=1)
    chain.mine(time)
    follow(chain, mirror)
    with mirror.connect() as conn:
        assert queries.member_balance(conn, ADA).points == 30
        assert len(queries.member_history(conn, ADA).lines) == 1


def test_fold__a_recovery__gives_the_new_pass_tier_and_joining_time(
    chain: ModelChain, mirror: Engine
) -> None:
    joined_at = chain.head.time
    old, new = int(ADA, 16), int(BOB, 16)
    chain.leave(BOB)
    chain.pending.append([encode(sdk.TierSet, "MembershipPass", token_id=old, tier=3)])
    chain.mine()
    chain.pending.append(
        [
            encode(sdk.MemberSet, "Points", member=ADA, is_member=False),
            encode(sdk.MemberSet, "Points", member=BOB, is_member=True),
            encode(sdk.PassTransfer, "MembershipPass", from_=ADA, to=ZERO_ADDRESS, token_id=old),
            encode(sdk.PassTransfer, "MembershipPass", from_=ZERO_ADDRESS, to=BOB, token_id=new),
            encode(sdk.Recovered, "Coalition", member=ADA, recovery=BOB),
        ]
    )
    chain.mine()
    follow(chain, mirror)
    with mirror.connect() as conn:
        held = queries.member_pass(conn, BOB)
        assert (held.tier, held.joined_at) == (3, joined_at)
        assert queries.member_pass(conn, ADA) is None
        assert queries.head(conn).members == 1


def test_fold__a_programmes_pass_after_a_recovery__keeps_tier_and_joining_time(
    chain: ModelChain, mirror: Engine
) -> None:
    """It is brought over by anybody's call, later, and no event of the Coalition says so."""
    programme = 7 << 160
    old, new = programme | int(ADA, 16), programme | int(BOB, 16)
    minted = {"from_": ZERO_ADDRESS, "to": ADA, "token_id": old}
    chain.pending.append(
        [
            encode(sdk.PassTransfer, "MembershipPass", **minted),
            encode(sdk.TierSet, "MembershipPass", token_id=old, tier=2),
        ]
    )
    chain.mine()
    enrolled_at = chain.head.time
    burnt = {"from_": ADA, "to": ZERO_ADDRESS, "token_id": old}
    followed = {"from_": ZERO_ADDRESS, "to": BOB, "token_id": new}
    chain.pending.append(
        [
            encode(sdk.PassTransfer, "MembershipPass", **burnt),
            encode(sdk.PassTransfer, "MembershipPass", **followed),
        ]
    )
    chain.mine()
    follow(chain, mirror)
    with mirror.connect() as conn:
        held = queries.member_pass(conn, BOB, programme=7)
        assert (held.tier, held.joined_at) == (2, enrolled_at)
        assert queries.member_pass(conn, ADA, programme=7) is None
