"""Parts of pages that the event loop answers: who gets them, and when Django answers instead."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.test import Client

from portal.live import shared_responses
from portal.live.hub import hub
from requests_queue import topics
from tests import make
from tests.portal.live_server import (
    LOG,
    Server,
    catalog,
    change,
    colleague,
    cookies,
    opened,
    server,
)
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["catalog", "server"]


def test_pages_of_an_account_share_the_response_that_the_first_one_gets(
    server: Server, catalog: make.Catalog
) -> None:
    first, second = signed_in(catalog.vendor_user), signed_in(colleague(catalog))
    with opened(server, first, second) as streams:
        original = server.by_django(first)
        shared = server.by_loop(second)
        assert (shared.status_code, shared.content) == (200, original.content)
        names = {"content-security-policy", "cache-control", "vary", "x-frame-options"}
        assert names <= {name.lower() for name in shared.headers}
        assert {**original.headers, "date": ""} == {**shared.headers, "date": ""}
        make.webhook(catalog, "http://127.0.0.1:9/", label="New")
        change(catalog.vendor.pk, *streams)
        server.by_django(second)
        server.by_loop(first)


def test_page_that_has_the_part_gets_204(server: Server, catalog: make.Catalog) -> None:
    first, second = signed_in(catalog.vendor_user), signed_in(colleague(catalog))
    with opened(server, first, second):
        poll = server.by_django(first).text.partition('hx-get="')[2].partition('"')[0]
        assert "seen=" in poll
        response = server.by_loop(second, LOG + poll)
        assert (response.status_code, response.content) == (204, b"")
        assert server.by_loop(second, f"{LOG}?seen=older").status_code == 200


def test_filters_encodings_and_hosts_share_nothing(server: Server, catalog: make.Catalog) -> None:
    client = signed_in(catalog.vendor_user)
    with opened(server, client):
        server.by_django(client)
        server.by_django(client, f"{LOG}?q=state:failed")
        server.by_django(client, f"{LOG}?older=7")
        server.by_django(client, **{"Accept-Encoding": "identity"})
        server.by_django(client, Host="127.0.0.1")
        assert server.by_django(client, Host="elsewhere.example").status_code == 400
        assert server.by_loop(client, f"{LOG}?q=state:failed").status_code == 200


def test_page_itself_is_not_shared(server: Server, catalog: make.Catalog) -> None:
    client = signed_in(catalog.vendor_user)
    with opened(server, client):
        server.by_django(client)
        sent = {"Host": "localhost", "Cookie": cookies(client)}
        page = requests.get(f"{server.url}{LOG}", headers=sent, timeout=10)
        assert "<html" in page.text
        assert len(server.answered) == 3


def test_other_account_gets_its_own_part(server: Server, catalog: make.Catalog) -> None:
    other = make.catalog("2")
    mine, stranger = signed_in(catalog.vendor_user), signed_in(other.vendor_user)
    with opened(server, mine, stranger):
        server.by_django(mine)
        server.by_django(stranger)
        server.by_loop(stranger)


def test_session_without_an_open_page_is_checked_by_django(
    server: Server, catalog: make.Catalog
) -> None:
    first, second = signed_in(catalog.vendor_user), signed_in(colleague(catalog))
    with opened(server, first):
        server.by_django(first)
        server.by_django(second)
        assert server.by_django(Client()).status_code == 403


def test_administrator_is_served_by_django(server: Server, catalog: make.Catalog) -> None:
    root = signed_in(colleague(catalog, account=None, is_superuser=True))
    with opened(server, root):
        server.by_django(root)
        server.by_django(root)


def test_changed_session_of_the_same_user_remains_valid(
    server: Server, catalog: make.Catalog
) -> None:
    first, second = signed_in(catalog.vendor_user), signed_in(colleague(catalog))
    with opened(server, first, second) as streams:
        server.by_django(first)
        session = second.session
        session["dismissed_alarms"] = ["WH-1"]
        session.save()
        change(catalog.vendor.pk, *streams)
        server.by_django(first)
        server.by_loop(second)


def test_change_without_an_event_yet_does_not_end_a_response(
    server: Server, catalog: make.Catalog
) -> None:
    """Beside hundreds of changes per second, each event leads to one response for all pages."""
    client = signed_in(catalog.vendor_user)
    with opened(server, client) as [stream]:
        server.by_django(client)
        assert server.by_loop(client).status_code == 200
        version = hub.version(catalog.vendor.pk)
        topics.announce({catalog.vendor.pk}, "something else")
        assert hub.version(catalog.vendor.pk) != version
        server.by_loop(client)
        change(catalog.vendor.pk, stream)
        server.by_django(client)


def test_old_response_is_read_again(
    server: Server, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_responses, "MAX_AGE", 0.0)
    client = signed_in(catalog.vendor_user)
    with opened(server, client):
        server.by_django(client)
        server.by_django(client)


def test_requests_at_the_same_time_are_one_of_django(server: Server, catalog: make.Catalog) -> None:
    clients = [signed_in(colleague(catalog, n)) for n in range(8)]
    with opened(server, *clients) as streams:
        server.by_django(clients[0])
        change(catalog.vendor.pk, *streams)
        server.answered.clear()
        together = threading.Barrier(len(clients))

        def get(client: Client) -> int:
            together.wait(10)
            return server.get(client).status_code

        with ThreadPoolExecutor(len(clients)) as pool:
            assert set(pool.map(get, clients)) == {200}
        assert server.answered == [LOG]


def test_page_opened_after_the_part_was_read_gets_it(server: Server, catalog: make.Catalog) -> None:
    first, second = signed_in(catalog.vendor_user), signed_in(colleague(catalog))
    with opened(server, first):
        server.by_django(first)
        with opened(server, second):
            server.by_loop(second)
