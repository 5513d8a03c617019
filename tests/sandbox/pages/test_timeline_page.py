"""The page of the timeline, and the timeline of an object on its page: who sees which entries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.conversations import writing
from requests_queue.conversations.models import Conversation
from requests_queue.models import Clock
from requests_queue.queues.fulfillment.models import Request
from sandbox.models import ApiCall, TimelineEntry
from sandbox.pages import timeline as timeline_page
from sandbox.timeline import call_storage, timeline
from sandbox.timeline.timeline import Entry
from tests import html, make
from tests.html import Element
from tests.make import Catalog
from tests.sandbox import recorded
from tests.signed_in import distributor, root, stranger, vendor
from webhooks.models import Event, Webhook

__all__ = ["distributor", "root", "stranger", "vendor"]

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
SECRET = "canary-of-a-password"


@pytest.fixture
def order(catalog: Catalog) -> Request:
    """An order, whose creation is an event of a webhook of the vendor."""
    make.webhook(catalog, label="Ours")
    return make.order(catalog)


@pytest.fixture
def world(order: Request, catalog: Catalog) -> Request:
    """An order with an entry of each kind."""
    hook, event = Webhook.objects.get(), Event.objects.get()
    post(order, catalog, "Is it done?")
    post(order, catalog, "Between us.", "private")
    attempt(hook, event.delivery_id, order.pk, outcome="failure", status=503)
    call(order, catalog)
    now = clock.now()
    moved = {"action": "next", "from": timeline.format_time(now), "to": timeline.format_time(now)}
    fault = {"id": "FLT-1", "name": "down", "kind": "abort", "side": "delivery", "fired": 1}
    timeline.append(
        [
            Entry(timeline.CLOCK, now, data=moved),
            Entry(timeline.CLOCK, now, data={"action": "settle", "url": SECRET, "ms": 1}),
            Entry(timeline.HOLD, now, data={"action": "taken", "id": "HLD-1", "note": "busy"}),
            Entry(timeline.FAULT, now, hook.pk, event.delivery_id, 1, data=fault),
        ]
    )
    return order


def post(order: Request, catalog: Catalog, text: str, kind: str = "message") -> None:
    row = Conversation.objects.get(instance_id=order.pk)
    writing.post(row.pk, {"text": text, "type": kind}, catalog.as_vendor)


def attempt(hook: Webhook, delivery: int, *objects: str, **result: Any) -> None:
    """Write the start of an attempt, and its end if there is a result."""
    sent = {
        "type": "event",
        "method": "POST",
        "url": "http://127.0.0.1:9/",
        "forced": False,
        "objects": list(objects),
    }
    about = (hook.pk, delivery, 1, timeline.only(objects))
    entries = [Entry(timeline.ATTEMPT_STARTED, clock.now(), *about, sent)]
    if result:
        data = {
            **sent,
            "error": "",
            "duration": 30,
            "why": "",
            "state": "waiting",
            "next_attempt_at": timeline.format_time(make.AT),
            "out_of_order": False,
            **result,
        }
        entries.append(Entry(timeline.ATTEMPT_FINISHED, clock.now(), *about, data))
    timeline.append(entries)


def call(order: Request, catalog: Catalog, **more: Any) -> ApiCall:
    """Store a rejected approval of the vendor."""
    fields = {
        "method": "POST",
        "status": 400,
        "account": catalog.vendor.pk,
        "request_body": json.dumps({"params": [{"id": "password", "value": SECRET}]}).encode(),
        "response_body": b'{"error_code": "VAL_001", "errors": ["Not yet."]}',
        **more,
    }
    call_storage.store([recorded.call(f"/public/v1/requests/{order.pk}/approve", **fields)])
    return ApiCall.objects.latest("pk")


def rows(client: Client, query: str = "") -> list[Element]:
    return html.get(client, f"/timeline/{query}").all(".stream-row")


def kinds(client: Client, query: str = "") -> list[str]:
    return [row["data-kind"] for row in rows(client, query)]


def test_call_without_a_response_says_so(world: Request, vendor: Client) -> None:
    data = {**TimelineEntry.objects.get(kind=timeline.API_CALL).data, "error_code": ""}
    before = datetime.now(UTC) - timedelta(seconds=timeline.OPEN_FOR)
    timeline.open_call(before, before, {**data, "id": None, "status": None})
    [row] = [row for row in rows(vendor) if "no response yet" in row.text]
    assert row["data-kind"] == "api" and f"requests/{world.pk}/approve" in row.text


def test_rows_say_what_happened_newest_first(world: Request, vendor: Client) -> None:
    shown = rows(vendor)
    expected = [
        ("fault", "down (abort) fired."),
        ("clock", "Hold HLD-1 taken. busy"),
        ("clock", "Moved 0 s to"),
        ("api", f"{world.pk} POST /requests/{world.pk}/approve 400 VAL_001"),
        ("delivery", "Ours delivery"),
        ("message", "Between us. private, by vendor1"),
        ("message", "Is it done? by vendor1"),
        ("change", "Created in status pending. by provider1"),
    ]
    for row, (kind, part) in zip(shown, expected, strict=True):
        assert row["data-kind"] == kind and part in row
    assert "Attempt 1: HTTP 503 in 30 ms, next attempt at 2026-11-01 09:00:00 UTC" in shown[4]
    links = [link["href"] for link in shown[4].all("a")]
    delivery = Event.objects.get().delivery_id
    assert links == [
        f"/queues/fulfillment_request/{world.pk}/",
        f"/webhooks/{Webhook.objects.get().pk}/",
        f"/deliveries/{delivery}/?attempt=1",
    ]


def test_accounts_see_only_what_is_theirs(
    world: Request, vendor: Client, distributor: Client, stranger: Client, root: Client
) -> None:
    # The other party's handler, its calls and its private messages are not shown.
    assert kinds(distributor) == ["clock", "clock", "message", "change"]
    assert "Is it done?" in rows(distributor)[2]
    assert kinds(stranger) == ["clock", "clock"]
    # An administrator acts as an account, too.
    assert len(kinds(root)) in (8, 2)
    for client in (vendor, distributor, stranger):
        assert SECRET not in html.get(client, "/timeline/")


@pytest.mark.parametrize(
    ("kind", "count"),
    [("change", 1), ("delivery", 1), ("api", 1), ("message", 2), ("clock", 2), ("fault", 1)],
)
def test_kinds_are_filtered_by_links(world: Request, vendor: Client, kind: str, count: int) -> None:
    page = html.get(vendor, "/timeline/")
    [link] = [each for each in page.all(".kinds a") if f"kind={kind}" in each["href"]]
    assert kinds(vendor, link["href"]) == [kind] * count
    chosen = html.get(vendor, f"/timeline/{link['href']}").one(".kinds a[aria-current=true]")
    assert chosen.text == link.text


def test_webhook_and_object_are_filtered(
    world: Request, catalog: Catalog, vendor: Client, distributor: Client
) -> None:
    hook = Webhook.objects.get()
    assert set(kinds(vendor, f"?webhook={hook.pk}")) == {"fault", "delivery"}
    assert kinds(distributor, f"?webhook={hook.pk}") == []
    other = make.order(catalog)
    assert kinds(vendor, f"?object={other.pk}&kind=change") == ["change"]
    assert len(kinds(vendor, f"?object={world.pk}")) == 6
    assert kinds(vendor, "?object=PR-0000-0000-0000-001") == []


@pytest.mark.parametrize(
    "query",
    [
        "?kind=x",
        "?before=x",
        "?since=1",
        f"?after={2**63}.1",
        f"?object={'x' * 41}",
        "?webhook=%00",
    ],
)  # fmt: skip
def test_invalid_filter_is_an_error_with_a_sentence(vendor: Client, query: str) -> None:
    response = vendor.get(f"/timeline/{query}")
    assert response.status_code == 400
    if "%00" not in query:
        alert = html.parse(response).one("[role=alert]")
        assert alert.text.startswith(query[1:].partition("=")[0])
        assert alert.all('a[href="/timeline/"]')


def test_event_and_start_are_replaced_by_what_follows(order: Request, vendor: Client) -> None:
    hook, delivery = Webhook.objects.get(), Event.objects.get().delivery_id
    assert "Pending: no attempt yet." in rows(vendor, "?kind=delivery")[0]
    attempt(hook, delivery, order.pk)
    [row] = rows(vendor, "?kind=delivery")
    assert "Attempt 1 is in flight." in row and row["data-replaces"] == f"event-{delivery}"
    attempt(hook, delivery, order.pk, outcome="success", status=200)
    [row] = rows(vendor, "?kind=delivery")
    assert "Attempt 1: HTTP 200 in 30 ms" in row
    assert row["data-replaces"] == f"started-{delivery}-1"


def test_start_after_a_restore_is_shown_though_an_older_attempt_had_its_number(
    order: Request, vendor: Client
) -> None:
    hook, delivery = Webhook.objects.get(), Event.objects.get().delivery_id
    attempt(hook, delivery, order.pk, outcome="failure", status=500)
    # The restore has dropped this one, which has no end.
    attempt(hook, delivery, order.pk)
    data = {"action": "restored", "snapshot": "a"}
    timeline.append([Entry(timeline.RESET, clock.now(), data=data)])
    attempt(hook, delivery, order.pk)
    texts = [row.text for row in rows(vendor, "?kind=delivery")]
    assert ["in flight" in text for text in texts] == [True, False]
    attempt(hook, delivery, order.pk, outcome="success", status=200)
    texts = [row.text for row in rows(vendor, "?kind=delivery")]
    assert ["HTTP 200" in text for text in texts] == [True, False]
    assert "HTTP 500" in texts[1]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three entries, of at most five that are read."""
    monkeypatch.setattr(timeline_page, "SIZE", 3)
    monkeypatch.setattr(timeline_page, "SCAN", 5)


