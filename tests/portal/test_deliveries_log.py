"""The log of deliveries: access, order, pages, polling and cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from tests import html, make
from tests.make import AT
from tests.portal.delivery_rows import attempt, delivery, ids
from tests.signed_in import root, vendor
from webhooks.models import Delivery, Event, Resend, Webhook
from webhooks.states import STATES

__all__ = ["root", "vendor"]

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def fill(hook: Webhook, count: int) -> None:
    """Add deliveries with an event and an attempt each."""
    for n in range(count):
        attempt(delivery(hook, f"PR-{n:04d}-0000-0000-001"))


def test_row_shows_event_state_and_response(vendor: Client, hook: Webhook) -> None:
    row = delivery(hook, "PR-1111-1111-1111-001", "PR-2222-2222-2222-001", state="waiting")
    attempt(row, "failure", error="<b>refused</b>\x1b[31m", response_body=b"")
    again = delivery(hook)
    again.events.all().delete()
    Resend.objects.create(
        delivery=again,
        repeats=row,
        number=1,
        changed=True,
        url="http://x/",
        method="POST",
        payload="{}",
    )
    page = html.get(vendor, "/deliveries/")
    resent, first = page.one(".log").rows()
    assert first[2:] == [
        "created → pending +1 more PR-1111-1111-1111-001",
        hook.label,
        "Pending",
        "500 failure <b>refused</b>\\x1b[31m",
        "1",
        "7 ms",
        "–",
    ]
    assert resent[2] == f"Resend of delivery {row.pk} with changes delivery {again.pk}"
    headers = [cell.text for cell in page.all(".log thead th")]
    assert headers == [
        "",
        "Time (UTC)",
        "Event",
        "Webhook",
        "State",
        "Response",
        "Attempts",
        "Duration",
        "Handler",
    ]
    for line in page.all(".log tbody tr"):
        # On narrow screens, a cell's heading is its label.
        cells = [cell for cell in line.children if isinstance(cell, html.Element)]
        assert [cell.get("data-label") for cell in cells] == ["", "Time", *headers[2:]]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{\n  "error": "no room"\n}', '{ "error": "no room" }'),
        (b"first\nsecond", "first"),
        (b"<!doctype html>\n<html><head><title>500 Internal Server Error</title>",
         "500 Internal Server Error"),
        (b"\x1f\x8b\x08\x00zipped", "(binary)"),
        (b"x" * 3000, "x" * 160 + "…"),
        (b"", ""),
    ],
)  # fmt: skip
def test_row_shows_the_first_line_of_the_response(
    vendor: Client, hook: Webhook, body: bytes, shown: str
) -> None:
    attempt(delivery(hook), response_body=body)
    [row] = html.get(vendor, "/deliveries/").one(".log").rows()
    assert row[5] == f"200 success {shown}".strip()


BADGES = {
    "waiting": ("Pending", "badge-wait"),
    "calling": ("In flight", "badge-busy"),
    "delivered": ("Delivered", "badge-good"),
    "failed": ("Failed", "badge-bad"),
    "cancelled": ("Cancelled", ""),
}


@pytest.mark.parametrize("state", STATES)
def test_state_has_a_label_the_color_of_its_meaning_and_its_term(
    vendor: Client, hook: Webhook, state: str
) -> None:
    label, color = BADGES[state]
    delivery(hook, state=state)
    badge = html.get(vendor, "/deliveries/").one("td .badge")
    assert (badge.text, badge["class"]) == (label, f"badge {color}".strip())
    assert len(ids(vendor, f"?q={badge['title']}")) == 1
    assert len(ids(vendor, f"?q=state:{label.replace(' ', '-')}")) == 1


def test_pages_are_stable_while_the_log_grows(vendor: Client, hook: Webhook) -> None:
    fill(hook, 120)
    every = list(Delivery.objects.order_by("-pk").values_list("pk", flat=True))
    first = vendor.get("/deliveries/").context["log"]
    fill(hook, 5)
    second = vendor.get(f"/deliveries/{first.older}").context["log"]
    third = vendor.get(f"/deliveries/{second.older}").context["log"]
    assert first.ids + second.ids + third.ids == every
    assert not third.older and not first.newer
    assert vendor.get(f"/deliveries/{third.newer}").context["log"].ids == second.ids
    back = vendor.get(f"/deliveries/{second.newer}").context["log"]
    assert back.ids == first.ids and back.newer
    # Only the first page is polled.
    assert html.get(vendor, "/deliveries/").one("#log").get("hx-get")
    assert not html.get(vendor, f"/deliveries/{first.older}").one("#log").get("hx-get")


@pytest.mark.parametrize(
    "query",
    [
        "?older=x", "?newer=-1", f"?older={'9' * 30}", "?older=٣", "?older=0", f"?newer={2**62}",
    ],
)  # fmt: skip
def test_any_query_shows_a_page(vendor: Client, hook: Webhook, query: str) -> None:
    delivery(hook)
    assert vendor.get(f"/deliveries/{query}").status_code == 200


def test_polling_returns_204_until_something_changes(
    vendor: Client, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    fill(hook, 30)
    row = delivery(hook, state="waiting")

    def poll(change: Any) -> Any:
        digest = vendor.get("/deliveries/").context["log"].digest
        change()
        return vendor.get(f"/deliveries/?seen={digest}", headers=HTMX)

    changes = (
        lambda: delivery(hook),
        lambda: Delivery.objects.filter(pk=row.pk).update(state="calling"),
        lambda: attempt(row, "failure"),
        lambda: Event.objects.create(webhook=hook, delivery=row, at=AT),
    )
    assert [poll(change).status_code for change in changes] == [200] * 4
    digest = vendor.get("/deliveries/").context["log"].digest
    with django_assert_max_num_queries(14):
        response = vendor.get(f"/deliveries/?seen={digest}", headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")
    part = html.get(vendor, "/deliveries/?seen=old", **HTMX)
    assert part.one("#log") and not part.all("html")


def test_number_of_statements_is_bounded_and_bodies_are_not_read(
    vendor: Client, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    row = delivery(hook, *(f"PR-{n:04d}-0000-0000-001" for n in range(50)))
    for _ in range(5):
        attempt(row, "failure")
    fill(hook, 60)
    with django_assert_max_num_queries(19) as queries:
        assert len(ids(vendor, "?q=outcome:failure,success")) == 50
    sql = " ".join(query["sql"] for query in queries)
    assert "request_body" not in sql and "jwt_secret" not in sql and "claims" not in sql
    # Only the start of a response, for its first line.
    assert sql.count("response_body") == sql.count('("webhooks_attempt"."response_body"')


def test_administrator_sees_the_account_that_they_act_as(
    root: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    row = delivery(hook)
    assert ids(root) == [row.pk]
    root.post("/acting/", {"account": catalog.provider.pk})
    assert ids(root) == []
    assert root.get(f"/deliveries/{row.pk}/").status_code == 404


def test_times_are_shown_without_scripts(vendor: Client, hook: Webhook) -> None:
    delivery(hook, created_at=AT + timedelta(hours=6))
    delivery(hook, created_at=AT + timedelta(hours=6, milliseconds=42))
    [precise, cell] = [row[1] for row in html.get(vendor, "/deliveries/").one(".log").rows()]
    assert precise.startswith("2026-11-01 15:00:00.042 ")
    assert cell.startswith("2026-11-01 15:00:00 ") and cell.endswith(" ago")
