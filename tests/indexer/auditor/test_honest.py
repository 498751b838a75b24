"""Honest chains end 0: a false alarm is a fault too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from audit_proxy import lying
from audit_town import BAKER, FLORIST, Town, running_anvil
from typer.testing import CliRunner

from indexer.auditor import checkpoint, completeness
from indexer.auditor.checks import CHECKS
from indexer.auditor.cli import app, run_audit
from indexer.auditor.errors import CannotRun
from indexer.auditor.network import read_network
from indexer.auditor.outcome import Options

SCHEMA = Path(__file__).parents[3] / "indexer/auditor/report.schema.json"


def report_of(town: Town, **options: Any) -> dict[str, Any]:
    chosen = Options(**{"workers": 1, "last": "latest", **options})
    return run_audit(town.url, town.file, chosen)


@pytest.fixture(scope="module")
def report(town: Town) -> dict[str, Any]:
    return report_of(town)


def test_audit__wrong_chain_id__cannot_run(town: Town, tmp_path: Path) -> None:
    content = json.loads(town.file.read_text()) | {"chain_id": 7}
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(content))
    result = CliRunner().invoke(app, ["--rpc", town.url, "--deployment", str(file)])
    assert result.exit_code == 2
    assert "chain 424242" in result.output


def test_audit__another_genesis__is_broken_at_block_0(town: Town, tmp_path: Path) -> None:
    content = json.loads(town.file.read_text()) | {"genesis_hash": "0x" + "22" * 32}
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(content))
    report = run_audit(town.url, file, Options(workers=1, last="latest"))
    assert report["exit_code"] == 1
    assert report["findings"][0]["block"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--rpc", "http://127.0.0.1:1"],
        ["--rpc", "http://127.0.0.1:1", "--deployment", "/nowhere.json"],
        ["--rpc", "http://127.0.0.1:1", "--deployment", "x", "--to", "soon"],
        ["--rpc", "http://127.0.0.1:1", "--deployment", "x", "--accept-unchecked", "everything"],
    ],
)
def test_audit__senseless_arguments__exit_2_without_a_traceback(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_audit__an_honest_year__every_check_holds(report: dict[str, Any]) -> None:
    assert report["findings"] == []
    assert report["not_checked"] == []
    assert report["exit_code"] == 0
    verdicts = {check["name"]: check["verdict"] for check in report["checks"]}
    asked = set(CHECKS) - {"published heads", "references", "mirror"}
    assert {name for name, verdict in verdicts.items() if verdict == "held"} == asked
    assert all(law["holds"] for law in report["laws"])
    assert [law["number"] for law in report["laws"]] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 16]


def test_audit__no_slot_made_up__what_contracts_touched_explains_every_branch(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # anvil keeps slots that were read or cleared as leaves of zero. Making slots up finds the few
    # of a small town by luck, and not those of a large one.
    monkeypatch.setattr(completeness, "HASHES_MAX", 0)
    report = report_of(town)
    assert report["not_checked"] == []
    assert report["exit_code"] == 0


def test_audit__an_honest_year__figures_are_those_of_the_trade(report: dict[str, Any]) -> None:
    baker, florist = report["merchants"]
    assert (baker["merchant"], florist["merchant"]) == (BAKER, FLORIST)
    assert baker["total"]["issued"] == 70_001 + 77 + 1_000 + 10_040 + 5_000
    assert florist["total"]["refunded"] == 250
    assert florist["total"]["redeemed"] == 7_000 + 1 + 48_000
    assert baker["total"]["returned"] == 2_000 + 900
    assert report["counts"]["rejections"] == 8
    assert sum(month["issued"] for month in baker["months"]) == baker["total"]["issued"]


def test_audit__report__fits_its_schema(report: dict[str, Any]) -> None:
    schema = orjson.loads(SCHEMA.read_bytes())
    jsonschema_rs.validator_for(schema).validate(orjson.loads(orjson.dumps(report)))


def test_audit__processes__find_the_same(town: Town, report: dict[str, Any]) -> None:
    other = report_of(town, workers=2)
    for part in ("laws", "merchants", "epochs", "counts", "reserve"):
        assert other[part] == report[part]


def test_audit__state_kept__goes_on_where_it_was(town: Town, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = report_of(town, last=21, state=state)
    assert (first["exit_code"], first["range"]["last"]) == (0, 21)
    second = report_of(town, state=state)
    assert second["exit_code"] == 0
    assert second["range"]["first"] == 22
    assert second["range"]["resumed_at"] == 21
    assert any("saved at block 21" in line for line in second["trusted"])
    third = report_of(town, state=state)
    assert (third["exit_code"], third["speed"]["events"]) == (0, 0)
    whole = report_of(town)
    assert second["merchants"] == whole["merchants"] == third["merchants"]
    assert second["epochs"] == whole["epochs"]


def test_audit__a_state_whose_block_was_reorganised__says_so(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada")])
        assert report_of(town, state=state)["exit_code"] == 0
        town.reorg(1)
        town.mine()
        with pytest.raises(CannotRun, match="another one now"):
            report_of(town, state=state)
        state.unlink()
        assert report_of(town, state=state)["exit_code"] == 0
        town.rpc.close()


def test_checkpoint__written_and_read__is_the_same_state(town: Town, tmp_path: Path) -> None:
    report_of(town, state=tmp_path / "state")
    network = read_network(town.file)
    ledger = checkpoint.load(tmp_path / "state", network.digest)
    assert ledger is not None
    checkpoint.save(tmp_path / "again", ledger, network.digest)
    again = checkpoint.load(tmp_path / "again", network.digest)
    assert again == ledger
    assert checkpoint.state_digest(again) == checkpoint.state_digest(ledger)


def test_audit__a_reorganised_chain__ends_0(tmp_path: Path) -> None:
    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada"), town.join("ben")])
        town.relayed([town.issue(BAKER, ("ada", 10))])
        town.reorg(1)
        town.relayed([town.issue(BAKER, ("ben", 20))])
        report = report_of(town)
        town.rpc.close()
    assert report["exit_code"] == 0
    assert report["merchants"][0]["total"]["issued"] == 20


def test_audit__reorganised_while_it_is_read__is_read_again(tmp_path: Path) -> None:
    with running_anvil() as url:
        town = Town(url, tmp_path)
        town.relayed([town.join("ada"), town.join("ben")])
        for points in (1, 2, 3, 4):
            town.relayed([town.issue(BAKER, ("ada", points))])
        head = int(town.rpc.call("eth_blockNumber", []), 16)
        old = {
            (method, hex(n)): town.rpc.call(method, [hex(n), *more])
            for n in range(head + 1)
            for method, more in (("eth_getBlockByNumber", [True]), ("eth_getBlockReceipts", []))
        }
        town.reorg(3)
        town.relayed([town.issue(BAKER, ("ben", 9))])
        seen: set[tuple[str, str]] = set()

        def rule(method: str, params: list[Any], result: Any) -> Any:
            # The first reading sees the last block but one as it was before.
            key = (method, params[0] if params else "")
            if key[1] != hex(head - 1) or key in seen:
                return result
            seen.add(key)
            return old[key]

        with lying(url, rule) as between:
            report = run_audit(between, town.file, Options(workers=1, last="latest"))
        town.rpc.close()
    assert seen
    assert report["findings"] == []
    assert report["exit_code"] == 0
    assert report["merchants"][0]["total"]["issued"] == 1 + 9


def test_audit__from_a_block_on__reports_what_came_since(
    town: Town, report: dict[str, Any]
) -> None:
    early = report_of(town, last=21)
    late = report_of(town, first=22)
    assert late["exit_code"] == 0
    assert late["range"]["first"] == 22
    for before, after, whole in zip(
        early["merchants"], late["merchants"], report["merchants"], strict=True
    ):
        for name, value in whole["total"].items():
            assert before["total"][name] + after["total"][name] == value
