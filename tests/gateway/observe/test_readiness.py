"""/readyz says the truth about each part; an end that is near answers who only waits."""

from __future__ import annotations

import os
import resource
import threading
import time
from contextlib import suppress

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from gateway.errors import MasterKeyUnsafe, NotReady
from gateway.metrics import Metrics
from gateway.observe.patience import Patience
from gateway.observe.readiness import OK, readiness
from tests.gateway.helpers import Town, fresh

NO_DATABASE = OperationalError("SELECT 1", {}, Exception("FATAL: role banyan_gateway"))
PARTS = {"orders", "chain", "mirror", "relay", "keys", "disk", "files"}


@pytest.fixture
def gateway(town: Town) -> object:
    assert readiness(town.network.gateway) == dict.fromkeys(PARTS, OK)
    return town.network.gateway


def failing(error: Exception) -> object:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


def wrong(town: Town) -> dict[str, str]:
    return {part: said for part, said in readiness(town.network.gateway).items() if said != OK}


def test_readyz__each_part_gone__is_the_one_named(
    town: Town, gateway: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = town.network.gateway
    for owner, name, error, part in (
        (found.relay, "open_work", OSError("disk I/O error"), "orders"),
        (found.network, "head", NotReady("no node"), "chain"),
        (found.books, "head", NotReady("the mirror cannot be read"), "mirror"),
        (found.custody, "check", MasterKeyUnsafe("there is no master key"), "keys"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing(error))
            assert part in wrong(town)
            assert set(wrong(town)) <= {part, "mirror"}
    with monkeypatch.context() as patch:
        patch.setattr(found.relay, "_stopped_by", "block 7 was final and is another one now")
        assert wrong(town) == {"relay": "block 7 was final and is another one now"}


def test_readyz__parts_that_never_answer__are_named_and_keep_nobody_waiting(
    town: Town, gateway: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen node kept whoever asked for its own time-out, twice; probes give up long before."""
    found, thawed, asked = town.network.gateway, threading.Event(), []
    head = found.network.head

    def frozen() -> object:
        asked.append(1)
        thawed.wait(20)
        return head()

    patience: Patience[str] = Patience(0.1)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(found.network, "head", frozen)
            patch.setattr(found.custody, "check", failing(NO_DATABASE))
            began = time.monotonic()
            for _ in range(5):
                state = readiness(found, patience)
            assert time.monotonic() - began < 2
            lag = Metrics(found, Patience(0.1)).text().decode()
    finally:
        thawed.set()
    assert {part for part, said in state.items() if said == OK} == PARTS - {
        *("chain", "mirror", "keys")
    }
    assert state["chain"].startswith("no answer for ")
    assert state["keys"] == "the database does not answer"
    # One question of a kind is under way, however often it is looked for: chain, mirror, lag.
    assert len(asked) == 3
    assert "banyan_chain_block" not in lag
    assert "banyan_oldest_open_seconds" in lag


def test_readyz__beyond_what_the_settings_allow__says_by_how_much(
    town: Town, gateway: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = town.network.gateway

    def with_(**changed: object) -> dict[str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(found, "settings", found.settings.model_copy(update=changed))
            return wrong(town)

    assert "MB are free" in with_(ready_disk_free_min_mb=10**9)["disk"]
    head = found.network.head()
    with monkeypatch.context() as patch:
        later = type(head)(head.number + 61, head.hash, head.parent_hash, head.timestamp)
        patch.setattr(found.network, "head", lambda *_: later)
        assert wrong(town) == {"mirror": "the mirror is 61 blocks behind"}
        patch.setattr(found.clock, "now", lambda: head.timestamp + 31)
        assert with_(ready_head_age_max_s=30)["chain"].startswith("the newest block is 31 s old")


def test_readyz__out_of_file_handles__is_said(town: Town, gateway: object) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        said = wrong(town)
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in said["files"]
    assert wrong(town) == {}


def test_readyz__not_ready__answers_503_with_all_parts(
    town: Town, gateway: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(1.1)  # the last look is kept for a second
    monkeypatch.setattr(town.network.gateway.relay, "_stopped_by", "somebody has to look")
    answer = town.client.get("/readyz")
    assert answer.status_code == 503
    assert set(answer.json()) == PARTS
    assert answer.json()["relay"] == "somebody has to look"
    monkeypatch.undo()
    time.sleep(1.1)
    assert town.client.get("/readyz").status_code == 200


def test_prefer_wait__when_the_process_is_told_to_end__is_answered_at_once(town: Town) -> None:
    gateway, chain = town.network.gateway, town.network.chain
    body = {"member": town.ada.id, "points": 5, "reference": fresh("till")}
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Prefer": "wait=25"}
    answers: list[httpx.Response] = []
    chain.hold()
    try:
        asking = threading.Thread(
            target=lambda: answers.append(
                town.client.post("/v1/issuances", json=body, headers=headers)
            )
        )
        asking.start()
        time.sleep(0.5)
        assert answers == []
        gateway.stopping.set()
        asking.join(5)
        assert [a.status_code for a in answers] == [202]
    finally:
        gateway.stopping.clear()
        chain.release()
    gateway.drain()
