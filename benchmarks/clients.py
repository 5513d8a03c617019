"""Clients as processes: of the API, of open pages, and the baseline that posts signed bodies."""

import asyncio
import http.client
import json
import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import aiohttp
from requests import Session

_SEEN = re.compile(r"[?&;]seen=([0-9a-f]+)")
_pages: list[asyncio.Task[None]] = []
_counts = Counter(events=0, requests=0)


def post(posts: list[Any], count: int) -> dict[str, float]:
    """Post in a loop by one session; return the CPU seconds of a post, and posts per second.

    A tenth of the posts before them is the warm-up.
    """
    session = Session()
    for n in range(count // 10 + count):
        if n == count // 10:
            cpu, start = time.process_time(), time.monotonic()
        each = posts[n % len(posts)]
        session.post(each["url"], data=each["body"], headers=each["headers"]).raise_for_status()
    rate = count / (time.monotonic() - start)
    return {"cpu": (time.process_time() - cpu) / count, "rate": rate}


def get(url: str, path: str, key: str, clients: int, count: int) -> dict[str, float]:
    """Send `count` requests over `clients` connections; return p50 and p99 in seconds."""

    def send(_: int) -> list[float]:
        line = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        durations = []
        for _ in range(count // clients):
            start = time.monotonic()
            line.request("GET", path, headers={"Authorization": f"ApiKey {key}"})
            response = line.getresponse()
            response.read()
            assert response.status == 200, f"{path} returned {response.status}"
            durations.append(time.monotonic() - start)
        line.close()
        return durations

    with ThreadPoolExecutor(clients) as pool:
        ordered = sorted(value for sent in pool.map(send, range(clients)) for value in sent)
    p99 = ordered[len(ordered) * 99 // 100]
    return {"p50": median(ordered), "p99": p99, "count": len(ordered)}


async def open_pages(url: str, cookies: list[str]) -> int:
    """Open a page for each session, and return how many have their stream."""
    ready = [asyncio.Event() for _ in cookies]
    for cookie, event in zip(cookies, ready, strict=True):
        _pages.append(asyncio.create_task(_show(url, cookie, event)))
    await asyncio.wait([asyncio.create_task(event.wait()) for event in ready], timeout=60)
    return sum(event.is_set() for event in ready)


async def _show(url: str, cookie: str, is_ready: asyncio.Event) -> None:
    """Read a stream of events, and request the log again after an event, as htmx; ends with the
    first error only.

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


def counts() -> dict[str, int]:
    return {**_counts, "errors": sum(page.done() for page in _pages)}
