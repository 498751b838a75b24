"""Commands on a network that is running: through its API, with the answers they give otherwise."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.running import announced, running
from tests.gateway.helpers import Town, fresh


@pytest.fixture
def data(town: Town) -> Iterator[str]:
    gateway = town.network.gateway
    with announced(gateway, str(town.client.base_url)):
        yield str(gateway.settings.data_dir)


def done(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, (words, result.output)
    return dict(json.loads(result.stdout))


def test_note__of_a_running_network__is_the_owners_alone_and_goes_with_it(town: Town) -> None:
    settings = town.network.gateway.settings
    with announced(town.network.gateway, str(town.client.base_url)):
        (path,) = settings.secrets_dir.glob("running-*.json")
        found = running(settings)
        assert found is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert town.get("/v1/merchants", by=found.key).status_code == 200
    assert not path.exists()
    assert running(settings) is None


def test_note__of_gateways_on_one_folder__stays_when_another_stops(town: Town) -> None:
    """systemd's two ports shared one note: the one that stopped took the other's with it, and a
    command took the network for not running.
    """
    gateway, url = town.network.gateway, str(town.client.base_url)
    settings = gateway.settings
    with announced(gateway, url):
        for port in (1, 2, 3):
            # Nobody listens there: as after a kill.
            with announced(gateway, f"http://127.0.0.1:{port}"):
                assert len(list(settings.secrets_dir.glob("running-*.json"))) == 2
                assert running(settings) is not None
        found = running(settings)
        assert found is not None
        assert found.url == url
    assert running(settings) is None


def test_merchant__commands_on_a_running_network__do_what_they_say(town: Town, data: str) -> None:
    slug = fresh("kiosk")
    to = ("--data", data)
    made = done("merchant", "add", slug, "--name", "Kiosk", "--deposit", "100.00", *to)
    assert (made["state"], made["slug"]) == ("active", slug)
    assert town.get("/v1/merchants/me", by=made["api_key"]).json()["slug"] == slug
    paid = ("merchant", "fund", slug, "50.00", "--bank-reference", fresh("b"), *to)
    assert done(*paid) == {"merchant": slug, "booked": True, "position": 150_000_000}
    assert done(*paid)["booked"] is False
    listed = {row["slug"]: row for row in done("merchant", "list", *to)["merchants"]}
    assert listed[slug]["position"] == 150_000_000
    assert done("merchant", "key", slug, *to)["api_key"] != made["api_key"]
    result = CliRunner().invoke(app, ["merchant", "key", "nobody", *to])
    assert (result.exit_code, "there is no merchant" in result.output) == (2, True)
    key = done("operator", "key", *to)["api_key"]
    assert town.get("/v1/merchants", by=key).status_code == 200


def test_operator__a_key_for_prometheus__reads_metrics_and_nothing_else(
    town: Town, data: str
) -> None:
    words = ("--role", "auditor", "--label", "prometheus", "--scopes", "metrics")
    key = done("operator", "key", *words, "--data", data)["api_key"]
    assert town.get("/metrics", by=key).status_code == 200
    assert town.get("/v1/merchants", by=key).status_code == 403
    for wrong in (("--scopes", "money"), ("--label", "a\nb")):
        result = CliRunner().invoke(app, ["operator", "key", *words, *wrong, "--data", data])
        assert result.exit_code == 2, result.output


def test_operator__revokes_a_stolen_key__by_its_id_and_by_the_whole_of_it(
    town: Town, data: str
) -> None:
    for pick in (slice(4, 20), slice(0, None)):
        body = {"role": "cashier", "label": fresh("till")}
        stolen = town.post("/v1/api-keys", body).json()["api_key"]
        told = done("operator", "revoke", stolen[pick], "--data", data)
        assert told == {"id": stolen[4:20], "revoked": True}
        # Nobody has seen it in this process, so it opens nothing at once.
        assert town.get("/v1/merchants/me", by=stolen).status_code == 401
    for wrong, said in (("../../merchants", "has 16 characters"), ("0" * 16, "is no API key")):
        result = CliRunner().invoke(app, ["operator", "revoke", wrong, "--data", data])
        assert (result.exit_code, said in result.output) == (2, True), result.output


def test_import__on_a_running_network__issues_each_line_once(
    town: Town, data: str, tmp_path: Path
) -> None:
    ada, ben = fresh("ada"), fresh("ben")
    file = tmp_path / "in.csv"
    file.write_text(f"member,reference,amount\n{ada},{ada},12.34\n{ben},{ben},nonsense\n")
    for _ in range(2):
        result = done("import", str(file), "--merchant", "baker", "--data", data)
        assert (result["accepted"], result["points"], result["refused"]) == (1, 1_234, 1)
        assert result["open_orders"] == 0
    rejects = Path(result["rejects_file"]).read_text().splitlines()
    assert rejects[1].startswith("3,purchase_invalid,")
    keys = town.get("/v1/api-keys?limit=500").json()["api_keys"]
    assert all(key["revoked_at"] for key in keys if key["label"] == "import")
