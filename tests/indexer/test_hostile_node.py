"""A node that lies in every field, a chain that turns at any moment, a database that fails: nothing
wrong gets in, nothing but our own errors comes out, and the mirror goes on by itself.
"""

from __future__ import annotations

import copy
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mirror_acts import found, grow
from mirror_model import ADDRESSES, ModelChain, actor
from sqlalchemy import Engine

from indexer import pauses, queries
from indexer.decode import Decoder
from indexer.digest import mirror_digest
from indexer.errors import MirrorEmpty, MirrorInconsistent, SourceContradicts
from indexer.headers import shown_number
from indexer.sync import Indexer
from wallet_sdk.errors import BanyanError

HOSTILE: list[Any] = [
    *(None, "", "0x", "0x-1", "-0x1", "zz", "0xzz", "0x 1", " 0x1", "0X1", "0x1", "0x0"),
    *(hex(2**256), hex(2**64 - 1), hex(2**63), hex(2**40), "0x" + "ff" * 32, "0x" + "00" * 32),
    *("0x" + "11" * 20, "0x" + "\N{ARABIC-INDIC DIGIT ONE}" * 64, 5, -1, 1.5, True, [], {}),
]
LOG_FIELDS = (
    *("address", "topics", "data", "blockNumber", "blockHash", "transactionHash"),
    *("transactionIndex", "logIndex", "removed"),
)


def digest(mirror: Engine) -> Any:
    with mirror.connect() as conn:
        return mirror_digest(conn)


def follow(chain: ModelChain, mirror: Engine) -> None:
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()


def lie(chain: ModelChain, change: Callable[[list[Any]], None]) -> None:
    """Every answer with logs is changed: by range and by hash alike."""

    def tamper(method: str, params: list[Any], result: Any) -> Any:
        if method != "eth_getLogs" or not result:
            return result
        changed = copy.deepcopy(result)
        change(changed)
        return changed

    chain.tamper = tamper


@pytest.fixture
def small(chain: ModelChain) -> ModelChain:
    """Two blocks: who there is, and an issue, a redemption and a transfer."""
    moment = chain.head.time + 10
    chain.issue(1, [(actor("ada"), 500), (actor("bob"), 300)], moment)
    chain.redeem(actor("ada"), 2, 100, moment)
    chain.transfer(actor("bob"), actor("ada"), 20, moment)
    chain.mine(moment)
    return chain


