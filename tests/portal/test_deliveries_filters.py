"""Chips and menus of the log: links to other texts of the same search."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from tests import html, make
from tests.portal.delivery_rows import delivery
from tests.signed_in import vendor
from webhooks.models import Webhook

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
