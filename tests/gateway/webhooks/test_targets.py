"""Which URLs and addresses a webhook may go to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import WebhookUrlRefused
from gateway.webhooks.targets import TargetRules

PUBLIC, DEVELOPER = TargetRules(), TargetRules(loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        # Not HTTPS, or no URL.
        "http://pos.example.com/hook",
        "ftp://pos.example.com/hook",
        "file:///etc/passwd",
        "gopher://pos.example.com",
        "pos.example.com/hook",
        "https://",
        "https:///hook",
        "",
        "https://pos.example.com:99999/",
        "https://pos.example.com/#part",
        "https://pos.example.com/" + "a" * 2_000,
        # Somebody else's name before the host, and what readers disagree about.
        "https://pos.example.com@127.0.0.1/",
        "https://user:word@pos.example.com/",
        "https://pos.example.com\\@127.0.0.1/",
        "https://127.0.0.1\t.example.com/",
        "https://pos.example.com/a b",
        "https://pos.example.com/\r\nX-Forged: 1",
        "https://①②⑦.⓪.⓪.①/",
        "https://ⓛocalhost/",
        # Our own machine and network.
        "https://localhost/",
        "https://localhost./",
        "https://pos.localhost/",
        "https://gateway/",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://198.18.0.1/",
        "https://203.0.113.7/",
        # The same in other spellings.
        "https://127.1/",
        "https://127.0.1/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://127.0.0.0x1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::169.254.169.254]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fc00::1]/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
        "https://[127.0.0.1]/",
        "https://[/",
        # Ports of other services.
        "https://pos.example.com:22/",
        "https://pos.example.com:25/",
        "https://pos.example.com:0/",
    ],
)
def test_target__that_no_webhook_goes_to__is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        PUBLIC.target(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/",
        "http://10.0.0.1:9000/",
        "http://169.254.169.254:8000/",
        "http://gateway:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
    ],
)
def test_target__on_a_developers_network__is_this_machine_alone(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        DEVELOPER.target(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "shown"),
    [
        ("https://pos.example.com", "pos.example.com", 443, "/", "pos.example.com"),
        ("https://POS.example.com:8443/a?b=c", "pos.example.com", 8443, "/a?b=c", None),
        ("https://93.184.216.34/x", "93.184.216.34", 443, "/x", "93.184.216.34"),
        ("https://[2606:2800::1]/x", "2606:2800::1", 443, "/x", "[2606:2800::1]"),
        ("https://xn--bcher-kva.example/x", "xn--bcher-kva.example", 443, "/x", None),
        ("https://1.example.com/", "1.example.com", 443, "/", None),
    ],
)
def test_target__that_is_public__is_taken_apart(
    url: str, host: str, port: int, path: str, shown: str | None
) -> None:
    target = PUBLIC.target(url)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert shown is None or target.shown_host == shown


def test_target__for_a_developer__may_be_plain_http_here() -> None:
    for url in ("http://127.0.0.1:9000/hook", "http://localhost:9000/", "http://[::1]:9000/"):
        assert DEVELOPER.target(url).port == 9000


@given(st.ip_addresses(v=4))
def test_allows__any_ipv4_that_is_private_or_reserved__never(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not PUBLIC.allows(address)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:", "::", "64:ff9b::", "64:ff9b:1::"]))
def test_allows__any_ipv4_inside_an_ipv6__never(address: IPv4Address, prefix: str) -> None:
    assert not PUBLIC.allows(ip_address(f"{prefix}{address}"))


@given(st.ip_addresses(v=6))
def test_allows__any_ipv6_outside_the_global_block__never(address: IPv6Address) -> None:
    if int(address) >> 125 != 1:
        assert not PUBLIC.allows(address)
