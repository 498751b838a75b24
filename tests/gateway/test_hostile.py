"""Input made to hurt: each is refused with a problem, and the gateway goes on as before."""

from __future__ import annotations

import gzip
import json
import re
import resource
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import listening
from gateway.app import make_app
from gateway.strict import BODY_BYTES_MAX
from tests.gateway.helpers import Town, fresh, serving

SCRIPT = "<script>alert(1)</script>"


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert response.headers["content-type"] == "application/problem+json"
    return dict(body)


def line_to(town: Town) -> socket.socket:
    url = town.client.base_url
    assert url.port is not None
    return socket.create_connection((url.host, url.port), timeout=20)


def pour(line: socket.socket, piece: bytes) -> int:
    """The piece again and again until the other side hangs up. Returns the bytes sent, at most
    100 MB.
    """
    sent = 0
    try:
        while sent < 100 * 1024 * 1024:
            line.sendall(piece)
            sent += len(piece)
    except (ConnectionError, TimeoutError):
        pass
    return sent


def head(town: Town, **headers: str) -> bytes:
    sent = town.headers() | {
        "Host": "gateway",
        "Idempotency-Key": fresh("k"),
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = ["POST /v1/issuances HTTP/1.1", *(f"{n}: {v}" for n, v in sent.items()), "", ""]
    return "\r\n".join(lines).encode()


# ---- size


def test_post__a_body_of_100_mb_announced__is_refused_before_a_byte_of_it(town: Town) -> None:
    with line_to(town) as line:
        line.sendall(head(town, Content_Length=str(100 * 1024 * 1024)))
        assert b" 413 " in line.recv(4096).split(b"\r\n")[0]


def test_post__a_body_of_100_mb_in_chunks__is_cut_off_near_the_limit(town: Town) -> None:
    piece = b" " * 65_536
    chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
    with line_to(town) as line:
        line.sendall(head(town, Transfer_Encoding="chunked"))
        sent = pour(line, chunk)
    # What the kernel holds on both sides comes on top of what the gateway has read.
    assert sent < BODY_BYTES_MAX + 16 * 1024 * 1024


def test_post__a_gzip_bomb__is_refused_unpacked(town: Town) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Content-Encoding": "gzip"}
    refused(town.client.post("/v1/issuances", content=bomb, headers=headers), 415, "body_encoded")


def spoken(line: socket.socket) -> tuple[bytes, dict[str, Any]]:
    """The status line, and the problem document that the line is closed after."""
    answer = b""
    while piece := line.recv(65_536):
        answer += piece
    told, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in told, answer[:500]
    assert b"connection: close" in told
    return told.split(b"\r\n")[0], dict(json.loads(body))


def peak_kb() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ",
        # Fields that each end, and a trailer after a body.
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/issuances HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ",
    ],
)
def test_request__with_a_head_of_100_mb__is_cut_off_near_the_limit(
    town: Town, begin: bytes
) -> None:
    """It was kept in memory, and read again with each piece: without a key, from anywhere."""
    piece = b"X-B: " + b"a" * 65_000 + b"\r\n" if begin.endswith(b"Host: x\r\n") else b"a" * 65_000
    before = peak_kb()
    with line_to(town) as line:
        line.sendall(begin)
        sent = pour(line, piece)
    assert sent < 16 * 1024 * 1024
    assert peak_kb() - before < 20_000
    assert town.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400, "http_error"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "http_error"),
        (b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "http_error"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "http_error"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "http_error"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "http_error"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET /" + b"b" * 40_000 + b" HTTP/1.1\r\n\r\n", 431, "head_too_large"),
    ],
)
def test_request__that_is_no_http_or_too_much_of_it__is_a_problem(
    town: Town, text: bytes, status: int, code: str
) -> None:
    with line_to(town) as line:
        line.sendall(text)
        first, body = spoken(line)
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert (body["status"], body["code"], body["type"]) == (
        *(status, code),
        f"urn:banyan:problem:{code}",
    )


