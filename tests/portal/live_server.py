"""A server with open pages: which requests for their parts reach Django."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client

from portal.live import shared_responses
from portal.live.open_sessions import open_sessions
from requests_queue import topics
from requests_queue.catalog.models import User
from tests import make
from tests.engines import until
from tests.portal.event_streams import EventStream, open_stream
from tests.runtime.serving import serving

LOG = "/deliveries/"


@dataclass
class Server:
    """A running server, and the paths that Django has answered."""

    url: str = ""
    answered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._django = get_wsgi_application()

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        self.answered.append(environ["PATH_INFO"])
        return self._django(environ, start)

    def get(self, client: Client, path: str = LOG, **headers: str) -> requests.Response:
        """Request a part of a page as htmx does."""
        sent = {"Host": "localhost", "HX-Request": "true", "Cookie": cookies(client), **headers}
        return requests.get(f"{self.url}{path}", headers=sent, timeout=10, allow_redirects=False)

    def by_django(self, client: Client, path: str = LOG, **headers: str) -> requests.Response:
        """Request a part, which Django must answer."""
        before = len(self.answered)
        response = self.get(client, path, **headers)
        assert len(self.answered) == before + 1
        return response

    def by_loop(self, client: Client, path: str = LOG, **headers: str) -> requests.Response:
        """Request a part, which must not reach Django."""
        before = len(self.answered)
        response = self.get(client, path, **headers)
        assert len(self.answered) == before
        return response


def cookies(client: Client) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # The tests end it by a change.
    monkeypatch.setattr(shared_responses, "MAX_AGE", 60.0)
    # The data of the test before has been removed without a notice.
    topics.deliver(topics.Notice(None, frozenset({topics.EVERYTHING})))
    server = Server()
    with serving(server, settings, threads=2) as server.url:
        yield server
    until(lambda: not open_sessions, "no stream is left")
    connections.close_all()


@pytest.fixture
def catalog(db: None) -> make.Catalog:
    return make.catalog("1")


def colleague(catalog: make.Catalog, n: int = 1, **values: Any) -> User:
    return User.objects.create(
        username=f"colleague-{n}", uid=f"UR-990-000-{n:03}",
        **{"account": catalog.vendor, **values},
    )  # fmt: skip


@contextlib.contextmanager
def opened(server: Server, *clients: Client) -> Iterator[list[EventStream]]:
    """Open a page of each client, which has got its first events."""
    with contextlib.ExitStack() as stack:
        streams = []
        for client in clients:
            stream = stack.enter_context(open_stream(server.url, cookies(client), "deliveries"))
            assert [stream.next(), stream.next()] == [{"ready"}, {"deliveries"}]
            streams.append(stream)
        yield streams


def change(account: str, *streams: EventStream) -> None:
    """Announce a change, and wait for its event on all pages."""
    topics.announce({account}, "deliveries")
    for stream in streams:
        assert stream.next() == {"deliveries"}