@pytest.mark.parametrize("field", LOG_FIELDS)
def test_read__any_field_of_a_log_that_cannot_be__stores_nothing(
    small: ModelChain, sqlite_mirror: Engine, field: str
) -> None:
    """The first, a middle and the last log, whatever the lie; then the truth is taken."""
    logs = [log for block in small.blocks for log in block.logs]
    decoder = Decoder(ADDRESSES)
    for value in HOSTILE:
        for at in (0, len(logs) // 2, len(logs) - 1):
            if believed(field, value, logs[at]):
                continue
            lied = [*logs[:at], {**logs[at], field: value}, *logs[at + 1 :]]
            with suppress(SourceContradicts):
                decoder.decode(lied)
                refused_later(small, sqlite_mirror, logs[at], lied[at])
    small.tamper = None
    follow(small, sqlite_mirror)
    with sqlite_mirror.connect() as conn:
        assert queries.member_balance(conn, actor("ada")).points == 420


def refused_later(chain: ModelChain, mirror: Engine, true: Any, lied: Any) -> None:
    """What can be read, and contradicts headers or other logs."""

    def change(asked: list[Any]) -> None:
        asked[:] = [lied if log == true else log for log in asked]

    lie(chain, change)
    with pytest.raises((SourceContradicts, MirrorInconsistent)):
        follow(chain, mirror)
    with mirror.connect() as conn, pytest.raises(MirrorEmpty):
        queries.head(conn)


def believed(field: str, value: Any, log: Any) -> bool:
    """What means the same, or what only the receipts could tell from the truth."""
    if field == "removed":
        return not value
    if field == "transactionHash":
        # The first log of a transaction tells; and any word might be its hash.
        return log["logIndex"] != "0x0" or value in ("0x" + "ff" * 32, "0x" + "00" * 32)
    if field in ("transactionIndex", "logIndex", "blockNumber"):
        return isinstance(shown_number(value), int) and shown_number(value) == int(log[field], 16)
    # A log without topics may be: its event is missing then.
    return value == [] or bool(log[field] == value)


@pytest.mark.parametrize(
    ("what", "change"),
    {
        "a topic cut short": lambda logs: logs[-1]["topics"].__setitem__(1, "0x11"),
        "a topic that is none": lambda logs: logs[-1]["topics"].__setitem__(1, None),
        "an account cut short": lambda logs: first_transfer(logs)["topics"].__setitem__(2, "0x11"),
        "transactions out of order": lambda logs: logs[-1].update(transactionIndex="0x0"),
        "two hashes for one transaction": lambda logs: logs[-1].update(transactionIndex="0x02"),
        "an item that is no log": lambda logs: logs.__setitem__(3, None),
        "an item that is a list": lambda logs: logs.__setitem__(3, []),
        "the blocks in another order": lambda logs: logs.reverse(),
    }.items(),
)
def test_read__logs_with__stores_nothing(
    small: ModelChain, sqlite_mirror: Engine, what: str, change: Callable[[list[Any]], None]
) -> None:
    lie(small, change)
    with pytest.raises(SourceContradicts):
        follow(small, sqlite_mirror)


def first_transfer(logs: list[Any]) -> Any:
    return next(log for log in logs if len(log["topics"]) == 3 and len(log["data"]) == 66)


@pytest.mark.parametrize("final", [None, 0], ids=["in ranges", "by hash"])
@pytest.mark.parametrize("field", ["number", "hash", "parentHash", "timestamp", "logsBloom"])
def test_read__any_field_of_a_header_that_cannot_be__raises_an_error_of_ours(
    small: ModelChain, sqlite_mirror: Engine, field: str, final: int | None
) -> None:
    small.final = final
    for value in HOSTILE:

        def tamper(method: str, params: list[Any], result: Any, value: Any = value) -> Any:
            lied = method == "eth_getBlockByNumber" and params[0] == "0x2"
            return {**result, field: value} if lied else result

        small.tamper = tamper
        try:
            follow(small, sqlite_mirror)
        except BanyanError:
            continue
        # An empty bloom, or one that says too much, costs a question and nothing else.
        assert field in ("logsBloom", "timestamp"), value
        break


@pytest.mark.parametrize("value", HOSTILE)
def test_read__a_chain_id_that_is_none__raises_an_error_of_ours(
    small: ModelChain, sqlite_mirror: Engine, value: Any
) -> None:
    small.tamper = lambda method, params, result: value if method == "eth_chainId" else result
    with pytest.raises(BanyanError):
        follow(small, sqlite_mirror)


def test_read__a_number_that_no_row_holds__is_told_by_its_block(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    """SQLite's integers end at 63 bits; PostgreSQL's NUMERIC holds any."""
    chain.deposit(2, 7)
    chain.mine()
    chain.deposit(1, 2**255)
    at = chain.mine().number
    chain.mine()
    with pytest.raises(MirrorInconsistent, match=f"block {at}: a number too large"):
        follow(chain, sqlite_mirror)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 12))]
)
def test_follow__the_chain_turns_at_any_question__ends_as_a_clean_mirror(
    sqlite_mirror: Engine, seed: int, opened: Callable[[str], Engine], tmp_path: Path
) -> None:
    """Deep forks between any two answers of a backfill, hand-overs among what is lost."""
    rng = random.Random(seed)
    chain = ModelChain()
    found(chain)
    grow(chain, rng, 30)
    questions = 0

    def turn(method: str, params: list[Any], result: Any) -> Any:
        nonlocal questions
        questions += 1
        if questions <= 40 and rng.random() < 0.2:
            chain.fork(rng.randint(1, min(20, len(chain.blocks) - 3)))
            grow(chain, rng, rng.randint(5, 12))
        return result

    chain.tamper = turn
    for _ in range(60):
        try:
            Indexer(chain.rpc(), chain.deployment(), sqlite_mirror).run_once()
        except SourceContradicts:
            continue
        if questions > 40:
            break
    chain.tamper = None
    follow(chain, sqlite_mirror)
    clean = opened(f"sqlite:///{tmp_path}/clean.db")
    follow(chain, clean)
    assert digest(sqlite_mirror) == digest(clean)


def test_run__the_database_fails__goes_on_when_it_is_there_again(
    chain: ModelChain, mirror: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, or sessions that PostgreSQL ends again and again."""
    monkeypatch.setattr(pauses, "POLL_S", 0.05)
    follow(chain, mirror)
    stop, wake = threading.Event(), threading.Event()
    raised: list[BaseException] = []
    indexer = Indexer(chain.rpc(), chain.deployment(), mirror)

    def run() -> None:
        try:
            indexer.run(stop, wake)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    failed = threading.Event()
    handler = sa.event.listens_for(mirror, "connect")
    if mirror.dialect.name == "sqlite":
        # The file may not grow any more.
        limits = {"pages": 1}
        handler(lambda c, _: c.execute(f"PRAGMA max_page_count = {limits['pages']}"))
        mirror.dispose()
    monkeypatch.setattr("indexer.sync.log.warning", lambda *_: failed.set() if not raised else None)
    moment = chain.head.time + 10
    chain.issue(1, [(actor(f"guest {n}"), 5) for n in range(400)], moment)
    chain.mine(moment)
    thread.start()
    try:
        if mirror.dialect.name == "sqlite":
            assert failed.wait(20)
            limits["pages"] = 1_000_000
            mirror.dispose()
        else:
            for _ in range(3):
                end_sessions(mirror)
                time.sleep(0.1)
        deadline = time.monotonic() + 30
        while at_head(mirror) != chain.head.number:
            assert time.monotonic() < deadline
            assert not raised
            wake.set()
            time.sleep(0.05)
    finally:
        stop.set()
        wake.set()
        thread.join(20)
    assert not raised


def at_head(mirror: Engine) -> int | None:
    try:
        with mirror.connect() as conn:
            return queries.head(conn).as_of_block
    except sa.exc.OperationalError:
        return None


def end_sessions(mirror: Engine) -> None:
    """Ends every session of this database but the one that asks."""
    with mirror.connect() as conn:
        conn.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
