"""Relays in processes of their own on one PostgreSQL: frozen, thawed, killed, many at once."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.relay_town import RelayTown, open_town, state_of

SOAK = pytest.mark.soak
LEASE_S = 0.8


@pytest.fixture
def town(tmp_path: Path, postgres_url: str) -> Iterator[RelayTown]:
    with open_town(tmp_path, postgres_url, lease_s=LEASE_S, relayers=2) as found:
        yield found


@pytest.mark.parametrize(
    "window",
    [
        # In the middle of a transaction, which holds rows: PostgreSQL ends its session.
        "settle.before_release:1",
        *(
            pytest.param(f"{name}:1", marks=SOAK)
            for name in (
                "seal.before_commit",
                "seal.signed_not_stored",
                "relay.reserved",
                "relay.signed_not_stored",
                "relay.stored_not_sent",
                "relay.sent_not_marked",
                "settle.receipt_not_stored",
            )
        ),
    ],
)
def test_relay__frozen_past_its_lease_and_thawed__does_no_harm(
    town: RelayTown, window: str
) -> None:
    frozen = town.relay(f"{window}:STOP")
    with town.following():
        town.issue(20)
        town.wait(lambda: state_of(frozen) == "T", f"{window} was not passed")
        other = town.relay()
        town.wait_until_final()
        town.issue(20)
        os.kill(frozen, signal.SIGCONT)
        town.wait_until_final()
        town.check()
        # The one that slept works again, alone.
        os.kill(other, signal.SIGTERM)
        town.issue(20)
        town.wait_until_final()
        town.check()
        assert state_of(frozen) in "SR"
        # And what a restore would have lost is found again, on PostgreSQL as on SQLite.
        newest = town.newest_rows()
        town.issue(5)
        town.wait_until_final()
        os.kill(frozen, signal.SIGTERM)
        town.wait(lambda: state_of(frozen) in ("gone", "Z"))
    town.forget_after(newest)
    found = town.gateway.reconciler.run("the operator").content()
    assert (found["orders_found"], found["nonces_filled"]) == (5, found["batches"])
    town.gateway.relay.drain(lambda: None)
    town.check()


WINDOWS = (
    "seal.before_commit",
    "seal.signed_not_stored",
    "seal.sealed",
    "relay.reserved",
    "relay.signed_not_stored",
    "relay.stored_not_sent",
    "relay.sent_reply_not_read",
    "relay.sent_not_marked",
    "settle.receipt_not_stored",
    "settle.included",
    "settle.before_release",
)


@pytest.mark.parametrize(
    ("window", "others"),
    [pytest.param(window, others, marks=SOAK) for window in WINDOWS for others in (0, 2)],
)
def test_relay__killed_in_a_window_on_postgresql__loses_and_doubles_nothing(
    town: RelayTown, window: str, others: int
) -> None:
    struck = town.relay(f"{window}:1")
    with town.following():
        town.issue(20)
        town.wait(lambda: state_of(struck) in ("gone", "Z"), f"{window} was not passed")
        for _ in range(max(others, 1)):
            town.relay()
        town.issue(20)
        town.wait_until_final()
    town.check()


@SOAK
def test_relay__the_server_fails_over_to_one_that_was_behind__closes_and_doubles_nothing(
    town: RelayTown,
) -> None:
    relays = [town.relay(), town.relay()]
    with town.following():
        town.issue(20)
        town.wait_until_final()
        newest = town.newest_rows()
        town.issue(5)
        town.wait_until_final()
        # Commits of the last moments are gone, and with them the sessions; no process is started.
        town.forget_after(newest)
        town.end_sessions()
        town.issued -= 5
        # As many points for the same people: five of them stand for what the chain has already.
        town.issue(7)
        for pid in relays:
            town.wait(lambda pid=pid: state_of(pid) in ("gone", "Z"), "it is not closed")  # type: ignore[misc]
        found = town.reconciled()
        assert (found["orders_matched"], found["orders_found"]) == (5, 0)
        town.relay()
        town.wait_until_final()
    town.check()


@SOAK
def test_relay__three_processes_stopped_and_killed_at_random__loses_and_doubles_nothing(
    town: RelayTown, soak_seed: int
) -> None:
    dice = random.Random(soak_seed)
    sys.stderr.write(f"seed {soak_seed}\n")
    pids = [town.relay() for _ in range(3)]
    with town.following():
        for number in range(12):
            town.issue(dice.randrange(1, 60))
            at = dice.randrange(len(pids))
            kind = dice.choice(("kill", "stop", "terminate"))
            # Its session ended while it was starting: as ever, a supervisor starts it again.
            pids = [town.relay() if state_of(p) in ("gone", "Z") else p for p in pids]
            sys.stderr.write(f"{number}: {kind} of process {at}\n")
            if kind == "terminate":
                # PostgreSQL ends every session, wherever it is: at BEGIN, before or during COMMIT.
                town.end_sessions()
                continue
            if kind == "kill":
                os.kill(pids[at], signal.SIGKILL)
                pids[at] = town.relay()
                continue
            os.kill(pids[at], signal.SIGSTOP)
            time.sleep(dice.uniform(0.1, 3 * LEASE_S))
            os.kill(pids[at], signal.SIGCONT)
        town.wait_until_final()
    town.check()
    sys.stderr.write(f"verdict: {town.issued} orders, each once; mirror = chain\n")