def holds(*names: str) -> None:
    contents = [{"action": "taken", "id": name} for name in names]
    timeline.append([Entry(timeline.HOLD, clock.now(), data=data) for data in contents])


def names(page: Element) -> list[str]:
    return [row.text.split("Hold ")[1].split(" ")[0] for row in page.all(".stream-row")]


def test_pages_continue_and_others_entries_cost_a_bounded_read(
    small: None, vendor: Client, catalog: Catalog
) -> None:
    holds("a", "b")
    timeline.append([Entry(timeline.CHANGE, clock.now(), object="PR-1")] * 9)
    holds("c", "d", "e", "f")
    seen: list[str] = []
    address, count = "/timeline/", 0
    for _ in range(9):
        page = html.get(vendor, address)
        seen += names(page)
        count += 1
        links = [link["href"] for link in page.all(".pager a[rel=next]")]
        if not links:
            break
        address = f"/timeline/{links[0]}"
    assert seen == list("fedcba") and 2 < count < 9
    assert not html.get(vendor, address).all("#stream-poll")


def test_poll_has_only_new_rows_or_all_if_there_are_too_many(small: None, vendor: Client) -> None:
    holds("a")
    address = "/timeline/" + html.get(vendor, "/timeline/").one("#stream-poll")["hx-get"][10:]
    assert vendor.get(address, headers=HTMX).status_code == 204
    holds("b", "c")
    newer = html.get(vendor, address, **HTMX)
    assert names(newer) == ["c", "b"] and not newer.all("#stream")
    assert newer.one("#stream-poll")["hx-get"] != address
    holds("d", "e", "f")
    response = vendor.get(address, headers=HTMX)
    assert response["HX-Retarget"] == "#stream"
    assert names(html.parse(response)) == ["f", "e", "d"]


