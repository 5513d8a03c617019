"""The volume chart of the log: its numbers are those of the rows, and its bars filter them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from portal.deliveries import chart as charts
from tests import html, make
from tests.make import AT
from tests.portal.delivery_rows import attempt, delivery, ids
from tests.signed_in import distributor, vendor
from webhooks.models import Webhook

__all__ = ["distributor", "vendor"]

pytestmark = pytest.mark.django_db
STATES = ("delivered", "delivered", "failed", "waiting", "calling", "cancelled")


@pytest.fixture
def volume(hook: Webhook) -> None:
    """Six deliveries in each of three minutes."""
    for minute in (0, 1, 20):
        for state in STATES:
            at = AT + timedelta(minutes=minute, seconds=30)
            row = delivery(hook, "PR-1111-1111-1111-001", state=state, created_at=at)
            if state in ("delivered", "failed"):
                attempt(row, "success" if state == "delivered" else "failure")


def table(client: Client, query: str = "") -> list[list[str]]:
    """Return the rows of the chart's table."""
    page = html.get(client, f"/deliveries/{query}")
    return [
        [c.text for c in row.all("th") + row.all("td")]
        for row in page.one("#volume-table").all("tbody tr")
    ]


@pytest.mark.usefixtures("volume")
def test_chart_shows_the_numbers_of_the_rows(vendor: Client) -> None:
    minutes = ["2026-11-01 09:00", "2026-11-01 09:01", "2026-11-01 09:20"]
    assert table(vendor) == [[minute, "2", "1", "2", "1"] for minute in minutes]
    bars = html.get(vendor, "/deliveries/").all("svg[data-volume] a")
    assert [bar.name for bar in bars] == [
        f"{minute}: 2 succeeded, 1 failed, 2 pending, 1 cancelled" for minute in minutes
    ]
    # Each bar leads to its rows.
    shown = [ids(vendor, bar["href"]) for bar in bars]
    assert [len(each) for each in shown] == [6, 6, 6]
    assert {pk for each in shown for pk in each} == set(ids(vendor))


@pytest.mark.usefixtures("volume")
def test_chart_counts_what_the_search_matches(vendor: Client, distributor: Client) -> None:
    for query in ("state:failed", "status:500"):
        assert [row[1:] for row in table(vendor, f"?q={query}")] == [["0", "1", "0", "0"]] * 3
    for client, query in ((vendor, "?q=status:418"), (vendor, "?q=body:ok"), (distributor, "")):
        assert not html.get(client, f"/deliveries/{query}").all(".volume"), query


@pytest.mark.usefixtures("volume")
def test_range_of_time_is_shown_with_its_context(vendor: Client) -> None:
    query = "?q=state:failed+after:2026-11-01T09:01+before:2026-11-01T09:02"
    page = html.get(vendor, f"/deliveries/{query}")
    caption = page.one("figcaption")
    assert "1 delivery" in caption.text
    outside = [bar for bar in page.all("svg[data-volume] a") if bar.get("class") == "is-outside"]
    assert [bar.name for bar in outside] == ["2026-11-01 09:00: 1 failed"]
    href = caption.by_role("link", "Show all times")["href"]
    assert parse_qs(urlsplit(href).query) == {"q": ["state:failed"]}
    # A bar replaces the range, and keeps the other terms.
    assert parse_qs(urlsplit(outside[0]["href"]).query)["q"] == [
        "state:failed after:2026-11-01T09:00 before:2026-11-01T09:01"
    ]


@pytest.mark.parametrize(
    ("span", "minutes", "query"),
    [
        (timedelta(minutes=5), 1, ""), (timedelta(minutes=59), 1, ""),
        (timedelta(hours=3), 5, ""), (timedelta(days=9), 360, ""),
        (timedelta(days=500), 9 * 1440, ""),
        (timedelta(hours=9), 1, "?q=after:2026-11-01T09:00+before:2026-11-01T09:30"),
    ],
)  # fmt: skip
def test_bars_are_as_long_as_needed(
    vendor: Client, hook: Webhook, span: timedelta, minutes: int, query: str
) -> None:
    delivery(hook)
    delivery(hook, created_at=AT + span)
    svg = html.get(vendor, f"/deliveries/{query}").one("svg[data-volume]")
    assert int(svg["data-minutes"]) == minutes
    assert int(svg["data-places"]) <= charts.MOST_BARS


@pytest.mark.parametrize(
    "query",
    ["after:0001-01-01", "before:9999-12-31T23:59", "after:9999-12-31", "before:0001-01-01",
     "after:2026-11-02+before:2026-11-01", "after:2026-11-01T09:00+before:2026-11-01T09:00"],
)  # fmt: skip
def test_any_range_shows_a_page(vendor: Client, hook: Webhook, query: str) -> None:
    delivery(hook)
    assert vendor.get(f"/deliveries/?q={query}").status_code == 200


def test_chart_covers_the_newest_deliveries(
    vendor: Client, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "LIMIT", 3)
    for minute in range(5):
        delivery(hook, created_at=AT + timedelta(minutes=minute))
    assert [row[0][-5:] for row in table(vendor)] == ["09:02", "09:03", "09:04"]
    assert "The newest 3 deliveries" in html.get(vendor, "/deliveries/").one("figcaption").text


def test_page_is_updated_when_only_the_chart_changes(vendor: Client, hook: Webhook) -> None:
    old = delivery(hook, state="waiting")
    for _ in range(50):
        delivery(hook)

    def poll() -> Any:
        digest = vendor.get("/deliveries/").context["log"].digest
        old.__class__.objects.filter(pk=old.pk).update(state="failed")
        return vendor.get(f"/deliveries/?seen={digest}", headers={"HX-Request": "true"})

    assert old.pk not in ids(vendor)
    assert poll().status_code == 200
    assert poll().status_code == 204


def test_chart_of_a_webhook_counts_its_deliveries(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    delivery(hook)
    delivery(make.webhook(catalog, n=2))
    chart = charts.build_chart([hook.pk], [])
    assert chart is not None and chart["total"] == 1
