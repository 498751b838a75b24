"""Trade by day, from running sums written down by hand, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from indexer import tables as t
from indexer.database import open_mirror
from indexer.errors import MirrorEmpty
from indexer.queries.days import DAY_S, Day, daily_series

MONDAY = 20_000 * DAY_S
# block: (second, {epoch: (issued, returned, redeemed, refunded) up to and with it})
JOURNAL = {
    1: (MONDAY - 1, {1: (100, 0, 0, 0)}),
    2: (MONDAY, {1: (150, 0, 30, 0)}),
    5: (MONDAY + DAY_S - 1, {1: (150, 5, 40, 0)}),
    # Tuesday: members joined, no points moved.
    6: (MONDAY + DAY_S, {}),
    7: (MONDAY + 2 * DAY_S + 7, {1: (150, 5, 60, 3), 2: (900, 0, 1, 0)}),
    8: (MONDAY + 2 * DAY_S + 8, {2: (1_000, 0, 1, 0)}),
}
SUNDAY = Day(MONDAY - DAY_S, 100, 0, 0, 0)
ON_MONDAY = Day(MONDAY, 50, 5, 40, 0)
WEDNESDAY = Day(MONDAY + 2 * DAY_S, 1_000, 0, 21, 3)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_mirror(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'mirror.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    engine = open_mirror(url)
    yield engine
    engine.dispose()


@pytest.fixture
def mirror(empty_mirror: sa.Engine) -> sa.Engine:
    word = b"\x01" * 32
    with empty_mirror.begin() as conn:
        conn.execute(
            t.network.insert().values(
                one=1,
                chain_id=1,
                genesis_hash=word,
                first_block=1,
                coalition=b"\x02" * 20,
                points=b"\x03" * 20,
                face_value=100,
                epoch_first_start=MONDAY - DAY_S,
                epoch_length=90 * DAY_S,
                validity=6,
            )
        )
        for number, (second, epochs) in JOURNAL.items():
            conn.execute(
                t.blocks.insert().values(
                    number=number,
                    hash=word,
                    parent_hash=word,
                    time=second,
                    month=202410,
                    logs_so_far=0,
                    members_so_far=0,
                    batches_so_far=0,
                    redemptions_so_far=0,
                    transfers_so_far=0,
                )
            )
            for epoch, (issued, returned, redeemed, refunded) in epochs.items():
                conn.execute(
                    t.supply.insert().values(
                        epoch=epoch,
                        block=number,
                        issued=issued,
                        returned=returned,
                        redeemed=redeemed,
                        refunded=refunded,
                    )
                )
        head = max(JOURNAL)
        conn.execute(
            t.progress.insert().values(
                one=1, block=head, hash=word, time=JOURNAL[head][0], final_block=head
            )
        )
    return empty_mirror


def test_read_days__before_the_first_block__mirror_empty(empty_mirror: sa.Engine) -> None:
    with empty_mirror.connect() as conn, pytest.raises(MirrorEmpty):
        daily_series(conn, 62)


@pytest.mark.parametrize(
    ("days_max", "expected"),
    [
        (62, (SUNDAY, ON_MONDAY, WEDNESDAY)),
        (3, (ON_MONDAY, WEDNESDAY)),
        (2, (WEDNESDAY,)),
        (1, (WEDNESDAY,)),
    ],
)
def test_read_days__of_a_journal__each_day_is_what_that_day_added(
    mirror: sa.Engine, days_max: int, expected: tuple[Day, ...]
) -> None:
    with mirror.connect() as conn:
        series = daily_series(conn, days_max)
    assert series.days == expected
    assert series.as_of_block == 8


def test_read_days__last_days_without_a_block__are_empty(mirror: sa.Engine) -> None:
    with mirror.begin() as conn:
        conn.execute(t.progress.update().values(block=9, time=MONDAY + 10 * DAY_S))
        assert daily_series(conn, 3).days == ()
