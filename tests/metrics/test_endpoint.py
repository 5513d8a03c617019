"""`/metrics` of the web server: who may read it, and what happens without a database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import OperationalError

from connect_sim.metrics import endpoint
from tests.metrics.scraping import KEY, fetch
from tests.runtime.serving import App, connect, read, serving


@dataclass
class Renders:
    """What each reading returns; it can be held or fail."""

    count: int = 0
    error: Exception | None = None
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.release.set()

    def __call__(self) -> bytes:
        self.count += 1
        assert self.release.wait(30)
        if self.error is not None:
            raise self.error
        return b"connect_sim_deliveries_pending 7\n"


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> Renders:
    renders = Renders()
    monkeypatch.setattr(endpoint, "render", renders)
    return renders


@pytest.fixture
def url(renders: Renders, settings: Any) -> Iterator[str]:
    settings.SIM_METRICS_KEY = KEY
    with serving(App(), settings) as url:
        yield url


def send(url: str, *headers: str, method: str = "GET", path: str = "/metrics") -> tuple[int, Any]:
    """Send a request with these header lines; return status and headers."""
    with connect(url) as line:
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 10.1.2.3", *headers])
        line.sendall(f"{head}\r\n\r\n".encode("latin-1"))
        status, received, body = read(line, method)
        return status, (received, body)


def test_key_is_required(url: str, renders: Renders) -> None:
    for headers in (
        [],
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        [f"Authorization: Bearer {KEY[:-1]}"],
        [f"Authorization: Bearer {KEY}x"],
        [f"Authorization: Bearer {KEY.upper()}"],
        [f"Authorization: {KEY}"],
        [f"Authorization: Basic {KEY}"],
        [f"Authorization: ApiKey {KEY}"],
        ["Authorization: Bearer caf\xe9\xff"],
        [f"Authorization: Bearer {KEY}", f"Authorization: Bearer {KEY}"],
        [f"Cookie: key={KEY}"],
    ):
        status, (received, body) = send(url, *headers)
        assert (status, received["www-authenticate"]) == (401, "Bearer"), headers
        assert b"pending" not in body and KEY.encode() not in body
    assert send(url, path=f"/metrics?key={KEY}")[0] == 401
    assert renders.count == 0


def test_key_opens_it(url: str) -> None:
    for headers in ([f"Authorization: Bearer {KEY}"], [f"authorization: bearer {KEY}"]):
        status, (received, body) = send(url, *headers)
        assert (status, body) == (200, b"connect_sim_deliveries_pending 7\n")
        assert received["content-type"].startswith("text/plain; version=0.0.4")
        assert received["cache-control"] == "no-store"
    status, (_, body) = send(url, f"Authorization: Bearer {KEY}", method="HEAD")
    assert (status, body) == (200, b"")


def test_without_the_setting_the_path_does_not_exist(renders: Renders, settings: Any) -> None:
    settings.SIM_METRICS_KEY = ""
    with serving(App(), settings) as url:
        # Django serves it, which knows no such path.
        assert send(url, "Authorization: Bearer ")[1][1].startswith(b"/metrics by web")
    assert renders.count == 0


def test_only_get_and_head_of_the_path_itself(url: str) -> None:
    key = f"Authorization: Bearer {KEY}"
    assert send(url, key, path="/metrics/")[0] == 200
    assert send(url, key, path="/metrics/x")[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert send(url, key, method=method)[0] == 405


def test_database_that_fails_is_503_and_is_asked_again(url: str, renders: Renders) -> None:
    renders.error = OperationalError("password=secret host=10.0.0.1")
    for count in (1, 2):
        status, text = fetch(f"{url}/metrics", KEY)
        assert (status, renders.count) == (503, count)
        assert "secret" not in text
    renders.error = None
    assert fetch(f"{url}/metrics", KEY)[0] == 200


def test_database_that_hangs_is_503(
    url: str, renders: Renders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_LIMIT", 0.1)
    renders.release.clear()
    assert fetch(f"{url}/metrics", KEY)[0] == 503
    # It goes on in its one thread: the next request doesn't start another reading.
    assert fetch(f"{url}/metrics", KEY)[0] == 503
    assert renders.count == 1
    renders.release.set()


def test_requests_share_one_reading(url: str, renders: Renders) -> None:
    renders.release.clear()
    with ThreadPoolExecutor(10) as pool:
        results = [pool.submit(fetch, f"{url}/metrics", KEY) for _ in range(10)]
        renders.release.set()
        assert {result.result()[0] for result in results} == {200}
    assert renders.count < 10


def test_keys_are_compared_in_constant_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    original = endpoint.hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return original(a, b)

    monkeypatch.setattr(endpoint.hmac, "compare_digest", compare)
    assert fetch(f"{url}/metrics", "wrong")[0] == 401
    assert compared == [(b"wrong", KEY.encode())]
