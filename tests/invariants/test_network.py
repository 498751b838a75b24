"""The compiled contracts beside a plain-Python network: the laws hold, whatever happens."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from network_machine import NetworkMachine

STEPS = 200
EXAMPLES_A_ROUND = 25
# The default run is the same every time; the soak draws its seed and tells it.
SEED_DEFAULT = 2_026
CALLS_DEFAULT = 20_000
CALLS_SOAK = 200_000
# Every verb, and every way in which time, clearing and attackers act on the network.
MUST_HAPPEN = {
    "Join",
    "Leave",
    "IssueBatch",
    "Redeem",
    "Refund",
    "Return",
    "Transfer",
    "Cancel",
    "Withdraw",
    "SetTillKey",
    "NameRecovery",
    "Recover",
    "finish recovery",
    "give",
    "give at epoch",
    "deposit",
    "deposit guarantee",
    "withdraw guarantee",
    "withdraw income",
    "limit",
    "terms",
    "close epoch",
    "claim",
    "status 1",
    "status 2",
    "status 3",
    "status 4",
    "pause",
    "time",
    "gift",
    "replay",
    "forge",
    "buy and bring back",
}


@pytest.fixture(autouse=True)
def fresh_counts() -> None:
    NetworkMachine.effects.clear()
    NetworkMachine.refusals.clear()
    NetworkMachine.calls = 0


def run(calls_min: int, first_seed: int) -> None:
    """Runs the machine in rounds, each with a seed of its own, until it made so many calls."""
    chosen = settings(
        max_examples=EXAMPLES_A_ROUND,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        # Shrinking a failing run takes minutes: SHRINK in the environment asks for it.
        phases=(Phase.generate, *([Phase.shrink] if os.environ.get("SHRINK") else [])),
        suppress_health_check=list(HealthCheck),
    )
    round_seed = first_seed
    while NetworkMachine.calls < calls_min:
        run_state_machine_as_test(seed(round_seed)(NetworkMachine), settings=chosen)
        round_seed += 1


def report(began: float) -> str:
    took = time.monotonic() - began
    effects = ", ".join(f"{verb} {n}" for verb, n in sorted(NetworkMachine.effects.items()))
    refused = ", ".join(f"{verb} {n}" for verb, n in sorted(NetworkMachine.refusals.items()))
    calls = f"{NetworkMachine.calls} calls in {took:.0f} s"
    return f"\n{calls}\ntook effect: {effects}\nrefused: {refused}"


def assert_not_vacuous() -> None:
    never = MUST_HAPPEN - NetworkMachine.effects.keys()
    assert never == set(), f"never took effect: {sorted(never)}"


def test_network__twenty_thousand_calls__every_law_holds() -> None:
    began = time.monotonic()
    run(CALLS_DEFAULT, SEED_DEFAULT)
    print(report(began))  # noqa: T201 (how often each action succeeded is the result)
    assert_not_vacuous()


@pytest.mark.soak
def test_network__two_hundred_thousand_calls__every_law_holds(soak_seed: int) -> None:
    began = time.monotonic()
    print(f"seed {soak_seed}")  # noqa: T201 (with it the run can be had again)
    run(CALLS_SOAK, soak_seed)
    print(report(began))  # noqa: T201
    assert_not_vacuous()
