"""`banyan webhooks run`: delivery in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gateway
from gateway.cli import app
from gateway.codes import DeliveryState
from gateway.network import Network
from tests.gateway.webhooks.conftest import Desk
from tests.gateway.webhooks.receivers import Receiver

ROOT = Path(gateway.__file__).parents[1]


def test_run__order_book_in_a_file__is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BANYAN_ORDERS_URL", raising=False)
    found = CliRunner().invoke(app, ["webhooks", "run", "--data", str(tmp_path), "--json"])
    assert found.exit_code == 2
    assert "PostgreSQL" in found.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("where", "threads"), [("apart", 0), ("here", 1)])
def test_start__delivery_is_elsewhere__delivers_nothing(
    network: Network, monkeypatch: pytest.MonkeyPatch, where: str, threads: int
) -> None:
    started: list[str] = []
    monkeypatch.setattr(network.gateway.relay, "start", lambda: None)
    monkeypatch.setattr(network.gateway.deliverer, "start", lambda: started.append("webhooks"))
    settings = network.gateway.settings.model_copy(update={"webhook_delivery": where})
    monkeypatch.setattr(network.gateway, "settings", settings)
    network.gateway.start()
    assert len(started) == threads


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_run__beside_another_that_delivers__brings_each_event_once(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    desk.listen(receiver.url)
    url = desk.house.database.engine.url.render_as_string(hide_password=False)
    env = os.environ | {"BANYAN_ORDERS_URL": url, "BANYAN_WEBHOOK_TARGETS": "loopback"}
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "webhooks", "run"]
    process = subprocess.Popen(
        [*command, "--json", "--data", str(tmp_path)],
        env=env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"delivering_to": "loopback"}
        # Nobody else delivers yet.
        desk.issue()
        desk.wait(lambda rows: bool(rows) and rows[0].state == DeliveryState.DELIVERED)
        with desk.delivering():
            for _ in range(20):
                desk.issue()
            desk.wait(lambda rows: all(row.state == DeliveryState.DELIVERED for row in rows))
        assert len({got.id for got in receiver.got}) == len(receiver.got) == 21
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
