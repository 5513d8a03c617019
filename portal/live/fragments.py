"""Parts of pages that open pages of the same account share: rendered once after each change.

After a change, all open pages of an account request the same part at about the same time. The first
request renders it; the others get its bytes, which costs a fraction, until anything of the account
changes. Without an open page in this process no notices arrive, and nothing is shared. Most of the
others don't even reach Django: see `portal.live.shared_responses`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse

from portal import pages
from portal.live.hub import Hub
from portal.live.open_sessions import open_sessions
from portal.live.shared_responses import MAX_AGE, OFFERS, Offer

MAX_PARTS = 64

# Returns the digest of a part, which requests send as `seen`, and what renders it.
Load = Callable[[], tuple[str, Callable[[], HttpResponse]]]


@dataclass(slots=True)
class _Slot:
    """The latest part of one URL, and the state of the hub that it was read after."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    digest: str = ""
    content: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    version: int | None = None
    read_at: float = 0.0


class SharedParts:
    """The parts of this process, by account, URL and encoding; the oldest make room."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._guard = threading.Lock()
        self._slots: OrderedDict[tuple[str, str, bool], _Slot] = OrderedDict()

    def respond(self, request: HttpRequest, account: str, load: Load) -> HttpResponse:
        """Return the part, or 204 if the page has it; it must be the same for all users of the
        account."""
        seen = request.GET.get("seen")
        if self._hub.version(account) is None:
            digest, render = load()
            return pages.empty() if seen == digest else render()
        slot = self._slot(request, account)
        # Requests that come at the same time wait for the first one.
        with slot.lock:
            self._refresh(slot, seen, account, load)
            _offer(request, account, slot)
            if seen == slot.digest or slot.content is None:
                return pages.empty()
            response = HttpResponse(slot.content)
        for name, value in slot.headers:
            response[name] = value
        return response

    def _refresh(self, slot: _Slot, seen: str | None, account: str, load: Load) -> None:
        """Render the part unless it is fresh; only its digest if the page has it."""
        # Read before the database, so that a change meanwhile makes the part stale.
        version, now = self._hub.version(account), time.monotonic()
        is_fresh = version == slot.version is not None and now - slot.read_at < MAX_AGE
        if is_fresh and (slot.content is not None or seen == slot.digest):
            return
        slot.version = slot.content = None
        slot.digest, render = load()
        if seen != slot.digest:
            response = render()
            slot.content, slot.headers = response.content, tuple(response.items())
        slot.version, slot.read_at = version, now

    def _slot(self, request: HttpRequest, account: str) -> _Slot:
        query = request.GET.copy()
        query.pop("seen", None)
        zips = "gzip" in request.headers.get("Accept-Encoding", "")
        key = (account, f"{request.path}?{query.urlencode()}", zips)
        with self._guard:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            if len(self._slots) > MAX_PARTS:
                self._slots.popitem(last=False)
        return slot


def _offer(request: HttpRequest, account: str, slot: _Slot) -> None:
    """Offer the response to the other sessions that are still valid, if the web server asks."""
    offers = request.META.get("asgi.scope", {}).get(OFFERS)
    if offers is not None and slot.version is not None:
        # After the part has been read.
        checked_at, sessions = time.monotonic(), open_sessions.valid(account)
        offers.append(Offer(slot.digest, slot.version, slot.read_at, sessions, checked_at))
