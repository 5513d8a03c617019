"""`GET /sandbox/timeline?wait=`: what a read that waits returns, and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections

from sandbox.timeline import timeline
from sandbox.timeline.observer import observer
from sandbox.timeline.timeline import Entry
from sandbox.waits import wait_responses
from tests import make
from tests.api import Caller, Response
from tests.background import threads
from tests.engines import until
from tests.sandbox.calling import catalog, client
from tests.sandbox.timeline.test_timeline import write

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_wait_remains() -> Iterator[None]:
    """Fail a test whose waits or thread remain."""
    yield
    assert not waiting()
    until(lambda: "observer" not in threads(), "the thread ends")


def waiting() -> int:
    return len(observer.waiting(wait_responses.reads))


class Background:
    """A read in a thread, which has its own client; it waits when this returns."""

    def __init__(self, client: Caller, query: str) -> None:
        self._client, self._query = Caller(client.key), query
        self._response: Response | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        before = waiting()
        self._thread.start()
        until(lambda: waiting() > before, "it waits")

    def result(self) -> Response:
        self._thread.join(20)
        assert self._response is not None
        return self._response

    def names(self) -> list[str]:
        assert self.result().status == 200
        return [entry["data"]["name"] for entry in self.result().json["entries"]]

    def _run(self) -> None:
        try:
            self._response = self._client.get(f"/sandbox/timeline?wait=30&{self._query}")
        finally:
            connections.close_all()


def get(client: Caller, query: str) -> Any:
    response = client.get(f"/sandbox/timeline?{query}")
    assert response.status == 200, response
    return response.json


def test_entries_that_exist_are_returned_at_once(client: Caller) -> None:
    start = timeline.now()
    write("a")
    assert get(client, f"since={start}&wait=600") == get(client, f"since={start}")
    assert len(get(client, "wait=600")["entries"]) == 1


def test_new_entry_ends_the_wait_with_the_page_of_a_plain_read(client: Caller) -> None:
    start = timeline.now()
    waiting = Background(client, f"since={start}")
    write("a", "b")
    assert waiting.names() == ["a", "b"]
    assert waiting.result().json == get(client, f"since={start}")


@pytest.mark.parametrize(
    "query", ["webhook=WH-1", "object=PR-1", "kind=hold,change", "webhook=WH-1&kind=change"]
)
def test_only_matching_entries_end_the_wait(client: Caller, query: str) -> None:
    waiting = Background(client, f"since={timeline.now()}&{query}")
    write("other")
    write("other", webhook="WH-2", object="PR-2", kind=timeline.API_CALL)
    write("matching", webhook="WH-1", object="PR-1", kind=timeline.CHANGE)
    assert waiting.names() == ["matching"]


def test_entry_about_several_objects_ends_the_wait_for_one(
    client: Caller, catalog: make.Catalog
) -> None:
    delivery = make.delivery_about(catalog, "PR-1", "PR-2")
    waiting = Background(client, f"since={timeline.now()}&object=PR-2")
    write("other", kind=timeline.ATTEMPT_STARTED, delivery=delivery.pk + 1)
    write("attempt", kind=timeline.ATTEMPT_STARTED, delivery=delivery.pk)
    assert waiting.names() == ["attempt"]


def test_entries_after_an_open_call_are_returned_once_it_is_complete(client: Caller) -> None:
    now = datetime.now(UTC)
    pk = timeline.open_call(now, now, {"name": "open"})
    waiting = Background(client, f"since={timeline.now()}")
    write("change")
    assert get(client, "")["entries"] == []
    timeline.complete({pk: Entry(timeline.API_CALL, now, data={"name": "call"})})
    assert waiting.names() == ["call", "change"]


def test_wait_without_an_entry_returns_the_cursor_of_the_present(client: Caller) -> None:
    write("other")
    page = get(client, "wait=0.05&kind=hold")
    assert page == {"entries": [], "cursor": str(timeline.now())}


def test_entry_after_others_ends_the_wait(client: Caller) -> None:
    waiting = Background(client, f"since={timeline.now()}&kind=hold")
    write(*"abc")
    write("hold", kind=timeline.HOLD)
    assert waiting.names() == ["hold"]
