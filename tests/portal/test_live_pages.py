"""`/live/` at the socket: who may open a stream, what it tells, and what it costs."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections, transaction
from django.test import Client

from connect_sim import web
from portal.live import hub as hubs
from requests_queue import topics
from sandbox.clock import moves
from tests import make
from tests.engines import until
from tests.portal.event_streams import EventStream, open_stream
from tests.processes import free_port
from tests.runtime.serving import serving
from tests.signed_in import signed_in
from webhooks import actions

pytestmark = pytest.mark.django_db(transaction=True)


def cookies(client: Client) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


@pytest.fixture
def vendor(catalog: make.Catalog) -> str:
    """The cookies of a user of the vendor."""
    return cookies(signed_in(catalog.vendor_user))


@pytest.fixture
def url(settings: Any) -> Iterator[str]:
    with serving(get_wsgi_application(), settings, threads=2) as address:
        yield address


@contextlib.contextmanager
def ready(url: str, cookies: str, *names: str) -> Iterator[EventStream]:
    with open_stream(url, cookies, *names) as stream:
        assert stream.status == 200
        # They may have changed after the page was read.
        assert stream.next() == set(names)
        yield stream


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cookie": ""}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Host": "elsewhere.example"}, 400),
        ({"Origin": "http://localhost"}, 200),
    ],
)
def test_stream_is_for_signed_in_users_of_this_site(
    url: str, vendor: str, headers: dict[str, str], status: int
) -> None:
    with open_stream(url, vendor, "webhooks", **headers) as stream:
        assert stream.status == status
        if status == 200:
            expected = {
                "content-type": "text/event-stream",
                "cache-control": "no-store",
                "x-accel-buffering": "no",
            }
            assert {name: stream.headers[name] for name in expected} == expected


def test_user_without_an_account_gets_403(url: str, catalog: make.Catalog) -> None:
    user = catalog.vendor_user
    user.account = None
    user.save()
    with open_stream(url, cookies(signed_in(user)), "webhooks") as stream:
        assert stream.status == 403


@pytest.mark.parametrize(
    "names", [(), ("<b>",), ("a:" + "b" * 41,), tuple("abcdefghijklmnopqrstu")]
)
def test_other_topics_get_400(url: str, vendor: str, names: tuple[str, ...]) -> None:
    with open_stream(url, vendor, *names) as stream:
        assert stream.status == 400


def test_other_servers_and_methods_have_no_streams(catalog: make.Catalog) -> None:
    client = signed_in(catalog.vendor_user)
    responses = client.get("/live/?topics=webhooks"), client.post("/live/?topics=webhooks")
    assert [response.status_code for response in responses] == [503, 405]


def test_stream_ends_and_the_next_one_checks_the_session(
    url: str, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "LIFETIME", 0.0)
    client = signed_in(catalog.vendor_user)
    sent = cookies(client)
    with open_stream(url, sent, "webhooks") as stream:
        assert stream.status == 200 and stream.ends()
    client.post("/sign-out/")
    with open_stream(url, sent, "webhooks") as stream:
        assert stream.status == 403


def test_full_server_lets_pages_poll(
    url: str, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "MAX_PAGES", 1)
    with ready(url, vendor, "webhooks"), open_stream(url, vendor, "webhooks") as second:
        assert second.status == 503 and second.headers["retry-after"]


def test_commit_is_an_event_within_300_ms_and_a_rollback_is_none(
    url: str, vendor: str, catalog: make.Catalog
) -> None:
    hook = make.webhook(catalog, "http://127.0.0.1:9/")
    with ready(url, vendor, f"webhooks:{hook.pk}", "objects") as stream:
        with contextlib.suppress(RuntimeError), transaction.atomic():
            actions.edit(hook.pk, catalog.vendor_user, {"label": "Rolled back"})
            raise RuntimeError
        topics.announce({catalog.vendor.pk}, topics.OBJECTS)
        assert stream.next() == {"objects"}
        durations = []
        for n in range(5):
            actions.edit(hook.pk, catalog.vendor_user, {"label": f"Committed {n}"})
            began = time.monotonic()
            assert stream.next() == {f"webhooks:{hook.pk}"}
            durations.append(time.monotonic() - began)
        # The machine may be busy for a moment.
        assert statistics.median(durations) < 0.3


def test_move_of_the_clock_is_an_event_of_every_page(
    url: str, vendor: str, catalog: make.Catalog
) -> None:
    with ready(url, vendor, "objects:PR-1") as stream:
        moves.release(catalog.vendor.created)
        assert stream.next() == {"objects:PR-1"}


def test_hundred_streams_hold_no_thread_and_no_connection(
    url: str, vendor: str, catalog: make.Catalog
) -> None:
    hook = make.webhook(catalog, "http://127.0.0.1:9/")
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(ready(url, vendor, "webhooks")) for _ in range(100)]
        names = [thread.name for thread in threading.enumerate()]
        assert sum(name.startswith("web-") for name in names) <= 2
        assert len(hubs.hub._pages) == 100
        actions.edit(hook.pk, catalog.vendor_user, {"label": "Changed"})
        assert streams[0].next() == {"webhooks"}
    until(lambda: not hubs.hub._pages, "the streams of clients that left end")
    connections.close_all()


def test_stopping_server_ends_streams_at_once(settings: Any, vendor: str) -> None:
    settings.SIM_BIND = f"127.0.0.1:{free_port()}"
    server = web.Web(get_wsgi_application(), 1)
    server.start()
    with ready(f"http://{settings.SIM_BIND}", vendor, "webhooks") as stream:
        began = time.monotonic()
        server.stop()
        assert stream.ends()
        assert time.monotonic() - began < web.GRACE
    assert not server.is_running()
