import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_sdk.epochs import EpochSchedule
from wallet_sdk.errors import InputInvalid

QUARTER = EpochSchedule(first_start=1_700_000_000, length=7_889_400)


@pytest.mark.parametrize(("first", "length", "validity"), [(-1, 10, 6), (0, 0, 6), (0, 10, 0)])
def test_schedule__impossible_figures__refused(first: int, length: int, validity: int) -> None:
    with pytest.raises(InputInvalid):
        EpochSchedule(first, length, validity)


def test_epoch_at__the_second_before_the_first_epoch__refused() -> None:
    with pytest.raises(InputInvalid, match="1699999999"):
        QUARTER.epoch_at(QUARTER.first_start - 1)


def test_start__epoch_0__refused() -> None:
    with pytest.raises(InputInvalid):
        QUARTER.start(0)


def test_epoch_at__first_and_last_second__both_belong_to_it() -> None:
    assert QUARTER.epoch_at(QUARTER.start(1)) == 1
    assert QUARTER.epoch_at(QUARTER.end(1)) == 1
    assert QUARTER.epoch_at(QUARTER.end(1) + 1) == 2


def test_is_expired__last_second_of_the_fifth_epoch_after__still_lives() -> None:
    assert not QUARTER.is_expired(1, QUARTER.end(6))
    assert QUARTER.is_expired(1, QUARTER.end(6) + 1)
    assert QUARTER.expires_at(1) == QUARTER.start(7)


def test_live_epochs__before_six_have_passed__starts_at_1() -> None:
    assert list(QUARTER.live_epochs(QUARTER.start(3))) == [1, 2, 3]
    assert list(QUARTER.live_epochs(QUARTER.start(9))) == [4, 5, 6, 7, 8, 9]


@given(st.integers(1_700_000_000, 1_700_000_000 + 10**10), st.integers(1, 2_000))
def test_live_epochs__any_time__are_those_not_expired(t: int, epoch: int) -> None:
    earned = epoch <= QUARTER.epoch_at(t)
    assert (epoch in QUARTER.live_epochs(t)) == (earned and not QUARTER.is_expired(epoch, t))
