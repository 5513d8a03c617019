"""A client of `/live/`: it reads events as a browser does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import urlencode

from tests.runtime.serving import connect


@dataclass
class EventStream:
    """An open stream; `status` and `headers` are the response's."""

    response: HTTPResponse
    status: int
    headers: dict[str, str]

    def next(self) -> set[str]:
        """Wait for an event, and return its topics."""
        while True:
            line = self.response.readline()
            assert line, "the stream has ended"
            if line.startswith(b"data: "):
                return set(json.loads(line[6:])["topics"])

    def until(self, topic: str) -> None:
        """Wait for an event about the topic."""
        while topic not in self.next():
            pass

    def ends(self) -> bool:
        """Read the rest; return whether the server has ended the response in order."""
        self.response.read()
        return self.response.isclosed()


@contextmanager
def open_stream(
    url: str, cookies: str, *topics: str, timeout: float = 10, **headers: str
) -> Iterator[EventStream]:
    """Request the topics; `cookies` is the header."""
    lines = {"Host": "localhost", "Cookie": cookies, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with connect(url, timeout) as line:
        query = urlencode({"topics": " ".join(topics)})
        line.sendall(f"GET /live/?{query} HTTP/1.1\r\n{head}\r\n".encode())
        response = HTTPResponse(line)
        response.begin()
        names = {name.lower(): value for name, value in response.getheaders()}
        with response:
            yield EventStream(response, response.status, names)
