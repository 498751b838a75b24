"""The report as a page and on paper, in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from audit_town import Town

from indexer.auditor.checks import CHECKS
from indexer.auditor.cli import run_audit
from indexer.auditor.errors import CannotRun
from indexer.auditor.outcome import Options
from indexer.auditor.page import page_of
from indexer.auditor.pdf import BROWSERS, print_pdf


@pytest.fixture(scope="module")
def report(town: Town) -> dict[str, Any]:
    return run_audit(town.url, town.file, Options(workers=1, last="latest"))


def test_pdf__no_browser__is_told(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match="open the HTML report and print it"):
        print_pdf(page_of(report), tmp_path / "report.pdf")
    assert not (tmp_path / "report.pdf").exists()


def test_page__any_report__is_one_file_that_names_everything(report: dict[str, Any]) -> None:
    page = page_of(report)
    assert "Everything held" in page
    assert report["range"]["hash"] in page
    for foreign in ("http://www", "https://", "<script", "src="):
        assert foreign not in page.replace(report["repeat"], "")
    for check in CHECKS.values():
        assert check.replace("'", "&#39;") in page
    baker = report["merchants"][0]["total"]
    # Every figure of a merchant that is not zero all over has its column.
    for name in ("issued", "returned", "credited", "withdrawn", "breakage"):
        assert f'<th class="n">{name.capitalize()}</th>' in page
        assert f'<td class="n">{baker[name]:,}</td>' in page


def test_page__all_merchants_by_month__is_the_sum(report: dict[str, Any]) -> None:
    months = {month["month"] for m in report["merchants"] for month in m["months"]}
    page = page_of(report)
    for name in months:
        rows = [x for m in report["merchants"] for x in m["months"] if x["month"] == name]
        assert f'<td class="n">{sum(row["issued"] for row in rows):,}</td>' in page


@pytest.mark.browser
def test_pdf__a_report__is_printed(report: dict[str, Any], tmp_path: Path) -> None:
    print_pdf(page_of(report), tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes()[:5] == b"%PDF-"


@pytest.mark.browser
def test_page__on_a_phone__nothing_is_wider_than_the_screen(
    report: dict[str, Any], tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(page_of(report), "utf-8")
    colours = "[getComputedStyle(document.body).color, getComputedStyle(document.body).background]"
    brightness = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, BROWSERS))),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            # What is folded on the screen is there on paper.
            month = page.locator("details.merchant td").first
            assert not month.is_visible()
            page.emulate_media(media="print", color_scheme=scheme)
            assert month.is_visible()
            page.emulate_media(media="screen", color_scheme=scheme)
            page.locator("summary").first.click()
            assert month.is_visible()
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            brightness[scheme] = [
                sum(map(int, colour[4 : colour.index(")")].split(",")))
                for colour in page.evaluate(colours)
            ]
        browser.close()
    assert brightness["light"][0] + 300 < brightness["light"][1]
    assert brightness["dark"][0] > brightness["dark"][1] + 300
