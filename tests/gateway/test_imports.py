"""CSV imports: broken lines go to the rejects file, sound ones are issued once."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from gateway.imports import service
from gateway.imports.parse import FileInvalid, Lines, Reject, Wish
from gateway.imports.service import ImportResult, import_file
from gateway.model import POINTS_MAX, EarnRule
from tests.gateway.helpers import Town, fresh

HEADER = "member,reference,points,amount,note\n"


def lines_of(text: str) -> list[Wish | Reject]:
    return list(Lines(iter(text.splitlines(keepends=True)), EarnRule()))


@pytest.mark.parametrize(
    "text", ["", "member,points\n", "reference,points\n", "member,reference\n", "a,b,c\n"]
)
def test_file__without_its_columns__is_refused(text: str) -> None:
    with pytest.raises(FileInvalid):
        lines_of(text)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ada,r1,0,,", "points_invalid"),
        ("ada,r1,-5,,", "points_invalid"),
        ("ada,r1,1.5,,", "points_invalid"),
        ("ada,r1,1_000,,", "points_invalid"),
        ("ada,r1,١٢,,", "points_invalid"),
        (f"ada,r1,{POINTS_MAX + 1},,", "points_invalid"),
        ("ada,r1," + "9" * 400 + ",,", "points_invalid"),
        ("ada,r1,,,", "invalid_request"),
        ("ada,r1,5,5.00,", "invalid_request"),
        ("ada,r1,,12.345,", "purchase_invalid"),
        ("ada,r1,,-1.00,", "purchase_invalid"),
        ("ada,r1,,1e3,", "purchase_invalid"),
        ("ada,r1,,0.00,", "purchase_invalid"),
        (",r1,5,,", "invalid_request"),
        ("ada,,5,,", "invalid_request"),
        ("ada," + "r" * 101 + ",5,,", "invalid_request"),
        ("ada,r\0,5,,", "invalid_request"),
        ("ada,r1,5", "line_broken"),
        ("ada,r1,5,,,,", "line_broken"),
        ('ada,"r"1,5,,', "line_broken"),
        ("ada,\ufffd,5,,", "line_broken"),
    ],
)
def test_line__that_cannot_be__is_a_reject_and_the_next_is_read(line: str, code: str) -> None:
    found = lines_of(HEADER + line + "\nben,r2,7,,\n")
    assert isinstance(found[0], Reject)
    assert (found[0].line, found[0].code) == (2, code)
    assert isinstance(found[1], Wish)
    assert (found[1].member, found[1].points) == ("ben", 7)


def test_line__quoted_over_two_lines__keeps_line_numbers() -> None:
    found = lines_of(HEADER + 'ada,r1,5,,"two\nlines"\nben,r2,0,,\n')
    assert [f.line for f in found] == [2, 4]


def test_columns__in_any_order__are_found_by_name() -> None:
    (found,) = lines_of("Amount,Reference,MEMBER\n12.34,r1, ada \n")
    assert isinstance(found, Wish)
    assert (found.member, found.reference, found.points) == ("ada", "r1", 1_234)


def run(town: Town, tmp_path: Path, text: str | bytes) -> tuple[ImportResult, list[dict[str, str]]]:
    file, rejects = tmp_path / "in.csv", tmp_path / "rejects.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = import_file(town.network.gateway, town.baker, file, rejects)
    with rejects.open(newline="") as found:
        return result, list(csv.DictReader(found))


def test_import__broken_lines_among_sound_ones__issues_the_sound_ones(
    town: Town, tmp_path: Path
) -> None:
    name = fresh("m")
    text = (
        HEADER
        + f"{name},{name}-1,100,,bread\n"
        + "broken\n"
        + f"{name},{name}-1,50,,the same reference\n"
        + f"{name},{name}-2,,2.50,cake\n"
    ).encode() + b"\xff\xfe,bad,1,,\n"
    result, rejects = run(town, tmp_path, text)
    assert (result.lines, result.accepted, result.points, result.refused) == (5, 2, 350, 3)
    assert [(r["line"], r["code"]) for r in rejects] == [
        ("3", "line_broken"),
        ("4", "reference_used"),
        ("6", "line_broken"),
    ]
    assert rejects[1]["note"] == "the same reference"
    town.network.gateway.drain()
    member = town.network.gateway.ensure_members([name])[name]
    assert town.network.gateway.network.balance_of(member.address) == 350


def test_import__again_and_after_a_kill__issues_nothing_twice(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LINES_A_PART", 10)
    name = fresh("m")
    text = HEADER + "".join(f"{name}-{n % 3},{name}/{n},5,,\n" for n in range(45))
    accept, calls = town.network.gateway.accept_many, iter([True, True, False])

    def killed(*args: object, **values: object) -> object:
        if not next(calls):
            raise KeyboardInterrupt
        return accept(*args, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(town.network.gateway, "accept_many", killed)
    with pytest.raises(KeyboardInterrupt):
        run(town, tmp_path, text)
    monkeypatch.setattr(town.network.gateway, "accept_many", accept)
    first, _ = run(town, tmp_path, text)
    again, rejects = run(town, tmp_path, text)
    assert (first.accepted, again.accepted, rejects) == (45, 45, [])
    town.network.gateway.drain()
    found = town.network.gateway.ensure_members([f"{name}-{n}" for n in range(3)])
    balances = town.network.gateway.network.balances_of([m.address for m in found.values()])
    assert set(balances.values()) == {75}


def test_import__noise__never_raises_and_counts_every_line(town: Town, tmp_path: Path) -> None:
    rng = random.Random(7)
    noise = bytes(rng.randrange(256) for _ in range(20_000))
    result, rejects = run(town, tmp_path, HEADER.encode() + noise)
    assert result.accepted == 0
    assert result.refused == result.lines == len(rejects) > 0