def test_request__that_never_ends__is_ended(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_S", 0.2)
    monkeypatch.setattr(listening, "BODY_S", 0.2)
    slow = {
        "body": head(town, Content_Length="100") + b'{"member": "m',
        "head": b"POST /v1/issuances HTTP/1.1\r\nHost: gate",
        "nothing": b"",
    }
    lines = {name: line_to(town) for name in slow}
    try:
        for name, line in lines.items():
            line.sendall(slow[name])
        for name in ("body", "head"):
            first, body = spoken(lines[name])
            assert (first[9:12], body["code"]) == (b"408", "request_too_slow"), name
        assert lines["nothing"].recv(100) == b""
    finally:
        for line in lines.values():
            line.close()
    # Who waits for an answer is no slow request.
    held = town.headers() | {"Idempotency-Key": fresh("k"), "Prefer": "wait=1"}
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    assert town.client.post("/v1/issuances", json=body, headers=held).status_code in (200, 202)


# ---- values


ROUTES: dict[str, dict[str, Any]] = {
    "/v1/issuances": {"points": 1},
    "/v1/redemptions": {"points": 1},
    "/v1/refunds": {"redemption": "ord_" + "0" * 26, "points": 1},
    "/v1/returns": {"issue": "ord_" + "0" * 26, "points": 1, "shortfall": 0},
    "/v1/merchants/me/withdrawals": {"amount": 1},
}


@pytest.mark.parametrize("value", [True, 1.0, "1", 2**63, 10**40, -1, None, [1]])
@pytest.mark.parametrize("path", ROUTES)
def test_post__no_whole_number__is_refused_in_every_field(
    town: Town, path: str, value: object
) -> None:
    for name in [n for n in ROUTES[path] if n in ("points", "amount", "shortfall")]:
        body = {"member": town.ada.id, "reference": fresh("r")} | ROUTES[path] | {name: value}
        if path not in ("/v1/issuances", "/v1/redemptions"):
            del body["member"]
        response = town.post(path, body)
        assert response.status_code == 422, (name, response.text)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/orders?reference=a%00b",
        "/v1/orders/ord_%00",
        "/v1/members/mem_%00",
        "/v1/orders?cursor=%00",
        "/v1/orders?limit=1%00",
    ],
)
def test_get__nul_in_the_address__is_refused(town: Town, path: str) -> None:
    refused(town.get(path), 400, "body_invalid")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=true",
        "limit=1e3",
        "limit=" + "9" * 400,
        "cursor=" + "A" * 201,
        "state=nonsense",
        "reference=" + "r" * 101,
    ],
)
def test_list__senseless_query__is_refused(town: Town, query: str) -> None:
    refused(town.get(f"/v1/orders?{query}"), 422, "invalid_request")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=5.0", "limit=1_0", "limit=%2B5", "limit=%205", "limit=", "limit=\u0665"),
        *("limit=5&limit=6", "stat=final", "state=final&State=final"),
    ],
)
def test_list__sloppy_query__is_refused(town: Town, query: str) -> None:
    """A filter with a slip in its name let everything through."""
    refused(town.get(f"/v1/orders?{query}"), 422, "invalid_request")


