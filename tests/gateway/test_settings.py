"""Settings: what is refused, where they come from, and that nothing secret shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
from fastapi import FastAPI
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.common import settings_of
from gateway.custody import Purpose
from gateway.errors import SettingsWrong
from gateway.settings import Settings
from gateway.web.router import pages_router
from indexer.settings import IndexerSettings
from tests.gateway.helpers import Town

CREDENTIAL_WORDS = ("passphrase", "password", "secret", "private", "token", "seed", "mnemonic")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TIME_ZONE", "Middle/Earth", "no time zone"),
        ("TIME_ZONE", "../../etc/passwd", "no time zone"),
        ("CURRENCY_LABEL", "", "at least 1 character"),
        ("CURRENCY_LABEL", "U\x00D", "printable"),
        ("KMS_KEY_PURPOSES", "relayer,nonsense", "Input should be"),
        ("KMS_KEY_PURPOSES", "till,member_seed", "no signing key"),
        ("MASTER", "vault", "'file', 'passphrase' or 'kms'"),
        ("TILL_DAILY_POINTS_MAX", "0", "greater than or equal to 1"),
        ("READY_DISK_FREE_MIN_MB", "hunter2-hunter2", "valid integer"),
    ],
)
def test_settings__wrong__are_refused_without_their_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"BANYAN_{name}", value.replace("\x00", "\x07"))
    with pytest.raises(SettingsWrong, match=said) as found:
        settings_of(None)
    assert f"BANYAN_{name}" in found.value.message
    assert "hunter2" not in str(found.value)


def test_command__with_a_wrong_setting__says_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BANYAN_MASTER", "vault")
    result = CliRunner().invoke(app, ["keys", "list", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "BANYAN_MASTER" in result.output
    assert "Traceback" not in result.output


def test_settings__in_files_of_credentials__are_read_after_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = "postgresql://banyan:open-sesame@db/orders"
    (tmp_path / "banyan_orders_url").write_text(url)
    (tmp_path / "banyan_mirror_url").write_text(url)
    (tmp_path / "banyan_log_level").write_text("error")
    assert Settings().orders_url is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("BANYAN_LOG_LEVEL", "warning")
    found = Settings()
    assert found.orders_dsn == url
    assert found.log_level == "warning"
    assert IndexerSettings().mirror() == url
    assert "open-sesame" not in f"{found!r} {found} {IndexerSettings()!r}"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "nowhere"))
    assert Settings().orders_url is None


def test_settings__purposes_in_kms__are_words_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANYAN_KMS_KEY_PURPOSES", " relayer, till,")
    assert Settings().kms_key_purposes == {Purpose.RELAYER, Purpose.TILL}


def options(command: Any) -> Iterator[Any]:
    yield from (p for p in command.params if p.param_type_name == "option")
    for inner in getattr(command, "commands", {}).values():
        yield from options(inner)


def test_command_line__any_option__takes_no_secret() -> None:
    found = list(options(typer.main.get_command(app)))
    assert len(found) > 30
    for option in found:
        for name in option.opts:
            takes_value = not option.is_flag
            assert not (takes_value and any(word in name for word in CREDENTIAL_WORDS)), name


def test_pages__with_a_label_and_a_zone__write_money_and_dates_so(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = town.network.gateway

    def page(**changed: str) -> str:
        monkeypatch.setattr(gateway, "settings", gateway.settings.model_copy(update=changed))
        pages = FastAPI()
        pages.include_router(pages_router(gateway, open_members=False))
        transport = httpx.ASGITransport(app=pages)

        async def get() -> str:
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return (await client.get("/")).text

        return asyncio.run(get())

    ours = page(currency_label="THB", time_zone="Pacific/Kiritimati")
    assert "THB" in ours
    assert "USD" not in ours
    assert "+14:00" in ours
    assert "+14:00" not in page(currency_label="USD", time_zone="UTC")
