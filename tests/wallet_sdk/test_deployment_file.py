import json
from pathlib import Path
from typing import Any

import pytest

from wallet_sdk.deployment import CONTRACT_NAMES, ContractAt, Deployment
from wallet_sdk.errors import DeploymentInvalid
from wallet_sdk.types import Policy

CODE = "0x" + "c0" * 32
GENESIS = "0x" + "9e" * 32
DEPLOYMENT = Deployment(
    chain_id=31337,
    genesis_hash=GENESIS,
    first_block=1,
    contracts={name: ContractAt(f"0x{i:040x}", CODE) for i, name in enumerate(CONTRACT_NAMES, 1)},
    face_value=100,
    epoch_first_start=1_700_000_000,
    epoch_length=7_889_400,
    policy=Policy.MEMBERS,
)


def changed(**values: Any) -> dict[str, Any]:
    content = DEPLOYMENT.to_dict()
    for name, value in values.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    return content


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "schema None"),
        (changed(schema=2), "schema 2"),
        (changed(chain_id=None), "chain_id"),
        (changed(chain_id="31337"), "chain_id"),
        (changed(first_block=-1), "first_block"),
        (changed(face_value=True), "face_value"),
        (changed(genesis_hash="0x12"), "32 bytes"),
        (changed(policy="some"), "SOME"),
        (changed(policy=3), "malformed"),
        (changed(contracts=[]), "malformed"),
        (changed(contracts={}), "names no AccessManager"),
        (changed(contracts={"Points": {"address": "0x12", "code_hash": CODE}}), "20 bytes"),
        (changed(contracts={"Points": {"address": "0x" + "1" * 40}}), "code_hash"),
    ],
)
def test_from_dict__a_part_missing_or_wrong__refused_and_named(
    content: dict[str, Any], named: str
) -> None:
    with pytest.raises(DeploymentInvalid, match=named):
        Deployment.from_dict(content)


@pytest.mark.parametrize("content", ["", "[]", "null", "{"])
def test_load__no_json_object__refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "deployment.json"
    file.write_text(content)
    with pytest.raises(DeploymentInvalid):
        Deployment.load(file)


def test_load__no_file__refused(tmp_path: Path) -> None:
    with pytest.raises(DeploymentInvalid, match="No such file"):
        Deployment.load(tmp_path / "deployment.json")


def test_address__no_such_contract__refused() -> None:
    with pytest.raises(DeploymentInvalid, match="Casino"):
        DEPLOYMENT.address("Casino")


def test_save__then_load__is_the_same_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    DEPLOYMENT.save(file)
    DEPLOYMENT.save(file)
    assert Deployment.load(file) == DEPLOYMENT
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.json"]
    assert json.loads(file.read_text())["contracts"]["Points"]["code_hash"] == CODE


def test_deployment__domain_and_schedule__follow_from_it() -> None:
    assert DEPLOYMENT.domain.coalition == DEPLOYMENT.address("Coalition")
    assert DEPLOYMENT.domain.chain_id == 31337
    assert DEPLOYMENT.schedule.start(2) == 1_707_889_400
