"""Opening a data folder: what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.embedded import EmbeddedChain, read_status
from gateway.embedded.errors import EmbeddedChainError

Open = Callable[..., EmbeddedChain]


def edit(data: Path, statement: str, *values: Any) -> None:
    database = sqlite3.connect(data / "chain.db")
    with database:
        database.execute(statement, values)
    database.close()


def anvils_of(data: Path) -> list[str]:
    """Command lines of processes that mention the data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(data) in command:
            found.append(command)
    return found


def refusal(open_chain: Open, data: Path) -> EmbeddedChainError:
    """The error of a start, after making sure that it left no trace but itself."""
    before = {path.name: path.read_bytes() for path in data.glob("*") if path.is_file()}
    with pytest.raises(EmbeddedChainError) as caught:
        open_chain()
    after = {path.name: path.read_bytes() for path in data.glob("*") if path.is_file()}
    assert after == before
    assert anvils_of(data) == []
    assert read_status(data) is None
    return caught.value


def test_start__beside_a_running_one__says_its_pid(victim: Any, open_chain: Open) -> None:
    running = victim("wait")
    with pytest.raises(EmbeddedChainError, match=f"process {running.pid} is running") as caught:
        open_chain()
    assert caught.value.code == "already_running"


def test_start__data_of_another_format__refused(used: Path, open_chain: Open) -> None:
    (used / "version").write_text("0\n")
    error = refusal(open_chain, used)
    assert (error.code, "--fresh" in str(error)) == ("data_format_other", True)


def test_start__a_journal_without_a_version__refused(used: Path, open_chain: Open) -> None:
    (used / "version").unlink()
    assert refusal(open_chain, used).code == "data_format_other"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("PRAGMA user_version = 9", "data_format_other"),
        ("UPDATE genesis SET node='anvil/v0.0.1'", "journal_damaged"),
        ("DELETE FROM genesis", "journal_damaged"),
        ("DELETE FROM blocks WHERE number=2", "journal_damaged"),
        ("UPDATE blocks SET time=time+1 WHERE number=2", "journal_damaged"),
        ("UPDATE blocks SET hash=NULL WHERE number=2", "journal_damaged"),
        ("UPDATE blocks SET hash=zeroblob(32) WHERE number=2", "replay_differs"),
        ("DELETE FROM transactions WHERE block=3", "journal_damaged"),
    ],
)
def test_start__a_changed_journal__refused(
    used: Path, open_chain: Open, statement: str, code: str
) -> None:
    edit(used, statement)
    assert refusal(open_chain, used).code == code


def test_start__one_flipped_bit_in_a_transaction__names_the_block(
    used: Path, open_chain: Open
) -> None:
    file = used / "chain.db"
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT raw FROM transactions WHERE block=2"
        raw = database.execute(query).fetchone()[0]
    content = bytearray(file.read_bytes())
    content[content.index(raw) + 40] ^= 1
    file.write_bytes(content)
    error = refusal(open_chain, used)
    assert (error.code, "block 2" in str(error)) == ("journal_damaged", True)


def test_start__a_torn_database_file__refused(used: Path, open_chain: Open) -> None:
    with (used / "chain.db").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4000)
    assert refusal(open_chain, used).code == "journal_damaged"


@pytest.mark.parametrize(
    ("recorded", "what"),
    [({"node": "anvil/v0.9.9"}, "anvil"), ({"hardfork": "prague"}, "hard fork")],
)
def test_start__a_journal_of_another_node__refused(
    used: Path, open_chain: Open, recorded: dict[str, str], what: str
) -> None:
    from dataclasses import replace

    from gateway.embedded.journal import Journal

    journal = Journal(used / "chain.db")
    genesis = journal.genesis()
    journal.close()
    assert genesis is not None
    other = replace(genesis, **recorded)
    sets = (other.node, other.hardfork, other.seal())
    edit(used, "UPDATE genesis SET node=?, hardfork=?, seal=?", *sets)
    error = refusal(open_chain, used)
    assert (error.code, f"made with {what} " in str(error)) == ("node_other", True)


def test_start__no_anvil_there__says_so(data: Path, open_chain: Open, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedChainError) as caught:
        open_chain(anvil=tmp_path / "nowhere")
    assert caught.value.code == "node_missing"


def test_start__an_anvil_that_fails__says_what_it_said(
    data: Path, open_chain: Open, tmp_path: Path
) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 2\n")
    broken.chmod(0o755)
    with pytest.raises(EmbeddedChainError, match="no such flag") as caught:
        open_chain(anvil=broken)
    assert caught.value.code == "node_failed"


def test_start__new__random_chain_id_and_the_given_time(open_chain: Open, data: Path) -> None:
    chain = open_chain()
    assert 2**32 <= chain.chain_id < 2**52
    assert (chain.head.number, chain.head.time) == (0, 1_700_000_000)
    status = read_status(data)
    assert status is not None
    assert status["rpc_url"] == chain.rpc_url


def test_start__again__replays_to_the_same_head_and_says_how_far(
    used: Path, open_chain: Open
) -> None:
    first = open_chain()
    head, chain_id = first.head, first.chain_id
    first.stop()
    seen: list[tuple[int, int]] = []
    second = open_chain(chain_id=5, genesis_time=1, progress=lambda *done: seen.append(done))
    assert (second.head, second.chain_id) == (head, chain_id)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_stop__leaves_no_process_and_no_scratch(open_chain: Open, data: Path) -> None:
    chain = open_chain()
    assert anvils_of(data) != []
    chain.stop()
    chain.stop()
    assert anvils_of(data) == []
    assert not (data / "run").exists()
    assert read_status(data) is None
