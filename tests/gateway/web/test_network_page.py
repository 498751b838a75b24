"""The network's page: what it says, that it is true to its facts, and that it is safe."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.web.facts import (
    FlowFacts,
    LawFacts,
    MerchantFacts,
    NetworkFacts,
    NothingYet,
    OrderFacts,
)

Show = Callable[[NetworkFacts], str]
BAKER, FLORIST = 1, 2
SCRIPT = '<script>alert("x")</script>'


def _words(html: str) -> str:
    """What a reader sees, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_show_network__merchant_with_a_script_for_a_name__shown_as_text(
    network: NetworkFacts, show: Show
) -> None:
    baker = replace(network.merchants[0], name=SCRIPT)
    florist = replace(network.merchants[1], name='"><img src=x onerror=alert(1)>')
    order = replace(network.orders[0], merchant=SCRIPT, reason=SCRIPT, reference=SCRIPT)
    html = show(replace(network, merchants=[baker, florist], orders=[order]))
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_show_network__a_law_broken__no_claim_is_made_and_both_sides_stand_there(
    network: NetworkFacts, show: Show
) -> None:
    broken = LawFacts(3, "cover", "held", 1_000_000, "owed", 1_000_100, "money", False)
    html = show(replace(network, laws=[*network.laws, broken]))
    words = _words(html)
    assert "Every point in a member’s hands" not in words
    assert "do not agree" in words
    assert "1 of 3 laws broken" in words
    assert "Held USD 1.00 ≠ Owed USD 1.0001" in words
    assert html.count('<li class="broken">') == 1
    assert html.count('<li class="holds">') == 2


def test_show_network__laws_not_checked__no_claim_is_made(
    network: NetworkFacts, show: Show
) -> None:
    words = _words(show(replace(network, laws=[])))
    assert "Every point in a member’s hands" not in words
    assert "No law has been checked yet" in words


def test_show_network__reserve_not_face_value__headline_says_unequal(
    network: NetworkFacts, show: Show
) -> None:
    assert '<div class="sign" aria-hidden="true">≠</div>' in show(
        replace(network, reserve=network.reserve - 1)
    )


def test_show_network__refused_order__shown_with_its_reason(site: Any) -> None:
    words = _words(site.get("/").text)
    assert "Redeem Florist …3F2Q9A 9,999 refused Balance too low" in words
    assert "Issue Baker …3F2Q9A 1,234 final" in words


def test_show_network__unlisted_reason__shown_in_words(network: NetworkFacts, show: Show) -> None:
    order = replace(network.orders[0], reason="order_expired")
    assert "Order expired" in show(replace(network, orders=[order]))


def test_show_network__nothing_yet__says_so_in_every_part(
    network: NetworkFacts, show: Show
) -> None:
    empty = replace(
        network,
        live=0,
        reserve=0,
        issued=0,
        redeemed=0,
        members=0,
        refused=0,
        merchants=[],
        flows=[],
        epochs=[],
        periods=[],
        laws=[],
        orders=[],
    )
    words = _words(show(empty))
    for sentence in (
        "No points have been redeemed yet",
        "No merchant has joined yet",
        "Nothing has been issued yet",
        "No points have been issued yet",
        "No law has been checked yet",
        "No order has come in yet",
    ):
        assert sentence in words


def test_show_network__figures__as_in_the_facts(site: Any) -> None:
    words = _words(site.get("/").text)
    assert "live points 110,000" in words
    assert "USD face value 0.0001" in words
    assert "USD in reserve 11.00" in words
    assert "Block 57" in words
    assert "20 November 2026, 23:14" in words
    assert "Members 3 across 2 merchants" in words
    assert "All 2 laws hold" in words
    assert "Baker 100,000 20,000 9.04" in words
    assert "Florist 60,000 30,000 −0.12" in words


def test_show_network__flows__table_and_pictures_carry_the_same_figures(
    site: Any,
) -> None:
    html = site.get("/").text
    assert "50,000 points have been redeemed, 40% of them at another merchant" in _words(html)
    assert "Baker 15,000 15,000 30,000" in _words(html)
    assert "Total 20,000 30,000 50,000" in _words(html)
    assert html.count("Florist to Baker: 5,000") == 2  # one for the desk, one for the phone


def test_show_network__florist_honoured_nothing__in_the_table_but_not_in_the_picture(
    network: NetworkFacts, show: Show
) -> None:
    html = show(replace(network, flows=[FlowFacts(FLORIST, BAKER, 5_000)]))
    picture = html.partition('class="picture flows-wide"')[2].partition("</svg>")[0]
    assert picture.count('class="node"') == 2
    # The florist keeps its colour, though it stands first now.
    assert 'class="issuer c1"' in html
    assert "Florist 5,000 0 5,000" in _words(html)