def test_get__other_sloppy_queries__are_refused(town: Town) -> None:
    order = "/v1/orders/ord_" + "0" * 26
    refused(town.get(f"{order}/return-quote?points=1.0"), 422, "points_invalid")
    months = "/v1/merchants/me/settlement?from_month="
    for query in ("2026_11", "202611.0", "202612&to_month=202601"):
        refused(town.get(months + query), 422, "invalid_request")
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    refused(town.post("/v1/issuances?dry_run=1", body), 422, "invalid_request")


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/members"])
@pytest.mark.parametrize(
    "media",
    [
        *(None, "", ";", "nonsense", "text/plain", "text/json", "application/jsonx"),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("application/json; charset=utf-16", "application/json; charset=latin-1"),
        "application/json,application/json",
    ],
)
def test_post__a_body_that_does_not_say_that_it_is_json__is_told_so(
    town: Town, path: str, media: str | None
) -> None:
    """`curl -d` says that it is a form; it was told that the body is no object."""
    headers = town.headers() | {"Idempotency-Key": fresh("k")}
    if media is not None:
        headers["Content-Type"] = media
    body = b'{"external_id": "x"}'
    answer = town.client.post(path, content=body, headers=headers)
    refused(answer, 415, "media_type_unsupported")
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("path", ["/v1/orders/", "/v1/issuances/", "/healthz/", "/v1/"])
def test_any__a_path_spelled_otherwise__is_not_found_and_leads_nowhere(
    town: Town, path: str
) -> None:
    for method in ("GET", "POST"):
        headers = town.headers() | {"Host": "evil.example"}
        refused(town.client.request(method, path, headers=headers), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/orders/{}", "order_unknown"),
        ("/v1/members/{}", "member_unknown"),
        ("/v1/members/{}/balance", "member_unknown"),
        ("/v1/members/{}/history", "member_unknown"),
        ("/v1/webhook-endpoints/{}", "webhook_endpoint_unknown"),
    ],
)
def test_get__what_cannot_be_an_id__is_as_unknown_as_an_id_of_nobody(
    town: Town, path: str, code: str
) -> None:
    for text in ("x", "mem_", "ord_" + "Z" * 26, "%D9%A3" * 30, path[4:7] + "_" + "0" * 26):
        refused(town.get(path.format(text)), 404, code)


def test_post__an_unknown_field_named_points__is_no_mistake_in_points(town: Town) -> None:
    body = {"external_id": fresh("card"), "points": 1}
    found = refused(town.post("/v1/members", body), 422, "invalid_request")
    assert "Value error" not in found["detail"]


def test_post__broken_json__is_told_where(town: Town) -> None:
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Content-Type": "application/json"}
    answer = town.client.post("/v1/issuances", content=b'{"member":\n "x",}', headers=headers)
    assert "line 2, column 6" in refused(answer, 400, "body_invalid")["detail"]


def test_head__of_health__is_answered_for_load_balancers(town: Town) -> None:
    for path in ("/healthz", "/readyz"):
        assert (town.client.head(path).status_code, town.client.head(path).content) == (200, b"")


