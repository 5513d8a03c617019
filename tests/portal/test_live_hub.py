"""The pace of events: gathered, at most five per second for a page, and each page in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from portal.live import hub as hubs
from portal.live.hub import Hub
from requests_queue import topics
from requests_queue.topics import Notice
from webhooks.delivery import wakeup


def run(test: Callable[[Hub], Awaitable[None]]) -> None:
    """Run a test with a hub of its own, and check that nothing is left of it."""
    hub = Hub()
    asyncio.run(test(hub))  # type: ignore[arg-type]
    assert hub.receive not in topics.LISTENERS


async def opened(hub: Hub, account: str, *shown: str) -> AsyncGenerator[bytes]:
    """Return the stream of a page after its first events."""
    stream = hub.events(account, frozenset(shown))
    assert b"event: ready" in await anext(stream)
    # What has changed before the stream was opened.
    assert await changed(stream) == set(shown)
    return stream


def notify(accounts: set[str] | None, *changed: str) -> None:
    known = None if accounts is None else frozenset(accounts)
    topics.deliver(Notice(known, frozenset(changed)))


async def changed(stream: AsyncGenerator[bytes]) -> set[str]:
    """Return the topics of the next event."""
    async with asyncio.timeout(5):
        event = await anext(stream)
    assert event.startswith(b"event: live\ndata: ")
    return set(event.decode().splitlines()[1].removeprefix("data: ").split())


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


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeup, "is_broker_in_memory", lambda: True)


def test_page_without_a_change_since_gets_no_event(one_process: None) -> None:
    async def test(hub: Hub) -> None:
        version = hub.note_page("VA-1")
        notify({"VA-2"}, "webhooks")
        stream = hub.events("VA-1", frozenset({"webhooks"}), version)
        assert b"event: ready" in await anext(stream)
        assert await is_quiet(stream)
        await stream.aclose()
        # Another page of the same version, after the stream.
        stream = hub.events("VA-1", frozenset({"webhooks"}), version)
        assert b"event: ready" in await anext(stream)
        notify({"VA-1"}, "webhooks")
        assert await changed(stream) == {"webhooks"}
        hub._counts_until = 0.0
        await stream.aclose()

    run(test)


@pytest.mark.parametrize("accounts", [{"VA-1"}, {"VA-1", "VA-2"}, None])
def test_change_between_a_page_and_its_stream_is_an_event(
    one_process: None, accounts: set[str] | None
) -> None:
    async def test(hub: Hub) -> None:
        version = hub.note_page("VA-1")
        notify(accounts, "deliveries")
        stream = hub.events("VA-1", frozenset({"webhooks"}), version)
        assert b"event: ready" in await anext(stream)
        assert await changed(stream) == {"webhooks"}
        hub._counts_until = 0.0
        await stream.aclose()

    run(test)


def test_changes_are_counted_for_a_while_only(
    one_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "COUNT", -1.0)

    async def test(hub: Hub) -> None:
        version = hub.note_page("VA-1")
        notify({"VA-2"}, "webhooks")
        assert hub.receive not in topics.LISTENERS
        # What came after that is not known.
        stream = hub.events("VA-1", frozenset({"webhooks"}), version)
        assert b"event: ready" in await anext(stream)
        assert await changed(stream) == {"webhooks"}
        await stream.aclose()

    run(test)


def test_version_of_another_process_is_not_current(one_process: None) -> None:
    async def test(hub: Hub) -> None:
        other = Hub()
        version = other.note_page("VA-1")
        other._counts_until = 0.0
        stream = hub.events("VA-1", frozenset({"webhooks"}), version)
        assert b"event: ready" in await anext(stream)
        assert await changed(stream) == {"webhooks"}
        notify({"VA-1"}, "webhooks")
        assert other.receive not in topics.LISTENERS
        await stream.aclose()

    run(test)


def test_pages_have_no_version_with_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeup, "is_broker_in_memory", lambda: False)
    hub = Hub()
    assert hub.note_page("VA-1") == ""
    assert hub.receive not in topics.LISTENERS


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


def test_pages_of_an_account_get_their_events_together() -> None:
    async def test(hub: Hub) -> None:
        loop = asyncio.get_running_loop()
        first = await opened(hub, "VA-1", "deliveries")
        second = await opened(hub, "VA-1", "deliveries")
        other = await opened(hub, "VA-2", "deliveries")
        assert hub.sent_version("VA-3") is None
        notify({"VA-1", "VA-2"}, "deliveries")
        assert hub.sent_version("VA-1") != hub.version("VA-1")
        times = []
        for stream in (first, second):
            assert await changed(stream) == {"deliveries"}
            times.append(loop.time())
        assert times[1] - times[0] < hubs.INTERVAL / 2
        assert hub.sent_version("VA-1") == hub.version("VA-1")
        # Pages of another account don't wait for them.
        assert await changed(other) == {"deliveries"}
        for stream in (first, second, other):
            await stream.aclose()
        assert hub.sent_version("VA-1") is None

    run(test)


def test_many_pages_share_the_cpu_time_and_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "INTERVAL", 0.0)
    monkeypatch.setattr(hubs, "RATE", 1.0)

    async def test(hub: Hub) -> None:
        streams = [await opened(hub, "VA-1", "deliveries") for _ in range(10)]
        for _ in range(200):
            hub.note_cost(0.01)
        hub._budget, hub._counted_at = 0.035, asyncio.get_running_loop().time()
        began = asyncio.get_running_loop().time()
        notify({"VA-1"}, "deliveries")
        events = await asyncio.gather(*(changed(stream) for stream in streams))
        assert events == [{"deliveries"}] * 10
        # Three at once, and seven together when the budget is enough for them.
        assert asyncio.get_running_loop().time() - began >= 0.06
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
