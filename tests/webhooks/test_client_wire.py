"""The request as bytes, what is kept of a response, and the proxy."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.certificates import certificate
from tests.webhooks.hostile import OK, Behavior, Peer, Server, hangs, polite, responds
from tests.webhooks.loopback import (  # noqa: F401  (two of them are fixtures)
    LOOPBACK,
    Outcome,
    Run,
    attempt,
    in_time,
    loopback_only,
    names,
    once,
    run,
    twice,
)
from webhooks.http.addresses import AddressPolicy, parse_networks

CLOSED = AddressPolicy()


def sent(run: Run, path: str = "", **options: Any) -> tuple[str, dict[str, str], bytes]:
    """Return the request line, the headers by lower-case name, and the body of one request."""
    with Server(polite) as server:
        assert run(once(server.url + path, **options)).success.status == 200
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *rows = head.decode().split("\r\n")
    headers = dict(row.split(": ", 1) for row in rows)
    assert len(headers) == len(rows)
    return line, {name.lower(): value for name, value in headers.items()}, body


# --- the request ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["", "a//b/../c;d=1?x=%2f&y=a+b&z=[1]|{2}^`'\"\\&&", "?x=1?y=%zz", "%2e%2e/%C3%BC"]
)
def test_path_and_query_are_sent_unchanged(run: Run, path: str) -> None:
    assert sent(run, path)[0] == f"POST /{path} HTTP/1.1"


def test_post_has_only_the_required_headers(run: Run) -> None:
    _, headers, body = sent(run, headers={"Content-Type": "application/json"})
    assert body == b"{}"
    host = headers.pop("host")
    assert host.startswith("127.0.0.1:")
    assert headers == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-length": "2",
        "content-type": "application/json",
    }


def test_get_has_no_body(run: Run) -> None:
    line, headers, body = sent(run, "?a=b", method="GET")
    assert (line, body) == ("GET /?a=b HTTP/1.1", b"")
    assert not headers.keys() & {"content-length", "content-type", "transfer-encoding"}


def test_caller_may_set_user_agent_but_not_accept_encoding(run: Run) -> None:
    custom = {"user-agent": "Mine/1", "accept-encoding": "gzip", "Authorization": "Bearer x"}
    _, headers, _ = sent(run, headers=custom)
    expected = {**custom, "accept-encoding": "identity"}
    assert {name: headers[name.lower()] for name in expected} == expected


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-A": "b\r\nX-Evil: 1"}, "control characters"),
        ({"X-A\r\nX-Evil": "1"}, "is not a valid header name"),
        ({"X-A": "b\x00"}, "control characters"),
        ({"X-A": "\ud800"}, "ASCII"),
        ({"Host": "other.example"}, "reserved for the connection"),
        ({"content-length": "9"}, "reserved for the connection"),
        ({"Transfer-Encoding": "chunked"}, "reserved for the connection"),
        ({"Connection": "upgrade"}, "reserved for the connection"),
        ({"Expect": "100-continue"}, "reserved for the connection"),
    ],
)
def test_framing_headers_are_refused(
    run: Run,
    headers: dict[str, str],
    words: str,
) -> None:
    with Server(polite) as server:
        assert words in run(once(server.url, headers=headers)).sentence
        assert server.connections == 0


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://h/#a"])
def test_url_is_checked_again_when_sent(run: Run, url: str) -> None:
    sentence = run(once(url)).sentence
    assert sentence.startswith("The URL ") and "pw" not in sentence


def test_cookies_are_not_stored(run: Run) -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"

    def behavior(peer: Peer) -> None:
        while peer.request():
            peer.send(cookie)

    with Server(behavior) as server:
        assert [each.success.status for each in twice(run, server.url)] == [200, 200]
        assert len(server.requests) == 2
        assert b"cookie" not in server.requests[1].lower()


def test_environment_variables_are_ignored(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\n")
    with Server(responds(b"HTTP/1.1 599 Proxy\r\n\r\n")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        _, headers, _ = sent(run)
        assert "authorization" not in headers
        assert proxy.connections == 0


def test_host_and_sni_are_the_host_name(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    names(monkeypatch, {"handler.example": ["127.0.0.1"]})
    server_tls, client = certificate(tmp_path, names=("handler.example",))
    server_names: list[str | None] = []

    def note(_: object, name: str | None, __: object) -> None:
        server_names.append(name)

    server_tls.sni_callback = note
    with Server(polite, tls=server_tls) as server:
        url = f"https://handler.example:{server.port}/"
        assert run(once(url, tls=client)).success.status == 200
        assert server_names == ["handler.example"]
        assert f"Host: handler.example:{server.port}\r\n".encode() in server.requests[0]


# --- the response -----------------------------------------------------------------------------


def test_response_headers_can_be_stored(run: Run) -> None:
    raw = b"X-Latin: caf\xe9\r\nX-Utf: caf\xc3\xa9\r\nX-Half: \xed\xa0\x80"
    raw += b"\r\nX-Twice: 1\r\nX-Twice: 2"
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + raw + b"\r\n\r\n"
    with Server(responds(text)) as server:
        headers = run(once(server.url)).success.headers
    assert headers[1:3] == (("X-Latin", "café"), ("X-Utf", "café"))
    assert headers[4:] == (("X-Twice", "1"), ("X-Twice", "2"))
    for name, value in headers:
        assert (name + value).encode()
        assert "\x00" not in name + value


@pytest.mark.parametrize("status", [200, 201, 204, 299, 304, 400, 404, 500, 503, 999])
def test_every_final_status_is_a_response(run: Run, status: int) -> None:
    with Server(responds(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        assert run(once(server.url)).success.status == status


# --- the proxy --------------------------------------------------------------------------------


def tunnel(tls: ssl.SSLContext) -> Behavior:
    """Act as a proxy for CONNECT, and as the server behind it."""

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        peer.sock = tls.wrap_socket(peer.sock, server_side=True)
        peer.request()
        peer.send(OK)
        peer.gone()

    return behavior


def test_http_request_through_proxy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = names(monkeypatch, {"handler.example": ["127.0.0.1"]})
    with Server(polite) as proxy:
        # The proxy's address is forbidden for webhooks, but the operator chose it.
        policy = AddressPolicy(parse_networks("127.0.0.1"))
        url = "http://handler.example:81/a?b=%2f"
        outcome = run(once(url, proxy=proxy.url, policy=policy))
        assert outcome.success.body == b"ok"
        assert proxy.requests[0].startswith(b"POST http://handler.example:81/a?b=%2f HTTP/1.1\r\n")
        assert b"Host: handler.example:81\r\n" in proxy.requests[0]
    assert resolved == ["handler.example"]


def test_https_request_through_proxy(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    names(monkeypatch, {"handler.example": ["127.0.0.1"]})
    server_tls, client = certificate(tmp_path, names=("handler.example",))
    with Server(tunnel(server_tls)) as proxy:
        outcome = run(once("https://handler.example/hook", proxy=proxy.url, tls=client))
        assert outcome.success.body == b"ok"
        assert proxy.requests[0].startswith(b"CONNECT handler.example:443 HTTP/1.1\r\n")
        assert proxy.requests[1].startswith(b"POST /hook HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "[::ffff:10.0.0.1]", "169.254.169.254", "inside.example"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_does_not_bypass_address_check(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    scheme: str,
) -> None:
    names(monkeypatch, {"inside.example": ["1.1.1.1", "10.0.0.1"]})
    with Server(polite) as proxy:
        outcome = run(once(f"{scheme}://{host}/", proxy=proxy.url, policy=CLOSED))
        assert "cannot be called" in outcome.sentence
        assert proxy.connections == 0


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        (responds(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), "(HTTP 407)"),
        (responds(b""), "The proxy closed the connection without a response"),
        (responds(b"SSH-2.0\r\n"), "The proxy returned something that is not HTTP"),
        (hangs, "Timed out after 0.3 s"),
    ],
)
def test_proxy_that_refuses(run: Run, behavior: Behavior, words: str) -> None:
    def send() -> Outcome:
        with Server(behavior) as proxy:
            outcome: Outcome = run(once("https://127.0.0.1:81/", proxy=proxy.url, timeout=0.3))
        return outcome

    assert words in in_time(0.3, send).sentence


def test_proxy_that_is_down(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"http://someone:secret@127.0.0.1:{taken.getsockname()[1]}"
        outcome = run(once("http://127.0.0.1:81/", proxy=proxy))
        assert outcome.sentence.startswith("The proxy refused the connection")
    outcome = run(once("http://127.0.0.1:81/", proxy="http://someone:secret@nowhere.example:8080"))
    assert outcome.sentence.startswith("The host name of the proxy is unknown")
    assert "secret" not in outcome.sentence


def test_proxy_with_password(run: Run) -> None:
    with Server(polite) as proxy:
        url = proxy.url.replace("http://", "http://someone:secret@")
        assert run(once("http://127.0.0.1:81/", proxy=url)).success.status == 200
        assert b"Proxy-Authorization: Basic c29tZW9uZTpzZWNyZXQ=\r\n" in proxy.requests[0]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "127.0.0.1:3128", "http://"])
def test_proxy_must_be_an_http_url(run: Run, proxy: str) -> None:
    with pytest.raises(ValueError, match="The proxy must be a URL"):
        run(once("http://127.0.0.1:81/", proxy=proxy))
