"""Three languages, complete, and free of words that belong to machines."""

import re
import string

import pytest

from gateway.web.formats import Language
from gateway.web.texts import LANGUAGES, TEXTS, choose_language


def _fields(sentence: str) -> set[str | None]:
    return {field for _, field, _, _ in string.Formatter().parse(sentence) if field is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_translate__every_sentence__present_with_the_same_fields(language: Language) -> None:
    assert TEXTS[language].keys() == TEXTS["en"].keys()
    for key, sentence in TEXTS["en"].items():
        assert sentence.strip()
        assert _fields(TEXTS[language][key]) == _fields(sentence), key


@pytest.mark.parametrize("language", ["vi", "th"])
def test_translate__other_languages__no_sentence_left_in_english(language: Language) -> None:
    left = [key for key, words in TEXTS[language].items() if words == TEXTS["en"][key]]
    assert left == []


# The words of wallets and chains in the other two languages.
FOREIGN = re.compile(
    r"ví điện tử|\bví\b|chuỗi|khối|địa chỉ|mã băm|กระเป๋า|โทเคน|บล็อก|ที่อยู่|แฮช", re.IGNORECASE
)


@pytest.mark.parametrize("language", ["vi", "th"])
def test_translate__other_languages__no_crypto_word(language: Language) -> None:
    for key, words in TEXTS[language].items():
        assert not FOREIGN.search(words), key


@pytest.mark.parametrize(
    ("wanted", "accepted", "chosen"),
    [
        (None, None, "en"),
        (None, "de-DE, fr;q=0.9", "en"),
        (None, "vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        (None, "th;q=0.4, vi;q=0.5", "vi"),
        (None, "th;q=0, *", "en"),
        (None, "th;q=banana", "en"),
        (None, "th;q=9", "en"),
        (None, ";;;,,=", "en"),
        ("th", "vi", "th"),
        ("xx", "vi", "vi"),
        (None, "TH", "th"),
    ],
)
def test_choose_language__by_query_then_header_then_english(
    wanted: str | None, accepted: str | None, chosen: Language
) -> None:
    assert choose_language(wanted, accepted) == chosen
