"""Failed attempts by cause: groups in the log and on the webhook's page, and Send all again."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from portal.deliveries import bulk, causes
from portal.deliveries.causes import Cause
from portal.models import BulkResend
from tests import html, make
from tests.html import Element
from tests.make import AT
from tests.portal.delivery_rows import attempt, delivery
from tests.signed_in import distributor, vendor
from webhooks.http import errors
from webhooks.models import Delivery, Event, Resend, Webhook

__all__ = ["distributor", "vendor"]

pytestmark = pytest.mark.django_db

TIMEOUT = {"status_code": None, "error_class": errors.TIMEOUT, "error": "Timed out after 300 s."}


def failed(hook: Webhook, *object_ids: str, state: str = "failed", **more: Any) -> Delivery:
    """Make a delivery with one failed attempt."""
    row = delivery(hook, *object_ids, state=state)
    attempt(row, "failure", **more)
    return row


def resend(row: Delivery, state: str = "delivered") -> Delivery:
    """Make a delivery that sends another one again."""
    again = delivery(row.webhook, state=state)
    Resend.objects.create(
        delivery=again,
        repeats=row,
        number=1,
        changed=False,
        url="http://127.0.0.1:9/",
        method="POST",
        payload="{}",
    )
    return again


def table(page: Element) -> dict[str, list[str]]:
    """Return the cells of each cause."""
    return {cause: cells for cause, *cells in page.one(".causes").rows()}


def send(client: Client, cause: str, **more: str) -> Any:
    """Send the form of the log for a cause."""
    form = {"key": str(uuid.uuid4()), "next": "/deliveries/", "q": "", "webhook": "", **more}
    return client.post("/deliveries/again/", {**form, "cause": cause})


def message(client: Client, response: Any) -> str:
    """Return the message of the page that a response leads to."""
    assert response.status_code == 303
    return html.get(client, response["Location"]).one(".messages").text


def jobs() -> list[list[int]]:
    """Return the deliveries of each job."""
    return list(BulkResend.objects.order_by("pk").values_list("deliveries", flat=True))


def test_failures_are_grouped_by_status_or_class_of_error(vendor: Client, hook: Webhook) -> None:
    first = failed(hook, error="Handler returned HTTP 503 (expected 2xx).", status_code=503)
    for minutes in (5, 20):
        at = AT + timedelta(minutes=minutes)
        last = failed(hook, status_code=503, finished_at=at, error=f"Failed at {minutes} min.")
    slow = failed(hook, **TIMEOUT)
    broken = failed(hook, status_code=200, error_class=errors.DISCONNECTED)
    attempt(delivery(hook))
    attempt(delivery(hook, state="waiting"), "unknown")
    page = html.get(vendor, "/deliveries/")
    rows = table(page)
    assert next(iter(rows)) == "HTTP 503"
    assert rows.keys() == {"HTTP 503", "Timed out", "HTTP 200, connection lost"}
    count, earliest, latest, example, undelivered = rows["HTTP 503"]
    assert (count, undelivered) == ("3", "3 not retried Send all again (HTTP 503)")
    assert earliest == "2026-11-01 09:00:00 UTC" and latest.startswith("2026-11-01 09:20:00 UTC ")
    assert example == f"delivery {last.pk} Failed at 20 min."
    links = [link["href"] for link in page.all(".causes a")]
    examples = [f"/deliveries/{each.pk}/?attempt=1" for each in (last, slow, broken)]
    assert sorted(links) == sorted(examples)
    summary = page.one("#causes summary").text
    assert summary.startswith("5 failed attempts HTTP 503 (3), ") and first.pk < last.pk


def test_webhook_page_has_its_own_causes(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    other = make.webhook(catalog, n=2)
    failed(hook, status_code=500)
    failed(other, **TIMEOUT)
    for row, cause in ((hook, "HTTP 500"), (other, "Timed out")):
        for tab in ("statistics", "deliveries"):
            page = html.get(vendor, f"/webhooks/{row.pk}/{tab}/")
            assert list(table(page)) == [cause]
            form = dict(page.one("#bulk-form").sent())
            assert form["webhook"] == row.pk and uuid.UUID(form["key"])


def test_page_without_failures_has_no_causes(vendor: Client, hook: Webhook) -> None:
    attempt(delivery(hook))
    for page in ("/deliveries/", f"/webhooks/{hook.pk}/statistics/"):
        assert not html.get(vendor, page).all(".causes")


def test_causes_are_those_of_the_search(vendor: Client, hook: Webhook) -> None:
    failed(hook, "PR-1111-1111-1111-001", status_code=503)
    failed(hook, "PR-2222-2222-2222-001", **TIMEOUT)
    late = delivery(hook, state="waiting", created_at=AT + timedelta(days=1))
    attempt(late, "failure", status_code=404)
    for query, expected in (
        ("", {"HTTP 503", "Timed out", "HTTP 404"}),
        ("status:5xx", {"HTTP 503"}),
        ("status:none", {"Timed out"}),
        ("object:PR-2222-2222", {"Timed out"}),
        ("state:waiting", {"HTTP 404"}),
        ("before:2026-11-01T12:00", {"HTTP 503", "Timed out"}),
        ("after:2026-11-01T12:00", {"HTTP 404"}),
    ):
        assert set(table(html.get(vendor, f"/deliveries/?q={query}"))) == expected, query
    for query in ("status:418", "some+text", "foo:bar"):
        assert not html.get(vendor, f"/deliveries/?q={query}").all(".causes"), query


def test_only_the_newest_failures_are_grouped(
    vendor: Client, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "LIMIT", 2)
    for status in (501, 502, 503):
        failed(hook, status_code=status)
    later = delivery(hook, state="waiting", created_at=AT + timedelta(days=1))
    attempt(later, "failure", status_code=504)
    page = html.get(vendor, "/deliveries/")
    assert set(table(page)) == {"HTTP 503", "HTTP 504"}
    assert "Of the last 1,000 failed attempts." in page.one("#causes")
    page = html.get(vendor, "/deliveries/?q=status:501")
    assert not page.all("#causes")
    assert "None of the last 1,000 failed attempts matches." in page.one("#log")


def test_causes_that_are_left_out_are_counted(
    vendor: Client, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "MAX_CAUSES", 2)
    for status in (500, 501, 502, 503):
        failed(hook, status_code=status)
    page = html.get(vendor, "/deliveries/")
    assert set(table(page)) == {"HTTP 502", "HTTP 503"}
    assert "2 more causes" in page.one("#causes")


def test_poll_shows_a_new_cause(vendor: Client, hook: Webhook) -> None:
    row = failed(hook)
    poll = html.get(vendor, "/deliveries/").one("#log")["hx-get"]
    assert vendor.get(f"/deliveries/{poll}", headers={"HX-Request": "true"}).status_code == 204
    resend(row, "waiting")
    part = html.get(vendor, f"/deliveries/{poll}", **{"HX-Request": "true"})
    assert table(part)["HTTP 500"][-1] == "–"


@pytest.mark.parametrize("error_class", errors.ERROR_CLASSES)
def test_each_class_of_error_has_a_label(error_class: str) -> None:
    cause = Cause(None, error_class)
    assert str(cause) == causes.LABELS[error_class]
    assert Cause.parse(cause.key) == cause


@pytest.mark.parametrize(
    ("cause", "label"),
    [
        (Cause(503, None), "HTTP 503"),
        (Cause(200, None), "HTTP 200, invalid response"),
        (Cause(200, errors.TIMEOUT), "HTTP 200, timed out"),
        # Of an earlier version.
        (Cause(None, None), "No response"),
    ],
)
def test_cause_is_named_by_what_is_stored(cause: Cause, label: str) -> None:
    assert str(cause) == label
    assert Cause.parse(cause.key) == cause


def test_all_deliveries_of_a_cause_are_sent_again(vendor: Client, hook: Webhook) -> None:
    rows = [failed(hook, state=state, status_code=503) for state in ("failed", "cancelled")]
    failed(hook, **TIMEOUT)
    response = send(vendor, "503-")
    job = BulkResend.objects.get()
    assert response["Location"] == f"/deliveries/?sent={job.pk}"
    assert message(vendor, response) == "2 deliveries will be sent again."
    assert (job.deliveries, job.is_running) == ([row.pk for row in rows], True)
    assert bulk.step(job.pk)
    assert set(Resend.objects.values_list("repeats", flat=True)) == {row.pk for row in rows}
    assert table(html.get(vendor, "/deliveries/"))["HTTP 503"][-1] == "–"


@pytest.mark.parametrize("state", ["calling", "delivered"])
def test_delivery_that_is_in_flight_or_delivered_is_not_sent_again(
    vendor: Client, hook: Webhook, state: str
) -> None:
    row = failed(hook, state=state, status_code=503)
    if state == "delivered":
        attempt(row)
    cell = table(html.get(vendor, "/deliveries/"))["HTTP 503"][-1]
    assert cell == ("–" if state == "delivered" else "1 pending Send all again (HTTP 503)")
    response = send(vendor, "503-")
    assert message(vendor, response) == "HTTP 503: no delivery is left to send again."
    assert jobs() == [] and not Delivery.objects.filter(forced=True).exists()


def test_webhooks_of_pending_deliveries_are_triggered_once(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    other, disabled, healthy = (make.webhook(catalog, n=n) for n in (2, 3, 4))
    disabled.active = False
    disabled.save()
    for row in (hook, hook, other, disabled):
        failed(row, state="waiting", status_code=503)
    failed(healthy, state="waiting", **TIMEOUT)
    left = failed(other, status_code=503)
    cell = table(html.get(vendor, "/deliveries/"))["HTTP 503"][-1]
    assert cell == "4 pending 1 not retried Send all again (HTTP 503)"
    triggered = "triggered: pending deliveries are sent once that request succeeds."
    assert message(vendor, send(vendor, "503-", webhook=hook.pk)) == f"1 webhook was {triggered}"
    text = message(vendor, send(vendor, "503-"))
    assert text == f"1 delivery will be sent again. 1 webhook was {triggered}"
    assert message(vendor, send(vendor, "503-")) == "HTTP 503: no delivery is left to send again."
    assert jobs() == [[left.pk]]
    forced = Delivery.objects.filter(forced=True).order_by("webhook")
    assert [row.webhook for row in forced] == [hook, other]
    assert Event.objects.filter(delivery__in=forced, object_id="").count() == 2


def test_cause_is_that_of_the_last_attempt(vendor: Client, hook: Webhook) -> None:
    row = failed(hook, status_code=503)
    attempt(row, "failure", **TIMEOUT)
    assert "no delivery is left" in message(vendor, send(vendor, "503-"))
    assert message(vendor, send(vendor, "-timeout")) == "1 delivery will be sent again."
    assert jobs() == [[row.pk]]


@pytest.mark.parametrize("state", ["waiting", "delivered"])
def test_delivery_that_was_sent_again_is_not_sent_twice(
    vendor: Client, hook: Webhook, state: str
) -> None:
    resend(failed(hook, status_code=503), state)
    assert "no delivery is left" in message(vendor, send(vendor, "503-"))
    assert jobs() == []


def test_failed_resend_is_sent_again_in_place_of_what_it_repeats(
    vendor: Client, hook: Webhook
) -> None:
    again = resend(failed(hook, status_code=503), "failed")
    attempt(again, "failure", status_code=503)
    send(vendor, "503-")
    assert jobs() == [[again.pk]]


def test_deliveries_of_a_running_job_are_not_sent_twice(vendor: Client, hook: Webhook) -> None:
    rows = [failed(hook, status_code=503) for _ in range(2)]
    send(vendor, "503-")
    assert "no delivery is left" in message(vendor, send(vendor, "503-"))
    more = failed(hook, status_code=503)
    assert message(vendor, send(vendor, "503-")) == "1 delivery will be sent again."
    assert jobs() == [[row.pk for row in rows], [more.pk]]


def test_form_that_is_sent_twice_reports_the_same_job(vendor: Client, hook: Webhook) -> None:
    failed(hook, status_code=503)
    key = str(uuid.uuid4())
    texts = {message(vendor, send(vendor, "503-", key=key)) for _ in range(2)}
    assert texts == {"1 delivery will be sent again."}
    assert len(jobs()) == 1


def test_search_and_webhook_limit_what_is_sent(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    row = failed(hook, "PR-1111-1111-1111-001")
    other = failed(make.webhook(catalog, n=2), "PR-1111-1111-1111-002")
    failed(hook, "PR-2222-2222-2222-001")
    send(vendor, "500-", q="object:PR-1111", webhook=hook.pk)
    send(vendor, "500-", q="object:PR-1111")
    assert jobs() == [[row.pk], [other.pk]]


def test_number_of_deliveries_is_limited(
    vendor: Client, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LIMIT", 2)
    rows = [failed(hook) for _ in range(3)]
    text = message(vendor, send(vendor, "500-"))
    assert text.startswith("2 deliveries will be sent again. These are the newest")
    assert message(vendor, send(vendor, "500-")) == "1 delivery will be sent again."
    assert jobs() == [[rows[1].pk, rows[2].pk], [rows[0].pk]]


def test_older_deliveries_can_be_sent_although_their_failures_are_not_grouped(
    vendor: Client, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causes, "LIMIT", 1)
    row = failed(hook)
    resend(failed(hook))
    assert table(html.get(vendor, "/deliveries/"))["HTTP 500"][-1] == "Send all again (HTTP 500)"
    send(vendor, "500-")
    assert jobs() == [[row.pk]]


def test_causes_and_deliveries_of_others_are_out_of_reach(
    distributor: Client, hook: Webhook
) -> None:
    failed(hook)
    assert not html.get(distributor, "/deliveries/").all(".causes")
    for webhook in ("", hook.pk):
        response = send(distributor, "500-", webhook=webhook)
        assert "no delivery is left" in message(distributor, response)
    assert jobs() == []


@pytest.mark.parametrize(
    "sent",
    [
        {"cause": ""}, {"cause": "x-"}, {"cause": "50000-"}, {"cause": "-nothing"},
        {"cause": "500-", "key": "x"}, {"cause": "500-", "q": "foo:bar"},
    ],
)  # fmt: skip
def test_wrong_form_sends_nothing(vendor: Client, hook: Webhook, sent: dict[str, str]) -> None:
    failed(hook)
    send(vendor, **sent)
    # An empty cause is one without a status and a class, which nothing has.
    assert jobs() == []
