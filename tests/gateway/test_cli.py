"""The command line as a newcomer uses it, on a network of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.common import money_of, shown_money
from gateway.errors import InvalidRequest
from tests.gateway.node import anvil
from wallet_sdk.contracts import Deployment, Network
from wallet_sdk.rpc import Rpc

COMMANDS = (
    *("demo", "serve", "deploy", "import", "merchant", "operator", "keys", "chain", "index"),
    "audit",
)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def done(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, (words, result.output)
    return dict(json.loads(result.stdout))


@pytest.mark.parametrize("text", ["", "-1", "1.2345678", "1,5", "1e3", "٣", "1.", "9" * 20])
def test_money__that_is_none__is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        money_of(text)


def test_money__amounts__are_exact_both_ways() -> None:
    assert money_of("1500.00") == 1_500_000_000
    assert money_of("0.000001") == 1
    assert shown_money(1_500_000_000) == "1,500.00"
    assert shown_money(-1) == "-0.000001"


@pytest.mark.parametrize("command", COMMANDS)
def test_help__of_every_command__says_what_it_does(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.split()) > 20


def test_merchant__unknown__is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    words = ("merchant", "fund", "nobody", "5.00", "--bank-reference", "b1")
    result = run(*words, "--data", str(tmp_path))
    assert result.exit_code == 2
    assert "there is no merchant 'nobody'" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", [("--epoch-length", "0"), ("--rpc", "http://127.0.0.1:1")])
def test_deploy__of_what_cannot_be__is_one_sentence_and_no_file(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = run("deploy", *words, "--data", str(tmp_path))
    assert result.exit_code == 2
    assert ("'--epoch-length'" in result.output) or ("Connection refused" in result.output)
    assert "Traceback" not in result.output
    assert not list(tmp_path.rglob("deployment.json"))


@pytest.mark.parametrize("earn", ["abc", "1/x", "", "1/-1", "1/1/1"])
def test_merchant_add__senseless_earn_rule__is_one_sentence_and_exit_2(
    tmp_path: Path, earn: str
) -> None:
    words = ("merchant", "add", "x", "--name", "x", "--earn", earn, "--data", str(tmp_path))
    result = run(*words)
    assert (result.exit_code, "no earn rule" in result.output) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "check"),
        ("relay", "status"),
        ("reconcile", "--check", "--rpc", "http://127.0.0.1:1"),
        ("webhooks", "list"),
        ("migrate",),
    ],
)
def test_command__while_the_database_is_away__is_one_sentence_and_no_finding(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 would say that a secret does not open, or that book and chain differ."""
    url = "postgresql+psycopg://banyan_gateway:secret-of-the-gateway@127.0.0.1:1/banyan"
    monkeypatch.setenv("BANYAN_ORDERS_URL", url)
    result = run(*words, "--data", str(tmp_path))
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1, result.output
    assert "secret-of-the-gateway" not in result.output


