"""What goes into a block, at which time, and that it comes out the same again."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.embedded import EmbeddedChain
from gateway.embedded.errors import ChainStopped, SubmitRefused
from gateway.embedded.journal import Journal
from tests.gateway.faults.failing_fsync import fail_in_this_thread, in_a_thread

Open = Callable[..., EmbeddedChain]


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_submit__same_twice__the_nodes_own_refusal(chain: EmbeddedChain, ada: Any) -> None:
    raw = ada.sign(chain.chain_id, 0)
    chain.submit(raw)
    with pytest.raises(SubmitRefused, match="already imported") as caught:
        chain.submit(raw)
    assert caught.value.rpc_code == -32003
    assert chain.pending == 1


@pytest.mark.parametrize("raw", [b"", b"\x03\x01", b"\x02garbage", b"\xff" * 40])
def test_submit__no_transaction__refused(chain: EmbeddedChain, raw: bytes) -> None:
    with pytest.raises(SubmitRefused):
        chain.submit(raw)
    assert chain.pending == 0


def test_submit__of_another_chain__refused(chain: EmbeddedChain, ada: Any) -> None:
    with pytest.raises(SubmitRefused, match="chain id"):
        chain.submit(ada.sign(1, 0))


def test_submit__above_the_gas_cap__refused(chain: EmbeddedChain, ada: Any) -> None:
    with pytest.raises(SubmitRefused, match="gas"):
        chain.submit(ada.sign(chain.chain_id, 0, gas=16_777_217))


def test_submit__a_used_nonce__refused(chain: EmbeddedChain, ada: Any) -> None:
    chain.submit(ada.sign(chain.chain_id, 0))
    chain.mine()
    with pytest.raises(SubmitRefused, match="nonce too low"):
        chain.submit(ada.sign(chain.chain_id, 0, gas=30_000))


def test_submit__after_stop__refused(chain: EmbeddedChain, ada: Any) -> None:
    chain_id = chain.chain_id
    chain.stop()
    with pytest.raises(ChainStopped):
        chain.mine()
    with pytest.raises(ChainStopped):
        chain.submit(ada.sign(chain_id, 0))


def test_mine__nothing_waits__no_block(chain: EmbeddedChain) -> None:
    assert chain.mine() is None
    assert chain.head.number == 0


def test_mine__a_nonce_beyond_a_gap__waits(
    chain: EmbeddedChain, ada: Any, baker: Any, rpc: Any
) -> None:
    late, other = ada.sign(chain.chain_id, 1), baker.sign(chain.chain_id, 0)
    chain.submit(late)
    assert chain.mine() is None
    hashes = [chain.submit(other), chain.submit(ada.sign(chain.chain_id, 0))]
    block = chain.mine()
    assert block is not None
    assert block.transactions == 3
    mined = rpc("eth_getBlockByNumber", "latest", False)["result"]["transactions"]
    # First come, first mined; the one that came too early follows at once on what it waited for.
    assert mined[:2] == hashes


def test_mine__more_than_a_block_holds__the_rest_waits_in_order(
    chain: EmbeddedChain, open_chain: Open, ada: Any, rpc: Any
) -> None:
    for nonce in range(5):
        chain.submit(ada.sign_burner(chain.chain_id, nonce))
    blocks = [chain.mine(), chain.mine(), chain.mine()]
    assert [block.transactions if block else None for block in blocks] == [3, 2, None]
    assert int(rpc("eth_getTransactionCount", ada.address, "latest")["result"], 16) == 5
    # Blocks of more than half the limit raise a base fee that is not 0: it must stay 0.
    header = rpc("eth_getBlockByNumber", "latest", False)["result"]
    assert (int(header["baseFeePerGas"], 16), int(header["gasUsed"], 16)) == (0, 2 * 16_777_216)
    head = chain.head
    chain.stop()
    assert open_chain().head == head


def test_mine__a_transaction_that_cannot_run__left_out_and_replays_the_same(
    chain: EmbeddedChain, open_chain: Open, ada: Any, baker: Any
) -> None:
    # A creation needs more than 21,000 gas; the pool takes it all the same, and mining drops it.
    # Its mere attempt changes the state root, so the journal must keep it.
    chain.submit(ada.sign(chain.chain_id, 0, data=b"\0"))
    chain.submit(ada.sign(chain.chain_id, 1))
    chain.submit(baker.sign(chain.chain_id, 0))
    block = chain.mine()
    assert block is not None
    assert (block.transactions, chain.pending) == (1, 0)
    chain.submit(baker.sign(chain.chain_id, 1))
    chain.mine()
    head = chain.head
    chain.stop()
    assert open_chain().head == head


def test_submit__another_for_the_same_nonce_at_the_same_fee__refused(
    chain: EmbeddedChain, ada: Any
) -> None:
    chain.submit(ada.sign(chain.chain_id, 0))
    with pytest.raises(SubmitRefused, match="underpriced"):
        chain.submit(ada.sign(chain.chain_id, 0, gas=50_000))
    assert chain.pending == 1


def test_mine__not_held__by_itself_a_moment_after_the_first(
    open_chain: Open, ada: Any, baker: Any
) -> None:
    chain = open_chain()
    seen: list[int] = []
    chain.on_block(lambda block: seen.append(block.number))
    chain.submit(ada.sign(chain.chain_id, 0))
    chain.submit(baker.sign(chain.chain_id, 0))
    wait_until(lambda: chain.pending == 0)
    wait_until(lambda: seen == [1])
    chain.hold()
    chain.submit(ada.sign(chain.chain_id, 1))
    time.sleep(0.3)
    assert chain.head.number == 1
    chain.release()
    wait_until(lambda: chain.head.number == 2)


def test_mine__at_a_time__never_back_and_never_beyond_the_wall_clock(
    chain: EmbeddedChain, ada: Any
) -> None:
    times = []
    wanted = [1_700_000_500, 1_700_000_500, 1_600_000_000, 2**40, 1_700_000_600]
    for nonce, at in enumerate(wanted):
        chain.submit(ada.sign(chain.chain_id, nonce))
        block = chain.mine(at)
        assert block is not None
        times.append(block.time)
    now = time.time()
    assert times[:3] == [1_700_000_500] * 3
    assert now - 5 < times[3] <= now
    assert times[4] == times[3]
    assert chain.clock.now() >= times[4]


def test_clock__set__blocks_follow_it(chain: EmbeddedChain, ada: Any) -> None:
    chain.clock.set(1_700_086_400)
    chain.submit(ada.sign(chain.chain_id, 0))
    block = chain.mine()
    assert block is not None
    assert (block.time, chain.clock.now()) == (1_700_086_400, 1_700_086_400)


@pytest.mark.parametrize("commit", ["append", "commit_hash"])
def test_mine__disk_full__said_and_made_up_for(
    chain: EmbeddedChain, open_chain: Open, ada: Any, monkeypatch: pytest.MonkeyPatch, commit: str
) -> None:
    chain.submit(ada.sign(chain.chain_id, 0))
    chain.mine()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    chain.submit(ada.sign(chain.chain_id, 1))
    with monkeypatch.context() as patched:
        patched.setattr(Journal, commit, full)
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            chain.mine()
        assert chain.head.number == 1
    block = chain.mine()
    assert block is not None
    assert (block.number, block.transactions, chain.pending) == (2, 1, 0)
    chain.submit(ada.sign(chain.chain_id, 2))
    chain.mine()
    head = chain.head
    chain.stop()
    assert (open_chain().head, head.number) == (head, 3)


def test_mine__fsync_fails__said_and_made_up_for(
    chain: EmbeddedChain, open_chain: Open, ada: Any
) -> None:
    def mine_on_a_bad_disk() -> None:
        fail_in_this_thread()
        chain.mine()

    chain.submit(ada.sign(chain.chain_id, 0))
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        in_a_thread(mine_on_a_bad_disk)
    # Not kept, so not mined: nobody has seen a block that a crash could take back.
    assert (chain.head.number, chain.pending) == (0, 1)
    block = chain.mine()
    assert block is not None
    assert (block.number, block.transactions, chain.pending) == (1, 1, 0)
    chain.stop()
    assert open_chain().head == block


def test_journal__a_real_full_disk__leaves_it_as_it_was(
    chain: EmbeddedChain, open_chain: Open, ada: Any
) -> None:
    pages = chain._engine._journal._db.execute("PRAGMA page_count").fetchone()[0]
    chain._engine._journal._db.execute(f"PRAGMA max_page_count={pages}")
    # 50,000 bytes of calldata are more than the free pages hold.
    big = {"to": ada.address, "data": b"\0" * 50_000}
    chain.submit(ada.sign(chain.chain_id, 0, gas=16_000_000, **big))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        chain.mine()
    chain._engine._journal._db.execute("PRAGMA max_page_count=1000000")
    block = chain.mine()
    assert block is not None
    chain.stop()
    assert open_chain().head == block


def test_anvil__killed_alone__comes_back_with_what_waited(
    chain: EmbeddedChain, ada: Any, rpc: Any
) -> None:
    chain.submit(ada.sign(chain.chain_id, 0))
    first = chain.mine()
    assert first is not None
    waiting = chain.submit(ada.sign(chain.chain_id, 1))
    killed = chain.node_pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: chain.node_pid not in (None, killed))
    wait_until(lambda: bool(rpc("eth_getTransactionByHash", waiting).get("result")))
    assert rpc("eth_getTransactionByHash", waiting)["result"]["blockNumber"] is None
    assert rpc("eth_getBlockByNumber", "0x1", False)["result"]["hash"] == first.hash
    block = chain.mine()
    assert block is not None
    assert (block.number, block.transactions) == (2, 1)


@pytest.mark.parametrize("deed", ["submit", "mine"])
def test_anvil__killed_under_a_call__the_call_is_answered(
    chain: EmbeddedChain, ada: Any, deed: str
) -> None:
    chain.submit(ada.sign(chain.chain_id, 0))
    assert chain.node_pid is not None
    # Stopped first, so that nobody notices before the call is on its way.
    os.kill(chain.node_pid, signal.SIGKILL)
    if deed == "submit":
        chain.submit(ada.sign(chain.chain_id, 1))
    block = chain.mine()
    assert block is not None
    assert block.transactions == (2 if deed == "submit" else 1)


def test_anvil__dies_again_and_again__the_chain_says_that_it_stands(
    chain: EmbeddedChain, ada: Any
) -> None:
    raw = ada.sign(chain.chain_id, 0)

    def kill_and_wait(killed: int) -> None:
        os.kill(killed, signal.SIGKILL)
        while chain.node_pid in (None, killed):
            chain.mine()

    def kill_on() -> None:
        for _ in range(10):
            assert chain.node_pid is not None
            kill_and_wait(chain.node_pid)

    with pytest.raises(ChainStopped, match="died 5 times"):
        kill_on()
    for deed in (chain.mine, lambda: chain.submit(raw)):
        with pytest.raises(ChainStopped):
            deed()
