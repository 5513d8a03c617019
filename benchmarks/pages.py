"""Open pages: each has a stream of events, and requests the log again after an event, as htmx."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter

import aiohttp

_SEEN = re.compile(r"[?&;]seen=([0-9a-f]+)")
_pages: list[asyncio.Task[None]] = []
_counts: Counter[str] = Counter()


async def _show(url: str, cookie: str, is_ready: asyncio.Event) -> None:
    """Read events, and request what has changed; ends with the first error only.

    As in portal/static/portal/live.js, it pauses between two requests for as long as events say.
    """
    pause, seen, has_changed = 0.0, "", asyncio.Event()

    async def read() -> None:
        nonlocal pause
        async with session.get("/live/?topics=deliveries") as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    pause = json.loads(line[6:])["pause"]
                    _counts["events"] += 1
                    is_ready.set()
                    has_changed.set()
        raise aiohttp.ClientPayloadError("The stream has ended.")

    async with (
        aiohttp.ClientSession(
            url,
            headers={"Cookie": cookie},
            timeout=aiohttp.ClientTimeout(total=None, sock_read=60),
            raise_for_status=True,
        ) as session,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(read())
        while True:
            await has_changed.wait()
            has_changed.clear()
            async with session.get(
                "/deliveries/", params={"seen": seen}, headers={"HX-Request": "true"}
            ) as response:
                if match := _SEEN.search(await response.text()):
                    seen = match[1]
            _counts["requests"] += 1
            await asyncio.sleep(pause * random.uniform(1, 1.25))


async def open_pages(url: str, cookies: list[str]) -> int:
    """Open a page for each session, and return how many have their stream."""
    ready = [asyncio.Event() for _ in cookies]
    for cookie, event in zip(cookies, ready, strict=True):
        _pages.append(asyncio.create_task(_show(url, cookie, event)))
    await asyncio.wait([asyncio.create_task(event.wait()) for event in ready], timeout=60)
    return sum(event.is_set() for event in ready)


def counts() -> dict[str, int]:
    """Return how many events the pages got, requests they sent, and pages that have failed."""
    return {**_counts, "errors": sum(page.done() for page in _pages)}
