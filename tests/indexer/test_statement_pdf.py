"""A merchant's name in a PDF: drawn in its own letters, with every mark in its place."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib

import pytest
import uharfbuzz as hb

from indexer.statements.as_pdf import statement_pdf
from indexer.statements.lettering import FONT_FILE, fitted, shaped, width_of
from indexer.statements.statement import Statement

VIETNAMESE = "Tiệm bánh Ngọc Hễ, chợ Đông Ba (số 7)"
THAI = "ร้านน้ำปั่นป้าอุ๊ ที่นี่ ญี่ปุ่น"
EMPTY = Statement(1, 0, 2_678_400, 0, 0, (), (), True, 1, 1)


def objects(pdf: bytes) -> dict[int, bytes]:
    found = re.findall(rb"(\d+) 0 obj\n(.*?)\nendobj", pdf, re.S)
    return {int(number): content for number, content in found}


def unpacked(content: bytes) -> bytes:
    return zlib.decompress(re.search(rb"stream\n(.*)\nendstream", content, re.S)[1])  # type: ignore[index]


class Drawn:
    """What a reader makes of the name on the first page."""

    def __init__(self, name: str) -> None:
        all_ = objects(statement_pdf(EMPTY, name))
        font = all_[4]
        cid_font = all_[reference(font, b"DescendantFonts \\[")]
        about = all_[reference(cid_font, b"FontDescriptor ")]
        self.font = hb.Font(hb.Face(unpacked(all_[reference(about, b"FontFile2 ")])))
        gids = unpacked(all_[reference(cid_font, b"CIDToGIDMap ")])
        cmap = unpacked(all_[reference(font, b"ToUnicode ")]).decode()
        texts = {
            int(code, 16): bytes.fromhex(text).decode("utf-16-be")
            for code, text in re.findall(r"<(\w{4})> <(\w+)>\n", cmap.split("beginbfchar", 1)[1])
        }
        page = unpacked(all_[max(all_)]).decode("cp1252")
        codes = [int(c, 16) for c in re.findall(r"<(\w{4})>", page)]
        self.text = "".join(texts.get(code, "") for code in codes)
        self.glyphs = [int.from_bytes(gids[2 * c : 2 * c + 2], "big") for c in codes]


def reference(content: bytes, before: bytes) -> int:
    return int(re.search(rb"/" + before + rb"(\d+) 0 R", content)[1])  # type: ignore[index]


def test_font__as_committed__is_the_one_that_was_looked_at() -> None:
    """Sarabun 1.000, as Google Fonts has it; its licence lies beside it."""
    digest = hashlib.sha256(FONT_FILE.read_bytes()).hexdigest()
    assert digest == "b8150084e25734e6f31696c57ff009f5564efa09d295848b717d9e2328c0311d"
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FONT_FILE.parent / "OFL.txt").read_text()


def test_draw__letters_that_the_font_lacks__are_boxes() -> None:
    assert [g.number == 0 for g in shaped("a中б\n!")] == [False, True, True, False, False]


@pytest.mark.parametrize("name", [VIETNAMESE, unicodedata.normalize("NFD", VIETNAMESE), THAI])
def test_draw__a_name__can_be_read_back_and_every_glyph_is_there(name: str) -> None:
    drawn = Drawn(name)
    assert drawn.text == unicodedata.normalize("NFC", name)
    assert 0 not in drawn.glyphs
    for number, character in zip(drawn.glyphs, drawn.text, strict=False):
        extents = drawn.font.get_glyph_extents(number)
        assert character == " " or extents.height, f"{character!r} has no outline"


@pytest.mark.parametrize("name", [VIETNAMESE, THAI, "", "Bäcker (Brot \\\\ Kuchen)"])
def test_write__any_name__the_table_points_at_every_object(name: str) -> None:
    pdf = statement_pdf(EMPTY, name)
    start = int(re.search(rb"startxref\n(\d+)", pdf)[1])  # type: ignore[index]
    places = [int(p) for p in re.findall(rb"(\d{10}) 00000 n", pdf[start:])]
    assert [pdf[p:].split(b" ", 1)[0] for p in places] == [b"%d" % n for n in objects(pdf)]
    assert len(pdf) < 20_000


def test_draw__thai_marks__are_composed_not_just_set_one_after_another() -> None:
    by_itself = {glyph.text: glyph.number for c in "ป่นี้ำ" for glyph in shaped(c)}
    # Over a vowel a tone stands higher, by another glyph or moved; it never takes room.
    tone = shaped("ปี่")[2]
    assert (tone.text, tone.advance) == ("่", 0)
    assert tone.number != by_itself["่"] or tone.up
    # The vowel am is taken apart: its ring goes over the consonant, under the tone.
    assert [(g.text, bool(g.advance)) for g in shaped("น้ำ")] == [
        ("น", True),
        ("้", False),
        ("ำ", True),
    ]
    assert shaped("น้ำ")[2].number != by_itself["ำ"]
    # Latin and digits within do not change that.
    assert [g.number for g in shaped("A1 น้ำ B")][3:6] == [g.number for g in shaped("น้ำ")]


def test_fit__a_long_name__is_made_smaller_and_then_cut_at_a_letter() -> None:
    glyphs, size = fitted("น้ำ" * 40, 500, 13, 6)
    assert 6 < size < 13
    assert width_of(glyphs, size) == pytest.approx(500)
    for before in range(6):
        glyphs, size = fitted("i" * before + "น้ำ" * 200, 100, 13, 6)
        assert size == 6
        assert width_of(glyphs, size) <= 100
        assert "".join(glyph.text for glyph in glyphs).endswith("น้ำ…")
