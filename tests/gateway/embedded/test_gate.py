"""No question is answered out of a block that is still being mined."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from gateway.embedded import EmbeddedChain
from gateway.embedded.gate import Gate

PATIENCE_S = 5.0


def test_ask__while_a_block_is_mined__waits_for_it() -> None:
    gate = Gate()
    asked = threading.Event()

    async def ask() -> None:
        async with gate.asking():
            asked.set()

    with gate.closed():
        asking = threading.Thread(target=lambda: asyncio.run(ask()))
        asking.start()
        assert not asked.wait(0.1)
    assert asked.wait(PATIENCE_S)
    asking.join()


def test_mine__while_a_question_is_under_way__waits_for_it() -> None:
    gate = Gate()
    mined = threading.Event()

    def mine() -> None:
        with gate.closed():
            mined.set()

    async def ask() -> None:
        async with gate.asking():
            threading.Thread(target=mine).start()
            assert not await asyncio.to_thread(mined.wait, 0.1)

    asyncio.run(ask())
    assert mined.wait(PATIENCE_S)


def test_ask__given_up_while_it_waits__keeps_no_miner_waiting() -> None:
    gate = Gate()

    async def ask() -> None:
        async with gate.asking():
            raise AssertionError("the gate was closed")

    async def give_up() -> None:
        closed = gate.closed()
        closed.__enter__()
        question = asyncio.ensure_future(ask())
        await asyncio.sleep(0.05)
        question.cancel()
        with pytest.raises(asyncio.CancelledError):
            await question
        closed.__exit__(None, None, None)

    asyncio.run(give_up())
    mined = threading.Event()

    def mine() -> None:
        with gate.closed():
            mined.set()

    threading.Thread(target=mine, daemon=True).start()
    assert mined.wait(PATIENCE_S)


def test_count__asked_while_blocks_are_mined__never_one_of_a_later_block(
    rpc: Any, chain: EmbeddedChain, ada: Any
) -> None:
    blocks, per_block = 6, 3
    chain_id = chain.chain_id
    wrong: list[tuple[int, int]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            number = chain.head.number
            answer = rpc("eth_getTransactionCount", ada.address, hex(number))
            count = int(answer["result"], 16)
            if count != number * per_block:
                wrong.append((number, count))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for block in range(blocks):
            for offset in range(per_block):
                # Heavy enough that a block takes some tenths of a second.
                chain.submit(ada.sign_burner(chain_id, block * per_block + offset))
            assert chain.mine() is not None
            time.sleep(0.02)
    finally:
        done.set()
        asking.join()
    assert wrong == []
