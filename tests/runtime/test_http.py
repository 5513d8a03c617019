"""HTTP requests as real clients send them, and the responses, byte for byte."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from connect_sim import web
from requests_queue.operations import QUESTION
from tests.processes import free_port
from tests.runtime.serving import (
    HEAD,
    App,
    ask,
    ask_last,
    connect,
    exchange,
    head,
    is_closed,
    read,
    read_until,
    serving,
)


def echo(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Return the environment and the length of the body as JSON."""
    body = environ["wsgi.input"].read()
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    content = json.dumps(
        {**texts, "body": body[:100].decode("latin-1"), "size": len(body)}
    ).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]


def echo_large(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Accept large bodies."""
    if QUESTION in environ:
        start("204 No Content", [])
        return []
    return echo(environ, start)


@pytest.fixture
def url(settings: Any) -> Iterator[str]:
    with serving(echo, settings) as address:
        yield address


def request(
    url: str, target: bytes, headers: bytes = b"", body: bytes = b"", method: str = "GET"
) -> Any:
    sent = head(target.decode("latin-1"), headers, method) + body
    status, _, content = ask(url, sent)
    assert status == 200, content
    return json.loads(content)


def test_path_and_query_reach_django_unchanged(url: str) -> None:
    for target, path, query in [
        (b"/a?b=c", "/a", "b=c"),
        (b"/valid%61te", "/validate", ""),
        (b"/%C3%A9", "/\xc3\xa9", ""),
        (b"/\xc3\xa9", "/\xc3\xa9", ""),
        (b"/%ff", "/\xff", ""),
        (b"/\xff", "/\xff", ""),
        (b"/a%00b", "/a\0b", ""),
        (b"/a%2Fb%25", "/a/b%", ""),
        (b"/a?like(name,*\xff\xfe*)&b", "/a", "like(name,*\xff\xfe*)&b"),
        (b"/a?eq(x,'%C3%A9')|(y=1;z=2)", "/a", "eq(x,'%C3%A9')|(y=1;z=2)"),
        (b"/a?\"<>{}|^`\\", "/a", '"<>{}|^`\\'),
        (b"/a?a\x7f\x01\tb", "/a", "a\x7f\x01\tb"),
        (b"/a?b?c=/d", "/a", "b?c=/d"),
        (b"/a?b#c", "/a", "b"),
        (b"/a#b?c", "/a", ""),
        (b"http://localhost/a?b", "/a", "b"),
        (b"http://localhost", "/", ""),
        (b"/" + b"x" * 100_000 + b"?" + b"y" * 100_000, "/" + "x" * 100_000, "y" * 100_000),
    ]:  # fmt: skip
        environ = request(url, target)
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)


def test_path_is_normalized_once(url: str) -> None:
    for target, path in [
        (b"//a", "/a"),
        (b"///a//b///", "/a/b/"),
        (b"//", "/"),
        (b"/%2fa", "/a"),
        (b"/a%2F", "/a/"),
        (b"/a/%2f%2F/b", "/a/b"),
        (b"/a%252f/b", "/a%2f/b"),
        (b"/\xff//a", "/\xff/a"),
        (b"http://localhost//a", "/a"),
        (b"/./a/../b", "/./a/../b"),
        (b"/%2e/a", "/./a"),
        (b"//public/v1/requests", "/public/v1/requests"),
        (b"/public/v1//requests//PR-1//", "/public/v1/requests/PR-1"),
        (b"/publi%63/v1/requests%2f", "/public/v1/requests"),
        (b"/public/", "/public"),
        (b"//sandbox/reset/", "/sandbox/reset"),
        (b"/publicly/", "/publicly/"),
    ]:  # fmt: skip
        environ = request(url, target + b"?x=//y")
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, "x=//y")


def test_request_line_may_arrive_in_chunks(url: str) -> None:
    with connect(url) as line:
        for chunk in (b"\r\n", b"GET /\xc3", b"\xa9?a=\xff", b" HTT", b"P/1.1\r", b"\n" + HEAD):
            line.sendall(chunk)
        environ = json.loads(exchange(line, b"X-A: \xe9\r\n\r\n")[2])
        expected = {"PATH_INFO": "/\xc3\xa9", "QUERY_STRING": "a=\xff", "HTTP_X_A": "\xe9"}
        assert environ.items() >= expected.items()
        # The next request on the same connection.
        environ = json.loads(exchange(line, head("/\xff?b"))[2])
        assert environ.items() >= {"PATH_INFO": "/\xff", "QUERY_STRING": "b"}.items()


def test_headers_reach_django_joined_and_without_underscores(url: str) -> None:
    environ = request(
        url,
        b"/",
        b"X-Two: a\r\nX-Two: b\r\nX_Forwarded_For: 1.2.3.4\r\nX-Bytes: \xe9\xff\r\n"
        b"content-TYPE: text/x\r\nX-Empty:\r\n",
    )
    expected = {
        "HTTP_X_TWO": "a, b",
        "HTTP_X_BYTES": "\xe9\xff",
        "CONTENT_TYPE": "text/x",
        "HTTP_X_EMPTY": "",
    }
    assert environ.items() >= expected.items()
    assert not any("FORWARDED" in name for name in environ)
    assert "CONTENT_LENGTH" not in environ


def test_environment_follows_wsgi(url: str) -> None:
    expected = {
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "HTTP_HOST": "localhost",
    }
    assert request(url, b"/x").items() >= expected.items()
    # Django refuses a request without a host, so no default is set.
    environ = json.loads(ask_last(url, b"GET / HTTP/1.0\r\n\r\n")[2])
    assert "HTTP_HOST" not in environ and environ["SERVER_NAME"].endswith(".invalid")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (b"Content-Length: 5\r\n", b"hello", "hello"),
        (b"Content-Length: 0\r\n", b"", ""),
        (
            b"Transfer-Encoding: chunked\r\n",
            b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: x\r\n\r\n",
            "hello",
        ),
        (b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", ""),
        (b"Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n", b"hello", "hello"),
    ],
)
def test_body_reaches_django(url: str, headers: bytes, body: bytes, expected: str) -> None:
    environ = request(url, b"/", headers, body, "POST")
    assert environ["body"] == expected
    assert environ.get("CONTENT_LENGTH", "0") == str(len(expected))
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_100_continue_is_sent_before_the_body(url: str) -> None:
    with connect(url) as line:
        line.sendall(b"PUT / HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\n")
        line.sendall(b"Content-Length: 3\r\n\r\n")
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert json.loads(exchange(line, b"abc")[2])["body"] == "abc"


def test_connection_is_kept_alive_and_head_has_no_body(url: str) -> None:
    with connect(url) as line:
        status, headers, content = exchange(line, head("/a", method="HEAD"), "HEAD")
        assert (status, content) == (200, b"") and int(headers["content-length"]) > 100
        for path, more in (("/b", b""), ("/c", b"Connection: close\r\n")):
            assert json.loads(exchange(line, head(path, more))[2])["PATH_INFO"] == path
        assert is_closed(line)


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        # The target ends at a space.
        head('/a?and(eq(x,"y z%20"),in(id,(1,2)))'),
        # TLS: its client waits for an answer.
        b"\x16\x03\x01\x02",
    ],
)
def test_malformed_http_is_refused_without_an_error_log(
    url: str, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask_last(url, sent)[0] == 400
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /public/v1/x HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST /public/v1/x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /public/v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_malformed_request_of_an_api_is_refused_in_connects_envelope(url: str, sent: bytes) -> None:
    status, headers, content = ask(url, sent)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert headers["connect-version"] == "37.0"
    assert json.loads(content)["error_code"] == "REQ_400"


def test_malformed_request_without_a_target_has_not_that_of_the_request_before(url: str) -> None:
    with connect(url) as line:
        assert exchange(line, head("/public/v1/x"))[0] == 200
        status, headers, _ = exchange(line, b"GARBAGE\r\n\r\n")
    assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert "connect-version" not in headers


@pytest.mark.parametrize("sent", [b"/" + b"?#" * 1000, b"GET /", b"GET /?", b"GET /a?b#", b"A" * 9])
def test_long_line_that_is_malformed_is_refused_at_once(url: str, sent: bytes) -> None:
    """No regular expression takes a time that grows by more than the length."""
    assert ask(url, sent + b"x?#" * 60_000 + b"\r\n\r\n")[0] == 400


def test_garbage_after_a_request_does_not_corrupt_its_response(url: str) -> None:
    with connect(url) as line:
        status, _, content = exchange(line, head("/a") + b"GARBAGE\r\n\r\n")
        assert (status, json.loads(content)["PATH_INFO"]) == (200, "/a")
        assert is_closed(line)


def test_rest_of_a_body_that_is_malformed_gets_no_second_response(settings: Any) -> None:
    settings.SIM_MAX_BODY = 10
    with serving(echo, settings) as url, connect(url) as line:
        begin = head("/", b"Transfer-Encoding: chunked\r\n", "POST")
        # `echo` ignores that the body is too large.
        assert exchange(line, begin + b"14\r\n" + b"x" * 20 + b"\r\n")[0] == 200
        line.sendall(b"zz\r\n")
        assert line.recv(100) == b""


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 1000])
def test_request_may_follow_a_chunked_body_in_the_same_packet(url: str, size: int) -> None:
    body = b"4\r\n\r\n\r\n\r\n3;x=y\r\n\na\n\r\n0\r\nX-T: railer\r\n\r\n"
    sent = (head("/\xff", b"Transfer-Encoding: chunked\r\n", "POST") + body) * 2
    with connect(url) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            line.sendall(sent[start : start + size])
        received = read_until(line, lambda received: received.count(b"}") == 2)
    assert received.count(rb'"body": "\r\n\r\n\na\n"') == 2
    assert received.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("offer", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
def test_too_many_pipelined_requests_close_the_connection(url: str, offer: bytes) -> None:
    with connect(url) as line:
        line.sendall(head("/", offer) * 2000)
        received = read_until(line)
    assert 100 <= received.count(b"HTTP/1.1 200 OK") <= 110


def test_head_above_256_kib_is_refused(url: str) -> None:
    with connect(url) as line:
        line.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(100_000):
                line.sendall(b"X-A: " + b"x" * 1000 + b"\r\n")
    assert ask(url, b"GET / HTTP/1.1\r\nX-A: " + b"x" * (257 * 1024))[0] == 431


# Heads above a size in KiB.
LARGE: dict[str, Callable[[int], bytes]] = {
    "path": lambda kib: head("/" + "x" * kib * 1024),
    "one header": lambda kib: head("/", b"X-A: " + b"x" * kib * 1024 + b"\r\n"),
    "many headers": lambda kib: head("/", (b"X-A: " + b"x" * 1017 + b"\r\n") * kib),
    "spaces": lambda kib: head("/", b"X-A: " + b" " * kib * 1024 + b"x\r\n"),
}


@pytest.mark.parametrize("kib", [257, 300, 400])
@pytest.mark.parametrize("form", LARGE)
def test_complete_head_above_256_kib_is_refused(url: str, kib: int, form: str) -> None:
    assert ask_last(url, LARGE[form](kib))[0] == 431


def test_size_of_a_head_has_nothing_of_what_is_before_and_after_it(settings: Any) -> None:
    """In one connection: heads of 200 KiB, each in two parts, between bodies of 200 KiB."""
    begin, end = b"POST / HTTP/1.1\r\n" + HEAD, b"X-A: " + b"x" * 200 * 1024 + b"\r\n"
    body = b"x" * 200 * 1024
    end += b"Content-Length: %d\r\n\r\n" % len(body)
    with serving(echo_large, settings) as url, connect(url) as line:
        line.sendall(begin)
        for _ in range(3):
            line.sendall(end[:1000])
            line.sendall(end[1000:] + body)
            assert json.loads(read(line)[2])["size"] == len(body)
            line.sendall(begin)


def test_end_of_a_head_may_arrive_in_parts(settings: Any) -> None:
    sent = head("/", b"Content-Length: 300000\r\n", "POST")
    with serving(echo_large, settings) as url, connect(url) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(sent[:-1])
        content = exchange(line, sent[-1:] + b"x" * 300_000)[2]
        assert json.loads(content)["size"] == 300_000


# -- methods


@pytest.mark.parametrize(
    "method", ["BREW", "patch", "get", "GETS", "DESCRIBE", "FLUSH", "B", "X-1.~!", "GET\x60"]
)
def test_unknown_method_is_not_allowed(url: str, method: str) -> None:
    sent = f"{method} //public/v1/requests?x=y HTTP/1.1\r\n".encode() + HEAD + b"\r\n"
    for parts in ([sent], [sent[n : n + 1] for n in range(len(sent))]):
        with connect(url) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The response may arrive before the end of the head has been sent.
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    line.sendall(part)
            status, headers, content = read(line)
            assert (status, headers["content-type"]) == (405, "application/json")
            assert (headers["connection"], json.loads(content)) == (
                "close",
                {
                    "error_code": "REQ_405",
                    "errors": [f'Method "{method}" not allowed.'],
                },
            )
            assert is_closed(line)


def test_unknown_method_of_a_page_is_refused_in_text(url: str) -> None:
    with connect(url) as line:
        assert exchange(line, head("/a"))[0] == 200
        status, headers, content = exchange(line, b"BREW /a HTTP/1.0\r\n\r\n")
    assert (status, content) == (405, b'Method "BREW" not allowed.')
    assert headers["content-type"] == "text/plain; charset=utf-8"


# -- clients that close their side of the connection


def test_client_that_half_closes_gets_its_responses(settings: Any) -> None:
    app = App()
    with serving(app, settings) as url, connect(url) as line:
        line.sendall(head("/validate", b"Content-Length: 2\r\n", "POST") + b"{}" + head("/behind"))
        line.shutdown(socket.SHUT_WR)
        assert app.arrived.get(timeout=10) == "/validate"
        app.release.set()
        received = read_until(line)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b"/validate by") < received.index(b"/behind by")


def test_client_that_half_closes_between_requests_is_disconnected(url: str) -> None:
    with connect(url) as line:
        assert exchange(line, head("/"))[0] == 200
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""


@pytest.mark.parametrize(
    "sent", [b"GET", b"GET / HTTP/1.1\r\nHos", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]
)
def test_client_that_half_closes_within_a_request_gets_400(url: str, sent: bytes) -> None:
    with connect(url) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        status, headers, content = read(line)
        assert (status, headers["connection"]) == (400, "close")
        assert content == b"The connection was closed before the request was complete."
        assert is_closed(line)


def test_response_has_one_date_and_no_server_header(settings: Any) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        headers = (
            [("Date", "Thu, 26 Nov 2026 10:00:00 GMT")] if environ["PATH_INFO"] == "/own" else []
        )
        start("200 OK", [*headers, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return [b"x"]

    with serving(wsgi, settings) as url, connect(url) as line:
        for path, expected in (("/own", 2026), ("/", None)):
            line.sendall(head(path))
            received = read_until(line, lambda received: received.endswith(b"\r\n\r\nx"))
            lines = received.lower().split(b"\r\n")
            [date] = [line for line in lines if line.startswith(b"date: ")]
            assert not any(line.startswith(b"server:") for line in lines)
            assert b"content-length: 1" in lines
            assert lines.count(b"set-cookie: a=1") == lines.count(b"set-cookie: b=2") == 1
            year = parsedate_to_datetime(date[6:].decode()).year
            assert expected is None or year == expected


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_without_body_has_no_content_length(settings: Any, status: str) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        start(status, [("Content-Length", "4")])
        return [b"body"]

    with serving(wsgi, settings) as url, connect(url) as line:
        for _ in range(2):
            code, headers, content = exchange(line, head("/"))
            assert (code, content) == (int(status[:3]), b"")
            assert "content-length" not in headers and "transfer-encoding" not in headers


def test_chunked_response_arrives_completely(settings: Any) -> None:
    closed = []

    class Chunks:
        def __iter__(self) -> Iterator[bytes]:
            for n in range(300):
                yield b"%d" % (n % 10) * 65536

        def close(self) -> None:
            closed.append(True)

    def wsgi(environ: dict[str, Any], start: Any) -> Chunks:
        length = [("Content-Length", str(300 * 65536))] if environ["PATH_INFO"] == "/length" else []
        start("200 OK", length)
        return Chunks()

    expected = b"".join(Chunks())
    with serving(wsgi, settings) as url, connect(url) as line:
        for path in ("/length", "/chunked"):
            assert exchange(line, head(path))[2] == expected
    assert closed == [True, True]


def test_slow_reader_uses_no_thread(settings: Any) -> None:
    """The event loop buffers a response of 3 MB, so its thread is free."""

    def wsgi(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        size = 3_000_000 if environ["PATH_INFO"] == "/large" else 3
        start("200 OK", [("Content-Length", str(size))])
        return iter([b"x" * min(size, 65536)] * max(1, size // 65536) + [b"x" * (size % 65536)])

    with serving(wsgi, settings, threads=1) as url:
        lines = [connect(url) for _ in range(5)]
        for line in lines:
            line.sendall(head("/large"))
        assert ask(url, head("/small"))[2] == b"xxx"
        for line in lines:
            assert len(read(line)[2]) == 3_000_000
            line.close()


def test_exception_is_logged_without_query_and_gets_connects_envelope(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise RuntimeError("on purpose")

    with serving(wsgi, settings) as url:
        status, headers, content = ask(url, head("/public/v1/x%0A?token=S3CRET"))
    assert (status, headers["content-type"]) == (500, "application/json")
    assert json.loads(content)["error_code"] == "SYS_001"
    assert "GET /public/v1/x\\n" in caplog.text and "on purpose" in caplog.text
    assert "S3CRET" not in caplog.text


def test_response_that_fails_within_its_body_is_a_500(settings: Any) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", "10")])
        yield b"12345"
        raise RuntimeError("on purpose")

    with serving(wsgi, settings) as url:
        status, _, content = ask(url, head("/"))
    assert status == 500 and b"12345" not in content


def test_incomplete_response_closes_the_connection(settings: Any) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Length", "10")])
        return [b"12345"]

    with serving(wsgi, settings) as url, connect(url) as line:
        line.sendall(head("/"))
        assert read_until(line).endswith(b"\r\n\r\n12345")


@pytest.mark.parametrize(
    ("bind", "reached"),
    [
        ("127.0.0.1:{0} [::1]:{1}", ["127.0.0.1:{0}", "[::1]:{1}"]),
        ("localhost:{0}", ["127.0.0.1:{0}"]),
        ("*:{0}", ["127.0.0.1:{0}", "[::1]:{0}"]),
        ("[::1]:{0}", ["[::1]:{0}"]),
        ("[::]:{0} 0.0.0.0:{0}", ["127.0.0.1:{0}", "[::1]:{0}"]),
    ],
)
def test_each_address_of_sim_bind_is_served(settings: Any, bind: str, reached: list[str]) -> None:
    ports = [free_port(), free_port()]
    settings.SIM_BIND = bind.format(*ports)
    server = web.Web(echo, 1)
    server.start()
    try:
        for address in reached:
            host, _, port = address.format(*ports).rpartition(":")
            assert ask(f"http://{host.strip('[]')}:{port}", head("/"))[0] == 200
    finally:
        server.stop()
    assert not server.is_running()


@pytest.mark.parametrize("bind", ["127.0.0.1:x", "127.0.0.1:99999", "nowhere.invalid:80", "8000"])
def test_malformed_address_is_reported_in_one_line(settings: Any, bind: str) -> None:
    settings.SIM_BIND = bind
    with pytest.raises(web.PortTaken) as raised:
        web.Web(echo, 1)
    assert "\n" not in str(raised.value) and bind in str(raised.value)


def test_reason_of_a_name_that_is_unknown_is_its_own_on_every_system(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code is positive on macOS and negative on Linux, and never that of a system error."""

    def fail(bind: str) -> Any:
        raise socket.gaierror(8, "nodename nor servname provided, or not known")

    monkeypatch.setattr(web, "listen", fail)
    with pytest.raises(web.PortTaken, match="nodename nor servname provided"):
        web.Web(echo, 1)
