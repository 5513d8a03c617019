"""Hostile responses: each ends in time, with a message of its own."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.certificates import certificate
from tests.webhooks.hostile import (
    OK,
    PACE,
    Behavior,
    Peer,
    Server,
    drips,
    floods,
    half_closes_after,
    hangs,
    polite,
    resets_after,
    responds,
    responds_and_stays,
    speaks_first,
)
from tests.webhooks.loopback import (  # noqa: F401  (two of them are fixtures)
    Outcome,
    Run,
    in_time,
    loopback_only,
    names,
    once,
    run,
)

DEADLINE = 0.3
# Of requests that end before it, on a busy machine too.
LONG_DEADLINE = 5.0
LATE = f"Timed out after {DEADLINE} s."
HEAD = b"HTTP/1.1 200 OK\r\n"
TEN = HEAD + b"Content-Length: 10\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
BROKEN_OFF = "The response is incomplete"
# Internal terms that no message may contain.
INSIDES = ("Error", "Exception", "Traceback", "aiohttp", "Client", "Server", "errno", "object at")


def met(run: Run, behavior: Behavior, **options: Any) -> Outcome:
    options.setdefault("timeout", LONG_DEADLINE)

    def send() -> Outcome:
        with Server(behavior) as server:
            outcome: Outcome = run(once(server.url, **options))
        return outcome

    outcome = in_time(options["timeout"], send)
    if outcome.failure is not None:
        assert not [word for word in INSIDES if word in outcome.sentence]
        assert outcome.sentence.endswith(".")
    return outcome


# --- C1, C2, C3: the deadline -----------------------------------------------------------------


def test_handler_that_never_responds(run: Run) -> None:
    outcome = met(run, hangs, timeout=DEADLINE)
    assert (outcome.sentence, outcome.partial) == (LATE, None)


def test_dripped_body(run: Run) -> None:
    outcome = met(run, drips(HEAD + b"Content-Length: 1000\r\n\r\n"), timeout=DEADLINE)
    assert outcome.sentence == LATE
    partial = outcome.partial
    assert partial is not None and (partial.status, partial.truncated) == (200, True)
    assert 0 < len(partial.body) < 1000 and set(partial.body) == set(b"x")


@pytest.mark.parametrize(
    "head", [b"", b"HTTP", HEAD, HEAD + b"X-Slow: "], ids=["nothing", "word", "status", "header"]
)
def test_dripped_headers(run: Run, head: bytes) -> None:
    drop = {b"": b"\r\n", b"HTTP": b"", HEAD: b"X"}.get(head, b"x")
    outcome = met(run, drips(head, drop), timeout=DEADLINE)
    assert (outcome.sentence, outcome.partial) == (LATE, None)


@pytest.mark.parametrize(
    "chunk", [b"1\r\nx\r\n", b"0;"], ids=["chunks without end", "an extension without end"]
)
def test_dripped_chunks(run: Run, chunk: bytes) -> None:
    assert met(run, drips(CHUNKED, chunk), timeout=DEADLINE).sentence == LATE


def test_handler_that_accepts_connection_and_reads_nothing(run: Run) -> None:
    outcome = met(run, lambda peer: peer.wait(), body=b"x" * 8_000_000, timeout=DEADLINE)
    assert outcome.sentence == LATE


def test_deadline_includes_connecting(run: Run, tmp_path: Path) -> None:
    _, client = certificate(tmp_path)
    with Server(lambda peer: peer.gone()) as server:
        url = server.url.replace("http:", "https:")
        outcome = in_time(DEADLINE, lambda: run(once(url, tls=client, timeout=DEADLINE)))
    assert outcome.sentence == LATE


# --- C4, C5, C6: limits of what is read -------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD + b"\r\n", b"x" * 65536),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
        (CHUNKED, b"1\r\nx\r\n" * 10_000),
        (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["until closed", "huge", "small chunks", "large chunks"],
)
def test_endless_body(run: Run, head: bytes, piece: bytes) -> None:
    response = met(run, floods(head, piece)).success
    assert (response.body, response.truncated) == (b"x" * 65536, True)


@pytest.mark.parametrize(("size", "truncated"), [(99, False), (100, False), (101, True)])
def test_read_cap_is_exact(run: Run, size: int, truncated: bool) -> None:
    text = HEAD + f"Content-Length: {size}\r\n\r\n".encode() + b"x" * size
    response = met(run, responds_and_stays(text), read_cap=100).success
    assert (response.body, response.truncated) == (b"x" * min(size, 100), truncated)


def test_gzip_bomb_is_not_decompressed(run: Run) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    head = HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    with Server(responds(head + bomb)) as server:
        response = run(once(server.url)).success
    assert response.body == bomb[:65536]
    assert response.truncated is (len(bomb) > 65536)
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(run: Run, status: int) -> None:
    with Server(polite) as other:
        for where in (other.url, "http://169.254.169.254/latest/meta-data/"):
            text = f"HTTP/1.1 {status} Go\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n"
            response = met(run, responds(text.encode())).success
            assert response.status == status
            assert dict(response.headers)["Location"] == where
        assert other.connections == 0


# --- C7: invalid responses --------------------------------------------------------------------

MANY = b"".join(b"X-%d: y\r\n" % i for i in range(10_000))
LARGE = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 2000) for i in range(100))

BROKEN_HEADS: list[tuple[str, Behavior, str]] = [
    ("no answer", responds(b""), "closed the connection without a response"),
    ("reset before", resets_after(b""), "closed the connection without a response"),
    ("half-close before", half_closes_after(b""), "closed the connection without a response"),
    ("reset in headers", resets_after(HEAD + b"X"), "in the middle of the headers"),
    ("half-close in headers", half_closes_after(HEAD), "in the middle of the headers"),
    ("garbage", responds(b"hello\r\n\r\n"), "something that is not HTTP"),
    ("binary garbage", responds(bytes(range(256)) * 9), "something that is not HTTP"),
    ("ssh", speaks_first(b"SSH-2.0-OpenSSH_9.9\r\n"), "something that is not HTTP"),
    ("a tls alert", responds(b"\x15\x03\x03\x00\x02\x02\x16"), "speaks TLS: use https://"),
    ("bad status", responds(b"HTTP/1.1 2x0 OK\r\n\r\n"), "are not valid HTTP"),
    ("bad length", responds(HEAD + b"Content-Length: x\r\n\r\n"), "are not valid HTTP"),
    ("two lengths", responds(HEAD + b"Content-Length: 1\r\n" * 2 + b"\r\n"), "are not valid HTTP"),
    (
        "length and chunks",
        responds(HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "are not valid HTTP",
    ),
    ("nul", responds(HEAD + b"X: a\x00b\r\n\r\n"), "are not valid HTTP"),
    ("10,000 headers", responds(HEAD + MANY + b"\r\n"), "too many headers"),
    ("headers without end", floods(HEAD, b"X: y\r\n" * 1000), "too many headers"),
    ("one large header", responds(HEAD + b"X: " + b"y" * 100_000), "longer than 8190 bytes"),
    ("a large status line", responds(b"HTTP/1.1 200 " + b"y" * 100_000), "longer than 8190 bytes"),
    ("large headers", responds(HEAD + LARGE + b"\r\n"), "larger than 65536 bytes"),
    ("empty lines without end", floods(b"", b"\r\n" * 10_000), "larger than 65536 bytes"),
    ("a flood of 1xx", floods(b"", INTERIM * 1000), "interim responses (1xx)"),
    ("a drip of 1xx", drips(b"", INTERIM * 4), "interim responses (1xx)"),
]


@pytest.mark.parametrize(
    ("behavior", "words"),
    [row[1:] for row in BROKEN_HEADS],
    ids=[row[0] for row in BROKEN_HEADS],
)
def test_broken_head(run: Run, behavior: Behavior, words: str) -> None:
    outcome = met(run, behavior)
    assert words in outcome.sentence and outcome.partial is None


BROKEN_BODIES: list[tuple[str, Behavior, str, bytes]] = [
    ("reset", resets_after(TEN + b"abc"), BROKEN_OFF, b"abc"),
    ("half-close", half_closes_after(TEN + b"abc"), "shorter than its Content-Length", b"abc"),
    ("closed early", responds(TEN, b"abc"), "shorter than its Content-Length", b"abc"),
    ("no last chunk", responds(CHUNKED + b"3\r\nabc\r\n"), "last chunk is missing", b"abc"),
    ("reset in chunks", resets_after(CHUNKED + b"3\r\nabc\r\n"), BROKEN_OFF, b"abc"),
    ("bad chunk size", responds_and_stays(CHUNKED + b"xyz\r\n"), "chunks are malformed", b""),
    (
        "bad chunk end",
        responds_and_stays(CHUNKED + b"3\r\nabcdef\r\n"),
        "chunks are malformed",
        b"",
    ),
]


@pytest.mark.parametrize(
    ("behavior", "words", "body"),
    [row[1:] for row in BROKEN_BODIES],
    ids=[row[0] for row in BROKEN_BODIES],
)
def test_broken_body(
    run: Run,
    behavior: Behavior,
    words: str,
    body: bytes,
) -> None:
    outcome = met(run, behavior)
    assert words in outcome.sentence
    partial = outcome.partial
    assert partial is not None
    assert (partial.status, partial.body, partial.truncated) == (200, body, True)


def test_switching_protocols_is_a_failure(run: Run) -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    outcome = met(run, responds_and_stays(head))
    assert "101" in outcome.sentence
    assert outcome.partial is not None and outcome.partial.status == 101


def test_few_interim_responses_are_ignored(run: Run) -> None:
    few = b"HTTP/1.1 102 Processing\r\n\r\n" * 5
    assert met(run, responds(INTERIM, few + OK)).success.body == b"ok"


@pytest.mark.parametrize("pieces", [(OK + b"more",), (OK, b"more"), (OK[:-4], OK[-4:] + b"more")])
def test_bytes_beyond_content_length_are_ignored(
    run: Run,
    pieces: tuple[bytes, ...],
) -> None:
    assert met(run, responds(*pieces)).success.body == b"ok"


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_headers_split_between_two_segments(run: Run, cut: int) -> None:
    head = HEAD + b"Content-Length: 2\r\n\r\n"

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(head[:-cut])
        peer.wait(PACE)
        peer.send(head[-cut:] + b"ok, and more than was announced")
        peer.gone()

    assert met(run, behavior).success.body == b"ok"


# --- C8: no connection ------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_connection_refused(run: Run, closed_port: int) -> None:
    assert run(once(f"http://127.0.0.1:{closed_port}/")).sentence == (
        f"127.0.0.1:{closed_port} refused the connection: nothing listens there. "
        f"Start the handler, or correct the URL."
    )


def test_all_addresses_of_a_name_refuse(
    run: Run, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, {"handler.example": ["::1", "127.0.0.1"]})
    sentence = run(once(f"http://handler.example:{closed_port}/")).sentence
    assert sentence.startswith(f"handler.example:{closed_port} refused the connection")


def test_one_address_that_responds_is_enough(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(monkeypatch, {"handler.example": ["::1", "127.0.0.1"]})
    with Server(polite) as server:
        assert run(once(f"http://handler.example:{server.port}/")).success.status == 200


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (socket.EAI_NONAME, "The host name handler.example is unknown"),
        (socket.EAI_AGAIN, "DNS does not respond"),
    ],
)
def test_unknown_host(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    words: str,
) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "inside")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    sentence = run(once("http://handler.example/")).sentence
    assert words in sentence and "inside" not in sentence


def test_each_bad_certificate_has_its_message(run: Run, tmp_path: Path) -> None:
    server_tls, client = certificate(tmp_path)
    with Server(polite, tls=server_tls) as server:
        assert run(once(server.url, tls=client)).success.status == 200
        nobody = run(once(server.url, tls=ssl.create_default_context())).sentence
        assert "certificate of 127.0.0.1 was refused: it is self-signed" in nobody
        assert "self-signed" in run(once(server.url)).sentence
    expired, client = certificate(tmp_path, expired=True)
    with Server(polite, tls=expired) as server:
        assert "it has expired" in run(once(server.url, tls=client)).sentence
    other, client = certificate(tmp_path, names=("other.example", "127.0.0.9"))
    with Server(polite, tls=other) as server:
        assert "it is for another address" in run(once(server.url, tls=client)).sentence


def test_certificate_for_another_name(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    names(monkeypatch, {"handler.example": ["127.0.0.1"]})
    other, client = certificate(tmp_path, names=("other.example",))
    with Server(polite, tls=other) as server:
        outcome = run(once(f"https://handler.example:{server.port}/", tls=client))
    assert "certificate of handler.example was refused: it is for another host" in outcome.sentence


def test_tls_to_plain_port_and_plain_to_tls_port(run: Run, tmp_path: Path) -> None:
    server_tls, client = certificate(tmp_path)

    def puzzled(peer: Peer) -> None:
        peer.sock.recv(9)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.gone()

    with Server(puzzled) as plain:
        sentence = run(once(plain.url.replace("http:", "https:"), tls=client)).sentence
        assert "does not speak TLS: use http://" in sentence
    with Server(polite, tls=server_tls) as secure:
        sentence = run(once(secure.url.replace("https:", "http:"))).sentence
        assert secure.requests == []
    assert "speaks TLS: use https://" in sentence or (
        "closed the connection without a response" in sentence
    )


@pytest.mark.parametrize("rude", [False, True], ids=["closed", "reset"])
def test_interrupted_handshake(run: Run, tmp_path: Path, rude: bool) -> None:
    _, client = certificate(tmp_path)

    def behavior(peer: Peer) -> None:
        peer.sock.recv(9)
        if rude:
            peer.reset()

    with Server(behavior) as server:
        outcome = run(once(server.url.replace("http:", "https:"), tls=client))
    assert "during the TLS handshake" in outcome.sentence or "handshake failed" in outcome.sentence
