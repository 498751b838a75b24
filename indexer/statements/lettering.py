"""Words in Latin, Vietnamese and Thai letters for a PDF, shaped by HarfBuzz.

A PDF draws glyphs, not characters: Vietnamese marks, and above all Thai vowels and tones, which
stand over and under their consonants, have to be placed. The font (Sarabun, SIL Open Font License,
see `fonts/OFL.txt`) goes into the file cut down to the glyphs that are drawn. Each of these carries
the characters it stands for, so that the words can be searched and copied.
"""

from __future__ import annotations

import unicodedata
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final

import uharfbuzz as hb

FONT_FILE: Final = Path(__file__).parent / "fonts" / "Sarabun-Regular.ttf"
_UNITS: Final = 1_000
"""A PDF counts widths in thousandths of the size; so does this font."""
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True, slots=True)
class Glyph:
    """One glyph of a line: how far the pen moves on, where it is drawn beside the pen (thousandths
    of the size), its own width, and the characters that it stands for.
    """

    number: int
    advance: int
    right: int
    up: int
    width: int
    text: str


@cache
def _font() -> hb.Font:
    return hb.Font(hb.Face(FONT_FILE.read_bytes()))


def shaped(text: str) -> list[Glyph]:
    """The glyphs of one line, left to right. What the font has no letter for is its empty box."""
    font = _font()
    # Composed letters are one glyph; controls and line ends would be drawn as boxes.
    plain = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text))
    return [glyph for run in _runs(plain) for glyph in _shape(font, run)]


def _runs(text: str) -> Iterator[str]:
    """Thai by itself: it has its own rules of composing. Spaces and digits stay where they are."""
    script = False

    def is_thai(character: str) -> bool:
        nonlocal script
        if "\u0e00" <= character <= "\u0e7f":
            script = True
        elif character.isalpha():
            script = False
        return script

    for _, run in groupby(text, is_thai):
        yield "".join(run)


def _shape(font: hb.Font, run: str) -> Iterator[Glyph]:
    buffer = hb.Buffer()
    buffer.add_str(run)
    buffer.guess_segment_properties()
    buffer.direction = "ltr"
    hb.shape(font, buffer)
    placed = list(zip(buffer.glyph_infos, buffer.glyph_positions, strict=True))
    starts = sorted({info.cluster for info, _ in placed}) + [len(run)]
    following = dict(zip(starts, starts[1:], strict=False))
    for cluster, group in groupby(placed, lambda one: int(one[0].cluster)):
        glyphs = list(group)
        texts = _shared(run[cluster : following[cluster]], len(glyphs))
        for (info, place), characters in zip(glyphs, texts, strict=True):
            yield Glyph(
                number=info.codepoint,
                advance=place.x_advance,
                right=place.x_offset,
                up=place.y_offset,
                width=font.get_glyph_h_advance(info.codepoint),
                text=characters,
            )


def _shared(characters: str, glyphs: int) -> list[str]:
    """The characters of a cluster given to its glyphs in order; what is left goes to the last."""
    texts = [characters[at : at + 1] for at in range(glyphs)]
    texts[-1] += characters[glyphs:]
    return texts


def width_of(glyphs: list[Glyph], size: float) -> float:
    """How wide a line is, in points."""
    return sum(glyph.advance for glyph in glyphs) * size / _UNITS


def fitted(text: str, width: float, size: float, size_min: float) -> tuple[list[Glyph], float]:
    """The line and its size: smaller, down to `size_min`, where it is too wide, and then cut."""
    glyphs = shaped(text)
    wide = width_of(glyphs, 1)
    if wide * size_min <= width:
        return glyphs, min(size, width / wide) if wide else size
    room = width * _UNITS / size_min - sum(glyph.advance for glyph in shaped(_ELLIPSIS))
    ends = list(accumulate(glyph.advance for glyph in glyphs))
    fitting = glyphs[: bisect_right(ends, room)]
    # Never between a letter and its marks: it would be another one.
    while fitting and _is_mark(glyphs[len(fitting)].text[:1]):
        fitting.pop()
    return shaped("".join(glyph.text for glyph in fitting).rstrip() + _ELLIPSIS), size_min


def _is_mark(character: str) -> bool:
    """Whether it stands on the letter before it, as a part of sara am does; none: it is part of
    what is drawn before.
    """
    return (
        character in ("", "\N{THAI CHARACTER SARA AM}") or unicodedata.category(character) == "Mn"
    )


