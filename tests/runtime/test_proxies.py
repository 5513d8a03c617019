"""X-Forwarded-For, -Proto and -Host: believed of the trusted proxy, dropped of anybody else."""

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
from tests.runtime.serving import connect, read, serving
from tests.runtime.test_http import echo

PROXY = "10.0.0.1"


def applied(peer: str, trusted: str = "10.0.0.0/24,fd00::/8", **headers: str) -> dict[str, Any]:
    """Return a scope's client, scheme and headers after the headers were applied."""
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
        # What the client itself has sent comes first, and is made up.
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.9, 203.0.113.7", "203.0.113.7"),
        # A second proxy that is trusted.
        ("198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # Nothing to believe: the nearest hop that is known.
        ("", PROXY),
        ("unknown", PROXY),
        ("203.0.113.7, unknown", PROXY),
        ("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("<script>", PROXY),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_trusted_proxys(
    hops: str, expected: str
) -> None:
    assert applied(PROXY, x_forwarded_for=hops)["client"][0] == expected


@pytest.mark.parametrize("trusted", ["private", "loopback, private", "10.0.0.1"])
def test_a_client_in_a_private_network_is_no_proxy(trusted: str) -> None:
    """It may send an X-Forwarded-For of its own, which the proxy passes on."""
    scope = applied(PROXY, trusted, x_forwarded_for="198.51.100.1, 192.168.1.50")
    assert scope["client"][0] == "192.168.1.50"


def test_several_headers_are_one_list() -> None:
    scope: dict[str, Any] = {
        "type": "http", "client": (PROXY, 1), "scheme": "http",
        "headers": [(b"x-forwarded-for", b"198.51.100.1"), (b"x-forwarded-for", b"203.0.113.7")],
    }  # fmt: skip
    TrustedProxies(PROXY).apply(scope)
    assert scope["client"][0] == "203.0.113.7"


@pytest.mark.parametrize(
    ("proto", "expected"),
    [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("http, https", "https"),
     ("https, http", "http"), ("", "http"), ("gopher", "http")],
)  # fmt: skip
def test_the_scheme_is_the_trusted_proxys(proto: str, expected: str) -> None:
    assert applied(PROXY, x_forwarded_proto=proto)["scheme"] == expected
    assert applied("203.0.113.9", x_forwarded_proto=proto)["scheme"] == "http"


def test_the_host_is_the_trusted_proxys() -> None:
    assert applied(PROXY, x_forwarded_host="sim.example")["headers"][b"host"] == b"sim.example"
    assert applied(PROXY, x_forwarded_host="")["headers"][b"host"] == b"inner:8000"
    assert applied("1.2.3.4", x_forwarded_host="x")["headers"][b"host"] == b"inner:8000"


@pytest.mark.parametrize("peer", [PROXY, "203.0.113.9"])
def test_no_header_of_a_proxy_reaches_the_application(peer: str) -> None:
    left = applied(
        peer, x_forwarded_for="1.2.3.4", x_forwarded_proto="https", x_forwarded_host="sim.example",
        x_forwarded_port="443", x_forwarded_by="x", forwarded="for=1.2.3.4;proto=https",
    )["headers"]  # fmt: skip
    assert set(left) == {b"host", b"accept"}


def test_whoever_is_not_trusted_changes_nothing() -> None:
    scope = applied("203.0.113.9", x_forwarded_for="127.0.0.1", x_forwarded_proto="https")
    assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 4321), "http")
    assert applied(PROXY, "", x_forwarded_for="1.2.3.4")["client"] == (PROXY, 4321)


def test_django_sees_the_clients_address_and_scheme(settings: Any) -> None:
    sent = (
        b"GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 203.0.113.7\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: sim.example\r\n\r\n"
    )
    seen = {}
    for trusted in ("", "127.0.0.1"):
        settings.SIM_TRUSTED_PROXY = trusted
        with serving(echo, settings) as url, connect(url) as line:
            line.sendall(sent)
            environ = json.loads(read(line)[2])
            assert not any("FORWARDED" in name for name in environ)
            names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST")
            seen[trusted] = [environ[name] for name in names]
    assert seen == {
        "": ["127.0.0.1", "http", "inner"],
        "127.0.0.1": ["203.0.113.7", "https", "sim.example"],
    }


@pytest.mark.parametrize("text", ["10.0.0.0/40", "proxy.example", "10.1.2.3/16", "10.0.0.1;"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as refused:
        TrustedProxies(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("redirect", "trusted", "expected"),
    [(True, "", ["connect_sim.E012"]), (True, "127.0.0.1", []), (False, "", []),
     (True, " , ", ["connect_sim.E012"])],
)  # fmt: skip
def test_a_redirect_without_a_trusted_proxy_is_an_error_of_the_check(
    settings: Any, redirect: bool, trusted: str, expected: list[str]
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SIM_TRUSTED_PROXY = redirect, trusted
    found = checks.proxy(None)
    assert [error.id for error in found] == expected
    assert all(isinstance(error, Error) for error in found)


@pytest.mark.django_db(transaction=True)
def test_only_the_trusted_proxy_is_believed_that_a_request_came_by_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SIM_TRUSTED_PROXY = True, "127.0.0.1"
    sent = b"GET /sign-in/ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\r\n"
    with serving(get_wsgi_application(), settings) as url:
        port = int(url.rpartition(":")[2])
        found = {}
        for source in ("127.0.0.1", "127.0.0.2"):
            with socket.create_connection(
                ("127.0.0.1", port), timeout=10, source_address=(source, 0)
            ) as line:
                line.sendall(sent)
                found[source] = read(line)[0]
    assert found == {"127.0.0.1": 200, "127.0.0.2": 301}