def test_number_of_statements_is_constant(world: Request, vendor: Client, catalog: Catalog) -> None:
    paths = ("/timeline/", f"/queues/fulfillment/{world.pk}/")

    def statements() -> list[int]:
        counts = []
        for path in paths:
            with CaptureQueriesContext(connection) as queries:
                html.get(vendor, path)
            counts.append(len(queries))
        return counts

    before = statements()
    hook = Webhook.objects.get()
    for n in range(4):
        call(world, catalog)
        post(world, catalog, "More.")
        make.order(catalog)
        attempt(make.webhook(catalog, n=n + 5), 10_000 + n, world.pk, outcome="success", status=200)
        attempt(hook, 20_000 + n, world.pk)
    assert statements() == before


def test_api_call_is_opened_and_masked(
    world: Request, catalog: Catalog, vendor: Client, distributor: Client
) -> None:
    # Its values are masked in bodies.
    make.parameter(catalog, "password", type="password")
    stored = ApiCall.objects.get()
    [row] = rows(vendor, "?kind=api")
    address = row.one("details div")["hx-get"]
    assert address == f"/timeline/calls/{stored.pk}/" == row.one("details div a")["href"]
    part = vendor.get(address, headers=HTMX).content.decode()
    assert "Not yet." in part and "<html" not in part
    assert "data-redacted" not in part
    page = html.get(vendor, address)
    assert "Not yet." in page and f"POST /requests/{world.pk}/approve" in page
    for text in (part, page.text):
        assert SECRET not in text
    assert distributor.get(address).status_code == 404
    assert vendor.get(f"/timeline/calls/{10**30}/").status_code == 404


