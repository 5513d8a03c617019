"""`GET /sandbox/timeline?wait=`: what a read that waits returns, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.timeline import observer, timeline
from sandbox.timeline.timeline import Entry
from sandbox.waits import wait_responses
from tests import make
from tests.api import Caller
from tests.background import Background
from tests.engines import until
from tests.sandbox.calling import catalog, client
from tests.sandbox.timeline.test_timeline import write

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


def waiting() -> int:
    return len(observer.waiting(wait_responses.reads))


def in_background(client: Caller, query: str) -> Background:
    """Begin a read in a thread, which has its own client."""
    before = waiting()
    client = Caller(client.key)
    begun = Background(lambda: get(client, f"wait=30&{query}"))
    until(lambda: waiting() > before, "it waits")
    return begun


def names(page: Any) -> list[str]:
    return [entry["data"]["name"] for entry in page["entries"]]


def get(client: Caller, query: str) -> Any:
    response = client.get(f"/sandbox/timeline?{query}")
    assert response.status == 200, response
    return response.json


def test_entries_that_exist_are_returned_at_once(client: Caller) -> None:
    start = timeline.now()
    write("a")
    page = get(client, f"since={start}&wait=600")
    assert page == get(client, f"since={start}") and names(page) == ["a"]


def test_new_entry_ends_the_wait_with_the_page_of_a_plain_read(client: Caller) -> None:
    start = timeline.now()
    begun = in_background(client, f"since={start}")
    write("a", "b")
    page = begun.result()
    assert names(page) == ["a", "b"] and page == get(client, f"since={start}")


@pytest.mark.parametrize(
    "query", ["webhook=WH-1", "object=PR-1", "kind=hold,change", "webhook=WH-1&kind=change"]
)
def test_only_matching_entries_end_the_wait(client: Caller, query: str) -> None:
    begun = in_background(client, f"since={timeline.now()}&{query}")
    write("other")
    write("other", webhook="WH-2", object="PR-2", kind=timeline.API_CALL)
    write("matching", webhook="WH-1", object="PR-1", kind=timeline.CHANGE)
    assert names(begun.result()) == ["matching"]


def test_entry_about_several_objects_ends_the_wait_for_one(
    client: Caller, catalog: make.Catalog
) -> None:
    delivery = make.delivery_about(catalog, "PR-1", "PR-2")
    begun = in_background(client, f"since={timeline.now()}&object=PR-2")
    write("other", kind=timeline.ATTEMPT_STARTED, delivery=delivery.pk + 1)
    write("attempt", kind=timeline.ATTEMPT_STARTED, delivery=delivery.pk)
    assert names(begun.result()) == ["attempt"]


def test_entries_after_an_open_call_are_returned_once_it_is_complete(client: Caller) -> None:
    now = datetime.now(UTC)
    pk = timeline.open_call(now, now, {"name": "open"})
    begun = in_background(client, f"since={timeline.now()}")
    write("change")
    assert get(client, "")["entries"] == []
    timeline.complete({pk: Entry(timeline.API_CALL, now, data={"name": "call"})})
    assert names(begun.result()) == ["call", "change"]


def test_wait_without_an_entry_returns_the_cursor_of_the_present(client: Caller) -> None:
    write("other")
    page = get(client, "wait=0.05&kind=hold")
    assert page == {"entries": [], "cursor": str(timeline.now())}


def test_entry_after_others_ends_the_wait(client: Caller) -> None:
    begun = in_background(client, f"since={timeline.now()}&kind=hold")
    write(*"abc")
    write("hold", kind=timeline.HOLD)
    assert names(begun.result()) == ["hold"]
