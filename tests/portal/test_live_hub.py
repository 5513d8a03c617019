"""The pace of events: gathered, and at most five per second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from portal.live import hub as hubs
from portal.live.hub import Hub
from requests_queue import topics
from requests_queue.topics import Notice


def run(test: Callable[[Hub], Awaitable[None]]) -> None:
    """Run a test with a hub of its own, and check that nothing is left of it."""
    hub = Hub()
    asyncio.run(test(hub))  # type: ignore[arg-type]
    assert hub.receive not in topics.LISTENERS


async def opened(hub: Hub, account: str, *shown: str) -> AsyncGenerator[bytes]:
    """Return the stream of a page after its first events."""
    stream = hub.events(account, frozenset(shown))
    assert await anext(stream) == b"retry: 2000\n\n"
    # What may have changed before the stream was opened.
    assert await changed(stream) == set(shown)
    return stream


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


def test_page_gets_its_own_topics_only() -> None:
    async def test(hub: Hub) -> None:
        stream = await opened(hub, "VA-1", "deliveries:7", "webhooks")
        notify({"VA-1"}, "deliveries", "deliveries:8", "webhooks", "webhooks:WH-1")
        assert await changed(stream) == {"webhooks"}
        await stream.aclose()

    run(test)


def test_page_gets_no_event_of_another_account() -> None:
    async def test(hub: Hub) -> None:
        mine, other = await opened(hub, "VA-1", "webhooks"), await opened(hub, "VA-2", "webhooks")
        notify({"VA-2"}, "webhooks")
        assert await changed(other) == {"webhooks"}
        assert await is_quiet(mine)
        await mine.aclose()
        await other.aclose()

    run(test)


def test_move_of_the_clock_changes_everything_that_a_page_shows() -> None:
    async def test(hub: Hub) -> None:
        stream = await opened(hub, "VA-1", "webhooks", "objects:PR-1")
        notify(None, topics.EVERYTHING)
        assert await changed(stream) == {"webhooks", "objects:PR-1"}
        await stream.aclose()

    run(test)


def test_a_hundred_changes_are_one_event_and_the_next_is_a_fifth_of_a_second_later() -> None:
    async def test(hub: Hub) -> None:
        loop = asyncio.get_running_loop()
        stream = await opened(hub, "VA-1", "deliveries", "webhooks")
        for _ in range(100):
            notify({"VA-1"}, "deliveries")
            notify({"VA-1"}, "webhooks")
        assert await changed(stream) == {"deliveries", "webhooks"}
        first = loop.time()
        notify({"VA-1"}, "deliveries")
        assert await changed(stream) == {"deliveries"}
        assert loop.time() - first >= hubs.INTERVAL - hubs.GATHER
        assert await is_quiet(stream)
        await stream.aclose()

    run(test)


@pytest.mark.parametrize(("pages", "pause"), [(1, 2.0), (20, 2.0), (50, 5.0)])
def test_pages_wait_longer_the_more_are_open(pages: int, pause: float) -> None:
    async def test(hub: Hub) -> None:
        streams = [await opened(hub, "VA-1", "deliveries") for _ in range(pages)]
        notify({"VA-1"}, "deliveries")
        assert (await event(streams[0]))["pause"] == pause
        for stream in streams:
            await stream.aclose()

    run(test)


def test_changes_of_a_page_that_does_not_read_become_one_event() -> None:
    async def test(hub: Hub) -> None:
        slow, other = [await opened(hub, "VA-1", "deliveries") for _ in range(2)]
        for _ in range(3):
            notify({"VA-1"}, "deliveries")
            await changed(other)
        assert await changed(slow) == {"deliveries"}
        assert await is_quiet(slow)
        await slow.aclose()
        await other.aclose()

    run(test)


def test_further_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MAX_PAGES", 1)

    async def test(hub: Hub) -> None:
        stream = await opened(hub, "VA-1", "deliveries")
        assert hub.is_full
        with pytest.raises(StopAsyncIteration):
            await anext(hub.events("VA-1", frozenset({"deliveries"})))
        await stream.aclose()
        assert not hub.is_full

    run(test)


def test_quiet_stream_gets_comments_and_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "KEEP_ALIVE", 0.01)
    monkeypatch.setattr(hubs, "LIFETIME", 0.05)

    async def test(hub: Hub) -> None:
        stream = await opened(hub, "VA-1", "deliveries")
        pieces = [piece async for piece in stream]
        assert pieces and set(pieces) == {b":\n\n"}

    run(test)