def test_show_network__thirty_merchants__pictured_as_ten_without_loss(
    network: NetworkFacts, show: Show
) -> None:
    merchants = [MerchantFacts(n, f"Shop {n}", 1_000 - n, 30, 0) for n in range(1, 31)]
    flows = [FlowFacts(a.number, b.number, 1) for a in merchants for b in merchants]
    html = show(replace(network, merchants=merchants, flows=flows))
    words = _words(html)
    assert "21 others" in words
    # 9 shops each send 9 points to the pictured nine and 21 to the pooled ones.
    assert "Total 30 30 30 30 30 30 30 30 30 630 900" in words
    assert "Shop 30" in words  # the table of merchants names every one


def test_show_network__pictures__well_formed_described_and_unique(site: Any) -> None:
    html = site.get("/").text
    pictures = re.findall(r'<svg class="picture.*?</svg>', html, re.DOTALL)
    assert len(pictures) == 4
    names = set()
    for each in pictures:
        root = ElementTree.fromstring(each)
        title, description = root[0], root[1]
        assert title.tag == "title"
        assert title.text
        assert description.tag == "desc"
        assert description.text
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        names.add(title.attrib["id"])
    assert len(names) == 4
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_show_network__orders_on_their_way__page_follows_them(
    network: NetworkFacts, show: Show
) -> None:
    moving = show(replace(network, open_orders=1_204))
    assert '<meta http-equiv="refresh" content="15">' in moving
    assert "1,204 orders are on their way" in moving
    assert "refresh" not in show(network)


def test_show_network__order_without_member__no_link(network: NetworkFacts, show: Show) -> None:
    order = OrderFacts("issue", "accepted", None, None, 5, None, network.as_of.time)
    html = show(replace(network, orders=[order]))
    assert "/members/" not in html
    assert '<span class="state waiting">accepted</span>' in html


def test_show_network__expired_epoch__called_expired(network: NetworkFacts, show: Show) -> None:
    gone = replace(network.epochs[0], expires_at=network.as_of.time)
    words = _words(show(replace(network, epochs=[gone, network.epochs[1]])))
    assert "Expired 70,000" in words
    assert "Live 40,000" in words


@pytest.mark.parametrize("path", ["/", "/members/{ada}", "/members/nobody"])
def test_get_page__any__carries_security_headers_and_no_inline_code(
    site: Any, ada_id: str, path: str
) -> None:
    response = site.get(path.format(ada=ada_id))
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in response.text
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", response.text)
    assert not re.search(r"https?://", response.text)


def test_get_network__unchanged__is_304_and_then_anew(site: Any) -> None:
    first = site.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = site.get("/", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-security-policy" in again.headers
    assert site.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_get_static__unknown_or_outside__is_not_found(site: Any) -> None:
    for path in ("/static/nothing.css", "/static/..%2fviews.py", "/static/%2e%2e/views.py"):
        assert site.get(path).status_code == 404


def test_get_static__linked_from_the_page__kept_for_a_year(site: Any) -> None:
    links = re.findall(r'href="(/static/[^"]+)"', site.get("/").text)
    assert len(links) == 2
    for link in links:
        response = site.get(link)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["content-type"].split(";")[0] in ("text/css", "image/svg+xml")


def test_style_sheet__by_itself__asks_for_nothing_from_elsewhere(site: Any) -> None:
    sheet = site.get("/static/banyan.css").text
    assert "@import" not in sheet
    assert "url(" not in sheet
    assert "prefers-color-scheme: dark" in sheet
    assert "tabular-nums" in sheet


class Failing:
    """A source whose every answer is an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def network(self, now: int) -> NetworkFacts:
        raise self.error

    def member(self, member_id: str, now: int, cursor: str | None) -> None:
        raise self.error


@pytest.mark.parametrize("path", ["/", "/members/mem_1"])
def test_get_page__mirror_still_empty__503_that_asks_again(
    site_of: Callable[[Any], Any], path: str
) -> None:
    response = site_of(Failing(NothingYet())).get(path)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "3"
    assert '<meta http-equiv="refresh" content="3">' in response.text
    assert "just starting" in response.text


@pytest.mark.parametrize("path", ["/", "/members/mem_1"])
def test_get_page__something_breaks__500_without_the_cause(
    site_of: Callable[[Any], Any], path: str
) -> None:
    response = site_of(Failing(RuntimeError("secret cause"))).get(path)
    assert response.status_code == 500
    assert "Your points are safe" in response.text
    assert "secret cause" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
