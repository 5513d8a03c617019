"""Open pages: each has a stream of events, and requests the log again after an event, as htmx."""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

from benchmarks.processes import serve

_PATH = "/deliveries/"
_SEEN = re.compile(rb"[?&;]seen=([0-9a-f]+)")
_BEGINNING = 4096  # bytes of a part in which the query is that requests it again
_pages: list[Page] = []


class Page:
    """A page in two threads: one reads events, the other requests what has changed.

    As in portal/static/portal/live.js, it pauses between two requests for as long as events say.
    """

    def __init__(self, port: int, cookie: str) -> None:
        self._headers = {"Cookie": cookie}
        self._port = port
        self._closing, self._pause = threading.Event(), 0.0
        self.events = self.requests = self.errors = 0
        self.is_ready, self._has_changed = threading.Event(), threading.Event()
        self._stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for run in (self._read, self._update):
            threading.Thread(target=self._run, args=[run], daemon=True).start()

    def close(self) -> None:
        """Close the page."""
        self._closing.set()
        self._has_changed.set()
        # To close it would wait for the thread that reads.
        if self._stream.sock is not None:
            with suppress(OSError):
                self._stream.sock.shutdown(socket.SHUT_RDWR)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            if not self._closing.is_set():
                self.errors += 1
                raise

    def _read(self) -> None:
        """Read events until the page is closed."""
        self._stream.request("GET", f"/live/?topics={quote('deliveries')}", None, self._headers)
        response = self._stream.getresponse()
        self._check(response)
        while line := response.readline():
            if line.startswith(b"data: "):
                self._pause = json.loads(line[6:])["pause"]
                self.events += 1
                self.is_ready.set()
                self._has_changed.set()
        if not self._closing.is_set():
            raise http.client.HTTPException("The stream has ended.")

    def _update(self) -> None:
        """Request the log whenever it has changed."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers, seen = {**self._headers, "HX-Request": "true", "Accept-Encoding": "gzip"}, ""
        while self._has_changed.wait() and not self._closing.is_set():
            self._has_changed.clear()
            connection.request("GET", f"{_PATH}?seen={seen}", None, headers)
            answer = connection.getresponse()
            self._check(answer)
            if match := _SEEN.search(_beginning(answer)):
                seen = match[1].decode()
            self.requests += 1
            self._closing.wait(self._pause * random.uniform(1, 1.25))

    def _check(self, response: http.client.HTTPResponse) -> None:
        """Count a response that is an error."""
        self.errors += not (200 <= response.status < 300)


def _beginning(response: http.client.HTTPResponse) -> bytes:
    """Read a response, and return the beginning of its content."""
    content = response.read()
    if response.headers["Content-Encoding"] != "gzip":
        return content
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, _BEGINNING)


def open_pages(port: int, cookies: list[str]) -> int:
    """Open a page for each session, and return how many have their stream."""
    opened = [Page(port, cookie) for cookie in cookies]
    _pages.extend(opened)
    return sum(page.is_ready.wait(60) for page in opened)


def close_pages() -> dict[str, int]:
    """Close all pages; return how many events they got, requests they sent, and errors."""
    for page in _pages:
        page.close()
    counts = {
        "events": sum(page.events for page in _pages),
        "requests": sum(page.requests for page in _pages),
        "errors": sum(page.errors for page in _pages),
    }
    _pages.clear()
    return counts


if __name__ == "__main__":
    serve({"open": open_pages, "close": close_pages})
