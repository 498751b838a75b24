"""A member's page: plain words, the right dates, three languages, and nothing of anybody else."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.web.facts import MemberFacts
from gateway.web.formats import Language
from gateway.web.texts import LANGUAGES

CRYPTO = re.compile(
    r"wallet|token|crypto|chain|block|address|hash|\bgas\b|\bmint|\bburn|nonce|signature|ledger"
    r"|contract|on-?chain|0x[0-9a-f]",
    re.IGNORECASE,
)


def _words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_member__whole_page_in_any_language__no_crypto_word(
    site: Any, ada_id: str, language: Language
) -> None:
    # The whole source is searched, attributes too: what is not there cannot be read out either.
    for path in (f"/members/{ada_id}", "/members/nobody"):
        assert not CRYPTO.findall(site.get(f"{path}?lang={language}").text)


@pytest.mark.parametrize("member_id", ["nobody", "mem_0", "x" * 65, "%00", "<script>"])
def test_show_member__unknown__friendly_404_that_repeats_nothing(site: Any, member_id: str) -> None:
    response = site.get(f"/members/{member_id}")
    assert response.status_code == 404
    assert "We do not know this page" in response.text
    assert "<script" not in response.text
    assert response.headers["cache-control"] == "private, no-store"


def test_show_member__cursor_of_nobody__is_404(site: Any, ada_id: str) -> None:
    assert site.get(f"/members/{ada_id}?before=nonsense").status_code == 404
    assert site.get(f"/members/{ada_id}?before={'x' * 257}").status_code == 404


def test_show_member__members_not_open__neither_page_nor_link(
    site_of: Callable[..., Any], source: Any, ada_id: str
) -> None:
    closed = site_of(source, open_members=False)
    assert closed.get(f"/members/{ada_id}").status_code == 404
    assert closed.get(f"/members/{ada_id}").text == closed.get(
        f"/members/{ada_id[:-1]}B"
    ).text.replace(f"{ada_id[:-1]}B", ada_id)
    html = closed.get("/").text
    assert ada_id not in html
    assert ada_id[-6:] not in html


def test_show_member__merchant_with_a_script_for_a_name__shown_as_text(
    site: Any, ada: MemberFacts, ada_id: str, source: Any
) -> None:
    evil = replace(ada.history[0], merchant="<script>x</script>{balance}")
    source.members[ada_id] = replace(ada, history=[evil])
    html = site.get(f"/members/{ada_id}").text
    assert "<script" not in html
    assert "Earned at &lt;script&gt;x&lt;/script&gt;{balance}" in html


def test_show_member__balance__big_with_its_worth_and_the_soonest_expiry(
    site: Any, ada_id: str
) -> None:
    words = _words(site.get(f"/members/{ada_id}").text)
    assert "Your points 37,416 points" in words
    assert "Worth USD 3.74" in words
    # A point expires with the first second of 2028: its last day is the one before.
    assert "1,205 points to use by 31 December 2027" in words
    assert "36,211 Use by 31 March 2028" in words
    assert "Earned 1 October 2026 to 31 December 2026" in words


def test_show_member__history__in_words_with_dates_and_signs(site: Any, ada_id: str) -> None:
    words = _words(site.get(f"/members/{ada_id}").text)
    for sentence in (
        "17 November 2026 Earned at Baker +7,814",
        "2 November 2026 Spent at Florist −5,506",
        "30 October 2026 Sent to another member −100",
        "Received from another member +250",
        "Given back by Florist +506",
        "Goods returned to Baker −814",
    ):
        assert sentence in words


@pytest.mark.parametrize(
    ("seconds_left", "said"),
    [
        (1, "today"),
        (86_400 + 1, "tomorrow"),
        (60 * 86_400 + 1, "in 60 days"),
        (61 * 86_400 + 1, None),
    ],
)
def test_show_member__as_expiry_nears__days_are_counted(
    ada: MemberFacts,
    ada_id: str,
    site_at: Callable[[int], Any],
    seconds_left: int,
    said: str | None,
) -> None:
    soonest = ada.epochs[0]
    html = site_at(soonest.expires_at - seconds_left).get(f"/members/{ada_id}").text
    counted = re.findall(r"<em>(.*?)</em>", html)
    assert counted == ([said] if said else [])
    assert ('class="soonest warns"' in html) == bool(said)


def test_show_member__one_second_after_expiry__those_points_are_not_listed(
    ada: MemberFacts, ada_id: str, site_at: Callable[[int], Any]
) -> None:
    soonest = ada.epochs[0]
    before = site_at(soonest.expires_at - 1).get(f"/members/{ada_id}").text
    after = site_at(soonest.expires_at).get(f"/members/{ada_id}").text
    assert "31 December 2027" in _words(before)
    assert "31 December 2027" not in _words(after)
    assert '<li class="soon">' in after  # the next ones are now the soonest


def test_show_member__without_points__says_so_kindly(
    site: Any, ada: MemberFacts, ada_id: str, source: Any
) -> None:
    source.members[ada_id] = replace(ada, balance=0, epochs=[], history=[], next_cursor=None)
    words = _words(site.get(f"/members/{ada_id}").text)
    assert "You have no points that could expire." in words
    assert "Nothing here yet." in words
    assert "Earlier" not in words


def test_show_member__one_point__in_the_singular(
    site: Any, ada: MemberFacts, ada_id: str, source: Any
) -> None:
    only = replace(ada.epochs[0], unspent=1)
    source.members[ada_id] = replace(ada, balance=1, epochs=[only])
    words = _words(site.get(f"/members/{ada_id}").text)
    assert "Your points 1 point Worth" in words
    assert "1 point to use by" in words


def test_show_member__accept_language__page_and_header_follow(site: Any, ada_id: str) -> None:
    response = site.get(f"/members/{ada_id}", headers={"Accept-Language": "th-TH,th;q=0.9"})
    assert '<html lang="th">' in response.text
    assert response.headers["content-language"] == "th"
    assert response.headers["vary"] == "Accept-Language"
    words = _words(response.text)
    assert "ใช้ได้ถึง 31 ธันวาคม 2570" in words
    assert "ได้รับจาก Baker" in words


def test_show_member__chosen_language__kept_when_paging(site: Any, ada_id: str) -> None:
    html = site.get(f"/members/{ada_id}?lang=vi").text
    assert f'href="/members/{ada_id}?lang=vi&amp;before=older-ones"' in html
    older = site.get(f"/members/{ada_id}?lang=vi&before=older-ones").text
    assert f'href="/members/{ada_id}?lang=vi">Về mới nhất' in older


def test_show_member__page__is_kept_by_nobody_and_found_by_no_robot(site: Any, ada_id: str) -> None:
    response = site.get(f"/members/{ada_id}")
    assert response.headers["cache-control"] == "private, no-store"
    assert '<meta name="robots" content="noindex">' in response.text


def test_show_member__several_movements_of_one_day__under_one_date(
    site: Any, ada: MemberFacts, ada_id: str, source: Any
) -> None:
    first, second = ada.history[:2]
    same_day = [first, replace(second, at=first.at - 60)]
    source.members[ada_id] = replace(ada, history=same_day)
    html = site.get(f"/members/{ada_id}").text
    assert html.count('<time datetime="2026-11-17">') == 1
    assert "Earned at Baker +7,814 Spent at Florist −5,506" in _words(html)


def test_show_member__movement_of_an_unknown_kind__still_shown(
    site: Any, ada: MemberFacts, ada_id: str, source: Any
) -> None:
    odd = replace(ada.history[0], kind="page_title")
    source.members[ada_id] = replace(ada, history=[odd])
    assert "Changed +7,814" in _words(site.get(f"/members/{ada_id}").text)
