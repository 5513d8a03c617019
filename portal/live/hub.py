"""The open pages of this process, and the events that tell them what has changed.

An event names topics of the page and has no content: the page requests again what it shows. A page
costs an entry in a dict. Everything runs in the event loop of the web server, except `receive` and
`note_cost`, which other threads call. Notices are gathered, so that a page gets at most five events
per second. The CPU time of the requests that follow is limited for all pages together, because many
pages would otherwise slow down the API. Pages that wait get their events at the same time, so that
they can share what is rendered for them (`portal.live.shared_responses`): those of an account
always do.

A stream begins with an event about everything that its page shows, unless nothing has changed since
the page was read. With one process the changes are counted for that, from the page on.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

from requests_queue import topics
from requests_queue.topics import Notice
from webhooks import topic_messages
from webhooks.delivery import wakeup

MAX_PAGES = 300
INTERVAL = 0.2  # seconds between two events of the pages of an account
# CPU seconds per second that the requests after events may take, and after a pause.
RATE, BURST = 0.15, 0.5
FIRST_COST = 0.003  # CPU seconds of such a request, until there are measured ones
# Weight of the latest measured request: one in a hundred may read what the others share.
_SMOOTHING = 0.02
GATHER = 0.02  # seconds for which notices are gathered
# Seconds without an event until a comment is sent: proxies close idle connections.
KEEP_ALIVE = 15.0
# Seconds without an event until a page gets one of all its topics, since time alone changes pages.
CHECK = 60.0
# Seconds after which a stream ends and the browser opens another one, which checks the session.
LIFETIME = 600.0
# Seconds for which changes are counted after a page, whose stream follows.
COUNT = 30.0
_RETRY = 2000  # milliseconds after which the browser does


@dataclass(eq=False, slots=True)
class Page:
    """An open page, its topics, and those that have changed since its last event."""

    account: str
    topics: frozenset[str]
    changed: set[str] = field(default_factory=set)
    sent_at: float = 0.0
    is_ended: bool = False
    # Set when an event may be sent, or the stream ends.
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """The pages of one event loop; it listens while there are any, and for a while after each page
    that `note_page` has noted."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pages: set[Page] = set()
        # Those with changes, in the order of their first one.
        self._changed: dict[Page, None] = {}
        # By account: when the next event may be sent, and the version of the latest one.
        self._next_at: dict[str, float] = {}
        self._sent_versions: dict[str, int | None] = {}
        # CPU seconds that may be spent, and what an event costs.
        self._budget, self._counted_at = BURST, 0.0
        self._cost = FIRST_COST
        self._timer: asyncio.TimerHandle | None = None
        self._messages: topic_messages.Subscription | None = None
        # Filled by other threads.
        self._guard = threading.Lock()
        self._received: list[Notice] = []
        # How many notices were about each account, and about all.
        self._versions: Counter[str | None] = Counter()
        # Whether notices of all changes arrive: a page has its stream.
        self._is_listening = False
        # Whether notices of this process arrive, and until when they do without a stream.
        self._is_receiving, self._counts_until = False, 0.0
        # Versions of other processes mean nothing here.
        self._process = secrets.token_hex(4)

    def note_page(self, account: str) -> str:
        """Return the version of what a page is about to read, for `events`; empty with several
        processes, whose changes don't arrive without a stream. Called by any thread."""
        if not wakeup.is_broker_in_memory():
            return ""
        with self._guard:
            self._counts_until = time.monotonic() + COUNT
            self._start_receiving()
            return self._page_version(account)

    def version(self, account: str) -> int | None:
        """Return a number that grows with each notice about the account, at once and before its
        pages get an event; None while nothing is received. Called by any thread."""
        with self._guard:
            if not self._is_listening:
                return None
            return self._count(account)

    def sent_version(self, account: str) -> int | None:
        """Return the version of the latest event of the account's pages; None without one. Called
        in the event loop."""
        return self._sent_versions.get(account)

    @property
    def is_full(self) -> bool:
        """Whether no page can be added."""
        return len(self._pages) >= MAX_PAGES

    async def events(
        self, account: str, shown: frozenset[str], version: str = ""
    ) -> AsyncGenerator[bytes]:
        """Yield the events of a page of an account that shows these topics, in a version."""
        if self.is_full:
            return
        loop = asyncio.get_running_loop()
        page = Page(account, shown, sent_at=loop.time())
        self._add(page, loop)
        try:
            if self._messages is not None and not await self._messages.is_open():
                return
            self._is_listening = True
            yield b"retry: %d\nevent: ready\ndata: ready\n\n" % _RETRY
            with self._guard:
                is_current = version == self._page_version(account)
            if not is_current:
                self._change(page)
            ends_at = loop.time() + LIFETIME
            while not page.is_ended and loop.time() < ends_at:
                with suppress(TimeoutError):
                    await asyncio.wait_for(page.woken.wait(), KEEP_ALIVE)
                is_woken = page.woken.is_set()
                page.woken.clear()
                if not is_woken or not page.changed:
                    yield b":\n\n"
                    if loop.time() - page.sent_at > CHECK:
                        self._change(page)
                    continue
                changed = " ".join(sorted(page.changed))
                page.changed.clear()
                yield f"event: live\ndata: {changed}\n\n".encode()
        finally:
            self._remove(page)

    def receive(self, notice: Notice) -> None:
        """Take a notice; called by any thread."""
        with self._guard:
            self._versions.update([None] if notice.accounts is None else notice.accounts)
            loop = self._loop
            if loop is None:
                if time.monotonic() > self._counts_until:
                    self._stop_receiving()
                return
            self._received.append(notice)
            is_first = len(self._received) == 1
        if is_first:
            # RuntimeError: the loop has ended.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.call_later, GATHER, self._take)

    def note_cost(self, seconds: float) -> None:
        """Take the CPU time of a request for a part of a page; called by any thread."""
        # No more than the budget ever has.
        self._cost = min(BURST, self._cost + _SMOOTHING * (seconds - self._cost))

    def _change(self, page: Page) -> None:
        """Tell a page that anything may have changed."""
        page.changed |= page.topics
        self._changed[page] = None
        self._send()

    def _add(self, page: Page, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            self._close()
            self._loop = loop
            with self._guard:
                self._start_receiving()
            self._messages = topic_messages.subscribe(self.receive, self._end_all)
        self._pages.add(page)

    def _remove(self, page: Page) -> None:
        self._pages.discard(page)
        self._changed.pop(page, None)
        if not self._pages:
            self._close()

    def _close(self) -> None:
        if self._loop is None:
            return
        self._loop = None
        if self._messages is not None:
            self._messages.close()
            self._messages = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pages.clear()
        self._changed.clear()
        self._next_at.clear()
        self._sent_versions.clear()
        with self._guard:
            self._received.clear()
            self._is_listening = False
            if time.monotonic() > self._counts_until:
                self._stop_receiving()

    def _start_receiving(self) -> None:
        if not self._is_receiving:
            self._is_receiving = True
            topics.LISTENERS.append(self.receive)

    def _stop_receiving(self) -> None:
        if self._is_receiving:
            self._is_receiving = False
            topics.LISTENERS.remove(self.receive)
            # What changes from now on is not counted.
            self._versions[None] += 1

    def _count(self, account: str) -> int:
        return self._versions[account] + self._versions[None]

    def _page_version(self, account: str) -> str:
        return f"{self._process}.{self._count(account)}"

    def _end_all(self) -> None:
        """End all streams: what other processes change does not arrive, so pages shall poll."""
        for page in self._pages:
            page.is_ended = True
            page.woken.set()

    def _take(self) -> None:
        """Note the changed topics of each page."""
        with self._guard:
            notices, self._received = self._received, []
        for notice in _merged(notices):
            for page in self._pages:
                if changed := notice.matches(page.account, page.topics):
                    page.changed |= changed
                    self._changed[page] = None
        self._send()

    def _send(self) -> None:
        """Wake the pages that may get an event now, and come back for the others."""
        loop = self._loop
        if loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        self._budget = min(BURST, self._budget + (now - self._counted_at) * RATE)
        self._counted_at = now
        later, sent = now + INTERVAL, set[str]()
        for page in list(self._changed):
            if self._budget < self._cost:
                # Until it is enough for all of them, or full.
                wanted = min(BURST, self._cost * len(self._changed))
                later = now + (wanted - self._budget) / RATE
                break
            if (next_at := self._next_at.get(page.account, 0.0)) > now:
                later = min(later, next_at)
                continue
            self._budget -= self._cost
            del self._changed[page]
            page.sent_at = now
            page.woken.set()
            sent.add(page.account)
        for account in sent:
            self._next_at[account] = now + INTERVAL
            self._sent_versions[account] = self.version(account)
        if self._changed:
            self._timer = loop.call_at(later, self._send)


def _merged(notices: list[Notice]) -> list[Notice]:
    """Return one notice for the same accounts."""
    merged: dict[frozenset[str] | None, set[str]] = {}
    for notice in notices:
        merged.setdefault(notice.accounts, set()).update(notice.topics)
    return [Notice(accounts, frozenset(changed)) for accounts, changed in merged.items()]


hub = Hub()
