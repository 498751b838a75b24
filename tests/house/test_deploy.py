"""deploy/ and docs/OPERATING.md: what they name exists; no secret and no address is in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from gateway.cli import app
from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: s for name, s in COMPOSE["services"].items() if s["image"] == "banyan:local"}
OPERATING = (ROOT / "docs" / "OPERATING.md").read_text()
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}

# systemd's own mark: 10 is a unit without any bounds; this is "OK" and half of "MEDIUM" (5).
EXPOSURE_MAX = 2.5


@cache
def the_program() -> Any:
    """`banyan`, put together once: it takes half a second."""
    return typer.main.get_command(app)


def is_command(words: list[str]) -> bool:
    """Whether `banyan WORDS...` begins with a command of ours."""
    command = the_program()
    for word in words:
        inner = getattr(command, "commands", None)
        if inner is None:
            return True
        if word not in inner:
            return False
        command = inner[word]
    return not getattr(command, "commands", None) or command.invoke_without_command


# ---- compose


def test_compose__every_key__is_one_of_the_specification() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} <= {
        *("name", "services", "volumes", "secrets")
    }
    # Of the Compose Specification what is used here; another word may be a slip of the pen.
    words = {"image", "build", "restart", "read_only", "tmpfs", "cap_drop", "security_opt"}
    words |= {"stop_grace_period", "environment", "volumes", "secrets", "depends_on", "healthcheck"}
    words |= {"command", "ports"}
    for name, service in COMPOSE["services"].items():
        assert set(service) <= words, name
        assert set(service.get("healthcheck", {})) <= {"test", "interval", "timeout", "retries"}
        for secret in service.get("secrets", []):
            assert isinstance(secret, str) or set(secret) == {"source", "target", "uid", "mode"}
        for value in service.get("environment", {}).values():
            assert isinstance(value, str), (name, value)


def test_compose__everything_it_leads_to__is_there() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert services[other]["healthcheck"]["test"], name
            else:
                # It ends by itself, or nobody would ever start.
                assert how["condition"] == "service_completed_successfully", name
                assert services[other]["restart"] == "no", name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (DEPLOY / source).exists() if "/" in source else source in COMPOSE["volumes"]
            assert there, (name, volume)
        if "build" in service:
            context = DEPLOY / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()
        # What a setting says of a secret's file is where the secret is mounted.
        mounted = {
            f"/run/secrets/{s['target']}" for s in service.get("secrets", []) if "target" in s
        }
        for value in service.get("environment", {}).values():
            assert not value.startswith("/run/secrets/banyan") or value in mounted, value


def test_compose__its_folders_and_ports__are_those_of_the_image() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert "CREDENTIALS_DIRECTORY=/run/secrets" in text
    (folder,) = re.findall(r"BANYAN_DATA_DIR=(\S+)", text)
    (port,) = re.findall(r"^EXPOSE (\d+)$", text, re.M)
    (uid,) = re.findall(r"useradd --uid (\d+)", text)
    (command,) = re.findall(r"^CMD (\[.+\])$", text, re.M)
    assert is_command(json.loads(command)[:1])
    assert json.loads(command)[-1] == port
    for name, service in OURS.items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[1] == folder, name
        for published in service.get("ports", []):
            assert published.endswith(f":{port}"), name
        for secret in service.get("secrets", []):
            assert secret["uid"] == uid, name
        for word in service.get("healthcheck", {}).get("test", []):
            assert "127.0.0.1" not in word or f"127.0.0.1:{port}/" in word, name


def test_wheel__of_what_the_dockerfile_copies__holds_every_file(tmp_path: Path) -> None:
    """The image is not built here; what would go into it is."""
    copied = re.findall(r"^COPY (\w+)/ \1/$", (DEPLOY / "Dockerfile").read_text(), re.M)
    packages = sorted(set(copied) - {"requirements"})
    assert packages == ["gateway", "indexer", "wallet_sdk"]
    tracked = subprocess.run(
        ["git", "ls-files", *packages], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    built = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            "import sys; from setuptools import setup; sys.argv[1:] = ['-q', 'build', "
            f"'-b', {str(tmp_path)!r}, 'egg_info', '-e', {str(tmp_path)!r}]; setup()",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    there = {str(p.relative_to(tmp_path / "lib")) for p in (tmp_path / "lib").rglob("*")}
    assert [path for path in tracked if path not in there] == []


def test_compose__every_image__is_ours_or_a_plain_name() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.fullmatch(r"[a-z]+:[0-9a-z.]+", service["image"]), name


def test_compose__every_service_of_ours__has_least_rights_and_time_to_stop() -> None:
    assert {"gateway-a", "gateway-b", "indexer", "migrate", "webhooks"} == set(OURS)
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["stop_grace_period"] == "30s", name
        assert "privileged" not in service, name


def test_compose__every_port__is_open_to_this_machine_alone() -> None:
    for service in COMPOSE["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), port


def test_compose__every_secret__is_a_file_and_none_is_written_here() -> None:
    declared = set(COMPOSE["secrets"])
    used = set()
    for service in COMPOSE["services"].values():
        used |= {s if isinstance(s, str) else s["source"] for s in service.get("secrets", [])}
        for name in service.get("environment", {}):
            assert not re.search("URL|PASSWORD$|SECRET|TOKEN", name), name
    assert used == declared
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


def test_compose__every_setting__exists_and_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in OURS.values():
        for name, value in service.get("environment", {}).items():
            assert name.removeprefix("BANYAN_").lower() in Settings.model_fields, name
            monkeypatch.setenv(name, value)
        for secret in service.get("secrets", []):
            name = secret["target"].removeprefix("banyan_")
            assert name in Settings.model_fields or name == "master_passphrase", name
    Settings()


def test_compose__every_command__exists() -> None:
    for service in OURS.values():
        assert is_command(service.get("command", ["serve"]))


def test_dockerfile__from_a_base_image__names_no_address_and_no_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) == {"python:3.11-slim"}
    assert not re.search(r"https?:|--index-url|--extra-index|ADD ", text)
    assert text.count("--require-hashes") == 3
    assert "\nUSER banyan\n" in text
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for path in source.split():
            assert (ROOT / path).exists(), path


# ---- systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_unit__every_setting_and_command__exists(unit: Path) -> None:
    text = unit.read_text()
    for name in re.findall(r"BANYAN_([A-Z_]+)=", text):
        assert name.lower() in Settings.model_fields, name
    (words,) = re.findall(r"^ExecStart=/opt/banyan/bin/banyan (.+)$", text, re.M)
    assert is_command(words.split())
    for credential in re.findall(r"^LoadCredential=banyan_(\w+):", text, re.M):
        assert credential in Settings.model_fields or credential == "master_passphrase"
    for example in (DEPLOY / "systemd").glob("*.env.example"):
        for name in re.findall(r"^BANYAN_([A-Z_]+)=", example.read_text(), re.M):
            assert name.lower() in Settings.model_fields, name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_units__judged_by_systemd__are_sound_and_confined(tmp_path: Path) -> None:
    for unit in UNITS:
        # The program is not installed where these units expect it.
        text = unit.read_text().replace("/opt/banyan/bin/banyan", "/bin/true")
        text = re.sub(r"^(Documentation|EnvironmentFile)=.*\n", "", text, flags=re.M)
        name = unit.name.replace("@.", "@8000.")
        (tmp_path / name).write_text(text)
    for path in sorted(tmp_path.glob("banyan-*.service")):
        found = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:/lib/systemd/system", "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert "banyan" not in found.stderr, found.stderr
    judged = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            str(tmp_path / "banyan-gateway@8000.service"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert float(exposure) <= EXPOSURE_MAX, judged.stdout


# ---- alarms, dashboard and the page


def metrics_named(text: str) -> set[str]:
    return set(re.findall(r"\bbanyan_[a-z_]+", text))


def test_alarms__every_one__has_its_row_in_the_page_and_back() -> None:
    table = OPERATING.split("| alarm | meaning | command |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (\w+) \| ", table, re.M)
    assert sorted(rows) == sorted(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"]["summary"], name


def test_dashboard__every_panel__says_what_it_shows_and_names_alarms_that_exist() -> None:
    board = json.loads((DEPLOY / "grafana" / "banyan.json").read_text())
    panels = [p for p in board["panels"] if p["type"] != "row"]
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        for name in re.findall(r"Alarm: (\w+)", panel["description"]):
            assert name in ALERTS, name
        for target in panel["targets"]:
            assert metrics_named(target["expr"]), target


def test_page__every_command_file_and_test__exists() -> None:
    commands = re.findall(r"banyan ([a-z][^`]*)`", OPERATING)
    assert len(commands) > 20
    for words in commands:
        plain = re.match(r"[a-z-]+( [a-z-]+)*", words)
        assert plain is not None
        assert is_command(plain[0].split()), words
    for path in re.findall(r"`((?:tests|deploy|docs)/[\w./-]+)`", OPERATING):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"BANYAN_([A-Z_]+[A-Z])", OPERATING):
        assert name.lower() in Settings.model_fields, name
