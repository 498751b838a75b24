"""A network that begins in the past: what happens there carries the time of then."""

from pathlib import Path

from gateway.model import NewMerchant
from gateway.network import open_network

# 3 May 2026, 09:00 UTC.
FIRST = 1_777_798_800
WEEK_S = 7 * 86_400


def test_open_network__first_time_in_the_past__history_can_be_written(tmp_path: Path) -> None:
    with open_network(tmp_path, first_time=FIRST, background=False) as network:
        assert network.chain.head.time == FIRST
        network.chain.clock.set(FIRST + WEEK_S)
        network.gateway.onboard_merchant(NewMerchant("Baker", "baker"), mine=network.chain.mine)
        assert network.chain.head.time == FIRST + WEEK_S


def test_open_network__resumed__clock_follows_the_wall_again(tmp_path: Path) -> None:
    for _ in range(2):
        with open_network(tmp_path, first_time=FIRST, background=False) as network:
            assert network.chain.head.time == FIRST
            assert network.chain.clock.now() > FIRST + WEEK_S
