"""What a person sees in a real browser, of a network that really runs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.browser

WIDTHS = (320, 390, 800, 1280)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that notes every complaint of the browser, refused scripts and styles among them."""
    opened = browser.new_page(locale="en-GB")
    opened.complaints = []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    opened.close()


def test_open_network__then_click_a_member__both_show_what_happened(page: Any, town: Any) -> None:
    page.goto(town.url)
    assert page.title() == "Banyan points network"
    words = re.sub(r"\s+", " ", page.inner_text("body"))
    assert "Every point in a member’s hands has its money in the reserve." in words
    assert "All 4 laws hold" in words
    # 12,845 issued, 2,345 redeemed: 10,500 live, at 0.0001 each.
    assert page.inner_text(".equation .term:first-child dd") == "10,500"
    assert page.inner_text(".equation .term:last-child dd") == "1.05"
    law = re.sub(r"\s+", " ", page.inner_text(".laws li:first-child dl"))
    assert law == (
        "Issued − returned − redeemed + refunded − expired 10,500 = Sum of live balances 10,500"
    )
    assert "Balance too low" in page.inner_text(".orders")
    assert page.locator(".ribbon").count() >= 1
    assert page.locator("text=Florist <script>").count() >= 1
    page.click(f"a[href='/members/{town.ada}'] >> nth=0")
    assert page.inner_text(".balance strong") == "10,000"
    history = re.sub(r"\s+", " ", page.inner_text(".history"))
    assert re.match(r"Spent at Florist <script>.* −2,345 Earned at Baker \+12,345", history)
    page.click("text=Tiếng Việt")
    assert page.inner_text(".balance strong") == "10.000"
    assert page.complaints == []


def test_open_member__unknown__friendly_page_that_leads_back(page: Any, town: Any) -> None:
    answer = page.goto(f"{town.url}/members/mem_00000000000000000000000000")
    assert answer.status == 404
    page.click(".button")
    assert page.locator(".equation").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_open_pages__any_width_and_scheme__nothing_sticks_out_and_words_can_be_read(
    page: Any, town: Any, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("/", f"/members/{town.ada}"):
            page.goto(town.url + path)
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ), (path, width)
            assert page.evaluate(CONTRAST) == [], (path, width)
    assert page.complaints == []


# Every piece of text against the nearest background behind it, by WCAG 2.2, 1.4.3 (AA): 4.5, and
# 3 for large text. Text in pictures is left out: what lies behind it is drawn, not styled.
CONTRAST = """() => {
  const channel = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *:not(svg *)')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest('.visually-hidden')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const name = element.className || element.tagName;
    if (ratio < (large ? 3 : 4.5)) poor.push(`${name} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""
