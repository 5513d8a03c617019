"""The search of the deliveries page, and its messages for a query that is refused."""

from __future__ import annotations

import pytest
from django.test import Client
from hypothesis import HealthCheck, given

from tests import html, make
from tests.hypothesis_profiles import examples
from tests.make import AT
from tests.portal.delivery_rows import attempt, delivery, ids
from tests.signed_in import vendor
from tests.unit.portal.search_texts import typed
from webhooks.models import Webhook

__all__ = ["vendor"]

pytestmark = pytest.mark.django_db


@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=typed)
def test_any_search_shows_a_page(vendor: Client, hook: Webhook, text: str) -> None:
    response = vendor.get("/deliveries/", {"q": text.encode("utf-8", "replace")})
    assert response.status_code == (400 if "\0" in text else 200)


def test_invalid_search_is_kept_and_explained(vendor: Client, hook: Webhook) -> None:
    delivery(hook)
    page = html.parse(vendor.get("/deliveries/", {"q": 'foo:"<b>'}))
    field = page.by_label("Search")
    assert field.value == 'foo:"<b>' and field["aria-describedby"] == "q-error"
    assert "Unbalanced quotation mark" in page.errors[0]
    assert "Fix the query above." in page.one("#log")


@pytest.fixture
def deliveries(hook: Webhook, catalog: make.Catalog) -> dict[str, int]:
    """Three deliveries: one with a failure, one of another webhook, one that is waiting."""
    a = delivery(hook, "PR-1111-1111-1111-001", "PR-2222-2222-2222-001")
    attempt(a, "failure", status_code=503, response_body=b"\xff upstream \xe2\x82\xac down")
    attempt(a)
    other = make.webhook(catalog, n=2, label="Billing, 100%")
    b = delivery(other, state="failed", created_at=AT.replace(day=2))
    attempt(b, "failure", status_code=None, error="unknown host", method="GET")
    c = delivery(hook, "PR-3333-3333-3333-001", state="waiting", created_at=AT.replace(day=3))
    c.events.update(status_to="approved")
    return {"a": a.pk, "b": b.pk, "c": c.pk}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "cba"), ("webhook:WH-000-000-001", "ca"), ("webhook:wh-000-000-002", "b"),
        ('webhook:"100%"', "b"), ("webhook:1009", ""), ("status:>=500", "a"), ("status:none", "b"),
        ("status:2xx", "a"), ("status:5xx outcome:success", ""), ("state:waiting,failed", "cb"),
        ("outcome:failure", "ba"), ("object:PR-2222", "a"), ("object:pr-3333-3333-3333-001", "c"),
        ("method:GET", "b"), ('body:"upstream € down"', "a"), ('body:"Upstream"', ""),
        ('body:"fulfillment_requests"', "ba"), ('body:"\\"ok\\": true"', "ba"),
        ("before:2026-11-02", "a"), ("after:2026-11-02", "cb"), ("billing", "b"), ("3333", "c"),
        ('"unknown host"', "b"), ("unknown waiting", ""), ("WH-000-000-001", "ca"), ("%", "b"),
        ('""', "cba"), ("event:trigger", "b"), ("event:Pending,approved", "ca"),
        ("event:approved", "c"), ("attempts:>1", "a"), ("attempts:0,1", "cb"),
    ],
)  # fmt: skip
def test_deliveries_are_found_by(
    vendor: Client, deliveries: dict[str, int], text: str, names: str
) -> None:
    response = vendor.get("/deliveries/", {"q": text})
    rows = [row.pk for row in response.context["log"].rows]
    assert rows == [deliveries[name] for name in names]


def test_delivery_is_shown_with_the_attempt_that_matches(
    vendor: Client, deliveries: dict[str, int]
) -> None:
    def links(query: str) -> list[str]:
        return [a["href"] for a in html.get(vendor, f"/deliveries/?q={query}").all("[data-step]")]

    assert links("status:503") == [f"/deliveries/{deliveries['a']}/?attempt=1"]
    assert f"/deliveries/{deliveries['a']}/" in links("webhook:WH-000-000-001")


def test_text_search_covers_the_newest_rows_only(
    vendor: Client, deliveries: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.deliveries.queries.TEXT_SEARCH_LIMIT", 1)
    assert ids(vendor, "?q=body:upstream") == []
    assert ids(vendor, "?q=body:ok") == [deliveries["b"]]
    assert ids(vendor, "?q=2222") == []
    log = html.get(vendor, "/deliveries/?q=body:upstream").one("#log")
    assert "newest 10,000" in log and not log.get("hx-get")
    assert ids(vendor, "?q=status:5xx") == [deliveries["a"]]
