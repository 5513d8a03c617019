"""Chips and menus of the log: links to other texts of the same search."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import QueryDict
from django.test import Client, RequestFactory

from portal.deliveries import log
from portal.deliveries.views import render_log
from portal.identity import get_viewer
from tests import html, make
from tests.portal.delivery_rows import attempt, delivery, ids
from tests.signed_in import vendor
from webhooks.models import Event, Webhook

__all__ = ["vendor"]

pytestmark = pytest.mark.django_db


def search(href: str) -> str:
    """Return the search of a link."""
    return parse_qs(urlsplit(href).query, keep_blank_values=True)["q"][0]


def test_each_term_is_a_chip_that_can_be_removed(vendor: Client, hook: Webhook) -> None:
    delivery(hook)
    query = '/deliveries/?q=state:failed,waiting+"no+response"++status:>=500'
    chips = html.get(vendor, query).one(".chips")
    removed = {a.name.removeprefix("Remove "): search(a["href"]) for a in chips.roles("link")}
    assert removed == {
        "state:failed,waiting": '"no response" status:>=500',
        '"no response"': "state:failed,waiting status:>=500",
        "status:>=500": 'state:failed,waiting "no response"',
    }
    assert not html.get(vendor, "/deliveries/").all(".chips")


@pytest.mark.parametrize(
    ("text", "label", "result"),
    [
        ("", "Failed", "state:failed"), ("state:failed", "Pending", "state:failed,waiting"),
        ("state:failed,waiting x", "Failed", "state:waiting x"), ("state:failed", "Failed", ""),
        ("a status:5xx b", "no response", "a status:5xx,none b"),
        ("after:1h", "last day", "after:1d"), ("attempts:1", "more than one", "attempts:>1"),
        ("", "Trigger now", "event:trigger"),
    ],
)  # fmt: skip
def test_menu_changes_the_search(
    vendor: Client, hook: Webhook, text: str, label: str, result: str
) -> None:
    page = html.parse(vendor.get("/deliveries/", {"q": text}))
    option = page.one(".log-filters").by_role("link", label)
    assert search(option["href"]) == result
    chosen = len(result) < len(text)
    assert (option.get("aria-current") == "true") == chosen


def test_menu_of_webhooks_lists_several_of_the_account(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    assert "Webhook" not in html.get(vendor, "/deliveries/").one(".log-filters").text
    second = make.webhook(catalog, n=2, label="Billing")
    foreign = make.webhook(catalog, n=3, account=catalog.provider)
    menu = html.get(vendor, "/deliveries/").one(".log-filters")
    assert search(menu.by_role("link", f"Billing ({second.pk})")["href"]) == f"webhook:{second.pk}"
    assert foreign.pk not in menu.text


def test_deliveries_are_found_by_event_and_attempts(vendor: Client, hook: Webhook) -> None:
    forced, pending, approved = delivery(hook), delivery(hook, "PR-1"), delivery(hook, "PR-2")
    Event.objects.filter(object_id="PR-2").update(status_to="approved")
    for row, count in ((pending, 1), (approved, 3)):
        for _ in range(count):
            attempt(row)
    assert ids(vendor, "?q=event:trigger") == [forced.pk]
    assert ids(vendor, "?q=event:Pending,approved") == [approved.pk, pending.pk]
    assert ids(vendor, "?q=attempts:>1") == [approved.pk]
    assert ids(vendor, "?q=attempts:0,1") == [pending.pk, forced.pk]


def test_log_of_one_webhook_is_a_part_of_another_page(
    vendor: Client, hook: Webhook, catalog: make.Catalog
) -> None:
    own = delivery(hook)
    delivery(make.webhook(catalog, n=2))
    assert log.read(QueryDict(), hook.account, hook.pk).ids == [own.pk]
    request = RequestFactory().get("/webhooks/x/deliveries/")
    request.session, request.user = vendor.session, vendor.get("/deliveries/").wsgi_request.user
    viewer = get_viewer(request)
    assert viewer is not None
    page = html.parse(
        render_log(request, viewer, "deliveries/log_parts.html", {"x": 1}, webhook=hook.pk)
    )
    headers = [cell.text for cell in page.all(".log thead th")]
    assert "Webhook" not in headers and "Event" in headers
    assert page.one("#log").get("hx-get").startswith("?")
