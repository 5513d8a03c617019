"""The open pages of this process, and the events that tell them what has changed.

An event names topics of the page and has no content: the page requests again what it shows. A page
needs no thread and no database connection. Everything runs in the event loop of the web server,
except `receive`, which other threads call.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

from portal.live import topic_messages
from requests_queue import topics
from requests_queue.topics import Notice

MAX_PAGES = 300
GATHER = 0.02  # seconds for which notices are gathered
INTERVAL = 0.2  # seconds between two events of a page
# Seconds for which a page waits between two requests of a part, unless its own action is the cause.
# The more pages are open, the longer each waits: all of them send so many requests per second.
PAUSE, REQUESTS = 2.0, 10
# Seconds without an event until a comment is sent: proxies close idle connections.
KEEP_ALIVE = 15.0
# Seconds after which a stream ends and the browser opens another one, which checks the session.
LIFETIME = 300.0
_RETRY = 2000  # milliseconds after which the browser does


@dataclass(eq=False, slots=True)
class Page:
    """An open page, its topics, and those that have changed since its last event."""

    account: str
    topics: frozenset[str]
    changed: set[str] = field(default_factory=set)
    is_ended: bool = False
    # Set when topics have changed, or the stream ends.
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """The pages of one event loop; it listens while there are any."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pages: set[Page] = set()
        self._messages: topic_messages.Subscription | None = None
        self._next_at = 0.0
        # Filled by other threads: the changed topics by accounts.
        self._guard = threading.Lock()
        self._received: defaultdict[frozenset[str] | None, set[str]] = defaultdict(set)

    @property
    def is_full(self) -> bool:
        """Whether no page can be added."""
        return len(self._pages) >= MAX_PAGES

    async def events(self, account: str, shown: frozenset[str]) -> AsyncGenerator[bytes]:
        """Yield the events of a page of an account that shows these topics.

        The first one is about all of them, since they may have changed after the page was read.
        The data of an event is JSON: `topics`, which have changed, and `pause`, the seconds for
        which the page waits between two requests of a part.
        """
        if self.is_full:
            return
        loop = asyncio.get_running_loop()
        page = Page(account, shown, set(shown))
        page.woken.set()
        self._add(page, loop)
        try:
            if self._messages is not None and not await self._messages.is_open():
                return
            yield b"retry: %d\n\n" % _RETRY
            ends_at = loop.time() + LIFETIME
            while not page.is_ended and loop.time() < ends_at:
                with suppress(TimeoutError):
                    await asyncio.wait_for(page.woken.wait(), KEEP_ALIVE)
                if not page.woken.is_set():
                    yield b":\n\n"
                    continue
                page.woken.clear()
                if page.changed:
                    pause = max(PAUSE, len(self._pages) / REQUESTS)
                    data = {"topics": sorted(page.changed), "pause": pause}
                    page.changed.clear()
                    yield f"event: live\ndata: {json.dumps(data)}\n\n".encode()
        finally:
            self._remove(page)

    def receive(self, notice: Notice) -> None:
        """Take a notice; called by any thread."""
        with self._guard:
            loop, is_first = self._loop, not self._received
            if loop is None:
                return
            self._received[notice.accounts] |= notice.topics
        if is_first:
            # RuntimeError: the loop has ended.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._schedule, loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_at(max(loop.time() + GATHER, self._next_at), self._send, loop)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the pages whose topics have changed."""
        self._next_at = loop.time() + INTERVAL
        with self._guard:
            received, self._received = self._received, defaultdict(set)
        for accounts, changed in received.items():
            notice = Notice(accounts, frozenset(changed))
            for page in self._pages:
                if matching := notice.matches(page.account, page.topics):
                    page.changed |= matching
                    page.woken.set()

    def _add(self, page: Page, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            self._close()
            self._loop, self._next_at = loop, 0.0
            topics.LISTENERS.append(self.receive)
            self._messages = topic_messages.subscribe(self.receive, self._end_all)
        self._pages.add(page)

    def _remove(self, page: Page) -> None:
        self._pages.discard(page)
        if not self._pages:
            self._close()

    def _close(self) -> None:
        if self._loop is None:
            return
        topics.LISTENERS.remove(self.receive)
        if self._messages is not None:
            self._messages.close()
            self._messages = None
        self._pages.clear()
        with self._guard:
            self._loop = None
            self._received.clear()

    def _end_all(self) -> None:
        """End all streams: what other processes change does not arrive, so pages shall poll."""
        for page in self._pages:
            page.is_ended = True
            page.woken.set()


hub = Hub()
