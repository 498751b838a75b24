"""The line to receivers, over real sockets: only to checked addresses, and bounded."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.webhooks.targets import TargetRules
from gateway.webhooks.transport import ANSWER_SHOWN_MAX, Answer, Line, Resolve, retry_after
from tests.gateway.webhooks.receivers import Receiver, answer, receiving, slowly

PUBLIC, DEVELOPER = TargetRules(), TargetRules(loopback=True)


class Names:
    """A name server that a test writes; the last answer stands for good."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def post(
    url: str,
    *,
    rules: TargetRules = DEVELOPER,
    names: Resolve | None = None,
    trust: ssl.SSLContext | None = None,
    times: int = 1,
    patience_s: float = 5,
) -> Answer:
    """What came of the (last) POST."""

    async def run() -> Answer:
        line = Line(rules, resolve=names, ssl_context=trust, attempt_max_s=patience_s)
        try:
            for _ in range(times):
                found = await line.post(url, {"webhook-id": "evt_1"}, b'{"a":1}')
            return found
        finally:
            await line.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `pos.example.test`, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pos.example.test")])
    now = datetime.datetime.now(datetime.UTC)
    found = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("pos.example.test")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    path.write_bytes(
        found.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Receiver]:
    """A receiver behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(context) as found:
        yield found


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


# ---- where it does not go


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        # One that is public does not make up for one that is not.
        ["93.184.216.34", "127.0.0.1"],
    ],
)
def test_post__name_leads_into_our_network__is_refused_before_a_connection(
    secure: Receiver, certificate: Path, addresses: list[str]
) -> None:
    url = f"https://pos.example.test:{secure.port}/hook"
    found = post(url, rules=PUBLIC, names=Names(addresses), trust=trusting(certificate))
    assert found.outcome == "address_refused"
    assert secure.got == []


@pytest.mark.parametrize("spelling", ["127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"])
def test_post__odd_spelling_of_this_machine__is_refused(receiver: Receiver, spelling: str) -> None:
    assert post(f"http://{spelling}:{receiver.port}/").outcome == "url_refused"
    assert receiver.got == []


def test_post__the_systems_own_resolver__is_held_to_the_same_rules(receiver: Receiver) -> None:
    # Not refused by its spelling: what the resolver makes of it is.
    assert post(f"https://localhost.:{receiver.port}/", rules=PUBLIC).outcome == "url_refused"
    found = post(f"http://localhost:{receiver.port}/", rules=DEVELOPER)
    assert (found.outcome, len(receiver.got)) == ("delivered", 1)


def test_post__name_that_nobody_knows__says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert post("https://pos.example.test/").outcome == "no_address"
    assert post("https://pos.example.test/", names=Names([])).outcome == "no_address"


def test_post__redirected_to_this_machine__does_not_follow(receiver: Receiver) -> None:
    with receiving() as inside:
        receiver.replies = [answer(s, location=inside.url) for s in (301, 302, 303, 307, 308)]
        assert {post(receiver.url).outcome for _ in range(5)} == {"redirect"}
        assert inside.got == []


def test_post__name_flips_after_the_check__goes_to_the_checked_address(
    secure: Receiver, certificate: Path
) -> None:
    # First this machine (allowed here), from then on the metadata service: whoever asked twice
    # would be refused, or worse, connect there.
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    url = f"https://pos.example.test:{secure.port}/hook"
    assert post(url, names=names, trust=trusting(certificate)).outcome == "delivered"
    assert names.asked == [("pos.example.test", secure.port)]
    assert secure.got[0].headers["host"] == f"pos.example.test:{secure.port}"


def test_post__certificate_of_another_name__is_not_spoken_to(
    secure: Receiver, certificate: Path
) -> None:
    names, trust = Names(["127.0.0.1"]), trusting(certificate)
    url = f"https://other.example.test:{secure.port}/hook"
    assert post(url, names=names, trust=trust).outcome == "tls"
    # Nor one that nobody vouches for.
    url = f"https://pos.example.test:{secure.port}/hook"
    assert post(url, names=names).outcome == "tls"
    assert secure.got == []


def test_post__proxy_in_the_environment__is_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url).outcome == "delivered"
        assert proxy.got == []


# ---- bounds


def test_post__no_answer__is_a_time_out(receiver: Receiver) -> None:
    receiver.otherwise = slowly(3)
    assert post(receiver.url, patience_s=0.2) == Answer(None, "timeout")


def test_post__nobody_listens__is_a_lost_connection() -> None:
    with receiving() as closed:
        pass
    assert post(closed.url).outcome == "connection"


def test_post__line_cut_in_the_middle__is_a_lost_connection(receiver: Receiver) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 20")
        handler.close_connection = True

    receiver.otherwise = cut
    assert post(receiver.url).outcome == "connection"


def test_post__endless_headers__end_it(receiver: Receiver) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(10_000):
            handler.wfile.write(b"x-%d: %s\r\n" % (number, b"a" * 100))
        handler.close_connection = True

    receiver.otherwise = endless
    assert post(receiver.url).outcome == "connection"


def test_post__endless_body__is_read_to_its_bound(receiver: Receiver) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(500)
        handler.send_header("content-length", str(10**12))
        handler.end_headers()
        for _ in range(1_000):
            handler.wfile.write(b"x" * 65_536)
            sent += 65_536

    receiver.otherwise = endless
    found = post(receiver.url)
    assert (found.status, found.outcome, len(found.text)) == (500, "http_error", ANSWER_SHOWN_MAX)
    assert sent < 30_000_000


def test_post__body_that_drips__does_not_undo_the_status(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.webhooks.transport.ANSWER_MAX_S", 0.2)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100")
        handler.end_headers()
        slowly(2)(handler)

    receiver.otherwise = drip
    assert post(receiver.url, patience_s=10).outcome == "delivered"


# ---- what arrives


def test_post__several_times__keeps_the_line_open(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"])
    assert post(f"http://localhost:{receiver.port}/x?y=z", names=names, times=5).status == 204
    assert len(names.asked) == 1
    assert [(got.path, got.body) for got in receiver.got] == [("/x?y=z", b'{"a":1}')] * 5
    assert receiver.got[0].headers["webhook-id"] == "evt_1"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"),
        (299, "delivered"),
        (400, "http_error"),
        (410, "gone"),
        (503, "http_error"),
    ],
)
def test_post__answered__says_what_it_means(receiver: Receiver, status: int, outcome: str) -> None:
    receiver.otherwise = answer(status, b"\x1b[31mno\n\xff", retry_after="7")
    found = post(receiver.url)
    assert (found.status, found.outcome) == (status, outcome)
    # No control character reaches a log or a terminal.
    assert found.text.isprintable()
    assert found.retry_after_s == (7 if outcome == "http_error" else None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-1", None),
        ("120", 120.0),
        ("9" * 40, 999_999_999.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 07:00:00 GMT", None),
    ],
)
def test_retry_after__in_any_form__is_seconds_or_nothing(value: str, seconds: float | None) -> None:
    assert retry_after(value, 1_800_000_000) == seconds
