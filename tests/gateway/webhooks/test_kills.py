"""kill -9 between a receiver's 2xx and our mark of it, and between the claim and the sending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import faults
from gateway.codes import DeliveryState
from gateway.webhooks.queue import LEASE_S
from tests.gateway.webhooks import killed
from tests.gateway.webhooks.conftest import Desk
from tests.gateway.webhooks.receivers import Receiver


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("point", "arrived"),
    [
        ("webhooks.delivered_not_marked", 1),
        pytest.param("webhooks.claimed_not_sent", 0, marks=pytest.mark.soak),
    ],
)
def test_kill__while_delivering__arrives_again_under_the_same_id(
    desk: Desk, receiver: Receiver, tmp_path: Path, point: str, arrived: int
) -> None:
    desk.listen(receiver.url)
    desk.issue()
    root = Path(faults.__file__).parents[1]
    process = subprocess.run(
        [sys.executable, killed.__file__, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(root), "FAULT": f"{point}:1"},
        timeout=60,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    assert len(receiver.got) == arrived
    # Leased to the dead one: nobody else sends it before the lease ends.
    (row,) = desk.rows()
    assert (row.state, row.tries, row.fence) == (DeliveryState.PENDING, 0, 1)
    desk.wall.time += LEASE_S + 60
    (row,) = desk.deliver(lambda rows: rows[0].state == DeliveryState.DELIVERED)
    assert len(receiver.got) == arrived + 1
    assert len({(got.id, got.body) for got in receiver.got}) == 1
    assert row.fence == 2