@pytest.mark.parametrize(
    "words", [("deploy",), ("merchant", "list"), ("operator", "key"), ("merchant", "key", "baker")]
)
def test_command__on_a_network_whose_chain_is_elsewhere__starts_no_chain_here(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`deploy` without --rpc made a second, embedded network in production's folder."""
    monkeypatch.setenv("BANYAN_RPC_URL", "http://127.0.0.1:1")
    result = run(*words, "--data", str(tmp_path))
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert not list(tmp_path.glob("chain.db*"))
    assert not list(tmp_path.glob("deployment.json"))


def test_network__from_nothing_to_an_import__all_by_commands(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    deployed = done("deploy", *data)
    assert Path(deployed["deployment_file"]).exists()
    made = done("merchant", "add", "baker", "--name", "Baker", "--deposit", "100.00", *data)
    assert made["state"] == "active"
    assert made["api_key"].startswith("bnk_")
    again = done("merchant", "add", "baker", "--name", "Baker", "--deposit", "100.00", *data)
    assert "api_key" not in again
    paid = ("merchant", "fund", "baker", "50.00", "--bank-reference", "b1", *data)
    assert done(*paid)["booked"] is True
    assert done(*paid) == {"merchant": "baker", "booked": False, "position": 150_000_000}
    fresh_key = done("merchant", "key", "baker", *data)
    assert fresh_key["api_key"] != made["api_key"]
    keys = [done("operator", "key", *data)["api_key"] for _ in range(3)]
    assert len(set(keys)) == 3
    with sqlite3.connect(tmp_path / "data" / "orders.db") as book:
        alive = book.execute(
            "SELECT role, count(*) FROM api_keys WHERE revoked_at IS NULL GROUP BY role"
        )
        # The merchant's first and fresh key; of three operator's keys the first is revoked.
        assert dict(alive.fetchall()) == {"merchant": 2, "operator": 2}
    book.close()

    file = tmp_path / "in.csv"
    file.write_text("member,reference,amount\nada,r1,12.34\nben,r2,nonsense\nada,r3,1.00\n")
    for _ in range(2):
        result = done("import", str(file), "--merchant", "baker", *data)
        assert (result["accepted"], result["points"], result["refused"]) == (2, 1_334, 1)
        assert result["open_orders"] == 0
    rejects = Path(result["rejects_file"]).read_text().splitlines()
    assert rejects[0] == "line,code,detail,member,reference,amount"
    assert rejects[1].startswith("3,purchase_invalid,")
    (row,) = done("merchant", "list", *data)["merchants"]
    assert row["position"] == 150_000_000 - 1_334 * 110
    assert "149.85326" in run("merchant", "list", *data).output


def test_deploy__on_another_chain__makes_it_once(tmp_path: Path) -> None:
    with anvil() as (url, _process), Rpc(url) as node:
        node.call("evm_setAutomine", [True])
        words = ("deploy", "--rpc", url, "--data", str(tmp_path))
        os.environ["BANYAN_FINALITY"], os.environ["BANYAN_FEE_CAP_WEI"] = "0", "0"
        try:
            first, again = done(*words), done(*words)
        finally:
            del os.environ["BANYAN_FINALITY"], os.environ["BANYAN_FEE_CAP_WEI"]
        assert first == again
        deployment = Deployment.load(Path(first["deployment_file"]))
        Network(node, deployment).check()
        assert deployment.chain_id == 777


@pytest.mark.parametrize(
    "told_to_end", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)]
)
def test_serve__told_to_end__answers_what_is_in_hand_and_leaves_nothing_behind(
    tmp_path: Path, told_to_end: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from gateway.cli import main; main()"]
        + ["serve", "--data", str(tmp_path), "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(Path(__file__).parents[2]), "BANYAN_LOG_FORMAT": "json"},
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", told["listening_on"])
    assert httpx.get(told["listening_on"] + "/readyz").status_code == 200
    second = run("merchant", "list", "--data", str(tmp_path))
    # It is running already, so its API is asked.
    assert second.exit_code == 0
    assert json.loads(run("merchant", "list", "--data", str(tmp_path), "--json").stdout) == {
        "merchants": []
    }
    busy = run("deploy", "--data", str(tmp_path))
    assert busy.exit_code == 2
    assert str(process.pid) in busy.output
    port = int(told["listening_on"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as till:
        till.sendall(
            b"POST /v1/issuances HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            b"X-Request-ID: in-hand-1\r\nContent-Length: 2\r\n\r\n{"
        )
        time.sleep(0.3)
        process.send_signal(told_to_end)
        time.sleep(0.3)
        till.sendall(b"}")
        # Nobody's key, but an answer.
        assert till.recv(4096).startswith(b"HTTP/1.1 401 ")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    told_lines = [json.loads(line) for line in errors.splitlines()]
    assert [t["status"] for t in told_lines if t.get("request") == "in-hand-1"] == [401]
    assert "Traceback" not in errors
    # The last connection that is closed in order takes the log into the file.
    assert not list(tmp_path.glob("*.db-wal"))
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert found.stdout == ""
