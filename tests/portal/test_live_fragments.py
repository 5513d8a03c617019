"""Parts that open pages share: rendered once after each change, and never stale afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from portal.live import fragments
from portal.live.fragments import SharedParts
from portal.live.hub import Hub
from requests_queue import topics
from requests_queue.topics import Notice


class Source:
    """What a page shows, and how often it was rendered."""

    def __init__(self) -> None:
        self.text = "one"
        self.rendered: list[str] = []

    def load(self) -> tuple[str, Callable[[], HttpResponse]]:
        text = self.text

        def render() -> HttpResponse:
            self.rendered.append(text)
            return HttpResponse(text, headers={"Cache-Control": "no-store"})

        return f"digest of {text}", render


def request(seen: str = "", path: str = "/deliveries/") -> HttpRequest:
    return RequestFactory().get(path, {"q": "x", "seen": seen})


def notify(*accounts: str) -> None:
    topics.deliver(Notice(frozenset(accounts) or None, frozenset({"deliveries"})))


def with_page(test: Callable[[SharedParts, Source], Any]) -> None:
    """Run a test while a page of VA-1 is open."""

    async def run() -> None:
        hub = Hub()
        stream = hub.events("VA-1", frozenset({"deliveries"}))
        await anext(stream)
        test(SharedParts(hub), Source())
        await stream.aclose()
        assert hub.version("VA-1") is None

    asyncio.run(run())


def test_part_is_rendered_once_until_something_changes() -> None:
    def test(parts: SharedParts, source: Source) -> None:
        for _ in range(3):
            response = parts.respond(request(), "VA-1", source.load)
            assert (response.content, response["Cache-Control"]) == (b"one", "no-store")
        assert source.rendered == ["one"]
        source.text = "two"
        notify("VA-2")
        assert parts.respond(request(), "VA-1", source.load).content == b"one"
        notify("VA-1")
        assert parts.respond(request(), "VA-1", source.load).content == b"two"
        source.text = "three"
        notify()
        assert parts.respond(request(), "VA-1", source.load).content == b"three"

    with_page(test)


def test_page_that_has_the_part_gets_204_and_nothing_is_rendered() -> None:
    def test(parts: SharedParts, source: Source) -> None:
        assert parts.respond(request("digest of one"), "VA-1", source.load).status_code == 204
        assert source.rendered == []
        assert parts.respond(request("older"), "VA-1", source.load).content == b"one"
        assert parts.respond(request("digest of one"), "VA-1", source.load).status_code == 204
        assert source.rendered == ["one"]

    with_page(test)


def test_accounts_and_urls_share_nothing() -> None:
    def test(parts: SharedParts, source: Source) -> None:
        parts.respond(request(), "VA-1", source.load)
        source.text = "two"
        assert parts.respond(request(), "VA-2", source.load).content == b"two"
        assert parts.respond(request(path="/webhooks/"), "VA-1", source.load).content == b"two"

    with_page(test)


def test_change_while_a_part_is_read_makes_it_stale() -> None:
    def test(parts: SharedParts, source: Source) -> None:
        def load() -> tuple[str, Callable[[], HttpResponse]]:
            loaded = source.load()
            source.text = "two"
            notify("VA-1")
            return loaded

        assert parts.respond(request(), "VA-1", load).content == b"one"
        assert parts.respond(request(), "VA-1", source.load).content == b"two"

    with_page(test)


def test_failed_render_leaves_nothing_behind() -> None:
    def fail() -> Any:
        raise LookupError

    def test(parts: SharedParts, source: Source) -> None:
        with pytest.raises(LookupError):
            parts.respond(request(), "VA-1", fail)
        assert parts.respond(request(), "VA-1", source.load).content == b"one"

    with_page(test)


def test_old_part_is_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MAX_AGE", 0.0)

    def test(parts: SharedParts, source: Source) -> None:
        for _ in range(2):
            parts.respond(request(), "VA-1", source.load)
        assert source.rendered == ["one", "one"]

    with_page(test)


def test_requests_at_the_same_time_render_once() -> None:
    def test(parts: SharedParts, source: Source) -> None:
        together = threading.Barrier(8)

        def get() -> bytes:
            together.wait(10)
            return parts.respond(request(), "VA-1", source.load).content

        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(get) for _ in range(8)]
            assert {future.result(10) for future in futures} == {b"one"}
        assert source.rendered == ["one"]

    with_page(test)


def test_nothing_is_shared_without_an_open_page() -> None:
    parts, source = SharedParts(Hub()), Source()
    for _ in range(2):
        assert parts.respond(request(), "VA-1", source.load).content == b"one"
    assert source.rendered == ["one", "one"]
    assert parts.respond(request("digest of one"), "VA-1", source.load).status_code == 204