def test_any__of_the_api__is_for_nobodys_cache(town: Town) -> None:
    body = {"member": town.ada.id, "reference": fresh("r"), "points": 1}
    hook = town.post("/v1/webhook-endpoints", {"url": "https://shop.example/hook"})
    asked = [hook, town.post("/v1/issuances", body), town.get("/v1/orders"), town.get("/v1/x")]
    assert [answer.headers["cache-control"] for answer in asked] == ["no-store"] * 4
    town.client.delete(f"/v1/webhook-endpoints/{hook.json()['id']}", headers=town.headers())


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/members"])
def test_post__with_two_idempotency_keys__is_refused(town: Town, path: str) -> None:
    headers = [*town.headers().items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = town.client.post(path, json={"external_id": "x"}, headers=headers)
    refused(answer, 422, "invalid_request")


@pytest.mark.parametrize("key", ["k" * 101, "k\u00e9y", "a\tb"])
def test_post__odd_idempotency_key__is_refused(town: Town, key: str) -> None:
    headers = town.headers() | {"Idempotency-Key": key}
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    response = town.client.post("/v1/members", json={"external_id": "x"}, headers=encoded)
    refused(response, 422, "invalid_request")


@pytest.mark.parametrize("body", [b"1" + b"0" * 40, b'{"x": %s}' % (b"9" * 30), b"[1e400]"])
def test_post__a_body_that_nobody_reads__may_hold_any_number(town: Town, body: bytes) -> None:
    made = town.post("/v1/issuances", {"member": town.ada.id, "reference": fresh("r"), "points": 1})
    path, key = f"/v1/orders/{made.json()['id']}/cancel", fresh("k")
    headers = town.headers() | {"Idempotency-Key": key, "Content-Type": "application/json"}
    first, again = (town.client.post(path, content=body, headers=headers) for _ in range(2))
    assert first.status_code < 500
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = town.client.post(path, content=b"[]", headers=headers)
    refused(other, 422, "idempotency_key_reused")


def test_post__a_million_small_objects__is_refused_in_no_time(town: Town) -> None:
    body = b"[" + b"{}," * 1_300_000 + b"{}]"
    headers = town.headers() | {"Idempotency-Key": fresh("k"), "Content-Type": "application/json"}
    began = time.monotonic()
    answer = town.client.post("/v1/issuances/bulk", content=body, headers=headers)
    refused(answer, 400, "body_invalid")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/merchants/me/withdrawals"])
def test_post__by_nobody__is_refused_before_its_body_is_read(town: Town, path: str) -> None:
    # No byte of the body is ever sent.
    sent = {"Authorization": "Bearer bnk_guess", "Content-Length": "1000000"}
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", "Content-Type: application/json"]
    for headers in (sent, {"Content-Length": "1000000"}):
        with line_to(town) as line:
            told = [*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
            line.sendall("\r\n".join(told).encode())
            assert b" 401 " in line.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8"])
def test_post__cut_off_in_its_body__is_no_error_of_ours(
    town: Town, media: str, caplog: pytest.LogCaptureFixture
) -> None:
    def errors() -> float:
        text = town.get("/metrics", by=town.operator_key).text
        found = re.findall(r'banyan_requests_total\{.*status="5\d\d"\} (\S+)', text)
        return sum(float(value) for value in found)

    before = errors()
    with line_to(town) as line:
        line.sendall(head(town, Content_Length="100", Content_Type=media) + b'{"member": "m')
    with line_to(town) as line:
        line.sendall(b"POST /v1/issuances HTTP/1.1\r\nHost: gate")
    assert town.get("/v1/merchants/me").status_code == 200
    time.sleep(0.1)
    assert errors() == before
    assert "unexpected" not in caplog.text


def test_deposit__a_reference_of_two_lines__is_refused(town: Town) -> None:
    body = {"amount": 5, "bank_reference": "wire 1\nwire 2"}
    path = f"/v1/merchants/{town.baker.id}/deposits"
    refused(town.post(path, body, by=town.operator_key), 422, "invalid_request")


# ---- browsers


def test_post__from_another_site__is_not_helped(town: Town) -> None:
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = town.client.options("/v1/issuances", headers=asked)
    assert preflight.status_code == 405
    # What a form can send without asking first: no key goes with it, and it is no JSON.
    body = '{"member": "x", "reference": "r", "points": 1}'
    simple = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    refused(town.client.post("/v1/issuances", content=body, headers=simple), 401, "unauthenticated")
    with_key = simple | town.headers() | {"Idempotency-Key": fresh("k")}
    answer = town.client.post("/v1/issuances", content=body, headers=with_key)
    refused(answer, 415, "media_type_unsupported")
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert "set-cookie" not in response.headers


def test_onboard__a_script_for_a_name__is_text_on_every_page(town: Town) -> None:
    body = {"name": SCRIPT, "slug": fresh("evil")}
    assert town.post("/v1/merchants", body, by=town.operator_key).status_code == 202
    town.network.gateway.drain()
    town.network.advance_mirror()
    page = town.client.get("/")
    assert SCRIPT not in page.text
    assert "&lt;script&gt;" in page.text
    assert "script-src" not in page.headers["content-security-policy"] or (
        "script-src 'none'" in page.headers["content-security-policy"]
    )


# ---- what is broken here is nobody else's business


def test_get__when_something_breaks__is_a_problem_that_tells_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_member: str) -> None:
        raise RuntimeError("the secret is bnk_1234")

    monkeypatch.setattr(town.network.gateway, "member", broken)
    response = town.get(f"/v1/members/{town.ada.id}")
    refused(response, 500, "internal")
    assert "bnk_" not in response.text
    assert "Traceback" not in response.text


def test_five_hundred_sockets__that_say_nothing__do_not_stop_the_others(town: Town) -> None:
    # Both ends of them are files of this process.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    app = make_app(town.network.gateway)
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        host, port = client.base_url.host, client.base_url.port
        lines = [socket.create_connection((host, port), timeout=20) for _ in range(500)]
        try:
            for line in lines[::2]:
                # Slow-loris: a request that never ends.
                line.sendall(b"POST /v1/issuances HTTP/1.1\r\nHost: x\r\nX-")
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/v1/merchants/me", headers=town.headers()).status_code == 200
        finally:
            for line in lines:
                line.close()