def test_redacted_api_call_says_so(order: Request, catalog: Catalog, vendor: Client) -> None:
    row = call(order, catalog, query="SU-100-200-300:of-nobody")
    part = vendor.get(f"/timeline/calls/{row.pk}/", headers=HTMX).content.decode()
    assert "data-redacted" in part and "of-nobody" not in part


def test_object_has_one_stream_of_everything(
    world: Request, vendor: Client, distributor: Client
) -> None:
    page = html.get(vendor, f"/queues/fulfillment/{world.pk}/")
    shown = [row["data-kind"] for row in page.all("*[data-stream] .stream-row")]
    assert shown == ["fault", "api", "delivery", "message", "message", "change"]
    assert not page.all(".timeline")
    other = html.get(distributor, f"/queues/fulfillment/{world.pk}/")
    assert [row["data-kind"] for row in other.all(".stream-row")] == ["message", "change"]


def test_object_without_entries_shows_its_history(world: Request, vendor: Client) -> None:
    def texts() -> list[str]:
        page = html.get(vendor, f"/queues/fulfillment/{world.pk}/")
        return [row.text for row in page.all("*[data-stream] .stream-row")]

    before = texts()
    TimelineEntry.objects.filter(kind__in=(timeline.CHANGE, timeline.MESSAGE)).delete()
    # Their times are whole seconds.
    assert sorted(text.partition(" ")[2] for text in texts()) == sorted(
        text.partition(" ")[2] for text in before
    )
    TimelineEntry.objects.all().delete()
    assert [each for each in texts() if "Delivery Ours delivery" in each and "waiting" in each]


def test_object_of_before_a_reset_is_another_one(world: Request, vendor: Client) -> None:
    Clock.objects.update_or_create(pk=1, defaults={"offset": timedelta(hours=1)})
    data = {"action": "reset", "snapshot": "seed"}
    timeline.append([Entry(timeline.RESET, clock.now(), data=data)])
    page = html.get(vendor, f"/queues/fulfillment/{world.pk}/")
    assert "api" not in [row["data-kind"] for row in page.all(".stream-row")]
    assert "Reset to the demo data." in rows(vendor)[0]
    assert datetime.fromisoformat(rows(vendor)[0].one("time")["datetime"])
