"""A statement as PDF 1.4, written by hand: lines in a font of the fourteen that every reader has,
text in columns, A4; over them the merchant's name, in the letters it is written in (`lettering`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from indexer.statements.as_csv import decimal_text
from indexer.statements.statement import Statement, clock_of

if TYPE_CHECKING:
    from indexer.statements.lettering import Lettering

_WIDTH, _HEIGHT, _MARGIN = 595, 842, 40
_LEADING: Final = 12
_SIZE: Final = 8
_TITLE_SIZES: Final = (13, 6)
"""Of the merchant's name; the second where it is long."""
_LINES_PER_PAGE: Final = (_HEIGHT - 2 * _MARGIN) // _LEADING - 3
# Courier: every character is 0.6 of the size wide, so columns need no font metrics.
_ADVANCE: Final = 0.6 * _SIZE
_COLUMNS: Final = (21, 16, 12, 20, 20, 18)
"""Characters a column: time, event, points, amount, balance, transaction."""


def statement_pdf(statement: Statement, title: str, decimals: int = 6) -> bytes:
    """The statement as a PDF file; `title` names the merchant, in Latin, Vietnamese or Thai letters
    (what the font does not have is shown as a box).
    """
    # HarfBuzz is loaded by whoever writes a PDF, not by every command.
    from indexer.statements.lettering import Lettering, fitted

    rows = list(_rows(statement, decimals))
    pages = [rows[i : i + _LINES_PER_PAGE] for i in range(0, len(rows), _LINES_PER_PAGE)]
    zone = statement.zone
    period = f"{_moment(statement.begins_at, zone)} to {_moment(statement.ends_at, zone)}"
    lettering = Lettering()
    glyphs, size = fitted(title, _WIDTH - 2 * _MARGIN, *_TITLE_SIZES)
    name = lettering.draw(glyphs, size)
    return _document(
        [
            _page(name, f"{period}   page {number} of {len(pages)}", page)
            for number, page in enumerate(pages, start=1)
        ],
        lettering,
    )


def _rows(statement: Statement, decimals: int) -> Iterable[str]:
    def money(units: int) -> str:
        return decimal_text(units, decimals)

    state = "final" if statement.is_final else "provisional: not every block of it is final"
    label = f"amounts in {statement.currency}; " if statement.currency else ""
    yield f"As of block {statement.as_of_block}; {state}"
    yield f"{label}times of {statement.zone}"
    yield ""
    yield _row(("time", "event", "points", "amount", "balance", "transaction"))
    zone = statement.zone
    yield _row(
        (_moment(statement.begins_at, zone), "opening", "", "", money(statement.opening), "")
    )
    for line in statement.lines:
        yield _row(
            (
                _moment(line.time, zone),
                line.name,
                "" if line.points is None else f"{line.points:,}",
                money(line.amount),
                money(line.balance),
                f"{line.transaction[:10]}..{line.transaction[-4:]}",
            )
        )
    yield _row((_moment(statement.ends_at, zone), "closing", "", "", money(statement.closing), ""))
    yield ""
    for total in statement.totals:
        yield _row(
            (f"{total.lines:,} x", total.name, f"{total.points:,}", money(total.amount), "", "")
        )


def _moment(time: int, zone: str) -> str:
    """A unix second in 21 characters; the distance from UTC tells a doubled hour's two apart."""
    return datetime.fromtimestamp(time, clock_of(zone)).strftime("%Y-%m-%d %H:%M%z")


def _row(cells: Sequence[str]) -> str:
    left, right = "<", ">"
    sides = (left, left, right, right, right, right)
    return " ".join(
        f"{cell:{side}{width}}" for cell, side, width in zip(cells, sides, _COLUMNS, strict=True)
    )


def _page(name: str, period: str, lines: Sequence[str]) -> bytes:
    """The drawing instructions of one page: the name is operators, all else text."""
    shown = ["", period, "", *lines]
    text = "".join(f"({_escaped(line)}) Tj T*\n" for line in shown)
    begin = f"BT {_MARGIN - 10} {_HEIGHT - _MARGIN} Td {name}\n/F1 {_SIZE} Tf {_LEADING} TL\n"
    return zlib.compress(f"{begin}{text}ET".encode("cp1252", "replace"))


def _escaped(text: str) -> str:
    # A line longer than the page is cut: 545 points hold 113 characters.
    cut = text[: int((_WIDTH - _MARGIN) / _ADVANCE)]
    return cut.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _document(pages: Sequence[bytes], lettering: Lettering) -> bytes:
    """Catalogue, page tree, fonts, then two objects a page; and where each of them stands."""
    font = lettering.objects(first=4)
    first = 4 + len(font)
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        *font,
    ]
    for number, content in enumerate(pages):
        contents = first + 2 * number + 1
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH} {_HEIGHT}] "
            "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> "
            f"/Contents {contents} 0 R >>".encode()
        )
        objects.append(
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream"
            % (len(content), content)
        )
    body = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        body
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
        ).encode()
    )