class Lettering:
    """The glyphs that one file draws, numbered as they come, and the objects of its font."""

    def __init__(self) -> None:
        self._codes: dict[tuple[int, str], int] = {}
        self._widths: list[int] = [0]
        self._glyphs: list[int] = [0]
        self._texts: list[str] = [""]

    def draw(self, glyphs: list[Glyph], size: float) -> str:
        """Operators that show the line in the font `/F2`, from where the pen is."""
        parts = [f"/F2 {size:.2f} Tf"]
        for up, group in groupby(glyphs, lambda glyph: glyph.up):
            shown = " ".join(self._placed(glyph) for glyph in group)
            parts.append(f"{up * size / _UNITS:.2f} Ts [{shown}] TJ")
        return " ".join([*parts, "0 Ts"])

    def _placed(self, glyph: Glyph) -> str:
        # A number moves the pen back; drawing moves it on by the glyph's own width.
        before, after = -glyph.right, glyph.right + glyph.width - glyph.advance
        return f"{before or ''} <{self._code(glyph):04x}> {after or ''}"

    def _code(self, glyph: Glyph) -> int:
        """One code for each glyph and what it stands for there: the same glyph can end up standing
        for different characters.
        """
        key = (glyph.number, glyph.text)
        if key not in self._codes:
            self._codes[key] = len(self._glyphs)
            self._glyphs.append(glyph.number)
            self._widths.append(glyph.width)
            self._texts.append(glyph.text)
        return self._codes[key]

    def objects(self, first: int) -> list[bytes]:
        """The font of what was drawn, as PDF objects numbered from `first`; the first is `/F2`."""
        drawn, about, file, codes, texts = range(first + 1, first + 6)
        name = b"AAAAAA+Sarabun-Regular"
        widths = " ".join(map(str, self._widths))
        extents = _font().get_font_extents("ltr")
        above, below = extents.ascender, extents.descender
        return [
            b"<< /Type /Font /Subtype /Type0 /BaseFont /%b /Encoding /Identity-H "
            b"/DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>" % (name, drawn, texts),
            b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /%b /CIDSystemInfo << /Registry "
            b"(Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor %d 0 R /DW 0 "
            b"/W [0 [%b]] /CIDToGIDMap %d 0 R >>" % (name, about, widths.encode(), codes),
            b"<< /Type /FontDescriptor /FontName /%b /Flags 4 /FontBBox [-500 %d 1500 %d] "
            b"/ItalicAngle 0 /Ascent %d /Descent %d /CapHeight %d /StemV 80 /FontFile2 %d 0 R >>"
            % (name, below, above, above, below, 700, file),
            stream(self._font_file()),
            stream(b"".join(glyph.to_bytes(2, "big") for glyph in self._glyphs)),
            stream(self._cmap()),
        ]

    def _font_file(self) -> bytes:
        wanted = hb.SubsetInput()
        wanted.glyph_set.update(self._glyphs)
        # The numbers stay, and nothing is substituted any more: all is shaped already.
        kept = hb.SubsetFlags.RETAIN_GIDS | hb.SubsetFlags.NOTDEF_OUTLINE
        wanted.flags = kept | hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NO_LAYOUT_CLOSURE
        wanted.drop_table_tag_set.update(
            int.from_bytes(tag, "big") for tag in (b"GSUB", b"GPOS", b"GDEF")
        )
        data: bytes = hb.subset(_font().face, wanted).blob.data
        return data

    def _cmap(self) -> bytes:
        """Which characters a code stands for (PDF 32000-1, 9.10.3)."""
        known = [(code, text) for code, text in enumerate(self._texts) if text]
        lines = ["/CIDInit /ProcSet findresource begin 12 dict begin begincmap"]
        lines += ["/CMapName /Banyan def /CMapType 2 def"]
        lines += ["1 begincodespacerange <0000> <ffff> endcodespacerange"]
        # At most a hundred in one section.
        for at in range(0, len(known), 100):
            part = known[at : at + 100]
            pairs = (f"<{code:04x}> <{text.encode('utf-16-be').hex()}>" for code, text in part)
            lines += [f"{len(part)} beginbfchar", *pairs, "endbfchar"]
        lines += ["endcmap CMapName currentdict /CMap defineresource pop end end"]
        return "\n".join(lines).encode()


def stream(content: bytes) -> bytes:
    """A compressed stream object."""
    packed = zlib.compress(content)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed)
