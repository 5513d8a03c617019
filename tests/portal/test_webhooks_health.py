"""The health line of a webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from requests_queue import clock
from requests_queue.db.sql import DatabaseTime
from requests_queue.heartbeats import WORKER
from requests_queue.models import Heartbeat
from tests import html, make
from tests.html import Element
from tests.portal.webhooks import attempt, messages
from tests.signed_in import vendor  # noqa: F401  (fixture)
from webhooks import actions
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    """Let a worker be alive."""
    now = DatabaseTime()
    Heartbeat.objects.create(process="worker", kind=WORKER, at=now - 1, since=now - 100)


def line(client: Client, row: Webhook, rest: str = "") -> Element:
    return html.get(client, f"/webhooks/{row.pk}/{rest}").one("#health")


def failing(catalog: make.Catalog, **more: Any) -> Webhook:
    """Return a webhook that failed 50 and 40 minutes ago."""
    row = make.webhook(catalog, **{"triggers": 2, "failure_since_last_success": 2, **more})
    for n, minutes in ((1, 50), (2, 40)):
        finished = clock.now() - timedelta(minutes=minutes)
        error = "Handler returned HTTP 503."
        row.last_failure = attempt(row, n, finished_at=finished, error=error)
    row.save()
    return row


def test_new_webhook_says_what_to_do(vendor: Client, catalog: make.Catalog) -> None:
    shown = line(vendor, make.webhook(catalog))
    assert shown.one(".badge").text == "New"
    assert "No requests yet." in shown and "Use Trigger now" in shown


def test_healthy_webhook_counts_the_last_hour(vendor: Client, catalog: make.Catalog) -> None:
    row = make.webhook(catalog, triggers=4)
    for minutes, outcome in ((3, "success"), (59, "success"), (61, "success"), (30, "failure")):
        finished = clock.now() - timedelta(minutes=minutes)
        attempt(row, minutes, outcome=outcome, finished_at=finished)
    Delivery.objects.update(state=Delivery.DELIVERED)
    shown = line(vendor, row)
    assert shown.one(".badge").text == "Healthy"
    assert "New events are delivered immediately." in shown
    assert "Last hour: 2 deliveries, 1 failed attempt." in shown


def test_backing_off_webhook_names_count_next_attempt_and_error(
    vendor: Client, catalog: make.Catalog
) -> None:
    until = clock.now() + timedelta(minutes=5)
    row = failing(catalog, round=4, earliest_possible_trigger=until, gate_closed_at=clock.now())
    shown = line(vendor, row)
    assert shown.one(".badge").text == "Backing off"
    words = (
        "Failing since",
        "UTC, 4 of 10.",
        "Next attempt in 4 min",
        "Last hour: 2 failed attempts.",
    )
    assert [each for each in words if each not in shown] == []
    assert row.last_failure is not None
    assert {link.text: link["href"] for link in shown.roles("link")} == {
        "Handler returned HTTP 503.": f"/deliveries/{row.last_failure.delivery_id}/",
        "out of order": f"/webhooks/{row.pk}/statistics/#forecast",
    }


@pytest.mark.parametrize(
    ("more", "badge", "words", "button"),
    [
        ({"out_of_order": True}, "Out of order", "after 2 failures", "Recover"),
        ({"active": False}, "Disabled", "No requests are sent until", "Enable"),
        ({}, "Recovering", "No success yet since the backoff was cleared.", ""),
        ({"type": "validator"}, "Failing", "2 failures since the last success.", ""),
    ],
)
def test_state_has_its_action(
    vendor: Client,
    catalog: make.Catalog,
    more: dict[str, Any],
    badge: str,
    words: str,
    button: str,
) -> None:
    shown = line(vendor, failing(catalog, **more))
    assert shown.one(".badge").text == badge and words in shown
    assert [each.text for each in shown.all("button")] == [button] * bool(button)


def test_line_is_polled_until_it_changes(vendor: Client, catalog: make.Catalog) -> None:
    row = failing(catalog)
    poll = line(vendor, row)["hx-get"]
    assert poll is not None
    assert vendor.get(poll, headers=HTMX).status_code == 204
    Webhook.objects.update(out_of_order=True)
    assert html.get(vendor, poll, **HTMX).one(".badge").text == "Out of order"
    assert vendor.get(poll)["Location"] == f"/webhooks/{row.pk}/"
    actions.delete(row.pk)
    response = vendor.get(poll, headers=HTMX)
    assert (response.status_code, response["HX-Redirect"]) == (200, "/webhooks/")
    assert "may have been deleted" in messages(vendor.get("/webhooks/"))
