"""Statements: what a position did, exact, page by page, and the same in every form."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from mirror_acts import MERCHANTS, found, grow
from mirror_model import EPOCH, FIRST_START, ModelChain, actor
from sqlalchemy import Engine, update
from typer.testing import CliRunner

from indexer import cli, queries, statements, tables
from indexer.errors import MirrorInconsistent
from indexer.statements import month_bounds, settlement, statement
from indexer.sync import Indexer
from wallet_sdk.errors import InputInvalid

WHOLE = (FIRST_START, FIRST_START + 1_000 * EPOCH)


@pytest.fixture
def filled(mirror: Engine) -> tuple[ModelChain, Engine]:
    """Some fifty blocks of random trade, on each kind of database."""
    return fill(mirror)


@pytest.fixture
def sample(sqlite_mirror: Engine) -> tuple[ModelChain, Engine]:
    """The same where the database does not matter."""
    return fill(sqlite_mirror)


def fill(mirror: Engine) -> tuple[ModelChain, Engine]:
    chain = ModelChain()
    found(chain)
    grow(chain, random.Random(3), 50)
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()
    return chain, mirror


@pytest.mark.parametrize("month", [0, 202600, 202613, 196912, 99_999_912])
def test_month__that_is_none__is_refused(month: int) -> None:
    with pytest.raises(InputInvalid):
        month_bounds(month)


def test_month__december__ends_with_the_year() -> None:
    begins, ends = month_bounds(202612)
    assert (ends - begins) == 31 * 86_400
    assert month_bounds(202701)[0] == ends


@pytest.mark.parametrize("zone", ["", "Nowhere/Atlantis", "../../etc/passwd", "UTC\x00"])
def test_month__of_no_zone__is_refused(zone: str) -> None:
    with pytest.raises(InputInvalid, match="no time zone"):
        month_bounds(202611, zone)


HOUR = 3_600


@pytest.mark.parametrize(
    ("zone", "month", "begins", "hours"),
    [
        ("Asia/Bangkok", 202611, "2026-10-31T17:00:00+00:00", 30 * 24),
        # Summer time begins and ends within the month.
        ("Europe/Berlin", 202603, "2026-02-28T23:00:00+00:00", 31 * 24 - 1),
        ("Europe/Berlin", 202610, "2026-09-30T22:00:00+00:00", 31 * 24 + 1),
        # At its very midnight: one that did not exist, and one that came twice.
        ("America/Asuncion", 201710, "2017-10-01T04:00:00+00:00", 31 * 24 - 1),
        ("America/Havana", 202011, "2020-11-01T04:00:00+00:00", 30 * 24 + 1),
        # A day that was left out, at the date line.
        ("Pacific/Apia", 201112, "2011-12-01T10:00:00+00:00", 30 * 24),
        ("Asia/Kathmandu", 202601, "2025-12-31T18:15:00+00:00", 31 * 24),
    ],
)
def test_month__on_other_clocks__has_the_hours_that_they_showed(
    zone: str, month: int, begins: str, hours: int
) -> None:
    first, end = month_bounds(month, zone)
    assert datetime.fromtimestamp(first, UTC).isoformat() == begins
    assert end - first == hours * HOUR


@pytest.mark.parametrize("zone", ["America/Asuncion", "America/Havana", "Asia/Beirut", "UTC"])
def test_month__after_month__leaves_no_second_out_and_shares_none(zone: str) -> None:
    months = [year * 100 + number for year in range(2000, 2040) for number in range(1, 13)]
    bounds = [month_bounds(month, zone) for month in months]
    assert [end for _, end in bounds[:-1]] == [begin for begin, _ in bounds[1:]]
    clock = ZoneInfo(zone)
    for month, (begin, end) in zip(months, bounds, strict=True):
        for second in (begin, end - 1):
            shown = datetime.fromtimestamp(second, clock)
            # Where midnight comes twice the evening before comes again after it has struck.
            evening = datetime.fromtimestamp(second - HOUR, clock)
            assert month in {at.year * 100 + at.month for at in (shown, evening)}


def test_statement__month_after_month_in_a_zone__opens_as_the_last_closed(
    sqlite_mirror: Engine, chain: ModelChain
) -> None:
    found(chain)
    # Trade at the edges of November in Havana, whose midnight came twice.
    begins, ends = month_bounds(202011, "America/Havana")
    at = [begins - 1, begins, begins + HOUR - 1, begins + HOUR, ends - 1, ends]
    for number, time in enumerate(at):
        chain.deposit(1, 10**number)
        chain.mine(time)
    Indexer(chain.rpc(), chain.deployment(), sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn:
        october, november, december = (
            statement(conn, 1, *month_bounds(month, "America/Havana"), zone="America/Havana")
            for month in (202010, 202011, 202012)
        )
    assert october.closing == november.opening
    assert november.closing == december.opening
    assert [line.amount for line in november.lines] == [10, 100, 1_000, 10_000]
    rows = list(csv.DictReader(io.StringIO(statements.statement_csv(november))))
    # The doubled hour's two halves are told apart.
    assert [row["time"][11:] for row in rows[1:4]] == [
        "00:00:00-04:00",
        "00:59:59-04:00",
        "00:00:00-05:00",
    ]


def test_statement__a_period_that_ends_before_it_begins__is_refused(
    sample: tuple[ModelChain, Engine],
) -> None:
    with sample[1].connect() as conn, pytest.raises(InputInvalid):
        statement(conn, 1, 5, 5)


def test_statement__an_amount_was_changed__does_not_add_up(
    sample: tuple[ModelChain, Engine],
) -> None:
    _, mirror = sample
    with mirror.begin() as conn:
        conn.execute(
            update(tables.events)
            .where(tables.events.c.merchant == 1, tables.events.c.name == "Deposited")
            .values(amount=tables.events.c.amount + 1)
        )
    with mirror.connect() as conn, pytest.raises(MirrorInconsistent):
        statement(conn, 1, *WHOLE)


def test_statement__of_a_stranger__is_empty(sample: tuple[ModelChain, Engine]) -> None:
    with sample[1].connect() as conn:
        empty = statement(conn, 999, *WHOLE)
    assert (empty.opening, empty.closing, empty.lines) == (0, 0, ())


def test_statement__period_after_period__opens_as_the_last_closed(
    filled: tuple[ModelChain, Engine],
) -> None:
    chain, mirror = filled
    end = chain.head.time + 1
    cuts = sorted({FIRST_START, end, *random.Random(4).sample(range(FIRST_START, end), 7)})
    with mirror.connect() as conn:
        for merchant in MERCHANTS:
            parts = [
                statement(conn, merchant, begins, ends)
                for begins, ends in zip(cuts, cuts[1:], strict=False)
            ]
            whole = statement(conn, merchant, *WHOLE)
            assert parts[0].opening == 0
            assert [p.closing for p in parts[:-1]] == [p.opening for p in parts[1:]]
            assert parts[-1].closing == whole.closing == chain.state.positions[merchant]
            assert [line for part in parts for line in part.lines] == list(whole.lines)
            assert all(p.begins_at <= x.time < p.ends_at for p in parts for x in p.lines)


def test_statement__blocks_of_the_period_are_not_final__is_provisional(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    begins, middle = FIRST_START, chain.head.time + 1
    chain.final = 0
    chain.mine()
    Indexer(chain.rpc(), chain.deployment(), sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn:
        assert not statement(conn, 1, begins, middle).is_final
    chain.final = chain.head.number
    chain.mine()
    chain.final += 1
    Indexer(chain.rpc(), chain.deployment(), sqlite_mirror).run_once()
    with sqlite_mirror.connect() as conn:
        assert statement(conn, 1, begins, middle).is_final
        assert not statement(conn, 1, begins, chain.head.time + 100).is_final


def test_settlement__every_month__agrees_with_the_statements(
    filled: tuple[ModelChain, Engine],
) -> None:
    chain, mirror = filled
    with mirror.connect() as conn:
        matrix = settlement(conn)
        overview = queries.network_overview(conn)
        assert matrix.agrees
        assert sum(cell.points for cell in matrix.cells) == overview.redeemed - overview.refunded
        paid = {
            merchant: sum(
                line.amount
                for line in statement(conn, merchant, *WHOLE).lines
                if line.name in ("Redeemed", "Refunded")
            )
            for merchant in MERCHANTS
        }
        assert matrix.paid == paid
        assert settlement(conn, 197002).cells == ()
        assert settlement(conn, 197001, 197001).cells == matrix.cells


def test_csv__every_line__adds_up_to_the_unit(sample: tuple[ModelChain, Engine]) -> None:
    chain, mirror = sample
    with mirror.connect() as conn:
        text = statements.statement_csv(statement(conn, 2, *WHOLE))
    rows = list(csv.DictReader(io.StringIO(text)))
    amounts = sum(Decimal(row["amount"]) for row in rows[1:-1])
    assert rows[0]["event"] == "opening"
    assert rows[-1]["event"] == "closing"
    assert Decimal(rows[0]["balance"]) + amounts == Decimal(rows[-1]["balance"])
    assert int(Decimal(rows[-1]["balance"]) * 10**6) == chain.state.positions[2]
    assert all(re.fullmatch(r"0x[0-9a-f]{64}", row["transaction"]) for row in rows[1:-1])


def test_pdf__a_long_statement__is_a_file_whose_table_points_at_its_objects(
    sample: tuple[ModelChain, Engine],
) -> None:
    _, mirror = sample
    with mirror.connect() as conn:
        found = statement(conn, 1, *WHOLE)
    found = replace(found, lines=found.lines * 5)
    pdf = statements.statement_pdf(found, "Bäcker (Brot \\ Kuchen)")
    start = int(re.search(rb"startxref\n(\d+)", pdf)[1])  # type: ignore[index]
    assert pdf[start : start + 4] == b"xref"
    places = [int(p) for p in re.findall(rb"(\d{10}) 00000 n", pdf)]
    assert all(pdf[p:].startswith(b"%d 0 obj" % n) for n, p in enumerate(places, start=1))
    text = b"".join(map(zlib.decompress, re.findall(rb"stream\n(.*?)\nendstream", pdf, re.S)))
    assert text.count(b"page ") == pdf.count(b"/Type /Page ") > 1
    # Every line of the statement stands in it, with its transaction.
    assert all(line.transaction[:10].encode() in text for line in found.lines)
    assert text.count(b" Tj ") >= len(found.lines)


def test_command__statement_and_settlement__write_every_form(
    chain: ModelChain, tmp_path: Path, opened: Callable[[str], Engine]
) -> None:
    time = chain.head.time
    chain.issue(1, [(actor("ada"), 500)], time)
    chain.redeem(actor("ada"), 2, 100, time)
    chain.mine(time)
    url = f"sqlite:///{tmp_path / 'mirror.db'}"
    Indexer(chain.rpc(), chain.deployment(), opened(url)).run_once()
    root = typer.Typer()
    cli.register(root)

    def banyan(*words: str) -> bytes:
        result = CliRunner().invoke(root, ["index", *words, "--mirror", url])
        assert result.exit_code == 0, result.output
        return result.stdout_bytes

    as_json = json.loads(banyan("statement", "1", "--month", "197001", "--format", "json"))
    assert (as_json["opening"], as_json["closing"]) == (0, 10**9 - 55_000)
    plain = banyan("statement", "1", "--month", "197001")
    assert b"closing,,,999.945000" in plain
    assert b",currency\r\n1970-01-01T00:00:00Z,opening" in plain
    zoned = ("--zone", "Asia/Bangkok", "--currency", "THB")
    there = banyan("statement", "1", "--month", "197001", *zoned)
    assert b"1970-02-01T00:00:00+07:00,closing,,,999.945000,,,,THB\r\n" in there
    as_json = json.loads(banyan("statement", "1", "--month", "197001", "--format", "json", *zoned))
    assert (as_json["zone"], as_json["currency"]) == ("Asia/Bangkok", "THB")
    assert as_json["ends_at"] == 31 * 86_400 - 7 * HOUR
    banyan("statement", "1", "--month", "197001", "--format", "pdf", "--out", str(tmp_path / "s"))
    assert (tmp_path / "s").read_bytes().startswith(b"%PDF-")
    assert json.loads(banyan("settlement", "--json"))["cells"] == [
        {
            "issuer": 1,
            "merchant": 2,
            "redeemed": 100,
            "refunded": 0,
            "points": 100,
            "paid": 9_800,
        }
    ]
    assert b"0.009800" in banyan("settlement")
    refused = CliRunner().invoke(
        root, ["index", "statement", "1", "--month", "13", "--mirror", url]
    )
    assert refused.exit_code == 2
