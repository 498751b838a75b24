"""JSON-RPC to a node, over HTTP: what is unknown is told apart from what was refused."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final

import httpx
import orjson

from wallet_sdk.errors import RpcError, RpcUnavailable

TIMEOUT_S: Final = 10.0
BATCH_MAX: Final = 500
"""Calls in one HTTP request; nodes commonly refuse 1,000. Longer batches are cut, order kept."""

Call = tuple[str, Sequence[Any]]


class Rpc:
    """A node behind one URL. Thread safe; keeps connections alive. Close it, or use it as a context
    manager.

    Raises RpcUnavailable when no usable answer came (the call may have taken effect), RpcError when
    the node answered and refused. Nothing is repeated here: whoever knows what a call means decides
    that.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url
        self._ids = itertools.count(1)
        # trust_env off: a proxy named in the environment must not see, or change, what a wallet
        # says.
        self._http = httpx.Client(
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
            headers={"content-type": "application/json"},
        )

    def call(
        self, method: str, params: Sequence[Any] = (), *, timeout_s: float | None = None
    ) -> Any:
        """The result of one call. `timeout_s` overrides the client's for this call."""
        request = self._request(method, params)
        answer = self._post(method, request, timeout_s)
        if not isinstance(answer, dict):
            raise RpcUnavailable(method, "the answer is no object")
        # A null id is how a node reports an error that it could not tie to the request.
        untied = answer.get("id") is None and "error" in answer
        if answer.get("id") != request["id"] and not untied:
            raise RpcUnavailable(method, "the answer belongs to another call")
        return _result(method, answer)

    def batch(self, calls: Sequence[Call], *, timeout_s: float | None = None) -> list[Any]:
        """The results of many calls, in the order asked. Raises the first refusal."""
        results = self.batch_settled(calls, timeout_s=timeout_s)
        for result in results:
            if isinstance(result, RpcError):
                raise result
        return results

    def batch_settled(
        self, calls: Sequence[Call], *, timeout_s: float | None = None
    ) -> list[Any | RpcError]:
        """As `batch`, with each refusal in its place instead of raised."""
        settled: list[Any | RpcError] = []
        for start in range(0, len(calls), BATCH_MAX):
            settled += self._batch(calls[start : start + BATCH_MAX], timeout_s)
        return settled

    def _batch(self, calls: Sequence[Call], timeout_s: float | None) -> list[Any | RpcError]:
        requests = [self._request(method, params) for method, params in calls]
        what = f"batch of {len(calls)} ({calls[0][0]}, ...)"
        answer = self._post(what, requests, timeout_s)
        if isinstance(answer, dict):
            _result(what, answer)
            raise RpcUnavailable(what, "one answer to many calls")
        if not isinstance(answer, list):
            raise RpcUnavailable(what, "the answer is no list")
        by_id = {part.get("id"): part for part in answer if isinstance(part, dict)}
        settled: list[Any | RpcError] = []
        for (method, _), request in zip(calls, requests, strict=True):
            part = by_id.get(request["id"])
            if part is None:
                raise RpcUnavailable(what, f"no answer to call {request['id']} ({method})")
            try:
                settled.append(_result(method, part))
            except RpcError as refusal:
                settled.append(refusal)
        return settled

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    def _post(self, what: str, body: object, timeout_s: float | None) -> Any:
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s)
        try:
            response = self._http.post(self.url, content=orjson.dumps(body), timeout=timeout)
        except httpx.TimeoutException as error:
            raise RpcUnavailable(what, "no answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise RpcUnavailable(what, f"no connection: {error or type(error).__name__}") from error
        content, status = response.content, response.status_code
        # A response and its stream name each other: left so, megabytes wait for the collector.
        response.stream = httpx.ByteStream(b"")
        if status == 429 or status >= 500:
            raise RpcUnavailable(what, f"HTTP {status}", retry_after_s=_retry_after_s(response))
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise RpcUnavailable(what, f"HTTP {status} without JSON") from error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Rpc:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _retry_after_s(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _result(method: str, answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is not None:
        if not isinstance(error, dict):
            raise RpcError(0, str(error), method=method)
        code = error.get("code")
        raise RpcError(
            code if isinstance(code, int) else 0,
            str(error.get("message", "")),
            error.get("data"),
            method=method,
        )
    if "result" not in answer:
        raise RpcUnavailable(method, "an answer without result")
    return answer["result"]
