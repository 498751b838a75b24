"""Nodes that tell no final block: a young chain has none, and they say so with null or an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from gateway.books import Head
from gateway.gate import Level
from gateway.relay.chain import Block, Chain
from tests.gateway.helpers import WrittenBooks
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.rpc import Rpc

Answer = dict[str, Any]
NULL: Answer = {"result": None}
# As geth, besu and erigon say it.
UNKNOWN: Answer = {"error": {"code": -39001, "message": "Unknown block"}}
INVALID: Answer = {"error": {"code": -32602, "message": "invalid argument 0: unknown tag"}}


def block(number: int) -> Answer:
    return {"result": {"number": hex(number), "hash": "0x" + "11" * 32, "timestamp": hex(number)}}


@contextmanager
def chain_of(say: Callable[[str], Answer | int]) -> Iterator[Chain]:
    """A chain whose node answers what `say` has for a tag; a number is an HTTP status."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        said = say(asked["params"][0])
        if isinstance(said, int):
            return httpx.Response(said)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": asked["id"], **said})

    with Rpc("http://node", transport=httpx.MockTransport(answer)) as rpc:
        yield Chain(rpc, finality="finalized")


@pytest.mark.parametrize("said", [NULL, UNKNOWN, INVALID])
def test_final_block__the_node_tells_none__is_none_and_a_refusal_is_said_once(
    said: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    with chain_of(lambda tag: said) as chain, caplog.at_level(logging.WARNING):
        assert [chain.final_block() for _ in range(3)] == [None] * 3
    assert caplog.text.count("tells no final block") == (said is not NULL)


@pytest.mark.parametrize("status", [429, 503])
def test_final_block__back_pressure__is_no_answer_at_all(status: int) -> None:
    with chain_of(lambda tag: status) as chain, pytest.raises(RpcUnavailable):
        chain.final_block()


def test_final_block__told_later__is_taken() -> None:
    told = iter([UNKNOWN, NULL, block(7)])
    with chain_of(lambda tag: next(told)) as chain:
        assert [chain.final_block() for _ in range(3)] == [None, None, Block(7, b"\x11" * 32, 7)]


def test_level__without_a_final_block__is_what_there_was_at_first() -> None:
    newest = iter([9, 12])

    def say(tag: str) -> Answer:
        return UNKNOWN if tag == "finalized" else block(next(newest))

    books = WrittenBooks()
    with chain_of(say) as chain:
        level = Level(chain, books)
        assert not level.is_reached()
        for number in (8, 9, 10):
            books.head_block = Head(number, b"", 0)
            assert level.is_reached() == (number >= 9)
        # Asked anew, it is what there is then.
        assert not Level(chain, books).is_reached()


def test_level__with_a_final_block__is_that_one() -> None:
    books = WrittenBooks()
    with chain_of(lambda tag: block(5)) as chain:
        level = Level(chain, books)
        assert not level.is_reached()
        books.head_block = Head(4, b"", 0)
        assert not level.is_reached()
        books.head_block = Head(5, b"", 0)
        assert level.is_reached()
