"""The embedded chain's clock, without a chain."""

from __future__ import annotations

from gateway.clock import SteeredClock


class Wall:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_set__beyond_the_wall_clock__the_wall_clock_counts() -> None:
    wall = Wall(1_000.9)
    clock = SteeredClock(wall)
    clock.set(2_000)
    assert clock.now() == 1_000
    wall.now = 3_000
    assert clock.now() == 2_000


def test_set__before_the_head__the_head_counts() -> None:
    clock = SteeredClock(Wall(1_000))
    clock.saw_block(900)
    clock.set(500)
    assert clock.now() == 900
    clock.saw_block(800)
    assert clock.now() == 900


def test_now__wall_clock_set_back__the_head_stands() -> None:
    wall = Wall(1_000)
    clock = SteeredClock(wall)
    clock.saw_block(1_000)
    wall.now = 10
    assert clock.now() == 1_000


def test_set__none__follows_the_wall_clock_again() -> None:
    clock = SteeredClock(Wall(1_000))
    clock.set(500)
    assert clock.now() == 500
    clock.set(None)
    assert clock.now() == 1_000
