"""`banyan index` and `banyan audit`, as a person or a script calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from anvil_network import AnvilNetwork, anvil, key
from click.testing import Result
from typer.testing import CliRunner

from indexer import cli
from indexer.database import open_mirror
from indexer.lock import writer_lock


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder as a running network leaves it: its file, and where its chain answers."""
    folder = tmp_path_factory.mktemp("data")
    with anvil(tmp_path_factory.mktemp("anvil")) as url:
        network = AnvilNetwork.deploy(url)
        network.fund(1, 10**9)
        network.join("ada")
        network.mine()
        network.issue(1, [(key("ada").address, 120)])
        network.mine()
        network.deployment.save(folder / "deployment.json")
        (folder / "lock").write_text(json.dumps({"pid": 1, "rpc_url": url}))
        yield folder
        network.rpc.close()


def banyan(*arguments: str | Path) -> Result:
    root = typer.Typer()
    cli.register(root)
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


def answer(*arguments: str | Path) -> dict[str, Any]:
    result = banyan(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("index", "run", "--data", "/nowhere/at/all"), "there is no folder /nowhere/at/all"),
        (("index", "run", "--once", "--data", "{empty}"), "no network is running in"),
        (
            ("index", "run", "--once", "--data", "{empty}", "--rpc", "http://127.0.0.1:1"),
            "deployment.json: No such file",
        ),
        (("index", "run", "--data", "{data}", "--confirmations", "soon"), "not 'soon'"),
        (("index", "status", "--data", "{empty}"), "run `banyan index run`"),
        (("index", "rebuild", "--data", "{empty}"), "the mirror holds no block yet"),
        (("index", "verify", "--data", "{empty}"), "the mirror holds no block yet"),
        (("index", "check", "--data", "{empty}"), "the mirror holds no block yet"),
    ],
)
def test_command__something_is_missing__says_so_in_a_sentence(
    data: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    words = [word.format(empty=tmp_path, data=data) for word in arguments]
    result = banyan(*words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    as_json = banyan(*words, "--json")
    assert as_json.exit_code == 2
    assert sentence in json.loads(as_json.stdout)["error"]["message"]


def test_audit__a_node_that_does_not_answer__is_not_a_difference(
    data: Path, tmp_path: Path
) -> None:
    mirror = f"sqlite:///{tmp_path / 'mirror.db'}"
    answer("index", "run", "--once", "--data", data, "--mirror", mirror)
    result = banyan(
        "index", "check", "--data", data, "--mirror", mirror, "--rpc", "http://127.0.0.1:1"
    )
    assert result.exit_code == 2


def test_rebuild__an_indexer_runs__is_refused(data: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mirror.db'}"
    answer("index", "run", "--once", "--data", data, "--mirror", url)
    engine = open_mirror(url)
    with writer_lock(engine):
        result = banyan("index", "rebuild", "--data", data, "--mirror", url)
    engine.dispose()
    assert result.exit_code == 2
    assert "another indexer holds this mirror" in result.stderr


def test_index__filled_looked_at_rebuilt_and_verified__keeps_one_digest(
    data: Path, mirror_url: str
) -> None:
    place = ("--data", data, "--mirror", mirror_url)
    progress = answer("index", "run", "--once", *place, "--confirmations", "0")
    status = answer("index", "status", "--digest", *place)
    assert status["as_of_block"] == progress["block"] == progress["head_block"]
    assert status["members"] == 1
    assert status["rows"]["movements"] == 1
    digests = {
        status["digest"],
        answer("index", "rebuild", *place)["digest"],
        answer("index", "rebuild", "--from-chain", *place)["digest"],
        answer("index", "verify", *place)["digest"],
    }
    assert len(digests) == 1
    audited = answer("index", "check", *place)
    assert audited["mirror_equals_chain"]
    assert audited["conservation"]
    shown = banyan("index", "check", *place)
    assert shown.exit_code == 0
    assert "the mirror equals the chain" in shown.stdout


def test_verify__a_row_was_changed__exits_1_and_names_the_table(
    data: Path, mirror_url: str
) -> None:
    place = ("--data", data, "--mirror", mirror_url)
    answer("index", "run", "--once", *place)
    engine = open_mirror(mirror_url)
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE supply SET issued = issued + 1")
    engine.dispose()
    result = banyan("index", "verify", *place, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["different_tables"] == ["supply"]


@pytest.mark.parametrize("command", [("index",), ("index", "run"), ("audit",)])
def test_help__every_command__tells_its_options(command: tuple[str, ...]) -> None:
    result = banyan(*command, "--help")
    assert result.exit_code == 0
    assert "--help" in result.stdout
