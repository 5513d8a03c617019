"""Parts of pages that the event loop answers: who gets them, and when Django answers instead."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from django.contrib.sessions.models import Session
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client
from django.utils import timezone

from portal.live import shared_responses
from portal.live.hub import hub
from portal.live.open_sessions import open_sessions
from requests_queue import topics
from requests_queue.catalog.models import User
from tests import make
from tests.engines import until
from tests.portal.event_streams import EventStream, open_stream
from tests.runtime.serving import serving
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

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


def sign_out(client: Client, user: User, catalog: make.Catalog) -> None:
    assert client.post("/sign-out/").status_code == 303


def expire(client: Client, user: User, catalog: make.Catalog) -> None:
    Session.objects.filter(pk=client.session.session_key).update(expire_date=timezone.now())


def change_password(client: Client, user: User, catalog: make.Catalog) -> None:
    user.set_password("another one")
    user.save()


def deactivate(client: Client, user: User, catalog: make.Catalog) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def move_account(client: Client, user: User, catalog: make.Catalog) -> None:
    User.objects.filter(pk=user.pk).update(account=catalog.provider)


def make_service(client: Client, user: User, catalog: make.Catalog) -> None:
    User.objects.filter(pk=user.pk).update(is_service=True)


def delete(client: Client, user: User, catalog: make.Catalog) -> None:
    user.delete()


@pytest.mark.parametrize(
    "end", [sign_out, expire, change_password, deactivate, move_account, make_service, delete]
)
def test_session_that_has_ended_gets_no_later_change(
    server: Server,
    catalog: make.Catalog,
    end: Callable[[Client, User, make.Catalog], None],
) -> None:
    user = colleague(catalog)
    first, second = signed_in(catalog.vendor_user), signed_in(user)
    sent = cookies(second)
    with opened(server, first, second) as streams:
        server.by_django(first)
        server.by_loop(second)
        end(second, user, catalog)
        second.cookies.load(sent)
        change(catalog.vendor.pk, *streams)
        server.by_django(first)
        # Who acts as another account now gets the log of that one.
        expected = 200 if end is move_account else 403
        assert server.by_django(second).status_code == expected
        server.by_loop(first)


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


def test_ended_session_that_asks_first_does_not_keep_others_from_sharing(
    server: Server, catalog: make.Catalog
) -> None:
    first, second, ended = (signed_in(colleague(catalog, n)) for n in range(3))
    with opened(server, first, second, ended) as streams:
        server.by_django(first)
        Session.objects.filter(pk=ended.session.session_key).delete()
        change(catalog.vendor.pk, *streams)
        assert server.by_django(ended).status_code == 403
        server.by_django(first)
        server.by_loop(second)
        assert open_sessions.account(ended.cookies["sessionid"].value) is None
