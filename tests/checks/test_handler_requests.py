"""Requests that checks send to a handler, at the socket of a server that keeps what it receives."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from checks.client import accepts_connections, connect
from checks.handler_requests import Handler, SentRequest
from checks.listener import Listener
from tests.webhooks.hostile import (
    OK,
    Behavior,
    Peer,
    Server,
    hangs,
    polite,
    resets_after,
    responds,
    responds_and_stays,
)

TOO_SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
SENT = SentRequest("POST", [("Authentication", "Bearer x.y.z")], b"{}")


def test_request_is_sent_byte_for_byte() -> None:
    sent = SentRequest("POST", [("Authentication", "Bearer é "), ("X", "")], "é".encode())
    with Server(polite) as server:
        reply = Handler(f"{server.url}hook?a=1").send(sent, 5)
    assert (reply.status, reply.body, reply.text, reply.is_success) == (
        200,
        b"ok",
        "HTTP 200",
        True,
    )
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"POST /hook?a=1 HTTP/1.1"
    assert "Authentication: Bearer é ".encode() in lines and b"X: " in lines
    assert b"Content-Length: 2" in lines and lines[-1] == "é".encode()


def test_chunked_body_has_no_length() -> None:
    def reads_chunks(peer: Peer) -> None:
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += peer.sock.recv(65536)
        peer.server.requests.append(data)
        peer.send(OK)

    with Server(reads_chunks) as server:
        Handler(server.url).send(SentRequest("POST", [], iter([b"ab", b"c"])), 5)
    received = server.requests[0]
    assert b"Transfer-Encoding: chunked" in received and b"Content-Length" not in received
    assert received.endswith(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


def test_request_without_a_body_ends_with_its_headers() -> None:
    with Server(polite) as server:
        assert Handler(server.url).send(SentRequest("GET", []), 5).status == 200
    assert server.requests[0].startswith(b"GET / HTTP/1.1")
    assert b"Content-Length" not in server.requests[0]


@pytest.mark.parametrize(
    ("behavior", "error"),
    [
        (responds(b""), "the connection was closed without a response"),
        (responds(b"garbage\r\n\r\n"), "the response is not valid HTTP"),
        (responds(TOO_SHORT), "the response is shorter than its Content-Length"),
        (resets_after(b""), "the connection was reset"),
    ],
)
def test_missing_response_is_an_error_in_words(behavior: Behavior, error: str) -> None:
    with Server(behavior) as server:
        reply = Handler(server.url).send(SENT, 5)
    assert (reply.status, reply.text, reply.is_success) == (0, error, False)


def test_slow_response_is_a_timeout() -> None:
    with Server(hangs) as server:
        reply = Handler(server.url).send(SENT, 0.05)
    assert reply.text.startswith("no response within 0.") and not reply.is_refused_connection


def test_timeout_is_that_of_the_request_on_a_given_connection() -> None:
    with Server(responds_and_stays(OK)) as server:
        handler = Handler(server.url)
        with closing(connect(server.url, 3600)) as connection:
            assert handler.send(SENT, 3600, connection).status == 200
            assert handler.send(SENT, 0.05, connection).text.startswith("no response within 0.")


def test_closed_port_is_a_refused_connection() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        handler = Handler(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        reply = handler.send(SENT, 5)
        assert reply.is_refused_connection and reply.text == "connection refused"
        assert not accepts_connections(handler.url)


def test_given_connection_is_used_again() -> None:
    with Server(polite) as server:
        handler = Handler(server.url)
        with closing(connect(server.url, 5)) as connection:
            assert [handler.send(SENT, 5, connection).status for _ in range(2)] == [200, 200]
        assert server.connections == 1
        assert accepts_connections(server.url)


def test_listener_keeps_which_requests_it_received() -> None:
    with Listener() as listener:
        secret = SentRequest("GET", [("Authorization", "ApiKey SU-1:x")])
        reply = Handler(f"{listener.url}/public/v1/requests").send(secret, 5)
        assert (reply.status, reply.body) == (200, b"[]")
        assert listener.requests == ["GET /public/v1/requests"]
