"""A node that lies: a JSON-RPC proxy which rewrites answers by rule."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson

Rule = Callable[[str, list[Any], Any], Any]
"""(method, params, the honest result) -> what is answered; raise Refuse for an error answer."""


class Refuse(Exception):
    """The node's own error answer."""


@contextmanager
def lying(upstream: str, rule: Rule, batch_max: int = 10**6, too_large: int = 200) -> Iterator[str]:
    """URL of a proxy in front of `upstream` that answers by `rule`. Batches of more than
    `batch_max` calls are refused, with the HTTP status `too_large`.
    """
    client = httpx.Client(timeout=60, trust_env=False, verify=False)  # of our own node, by http

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            calls = orjson.loads(body)
            if isinstance(calls, list) and len(calls) > batch_max:
                error = {"code": -32600, "message": "batch too large"}
                return self._send({"jsonrpc": "2.0", "id": None, "error": error}, too_large)
            headers = {"content-type": "application/json"}
            answers = client.post(upstream, content=body, headers=headers).json()
            if isinstance(calls, list):
                by_id = {answer["id"]: answer for answer in answers}
                answers = [changed(call, by_id[call["id"]], rule) for call in calls]
            else:
                answers = changed(calls, answers, rule)
            self._send(answers)

        def _send(self, answers: Any, status: int = 200) -> None:
            content = orjson.dumps(answers)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        client.close()


def changed(call: dict[str, Any], answer: dict[str, Any], rule: Rule) -> dict[str, Any]:
    """One answer by the rule."""
    if "error" in answer:
        return answer
    try:
        result = rule(call["method"], call["params"], answer["result"])
    except Refuse as refusal:
        error = {"code": -32601, "message": str(refusal)}
        return {"jsonrpc": "2.0", "id": call["id"], "error": error}
    return {"jsonrpc": "2.0", "id": call["id"], "result": result}
