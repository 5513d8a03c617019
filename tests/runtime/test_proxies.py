"""X-Forwarded-For, -Proto and -Host: used from trusted proxies, removed from others."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest
from django.core.checks import Error
from django.core.wsgi import get_wsgi_application

from connect_sim import checks
from connect_sim.server.proxies import TrustedProxies
from tests.runtime.serving import ask, exchange, serving
from tests.runtime.test_http import echo

PROXY = "10.0.0.1"


def apply(peer: str, trusted: str = "10.0.0.0/24,fd00::/8", **headers: str) -> dict[str, Any]:
    """Return client, scheme and headers of a scope after applying its forwarded headers."""
    scope: dict[str, Any] = {
        "type": "http",
        "client": (peer, 4321),
        "scheme": "http",
        "headers": [(b"host", b"inner:8000"), (b"accept", b"*/*")]
        + [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    TrustedProxies(trusted).apply(scope)
    return {**scope, "headers": dict(scope["headers"])}


@pytest.mark.parametrize(
    ("hops", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:5555", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:5555", "2001:db8::7"),
        ('"[2001:db8::7]"', "2001:db8::7"),
        # The first addresses are the client's own, and may be forged.
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.9, 203.0.113.7", "203.0.113.7"),
        # A second trusted proxy.
        ("198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # No valid address: the nearest known hop.
        ("", PROXY),
        ("unknown", PROXY),
        ("203.0.113.7, unknown", PROXY),
        ("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("<script>", PROXY),
    ],
)
def test_client_is_the_nearest_untrusted_address(hops: str, expected: str) -> None:
    assert apply(PROXY, x_forwarded_for=hops)["client"][0] == expected


@pytest.mark.parametrize("trusted", ["private", "loopback, private", "10.0.0.1"])
def test_client_in_a_private_network_is_not_a_proxy(trusted: str) -> None:
    """It may send its own X-Forwarded-For, which the proxy forwards."""
    scope = apply(PROXY, trusted, x_forwarded_for="198.51.100.1, 192.168.1.50")
    assert scope["client"][0] == "192.168.1.50"


def test_repeated_headers_are_joined() -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "client": (PROXY, 1),
        "scheme": "http",
        "headers": [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.7")],
    }
    TrustedProxies(PROXY).apply(scope)
    assert scope["client"][0] == "203.0.113.7"


@pytest.mark.parametrize(
    ("proto", "expected"),
    [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("http, https", "https"),
     ("https, http", "http"), ("", "http"), ("gopher", "http")],
)  # fmt: skip
def test_scheme_is_taken_from_trusted_proxy(proto: str, expected: str) -> None:
    assert apply(PROXY, x_forwarded_proto=proto)["scheme"] == expected
    assert apply("203.0.113.9", x_forwarded_proto=proto)["scheme"] == "http"


def test_host_is_taken_from_trusted_proxy() -> None:
    assert apply(PROXY, x_forwarded_host="sim.example")["headers"][b"host"] == b"sim.example"
    assert apply(PROXY, x_forwarded_host="")["headers"][b"host"] == b"inner:8000"
    assert apply("1.2.3.4", x_forwarded_host="x")["headers"][b"host"] == b"inner:8000"


@pytest.mark.parametrize("peer", [PROXY, "203.0.113.9"])
def test_forwarded_headers_do_not_reach_the_application(peer: str) -> None:
    headers = apply(
        peer,
        x_forwarded_for="1.2.3.4",
        x_forwarded_proto="https",
        x_forwarded_host="sim.example",
        x_forwarded_port="443",
        x_forwarded_by="x",
        forwarded="for=1.2.3.4;proto=https",
    )["headers"]
    assert set(headers) == {b"host", b"accept"}


def test_untrusted_peer_changes_nothing() -> None:
    scope = apply("203.0.113.9", x_forwarded_for="127.0.0.1", x_forwarded_proto="https")
    assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 4321), "http")
    assert apply(PROXY, "", x_forwarded_for="1.2.3.4")["client"] == (PROXY, 4321)


def test_django_gets_the_forwarded_address_and_scheme(settings: Any) -> None:
    sent = (
        b"GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 203.0.113.7\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: sim.example\r\n\r\n"
    )
    received = {}
    for trusted in ("", "127.0.0.1"):
        settings.SIM_TRUSTED_PROXY = trusted
        with serving(echo, settings) as url:
            environ = json.loads(ask(url, sent)[2])
        assert not any("FORWARDED" in name for name in environ)
        names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST")
        received[trusted] = [environ[name] for name in names]
    assert received == {
        "": ["127.0.0.1", "http", "inner"],
        "127.0.0.1": ["203.0.113.7", "https", "sim.example"],
    }


@pytest.mark.parametrize("text", ["10.0.0.0/40", "proxy.example", "10.1.2.3/16", "10.0.0.1;"])
def test_malformed_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as refused:
        TrustedProxies(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("redirect", "trusted", "expected"),
    [(True, "", ["connect_sim.E012"]), (True, "127.0.0.1", []), (False, "", []),
     (True, " , ", ["connect_sim.E012"])],
)  # fmt: skip
def test_redirect_without_trusted_proxy_fails_the_check(
    settings: Any, redirect: bool, trusted: str, expected: list[str]
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SIM_TRUSTED_PROXY = redirect, trusted
    errors = checks.proxy(None)
    assert [error.id for error in errors] == expected
    assert all(isinstance(error, Error) for error in errors)


@pytest.mark.django_db(transaction=True)
def test_https_is_accepted_from_trusted_proxy_only(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SIM_TRUSTED_PROXY = True, "127.0.0.1"
    sent = b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n"
    with serving(get_wsgi_application(), settings) as url:
        port = int(url.rpartition(":")[2])
        statuses = {}
        for source in ("127.0.0.1", "127.0.0.2"):
            with socket.create_connection(
                ("127.0.0.1", port), timeout=10, source_address=(source, 0)
            ) as line:
                statuses[source] = exchange(line, sent)[0]
    assert statuses == {"127.0.0.1": 200, "127.0.0.2": 301}
