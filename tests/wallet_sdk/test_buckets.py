import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_sdk.buckets import (
    LANE_MAX,
    LANES,
    NONCE_MAX,
    Account,
    age,
    live_points,
    pack_buckets,
    take_soonest,
    unpack_buckets,
)
from wallet_sdk.errors import InputInvalid

points_of_six = st.lists(st.integers(0, LANE_MAX), min_size=6, max_size=6)
newest_epochs = st.integers(6, 2**16 - 1)


@pytest.mark.parametrize(
    ("newest", "points"),
    [
        (7, {1: 1}),  # expired: no lane
        (7, {8: 1}),  # not begun
        (3, {0: 1}),  # no epoch
        (7, {7: LANE_MAX + 1}),
        (7, {7: -1}),
        (2**16, {}),
        (-1, {}),
    ],
)
def test_pack_buckets__what_has_no_lane__refused(newest: int, points: dict[int, int]) -> None:
    with pytest.raises(InputInvalid):
        pack_buckets(newest, points)


@pytest.mark.parametrize("word", [-1, 2**256])
def test_unpack_buckets__no_word__refused(word: int) -> None:
    with pytest.raises(InputInvalid):
        unpack_buckets(word)


def test_take_soonest__more_than_there_is__refused_with_what_there_is() -> None:
    with pytest.raises(InputInvalid, match="11 points asked, 10 there"):
        take_soonest({3: 4, 4: 6}, 11)


def test_take_soonest__negative__refused() -> None:
    with pytest.raises(InputInvalid):
        take_soonest({3: 4}, -1)


def test_pack_buckets__two_epochs__stand_at_the_bits_of_the_layout() -> None:
    word = pack_buckets(0x0102, {0x0102: 5, 0x00FD: LANE_MAX})
    assert word == 0x0102 << 240 | LANE_MAX << 175 | 5


@given(newest_epochs, points_of_six)
def test_unpack_buckets__of_packed__gives_them_soonest_first(newest: int, six: list[int]) -> None:
    points = {newest - lane: held for lane, held in enumerate(six)}
    found = unpack_buckets(pack_buckets(newest, points))
    assert found == {epoch: held for epoch, held in points.items() if held}
    assert list(found) == sorted(found)


def test_age__an_epoch_later__loses_the_oldest_alone() -> None:
    held = {epoch: epoch * 10 for epoch in range(1, 7)}
    assert age(held, 6) == held
    assert age(held, 7) == {epoch: epoch * 10 for epoch in range(2, 7)}
    assert age(held, 11) == {6: 60}
    assert age(held, 12) == {}
    assert live_points(pack_buckets(6, held), 11) == 60


@given(newest_epochs, points_of_six, st.data())
def test_take_soonest__any_part__leaves_younger_points_alone(
    newest: int, six: list[int], data: st.DataObject
) -> None:
    held = {newest - lane: points for lane, points in enumerate(six)}
    asked = data.draw(st.integers(0, sum(six)))
    taken = take_soonest(held, asked)
    assert sum(taken.values()) == asked
    youngest = max(taken, default=0)
    assert all(taken[e] == held[e] for e in taken if e != youngest)
    assert all(taken.get(e, 0) == held[e] for e in held if e < youngest)


accounts = st.builds(
    Account,
    newest_epoch=newest_epochs,
    highest_nonce=st.integers(0, NONCE_MAX),
    window=st.integers(0, 31),
    is_member=st.booleans(),
    points_by_epoch=st.just({}),
)


@given(accounts, points_of_six)
def test_account__packed_and_unpacked__is_the_same(account: Account, six: list[int]) -> None:
    points = {account.newest_epoch - lane: held for lane, held in enumerate(six) if held}
    full = Account(
        account.newest_epoch, account.highest_nonce, account.window, account.is_member, points
    )
    assert Account.unpack(full.pack()) == full
    assert sum(full.live(account.newest_epoch).values()) == sum(six)


def test_account__each_part_alone__stands_at_its_bits() -> None:
    assert Account(0, 1, 0, False, {}).pack() == 1 << 216
    assert Account(0, 0, 1, False, {}).pack() == 1 << 211
    assert Account(0, 0, 0, True, {}).pack() == 1 << 210
    assert Account(1, 0, 0, False, {1: 1}).pack() == 1 << 240 | 1


@pytest.mark.parametrize(("nonce", "window"), [(NONCE_MAX + 1, 0), (0, 32), (-1, 0)])
def test_account__parts_out_of_range__refused(nonce: int, window: int) -> None:
    with pytest.raises(InputInvalid):
        Account(1, nonce, window, False, {}).pack()


def test_use_nonce__used_or_out_of_reach__refused() -> None:
    fresh = Account.unpack(0)
    for nonce in (0, 7, NONCE_MAX + 1):
        with pytest.raises(InputInvalid):
            fresh.use_nonce(nonce)
    with pytest.raises(InputInvalid):
        fresh.use_nonce(3).use_nonce(3)


def test_free_nonces__fresh_account__are_1_to_6() -> None:
    assert Account.unpack(0).free_nonces() == [1, 2, 3, 4, 5, 6]


def test_use_nonce__six_ahead__loses_none_of_those_between() -> None:
    account = Account.unpack(0).use_nonce(6)
    assert account.free_nonces() == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]


def test_free_nonces__at_the_last_nonce__none_above() -> None:
    assert Account(1, NONCE_MAX, 31, False, {}).free_nonces() == []


@given(st.lists(st.integers(1, 40), max_size=60))
def test_use_nonce__any_order__no_nonce_is_ever_used_twice(wanted: list[int]) -> None:
    account, used = Account.unpack(0), set()
    for nonce in wanted:
        if nonce in account.free_nonces():
            account = account.use_nonce(nonce)
            assert nonce not in used
            used.add(nonce)
        assert all(account.is_nonce_used(n) for n in used)
    assert account.highest_nonce == max(used, default=0)


def test_lanes__number__is_the_validity() -> None:
    assert LANES == 6
