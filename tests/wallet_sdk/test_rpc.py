"""What a node may answer, and what that means: refused, or unknown."""

import gc
import json
import weakref
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import BATCH_MAX, Rpc

Handler = Callable[[httpx.Request], httpx.Response]


def node(handler: Handler) -> Rpc:
    return Rpc("http://node.test", transport=httpx.MockTransport(handler))


def says(**changed: Any) -> Handler:
    """Answers every call with its id and `changed`."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], **changed})

    return answer


def broken(status: int, content: bytes, headers: dict[str, str] | None = None) -> Handler:
    return lambda request: httpx.Response(status, content=content, headers=headers)


def raises(error: Exception) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


UNKNOWN: dict[str, Handler] = {
    "429": broken(429, b"slow down"),
    "500": broken(500, b"{}"),
    "502 with JSON": broken(502, b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}'),
    "HTML": broken(200, b"<html>maintenance</html>"),
    "empty": broken(200, b""),
    "truncated": broken(200, b'{"jsonrpc":"2.0","id":1,"resul'),
    "404 without JSON": broken(404, b"not here"),
    "a list": broken(200, b"[]"),
    "another id": broken(200, b'{"jsonrpc":"2.0","id":99,"result":"0x1"}'),
    "no id": broken(200, b'{"jsonrpc":"2.0","result":"0x1"}'),
    "no result": says(),
    "time-out": raises(httpx.ReadTimeout("late")),
    "connection refused": raises(httpx.ConnectError("refused")),
    "connection lost": raises(httpx.RemoteProtocolError("cut")),
}


@pytest.mark.parametrize("handler", UNKNOWN.values(), ids=list(UNKNOWN))
def test_call__no_usable_answer__is_unknown_never_refused(handler: Handler) -> None:
    with node(handler) as rpc, pytest.raises(RpcUnavailable, match="eth_sendRawTransaction"):
        rpc.call("eth_sendRawTransaction", ["0x"])


@pytest.mark.parametrize(
    "handler",
    [handler for name, handler in UNKNOWN.items() if name not in ("no result", "a list")],
)
def test_batch__no_usable_answer__is_unknown(handler: Handler) -> None:
    with node(handler) as rpc, pytest.raises(RpcUnavailable):
        rpc.batch([("eth_chainId", []), ("eth_blockNumber", [])])


@pytest.mark.parametrize(
    ("header", "expected"), [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("tomorrow", None)]
)
def test_call__429_with_retry_after__carries_it(header: str, expected: float | None) -> None:
    with node(broken(429, b"", {"retry-after": header})) as rpc:
        with pytest.raises(RpcUnavailable) as found:
            rpc.call("eth_chainId")
        assert found.value.retry_after_s == expected


def test_call__the_node_refuses__carries_code_message_and_data() -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x1234"}
    with node(says(error=error)) as rpc, pytest.raises(RpcError) as found:
        rpc.call("eth_call", [{}])
    assert (found.value.rpc_code, found.value.data) == (3, "0x1234")
    assert found.value.rpc_message == "execution reverted"
    assert str(found.value) == "eth_call: execution reverted"


def test_call__a_refusal_with_null_id__is_a_refusal() -> None:
    content = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}'
    with node(broken(200, content)) as rpc, pytest.raises(RpcError, match="parse error"):
        rpc.call("eth_chainId")


@pytest.mark.parametrize("error", ["nonce too low", {"message": "x"}, {"code": "no", "message": 1}])
def test_call__an_error_of_odd_shape__is_still_a_refusal(error: object) -> None:
    with node(says(error=error)) as rpc, pytest.raises(RpcError):
        rpc.call("eth_chainId")


def test_batch__one_of_many_missing__is_unknown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        return httpx.Response(200, json=[{"id": part["id"], "result": "0x1"} for part in body[1:]])

    with node(answer) as rpc, pytest.raises(RpcUnavailable, match="eth_chainId"):
        rpc.batch([("eth_chainId", []), ("eth_blockNumber", [])])


def echo(request: httpx.Request) -> httpx.Response:
    """Answers each call with its first parameter, in reverse order, refusing odd ones."""
    body = json.loads(request.content)
    assert len(body) <= BATCH_MAX
    found = [
        {"id": part["id"], "error": {"code": -32000, "message": "odd"}}
        if part["params"][0] % 2
        else {"id": part["id"], "result": part["params"][0]}
        for part in reversed(body)
    ]
    return httpx.Response(200, json=found)


def test_batch_settled__answers_out_of_order__stand_in_the_order_asked() -> None:
    with node(echo) as rpc:
        settled = rpc.batch_settled([("eth_x", [n]) for n in range(5)])
    assert [r if isinstance(r, int) else str(r) for r in settled] == [
        0,
        "eth_x: odd",
        2,
        "eth_x: odd",
        4,
    ]


def test_batch__one_refused__raises_it() -> None:
    with node(echo) as rpc, pytest.raises(RpcError, match="odd"):
        rpc.batch([("eth_x", [0]), ("eth_x", [1])])


def test_batch__longer_than_a_node_takes__is_cut_and_joined() -> None:
    with node(echo) as rpc:
        asked = [("eth_x", [2 * n]) for n in range(2 * BATCH_MAX + 3)]
        assert rpc.batch(asked) == [2 * n for n in range(2 * BATCH_MAX + 3)]


def test_batch__none__asks_nothing() -> None:
    with node(raises(AssertionError("asked"))) as rpc:
        assert rpc.batch([]) == []


def test_call__proxy_named_in_the_environment__is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with Rpc("http://127.0.0.1:2") as rpc:
        assert not rpc._http._mounts


def test_call__an_answer_was_read__is_let_go_of_without_the_collector() -> None:
    answers: list[weakref.ref[httpx.Response]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        given = says(result="0x1")(request)
        answers.append(weakref.ref(given))
        return given

    rpc = node(answer)
    gc.disable()
    try:
        assert rpc.call("eth_chainId") == "0x1"
        assert answers[0]() is None
    finally:
        gc.enable()
