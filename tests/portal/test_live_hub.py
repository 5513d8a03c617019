"""The pace of events: gathered, and at most five per second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from portal.live import hub as hubs
from portal.live.hub import Hub
from requests_queue import topics
from requests_queue.topics import Notice
from tests.background import in_loop


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub of which nothing is left after the test."""
    hub = Hub()
    yield hub
    assert hub.receive not in topics.LISTENERS


@asynccontextmanager
async def page(hub: Hub, account: str, *shown: str) -> AsyncIterator[AsyncGenerator[bytes]]:
    """Open the stream of a page, and read its first events."""
    stream = hub.events(account, frozenset(shown))
    assert await anext(stream) == b"retry: 2000\n\n"
    # What may have changed before the stream was opened.
    assert await changed(stream) == set(shown)
    yield stream
    await stream.aclose()


def notify(accounts: set[str] | None, *changed: str) -> None:
    known = None if accounts is None else frozenset(accounts)
    topics.deliver(Notice(known, frozenset(changed)))


async def event(stream: AsyncGenerator[bytes]) -> dict[str, Any]:
    """Return the data of the next event."""
    async with asyncio.timeout(5):
        piece = await anext(stream)
    name, data, *_ = piece.decode().splitlines()
    assert name == "event: live"
    data = json.loads(data.removeprefix("data: "))
    assert isinstance(data, dict)
    return data


async def changed(stream: AsyncGenerator[bytes]) -> set[str]:
    """Return the topics of the next event."""
    return set((await event(stream))["topics"])


async def is_quiet(stream: AsyncGenerator[bytes], seconds: float = 0.1) -> bool:
    waiting = asyncio.ensure_future(anext(stream))
    done, _ = await asyncio.wait({waiting}, timeout=seconds)
    waiting.cancel()
    await asyncio.wait({waiting})
    return not done


@in_loop
async def test_page_gets_its_own_topics_only(hub: Hub) -> None:
    async with page(hub, "VA-1", "deliveries:7", "webhooks") as stream:
        notify({"VA-1"}, "deliveries", "deliveries:8", "webhooks", "webhooks:WH-1")
        assert await changed(stream) == {"webhooks"}


@in_loop
async def test_page_gets_no_event_of_another_account(hub: Hub) -> None:
    async with page(hub, "VA-1", "webhooks") as mine, page(hub, "VA-2", "webhooks") as other:
        notify({"VA-2"}, "webhooks")
        assert await changed(other) == {"webhooks"}
        assert await is_quiet(mine)


@in_loop
async def test_move_of_the_clock_changes_everything_that_a_page_shows(hub: Hub) -> None:
    async with page(hub, "VA-1", "webhooks", "objects:PR-1") as stream:
        notify(None, topics.EVERYTHING)
        assert await changed(stream) == {"webhooks", "objects:PR-1"}


@in_loop
async def test_a_hundred_changes_are_one_event_and_the_next_is_a_fifth_of_a_second_later(
    hub: Hub,
) -> None:
    loop = asyncio.get_running_loop()
    async with page(hub, "VA-1", "deliveries", "webhooks") as stream:
        for _ in range(100):
            notify({"VA-1"}, "deliveries")
            notify({"VA-1"}, "webhooks")
        assert await changed(stream) == {"deliveries", "webhooks"}
        first = loop.time()
        notify({"VA-1"}, "deliveries")
        assert await changed(stream) == {"deliveries"}
        assert loop.time() - first >= hubs.INTERVAL - hubs.GATHER
        assert await is_quiet(stream)


@pytest.mark.parametrize(("pages", "pause"), [(1, 2.0), (20, 2.0), (50, 5.0)])
@in_loop
async def test_pages_wait_longer_the_more_are_open(hub: Hub, pages: int, pause: float) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(pages):
            stream = await stack.enter_async_context(page(hub, "VA-1", "deliveries"))
        notify({"VA-1"}, "deliveries")
        assert (await event(stream))["pause"] == pause


@in_loop
async def test_changes_of_a_page_that_does_not_read_become_one_event(hub: Hub) -> None:
    async with page(hub, "VA-1", "deliveries") as slow, page(hub, "VA-1", "deliveries") as other:
        for _ in range(3):
            notify({"VA-1"}, "deliveries")
            await changed(other)
        assert await changed(slow) == {"deliveries"}
        assert await is_quiet(slow)


@in_loop
async def test_further_pages_are_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MAX_PAGES", 1)
    async with page(hub, "VA-1", "deliveries"):
        assert hub.is_full
        with pytest.raises(StopAsyncIteration):
            await anext(hub.events("VA-1", frozenset({"deliveries"})))
    assert not hub.is_full


@in_loop
async def test_quiet_stream_gets_comments_and_ends_in_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "KEEP_ALIVE", 0.01)
    monkeypatch.setattr(hubs, "LIFETIME", 0.05)
    async with page(hub, "VA-1", "deliveries") as stream:
        pieces = [piece async for piece in stream]
        assert pieces and set(pieces) == {b":\n\n"}
